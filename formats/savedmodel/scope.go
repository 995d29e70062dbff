package savedmodel

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/tfsopt/tfsopt/internal/tensorflow"
)

// scope is where names of nodes are looked up: the graph, or one call of a function.
type scope struct {
	l       *loader
	b       *builder
	nodes   map[string]*tensorflow.NodeDef
	args    map[string]value                 // of a function
	attrs   map[string]*tensorflow.AttrValue // of the call
	fed     map[edge]value                   // tensors that a signature feeds
	done    map[string]*outputs
	sidesOf map[string][]side // of the inputs of nodes that were looked at
	calls   []string          // functions being inlined, outermost first
}

// edge is an output of a node; port is "" in a graph, the output's name in a function.
type edge struct {
	node, port string
	index      int
}

// parseInput splits an input of a node: "^node" is control.
func parseInput(s string) (e edge, control bool) {
	if rest, ok := strings.CutPrefix(s, "^"); ok {
		return edge{node: rest}, true
	}
	parts := strings.Split(s, ":")
	e.node = parts[0]
	if n, err := strconv.Atoi(parts[len(parts)-1]); err == nil && len(parts) > 1 {
		e.index = n
	}
	if len(parts) == 3 {
		e.port = parts[1]
	}
	return e, false
}

// outputs holds what a node gave. An opaque node's outputs are made when they are asked for.
type outputs struct {
	values []value
	opaque *opaqueNode
}

func newScope(l *loader, b *builder, nodes []*tensorflow.NodeDef) (*scope, error) {
	s := &scope{l: l, b: b, nodes: make(map[string]*tensorflow.NodeDef, len(nodes)), fed: map[edge]value{}, done: map[string]*outputs{}, sidesOf: map[string][]side{}}
	for _, n := range nodes {
		if s.nodes[n.Name] != nil {
			return nil, l.failAt(n.Offset, "two nodes are named %q", n.Name)
		}
		s.nodes[n.Name] = n
	}
	return s, nil
}

// need converts all that the edges and the nodes run for control depend on.
func (s *scope) need(edges []edge, control []string) error {
	roots := append([]string{}, control...)
	for _, e := range edges {
		if _, ok := s.fed[e]; !ok {
			roots = append(roots, e.node)
		}
	}
	order, err := s.order(roots)
	if err != nil {
		return err
	}
	for _, n := range order {
		if err := s.convert(n); err != nil {
			return err
		}
	}
	return nil
}

// order lists the nodes that roots depend on and that are not converted, each after those that it needs.
func (s *scope) order(roots []string) ([]*tensorflow.NodeDef, error) {
	type frame struct {
		n    *tensorflow.NodeDef
		next int
	}
	const active, finished = 1, 2
	state := map[string]int{}
	var out []*tensorflow.NodeDef
	var stack []frame
	push := func(name, reader string) error {
		if s.done[name] != nil || state[name] == finished {
			return nil
		}
		if _, ok := s.args[name]; ok {
			return nil
		}
		n := s.nodes[name]
		if n == nil {
			return fmt.Errorf("%s reads %q, which is not in the graph", reader, name)
		}
		if state[name] == active {
			return fmt.Errorf("node %q (%s) depends on itself: loops of TensorFlow 1 (Enter, Merge, NextIteration) are not supported", name, n.Op)
		}
		state[name] = active
		stack = append(stack, frame{n: n})
		return nil
	}
	for _, r := range roots {
		if err := push(r, "an output"); err != nil {
			return nil, err
		}
		for len(stack) > 0 {
			f := &stack[len(stack)-1]
			if f.next == len(f.n.Inputs) {
				state[f.n.Name] = finished
				out = append(out, f.n)
				stack = stack[:len(stack)-1]
				continue
			}
			e, _ := parseInput(f.n.Inputs[f.next])
			f.next++
			if _, ok := s.fed[e]; ok {
				continue
			}
			if err := push(e.node, fmt.Sprintf("node %q (%s)", f.n.Name, f.n.Op)); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// at gives what an edge holds; its node is converted.
func (s *scope) at(e edge) (value, error) {
	if x, ok := s.fed[e]; ok {
		return x, nil
	}
	if x, ok := s.args[e.node]; ok {
		return x, nil
	}
	o := s.done[e.node]
	if o == nil {
		return value{}, fmt.Errorf("%q is not in the graph", e.node)
	}
	if o.opaque != nil {
		return value{v: o.opaque.output(e)}, nil
	}
	i := e.index
	if e.port != "" {
		at, err := s.flat(s.nodes[e.node], e)
		if err != nil {
			return value{}, err
		}
		i = at
	}
	if i < 0 || i >= len(o.values) || o.values[i].empty() {
		n := s.nodes[e.node]
		return value{}, fmt.Errorf("output %d of %q (%s) is not supported", i, e.node, n.Op)
	}
	return o.values[i], nil
}

// portNames lists the outputs of operators that have several, in order.
var portNames = map[string][]string{
	"FusedBatchNorm": {"y", "batch_mean", "batch_variance"}, "FusedBatchNormV2": {"y", "batch_mean", "batch_variance"},
	"FusedBatchNormV3": {"y", "batch_mean", "batch_variance"}, "TopKV2": {"values", "indices"}, "TopK": {"values", "indices"},
	"Unique": {"y", "idx"}, "UniqueV2": {"y", "idx"}, "UniqueWithCounts": {"y", "idx", "count"}, "Switch": {"output_false", "output_true"},
	"Merge": {"output", "value_index"}, "StringSplitV2": {"indices", "values", "shape"}, "StringSplit": {"indices", "values", "shape"},
	"SparseFillEmptyRows": {"output_indices", "output_values", "empty_row_indicator", "reverse_index_map"},
	"SparseReshape":       {"output_indices", "output_shape"}, "DecodeWav": {"audio", "sample_rate"},
	"TensorListPopBack": {"output_handle", "tensor"}, "MaxPoolWithArgmax": {"output", "argmax"},
	"LookupTableExportV2": {"keys", "values"}, "NonMaxSuppressionV4": {"selected_indices", "valid_outputs"},
	"NonMaxSuppressionV5": {"selected_indices", "selected_scores", "valid_outputs"}, "Moments": {"mean", "variance"},
	"Qr": {"q", "r"}, "SelfAdjointEigV2": {"e", "v"}, "Svd": {"s", "u", "v"},
}

// portWidths gives, for operators whose outputs are lists, how many tensors each list has.
var portWidths = map[string]func(s *scope, n *tensorflow.NodeDef) (names []string, widths []int){}

// flat gives the number of an output that is given by name.
func (s *scope) flat(n *tensorflow.NodeDef, e edge) (int, error) {
	names := portNames[n.Op]
	var widths []int
	if f := portWidths[n.Op]; f != nil {
		names, widths = f(s, n)
	}
	at := 0
	for i, name := range names {
		if name == e.port {
			return at + e.index, nil
		}
		if widths != nil {
			at += widths[i]
		} else {
			at++
		}
	}
	return e.index, nil
}

// sorted lists the keys of a map in order.
func sorted[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}
