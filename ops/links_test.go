package ops

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// spot is one position along an axis of an operand.
type spot struct {
	out             bool
	index, axis, at int
}

// linkCases have channels to lose where the operators' own cases have too few.
var linkCases = map[string][]opCases{
	"InstanceNormalization": {{InstanceNormalization{Epsilon: 1e-5}, opCase{in: counted([]int{1, 2, 3}, []int{2}, []int{2}), outs: 1}}},
	"LayerNormalization":    {{LayerNormalization{Axis: -1, Epsilon: 1e-5, StashType: 1}, opCase{in: counted([]int{2, 3}, []int{3}), outs: 1}}},
	"MaxPool":               {{MaxPool{KernelShape: []int{2}}, opCase{in: counted([]int{2, 2, 4}), outs: 1}}},
	"AveragePool":           {{AveragePool{KernelShape: []int{2}}, opCase{in: counted([]int{2, 2, 4}), outs: 1}}},
	"DepthToSpace": {
		{DepthToSpace{BlockSize: 2, Mode: "DCR"}, opCase{in: counted([]int{1, 8, 1, 2}), outs: 1}},
		{DepthToSpace{BlockSize: 2, Mode: "CRD"}, opCase{in: counted([]int{1, 8, 1, 2}), outs: 1}},
	},
	"SpaceToDepth": {
		{SpaceToDepth{BlockSize: 2, Mode: "DCR"}, opCase{in: counted([]int{1, 3, 2, 4}), outs: 1}},
		{SpaceToDepth{BlockSize: 2, Mode: "CRD"}, opCase{in: counted([]int{1, 3, 2, 4}), outs: 1}},
	},
	"LSTM": {{LSTM{recurrent: hidden}, opCase{in: counted([]int{2, 1, 3}, []int{1, 8, 3}, []int{1, 8, 2}), outs: 3}}},
	"GRU":  {{GRU{recurrent: hidden}, opCase{in: counted([]int{2, 1, 3}, []int{1, 6, 3}, []int{1, 6, 2}), outs: 2}}},
	"RNN":  {{RNN{hidden}, opCase{in: counted([]int{2, 1, 3}, []int{1, 2, 3}, []int{1, 2, 2}), outs: 2}}},
	"Conv": { // grouped; depthwise; with two results for each channel
		{Conv{Group: 2}, opCase{in: counted([]int{1, 6, 4}, []int{4, 3, 2}, []int{4}), outs: 1}},
		{Conv{Group: 3}, opCase{in: counted([]int{1, 3, 4}, []int{3, 1, 2}), outs: 1}},
		{Conv{Group: 3}, opCase{in: counted([]int{1, 3, 4}, []int{6, 1, 2}, []int{6}), outs: 1}},
	},
	"ConvTranspose": {
		{ConvTranspose{Group: 2}, opCase{in: counted([]int{1, 6, 4}, []int{6, 2, 2}, []int{4}), outs: 1}},
		{ConvTranspose{Group: 3}, opCase{in: counted([]int{1, 3, 4}, []int{3, 2, 2}, []int{6}), outs: 1}},
	},
	"Gemm": {{Gemm{Alpha: 1, Beta: 1, TransA: true, TransB: true}, opCase{in: counted([]int{3, 2}, []int{4, 3}, []int{1, 4}), outs: 1}}},
	"Split": {
		{Split{Axis: 1}, opCase{in: counted([]int{2, 6}), outs: 2}},
		{Split{Axis: 1, NumOutputs: 3}, opCase{in: counted([]int{2, 8}), outs: 3}},
	},
	"Slice":  {{Slice{}, opCase{in: append(counted([]int{2, 6}), vec[int64](-4), vec[int64](5), vec[int64](1)), outs: 1}}},
	"Gather": {{Gather{Axis: 1}, opCase{in: append(counted([]int{2, 5}), vec[int64](3, -1, 0, 3)), outs: 1}}},
	"Resize": {{
		Resize{Mode: "nearest", CoordinateTransformationMode: "asymmetric", NearestMode: "floor", KeepAspectRatioPolicy: "stretch"},
		opCase{in: append(counted([]int{1, 3, 2}), nil, nil, vec[int64](1, 3, 4)), outs: 1},
	}},
	"Reshape": {
		{Reshape{}, opCase{in: append(counted([]int{2, 3, 4}), vec[int64](2, 12)), outs: 1}},
		{Reshape{}, opCase{in: append(counted([]int{2, 12, 2}), vec[int64](0, 4, 3, -1)), outs: 1}},
		{Reshape{}, opCase{in: append(counted([]int{2, 12}), vec[int64](2, 2, 3, 2)), outs: 1}},
		{Reshape{}, opCase{in: append(counted([]int{2, 6, 4}), vec[int64](2, 3, 8)), outs: 1}},
		{Reshape{}, opCase{in: append(counted([]int{6, 4, 5}), vec[int64](2, 12, 5)), outs: 1}},
	},
	"Squeeze": {{Squeeze{}, opCase{in: counted([]int{2, 1, 3, 1}), outs: 1}}},
}

