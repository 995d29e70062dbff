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
		if wrong := forbidden(n); wrong != "" {
			w.warnings = append(w.warnings, wrong)
		}
		d, _ := graph.NameOf(n.Op)
		if need := sinceOf(n); need > w.opsets[d] {
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

// raised reports whether the main opset is above the one that the model came in.
func (w *writer) raised(g *graph.Graph) bool { return g.Opsets[""] != w.opsets[""] }

// attrSince holds the attributes that came to an operator later than the opset of its form, by olderForms or as it is
// registered. They count when they are not at their default.
var attrSince = map[string]map[string]int{
	"ArgMax":             {"select_last_index": 12},
	"ArgMin":             {"select_last_index": 12},
	"Attention":          {"left_window_size": 25, "right_window_size": 25},
	"AveragePool":        {"ceil_mode": 10, "dilations": 19},
	"BatchNormalization": {"training_mode": 14},
	"Cast":               {"saturate": 19, "round_mode": 24},
	"CastLike":           {"saturate": 19, "round_mode": 24},
	"DequantizeLinear":   {"block_size": 21, "output_dtype": 23, "axis": 13},
	"GRU":                {"layout": 14},
	"LSTM":               {"layout": 14},
	"LpPool":             {"ceil_mode": 18, "dilations": 18},
	"MaxPool":            {"ceil_mode": 10, "dilations": 10},
	"QuantizeLinear":     {"saturate": 19, "block_size": 21, "output_dtype": 21, "precision": 23, "axis": 13},
	"RNN":                {"layout": 14},
	"Range":              {"stash_type": 27},
	"Reshape":            {"allowzero": 14},
	"Resize":             {"antialias": 18, "axes": 18, "keep_aspect_ratio_policy": 18},
	"ScatterElements":    {"reduction": 18},
	"ScatterND":          {"reduction": 18},
	"Shape":              {"start": 15, "end": 15},
	"SpaceToDepth":       {"mode": 28},
	"Split":              {"num_outputs": 18},

	"ai.onnx.ml.LabelEncoder": {"default_tensor": 4, "keys_tensor": 4, "values_tensor": 4},
	"ai.onnx.ml.TreeEnsembleClassifier": {
		"base_values_as_tensor": 3, "class_weights_as_tensor": 3, "nodes_hitrates_as_tensor": 3, "nodes_values_as_tensor": 3,
	},
	"ai.onnx.ml.TreeEnsembleRegressor": {
		"base_values_as_tensor": 3, "target_weights_as_tensor": 3, "nodes_hitrates_as_tensor": 3, "nodes_values_as_tensor": 3,
	},
}

// sinceOf is the lowest opset of its domain that a node can be written in.
func sinceOf(n *graph.Node) int {
	domain, name := graph.NameOf(n.Op)
	since := max(1, graph.Since(n.Op))
	if _, opaque := n.Op.(graph.Opaque); opaque {
		return max(since, newestForm(domain, name))
	}
	if domain != "" {
		for _, a := range graph.AttrsOf(n.Op) {
			since = max(since, attrSince[n.OpName()][a.Name])
		}
		return since
	}
	older := olderForm(n, name)
	if older > 0 {
		since = min(since, older)
	}
	for _, a := range graph.AttrsOf(n.Op) {
		since = max(since, attrSince[name][a.Name])
		if name == "Pad" && a.Value == "wrap" {
			since = max(since, 19)
		}
	}
	for _, out := range []bool{false, true} {
		values := n.In
		if out {
			values = n.Out
		}
		for i, v := range values {
			if older > 0 && i > 0 {
				break // other operands may be attributes there; olderForm has looked at their types
			}
			if need := typeSince(operand{name, out, i}, v); need != never {
				since = max(since, need)
			}
		}
	}
	return since
}

// listConstants reports whether initializers that the file listed among the inputs are listed again: always below IR
// version 4, where they must be; from there on, where it makes them defaults that callers may override, only if the
// file itself said so at that version.
func (w *writer) listConstants(g *graph.Graph) bool {
	had, err := strconv.Atoi(g.Meta[metaPrefix+"ir_version"])
	return w.ir < 4 || err == nil && had >= 4
}

// allListed reports whether every constant of the graph was an input too.
func allListed(g *graph.Graph) bool {
	for _, v := range g.Values() {
		if v.IsConst() && v.Meta[metaListed] != listedInput {
			return false
		}
	}
	return len(g.States) == 0
}
