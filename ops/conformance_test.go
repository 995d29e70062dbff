package ops_test

import (
	"flag"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/internal/conformance"
)

var (
	updatePassing = flag.Bool("update", false, "add the conformance cases that pass to testdata/passing.txt")
	why           = flag.String("why", "", "say why conformance cases that are not listed fail: a regular expression on their names")
)

// TestConformance runs ONNX's conformance models with the operators' own kernels; plain loops need many seconds for
// those above 0.2 GMAC.
//
//	go test ./ops -run TestConformance/cases/node/test_conv -why conv   says what is wrong with those not listed
//	go test ./ops -run TestConformance -update                          adds new ones
func TestConformance(t *testing.T) {
	s := conformance.Suite{List: "testdata/passing.txt", Update: *updatePassing, Why: *why, MaxMACs: 200e6, Run: graph.Eval}
	s.Test(t)
}