var hidden = recurrent{Direction: "forward", HiddenSize: 2}

// counted makes tensors of these shapes whose elements are small and all different.
func counted(shapes ...[]int) []*tensor.Tensor {
	var out []*tensor.Tensor
	n := float32(1)
	for _, s := range shapes {
		v := make([]float32, tensor.Size(s))
		for i := range v {
			v[i] = n / 16
			n++
		}
		out = append(out, shaped(s, v...))
	}
	return out
}

// TestLinks holds each operator to its links, with the operators' own cases. A channel may go if the operator, fitted to
// inputs without it, gives what it gave when the channel was zero, without the channel.
func TestLinks(t *testing.T) {
	var names []string
	for name := range cases {
		names = append(names, name)
	}
	sort.Strings(names)
	tried, cut := map[string]bool{}, map[string]bool{}
	for _, name := range names {
		for i, c := range slices.Concat(cases[name], linkCases[name]) {
			m, ok := c.op.(graph.Mapped)
			if !ok || c.check != nil {
				continue
			}
			tried[name] = true
			t.Run(fmt.Sprintf("%s/%d", name, i), func(t *testing.T) {
				if checkLinks(t, m, c) > 0 {
					cut[name] = true
				}
			})
		}
	}
	// Those whose cases have too few channels to lose one, or none, and those that keep every channel.
	for _, name := range []string{
		"Add", "Mul", "Relu", "Clip", "Conv", "ConvTranspose", "BatchNormalization", "InstanceNormalization", "MaxPool",
		"AveragePool", "GlobalAveragePool", "Concat", "Split", "Slice", "Gather", "Transpose", "Reshape", "Flatten", "Squeeze",
		"Unsqueeze", "Expand", "MatMul", "Gemm", "Einsum", "Pad", "Resize", "Softmax", "LayerNormalization", "ReduceMean",
		"DepthToSpace", "SpaceToDepth", "QuantizeLinear", "DequantizeLinear", "PRelu", "Where", "LSTM", "GRU", "RNN",
	} {
		if !cut[name] {
			t.Errorf("%s: no case in which a channel can go (tried %v)", name, tried[name])
		}
	}
}

// checkLinks cuts each channel that can go, one at a time, and counts them.
func checkLinks(t *testing.T, m graph.Mapped, c opCases) (n int) {
	outs := max(c.outs, len(c.out))
	want, err := runOp(m, c.in, outs)
	if err != nil {
		t.Skip(err)
	}
	in, out := tensorFacts(c.in), tensorFacts(want)
	for i := range out {
		if out[i].Const = nil; len(c.out) > 0 && c.out[i] == nil {
			out[i] = graph.Fact{}
		}
	}
	links := m.Links(in, out)
	choices := []int{0}
	for i, l := range links {
		if l.Alternative != 0 {
			choices = append(choices, i)
		}
	}
	for _, chosen := range choices {
		var hold []graph.Link
		for i, l := range links {
			if l.Alternative == 0 || i == chosen {
				hold = append(hold, l)
			}
		}
		for _, l := range hold {
			for ch := range l.N {
				if gone, ok := closure(hold, l, ch); ok && leaves(gone, in, out) {
					checkCut(t, cutCase{m, c.in, outs, in, out, gone})
					n++
				}
			}
		}
	}
	return n
}

// closure is every position that goes with a channel; ok is false if one of them must stay.
func closure(links []graph.Link, l graph.Link, ch int) (gone map[spot]bool, ok bool) {
	gone = map[spot]bool{}
	add := func(l graph.Link, ch int) {
		for _, e := range l.Ends {
			for _, at := range e.Positions(l.N, ch) {
				gone[spot{e.Out, e.Index, e.Axis, at}] = true
			}
		}
		ok = ok && l.MustStay == ""
	}
	ok = true
	add(l, ch)
	for before := 0; before < len(gone); {
		before = len(gone)
		for _, l := range links {
			for ch := range l.N {
				if slices.ContainsFunc(l.Ends, func(e graph.End) bool {
					return slices.ContainsFunc(e.Positions(l.N, ch), func(at int) bool { return gone[spot{e.Out, e.Index, e.Axis, at}] })
				}) {
					add(l, ch)
				}
			}
		}
	}
	return gone, ok
}

