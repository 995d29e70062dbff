package ops

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"slices"
	"sort"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// opCase is one example of an operator: what Run must give for these inputs.
type opCase struct {
	name string
	in   []*tensor.Tensor // nil: omitted
	out  []*tensor.Tensor // nil: nobody reads that output
	tol  float64          // |got-want| <= tol·(1+|want|); 0: the same value, with the sign of zero
	// check replaces out where the result is random; outs is then the number of outputs.
	check func(out []*tensor.Tensor) error
	outs  int
}

type opCases struct {
	op graph.Op
	opCase
}

var cases = map[string][]opCases{}

// missingCases names the registered operators that have no case yet. It must be empty in a release.
var missingCases = []string{}

// register adds cases for one operator with one set of attributes; an operator's test file calls it in init.
func register(op graph.Op, c ...opCase) {
	name := (&graph.Node{Op: op}).OpName()
	for _, c := range c {
		cases[name] = append(cases[name], opCases{op, c})
	}
}

// vec is a tensor of rank 1.
func vec[T tensor.Native](v ...T) *tensor.Tensor { return tensor.From(v, len(v)) }

// shaped is a tensor of the given shape.
func shaped[T tensor.Native](shape []int, v ...T) *tensor.Tensor { return tensor.From(v, shape...) }

// typed is a tensor of rank 1 whose element type Go does not have, rounded from v.
func typed(d tensor.DType, v ...float32) *tensor.Tensor {
	t, err := tensor.FromFloats(d, v, len(v))
	if err != nil {
		panic(err)
	}
	return t
}

// tensors makes a list.
func tensors(t ...*tensor.Tensor) []*tensor.Tensor { return t }

func TestEveryOperatorHasCases(t *testing.T) {
	for _, domain := range graph.Domains() {
		for _, name := range graph.Registered(domain) {
			if domain != "" {
				name = domain + "." + name
			}
			if len(cases[name]) == 0 && !slices.Contains(missingCases, name) {
				t.Errorf("%s has no case: call register in its test file", name)
			}
		}
	}
}

func TestCases(t *testing.T) {
	var names []string
	for name := range cases {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		for i, c := range cases[name] {
			label := c.name
			if label == "" {
				label = fmt.Sprint(i)
			}
			t.Run(name+"/"+label, func(t *testing.T) { runCase(t, c) })
		}
	}
}

func runCase(t *testing.T, c opCases) {
	domain, name := graph.NameOf(c.op)
	again, err := graph.NewOp(domain, name, graph.AttrsOf(c.op))
	if err != nil {
		t.Fatalf("attributes: %v", err)
	}
	if !reflect.DeepEqual(again, c.op) {
		t.Errorf("from its attributes comes %#v, want %#v", again, c.op)
	}
	got := evalCase(t, c)
	checkInference(t, c, got)
	if c.check != nil {
		if err := c.check(got); err != nil {
			t.Error(err)
		}
		return
	}
	for i, want := range c.out {
		if want == nil {
			continue
		}
		if err := differ(got[i], want, c.tol); err != nil {
			t.Errorf("output %d: %v", i, err)
		}
	}
}

// evalCase runs a graph of that one node.
func evalCase(t *testing.T, c opCases) []*tensor.Tensor {
	t.Helper()
	n := &graph.Node{Name: "n", Op: c.op}
	g := &graph.Graph{Name: "case", Nodes: []*graph.Node{n}}
	var in []*tensor.Tensor
	for i, x := range c.in {
		var v *graph.Value
		if x != nil {
			v = graph.NewInput(fmt.Sprintf("in%d", i), graph.TypeOf(x))
			g.Inputs, in = append(g.Inputs, v), append(in, x)
		}
		n.In = append(n.In, v)
	}
	outs := max(c.outs, len(c.out))
	for i := range outs {
		var v *graph.Value
		if c.check != nil || c.out[i] != nil {
			v = &graph.Value{Name: fmt.Sprintf("out%d", i), Def: n}
			v.Unranked = true
			g.Outputs = append(g.Outputs, v)
		}
		n.Out = append(n.Out, v)
	}
	var before []*tensor.Tensor
	for _, x := range in {
		before = append(before, x.Clone())
	}
	r, err := graph.Eval(context.Background(), g, in)
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range in {
		if !x.Equal(before[i]) {
			t.Errorf("Run wrote to input %d", i)
		}
	}
	got := make([]*tensor.Tensor, outs)
	for i, v := range n.Out {
		if v != nil {
			got[i], r = r[0], r[1:]
		}
	}
	return got
}

