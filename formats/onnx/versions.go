package onnx

import (
	"fmt"
	"strconv"

	"github.com/tfsopt/tfsopt/graph"
)

// ownDomain holds operators of this program, which no other knows.
const ownDomain = "tfsopt"

// newestOpset is the newest opset of ONNX's own domain whose operators upgrades know.
const newestOpset = 27

// irVersions gives the IR version that ONNX's release with each opset wrote (onnx.helper.VERSION_TABLE).
var irVersions = []struct{ opset, ir int }{
	{28, 14}, {25, 13}, {24, 12}, {23, 11}, {21, 10}, {19, 9}, {15, 8}, {12, 7}, {11, 6}, {10, 5}, {9, 4}, {1, 3},
}

func irOf(opset int) int {
	for _, v := range irVersions {
		if opset >= v.opset {
			return v.ir
		}
	}
	return 3
}

// defaultOpset is what a graph that comes from no ONNX file is written in at least: the first with all of QDQ.
const defaultOpset = 13

// versions decides on opsets and IR version.
func (w *writer) versions(g *graph.Graph) error {
	w.opsets = map[string]int{}
	for d, v := range g.Opsets {
		w.opsets[d] = v
	}
	if w.opsets[""] == 0 && len(w.opsets) == 0 {
		w.opsets[""] = defaultOpset
	}
	reason := map[string]string{}
	g.Walk(func(n *graph.Node) {
		d, _ := graph.NameOf(n.Op)
		if need := sinceOf(n.Op); need > w.opsets[d] {
			w.opsets[d] = need
			reason[d] = n.OpName()
		}
	})
	for _, d := range sortedKeys(reason) {
		if had := g.Opsets[d]; had > 0 {
			name := d
			if name == "" {
				name = "ai.onnx"
			}
			w.warnings = append(w.warnings, fmt.Sprintf("opset of %s raised from %d to %d for %s", name, had, w.opsets[d], reason[d]))
		}
	}
	had, err := strconv.Atoi(g.Meta[metaPrefix+"ir_version"])
	if err != nil {
		had = 0
	}
	w.ir = max(had, irOf(w.opsets[""]))
	if w.ir < 4 && !allListed(g) {
		w.ir = 4 // before, every initializer had to be an input
	}
	if had > 0 && w.ir > had {
		w.warnings = append(w.warnings, fmt.Sprintf("IR version raised from %d to %d", had, w.ir))
	}
	return nil
}

// raised tells whether the main opset is above the one that the model came in.
func (w *writer) raised(g *graph.Graph) bool { return g.Opsets[""] != w.opsets[""] }

// sinceOf is the lowest opset of its domain that an operator can be written in.
func sinceOf(op graph.Op) int {
	if since := graph.Since(op); since > 0 {
		return since
	}
	domain, name := graph.NameOf(op)
	return max(1, newestForm(domain, name))
}

// listConstants tells whether initializers that the file listed among the inputs are listed again: always below IR
// version 4, where they must be; from there on, where it makes them defaults that callers may override, only if the
// file itself said so at that version.
func (w *writer) listConstants(g *graph.Graph) bool {
	had, err := strconv.Atoi(g.Meta[metaPrefix+"ir_version"])
	return w.ir < 4 || err == nil && had >= 4
}

// allListed tells whether every constant of the graph was an input too.
func allListed(g *graph.Graph) bool {
	for _, v := range g.Values() {
		if v.IsConst() && v.Meta[metaListed] != listedInput {
			return false
		}
	}
	return len(g.States) == 0
}