// leaves reports whether every axis that loses positions still has some.
func leaves(gone map[spot]bool, in, out []graph.Fact) bool {
	count := map[spot]int{}
	for s := range gone {
		count[spot{s.out, s.index, s.axis, 0}]++
	}
	for s, n := range count {
		list := in
		if s.out {
			list = out
		}
		if list[s.index].Shape[s.axis].Is(n) {
			return false
		}
	}
	return true
}

// cutCase is an operator with inputs from which positions go.
type cutCase struct {
	op      graph.Mapped
	tensors []*tensor.Tensor
	outs    int
	in, out []graph.Fact
	gone    map[spot]bool
}

// kept lists what stays along an axis, nil if all.
func (c cutCase) kept(out bool, index, axis int) []int {
	list := c.in
	if out {
		list = c.out
	}
	var stay []int
	n, _ := list[index].Shape[axis].Value()
	for i := range n {
		if !c.gone[spot{out, index, axis, i}] {
			stay = append(stay, i)
		}
	}
	if len(stay) == n {
		return nil
	}
	return stay
}

func checkCut(t *testing.T, c cutCase) {
	t.Helper()
	zeroed, small := make([]*tensor.Tensor, len(c.tensors)), make([]*tensor.Tensor, len(c.tensors))
	for i, x := range c.tensors {
		if x != nil {
			zeroed[i] = c.without(x, false, i, true)
			small[i] = c.without(x, false, i, false)
		}
	}
	whole, err := runOp(c.op, zeroed, c.outs)
	if err != nil {
		return // zeros may not be allowed
	}
	op := graph.Op(c.op)
	if s, ok := c.op.(graph.Sized); ok {
		fitted, consts, err := s.Fit(graph.Cut{In: c.in, Out: c.out, Kept: c.kept})
		if err != nil {
			t.Fatal(err)
		}
		op = fitted
		for i, x := range consts {
			if x == nil {
				continue
			}
			for len(small) <= i {
				small = append(small, nil)
			}
			small[i] = x
		}
	}
	got, err := runOp(op, small, c.outs)
	if err != nil {
		t.Fatalf("without %v: %v", c.gone, err)
	}
	for i, w := range whole {
		if !c.out[i].Given() {
			continue
		}
		if err := differ(got[i], c.without(w, true, i, false), 1e-6); err != nil {
			t.Errorf("output %d without %v: %v", i, c.gone, err)
		}
	}
}

// without gives a tensor whose positions that go are zero, or left out.
func (c cutCase) without(x *tensor.Tensor, out bool, index int, zero bool) *tensor.Tensor {
	shape := append([]int{}, x.Shape...)
	for a := range shape {
		if stay := c.kept(out, index, a); stay != nil && !zero {
			shape[a] = len(stay)
		}
	}
	dst, err := target(&graph.Exec{Ctx: context.Background()}, nil, x.DType, shape)
	if err != nil {
		panic(err)
	}
	dst.clear()
	src, to := source(x), 0
	at := make([]int, len(x.Shape))
	for i := range x.Len() {
		drop := false
		for a, rest := len(at)-1, i; a >= 0; a-- {
			at[a], rest = rest%x.Shape[a], rest/x.Shape[a]
			drop = drop || c.gone[spot{out, index, a, at[a]}]
		}
		if !drop {
			dst.move(to, src, i, 1)
		}
		if !drop || zero {
			to++
		}
	}
	dst.done()
	return dst.t
}

func tensorFacts(list []*tensor.Tensor) []graph.Fact {
	out := make([]graph.Fact, len(list))
	for i, x := range list {
		if x != nil {
			out[i] = graph.FactOf(x)
		}
	}
	return out
}

func runOp(op graph.Op, in []*tensor.Tensor, outs int) ([]*tensor.Tensor, error) {
	out := make([]*tensor.Tensor, outs)
	for i := range out {
		out[i] = &tensor.Tensor{}
	}
	return out, graph.RunKernel(&graph.Exec{Ctx: context.Background()}, op, in, out)
}