// checkInference compares what Infer and Ints say with what Run made, for inputs that are constant, of known shape, of
// symbolic shape and of unknown rank.
func checkInference(t *testing.T, c opCases, got []*tensor.Tensor) {
	t.Helper()
	sizes := map[string]int{}
	symbol := func(i int, x *tensor.Tensor) graph.Fact {
		f := graph.Fact{Type: graph.TypeOf(x)}
		for d := range f.Shape {
			name := fmt.Sprintf("d%d_%d", i, d)
			f.Shape[d], sizes[name] = graph.Named(name), x.Shape[d]
		}
		return f
	}
	for _, kind := range []struct {
		name string
		fact func(i int, x *tensor.Tensor) graph.Fact
	}{
		{"constant", func(_ int, x *tensor.Tensor) graph.Fact { return graph.FactOf(x) }},
		{"known shape", func(_ int, x *tensor.Tensor) graph.Fact { return graph.Fact{Type: graph.TypeOf(x)} }},
		{"symbolic", symbol},
		{"unknown rank", func(_ int, x *tensor.Tensor) graph.Fact {
			f := graph.Fact{Type: graph.TypeOf(x)}
			f.Shape, f.Unranked = nil, true
			return f
		}},
	} {
		facts := make([]graph.Fact, len(c.in))
		for i, x := range c.in {
			if x != nil {
				facts[i] = kind.fact(i, x)
			}
		}
		types, err := c.op.Infer(facts, len(got))
		if err != nil {
			t.Errorf("Infer, inputs %s: %v", kind.name, err)
			continue
		}
		if len(types) < len(got) {
			t.Errorf("Infer, inputs %s: %d types for %d outputs", kind.name, len(types), len(got))
			continue
		}
		for i, x := range got {
			if x == nil {
				continue
			}
			if err := agrees(types[i], x, sizes); err != nil {
				t.Errorf("Infer, inputs %s, output %d: %v", kind.name, i, err)
			}
		}
		if s, ok := c.op.(graph.Shaper); ok && got[0] != nil {
			checkInts(t, s.Ints(facts), got[0], sizes)
		}
	}
}

func checkInts(t *testing.T, ints []graph.Dim, got *tensor.Tensor, sizes map[string]int) {
	t.Helper()
	if ints == nil {
		return
	}
	v := tensor.Ints(got)
	if len(v) != len(ints) || len(got.Shape) > 1 {
		t.Errorf("Ints gives %v, Run %v", ints, v)
		return
	}
	for i, d := range ints {
		if n, ok := d.Bind(sizes).Value(); ok && int64(n) != v[i] {
			t.Errorf("Ints gives %v, Run %v", ints, v)
		}
	}
}

// agrees tells how an inferred type contradicts a result. What an operator cannot know may be unknown.
func agrees(ty graph.Type, x *tensor.Tensor, sizes map[string]int) error {
	if ty.DType != tensor.Undefined && ty.DType != x.DType {
		return fmt.Errorf("inferred %s, Run made %s", ty, x.DType)
	}
	if ty.DType == tensor.Sequence || ty.DType == tensor.Optional {
		if ty.Elem == nil {
			return nil
		}
		for _, item := range x.Items {
			if err := agrees(*ty.Elem, item, sizes); err != nil {
				return err
			}
		}
		return nil
	}
	if ty.Unranked {
		return nil
	}
	if len(ty.Shape) != len(x.Shape) {
		return fmt.Errorf("inferred %s, Run made shape %v", ty, x.Shape)
	}
	for i, d := range ty.Shape {
		if n, ok := d.Bind(sizes).Value(); ok && n != x.Shape[i] {
			return fmt.Errorf("inferred %s, Run made shape %v", ty, x.Shape)
		}
	}
	return nil
}

// differ compares two tensors; any two NaN are equal.
func differ(got, want *tensor.Tensor, tol float64) error {
	if got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) || len(got.Items) != len(want.Items) {
		return fmt.Errorf("got %s, want %s", graph.TypeOf(got), graph.TypeOf(want))
	}
	for i := range want.Items {
		if err := differ(got.Items[i], want.Items[i], tol); err != nil {
			return fmt.Errorf("item %d: %w", i, err)
		}
	}
	if !want.IsFloat() {
		if !got.Equal(want) {
			return fmt.Errorf("got %v %v, want %v %v", tensor.Ints(got), got.Strings, tensor.Ints(want), want.Strings)
		}
		return nil
	}
	g, w := tensor.Float64s(got), tensor.Float64s(want)
	for i := range w {
		if !near(g[i], w[i], tol) {
			return fmt.Errorf("element %d: got %v, want %v", i, g, w)
		}
	}
	return nil
}

func near(g, w, tol float64) bool {
	switch {
	case w != w:
		return g != g
	case tol == 0 || math.IsInf(w, 0):
		return g == w && math.Signbit(g) == math.Signbit(w)
	}
	return math.Abs(g-w) <= tol*(1+math.Abs(w))
}
