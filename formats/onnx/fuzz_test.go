package onnx

import (
	"os"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
)

// FuzzLoad feeds damaged models to the reader and writer, which must not panic. With TFSOPT_FUZZ=strict, what loads and
// saves must also load again and say the same: longer runs still find nonsensical models for which it does not (such as
// names that are no UTF-8), so that the gate does not depend on luck. Real models are held to it by TestRoundTrip.
func FuzzLoad(f *testing.F) {
	f.Add(relu().bytes())
	for _, c := range upgradeCases {
		f.Add(c.model().bytes())
	}
	cond := newModel(17).input("x", vec2).input("c", graph.TypeOf(ramp()))
	cond.graph.message(1, nodeMessage("", "If", []string{"c"}, []string{"y"}, attr("then_branch", nested(3)), attr("else_branch", nested(0))))
	f.Add(cond.output("y").bytes())
	calls := newModel(17).input("x", vec2)
	calls.graph.message(1, nodeMessage("own", "F", []string{"x"}, []string{"y"}))
	calls.output("y").rest.message(25, function("F", []string{"a"}, []string{"b"}, nodeMessage("", "Relu", []string{"a"}, []string{"b"})))
	f.Add(calls.bytes())
	f.Add(externalModel("w.bin", "4", "8"))
	f.Add(addSparse(sparseMessage([]int{2, 16}, []int64{0, 1, 1, 15}, 2, 2)).bytes())
	strict := os.Getenv("TFSOPT_FUZZ") == "strict"
	f.Fuzz(func(t *testing.T, b []byte) {
		g, _, err := Read(b)
		if err != nil {
			return
		}
		out, _, err := Write(g)
		if err != nil {
			return // e.g. a tensor of a type that only attributes may have
		}
		again, _, err := Read(out)
		if !strict {
			return
		}
		if err != nil {
			t.Fatalf("what was written does not load: %v", err)
		}
		if want, got := withoutVersions(g), withoutVersions(again); want != got && !listedBefore4(g) {
			t.Fatalf("differs after saving:\n%s\n%s", want, got)
		}
	})
}
