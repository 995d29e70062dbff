package ops

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// Every graph.Differentiable is compared with central differences. A test file registers cases in its init:
//
//	gradCases(Gemm{Alpha: 1, Beta: 1}, gradCase{name: "bias", in: tensors(spread(1, 2, 3), spread(2, 3, 4), spread(3, 4))})
//
// Inputs are float32 or float64 tensors, which the test converts to float64 and, in a second run, to float32; keep them
// away from kinks. Inputs that are not floats, and those listed in fixed, are constants in the graph and no gradient is
// asked of them. outs is the number of outputs, 1 if it is 0. Each output is multiplied by pseudo-random numbers and
// all are added up: of that sum the gradient is taken. Where there are several outputs, each is also tried alone.

// gradCase is an example at which an operator's gradient is checked.
type gradCase struct {
	name  string
	in    []*tensor.Tensor // nil: omitted
	fixed []int
	outs  int
	// straight: a straight-through gradient is not that of the result. Types, shapes and precision are checked all the same,
	// the numbers by the cases of the operator that computes them.
	straight bool
}

type gradExample struct {
	op graph.Op
	gradCase
}

var gradients = map[string][]gradExample{}

// gradCases adds cases for one operator with one set of attributes.
func gradCases(op graph.Op, c ...gradCase) {
	name := (&graph.Node{Op: op}).OpName()
	for _, c := range c {
		gradients[name] = append(gradients[name], gradExample{op, c})
	}
}

// spread is a tensor of distinct numbers from (-2, 2), none of them near 0 or ±1, in an order that the seed says.
func spread(seed uint64, shape ...int) *tensor.Tensor {
	n := tensor.Size(shape)
	v := make([]float64, n)
	for i, p := range rand.New(rand.NewPCG(seed, 1)).Perm(n) {
		x := (float64(p)+0.5)/float64(n)*4 - 2
		for _, kink := range []float64{-1, 0, 1} {
			if d := x - kink; math.Abs(d) < 0.02 {
				x = kink + math.Copysign(0.02+math.Abs(d), d)
			}
		}
		v[i] = x
	}
	return tensor.From(v, shape...)
}

// within is spread moved to (lo, hi).
func within(seed uint64, lo, hi float64, shape ...int) *tensor.Tensor {
	t := spread(seed, shape...)
	v := tensor.View[float64](t)
	for i := range v {
		v[i] = lo + (v[i]+2)/4*(hi-lo)
	}
	return t
}

func TestDifferentiableOperatorsHaveCases(t *testing.T) {
	for _, domain := range graph.Domains() {
		for _, name := range graph.Registered(domain) {
			_, ok := graph.Zero(domain, name).(graph.Differentiable)
			if domain != "" {
				name = domain + "." + name
			}
			if ok && len(gradients[name]) == 0 {
				t.Errorf("the gradient of %s has no case: call gradCases in its test file", name)
			}
		}
	}
}

func TestGradients(t *testing.T) {
	var names []string
	for name := range gradients {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		for i, e := range gradients[name] {
			label := e.name
			if label == "" {
				label = fmt.Sprint(i)
			}
			t.Run(name+"/"+label, func(t *testing.T) {
				e.outs = max(e.outs, 1)
				all := make([]bool, e.outs)
				for i := range all {
					all[i] = true
				}
				checkGradient(t, e, all)
				for i := 0; i < e.outs && e.outs > 1; i++ {
					alone := make([]bool, e.outs)
					alone[i] = true
					checkGradient(t, e, alone)
				}
			})
		}
	}
}

// checkGradient compares the gradient of the sum of the outputs in `flows` with central differences.
func checkGradient(t *testing.T, e gradExample, flows []bool) {
	t.Helper()
	g := newGradGraph(t, e, tensor.Float64, flows)
	if g == nil {
		return
	}
	got := g.gradients(t)
	want := got
	if !e.straight {
		want = g.differences(t)
	}
	single := newGradGraph(t, e, tensor.Float32, flows)
	if single == nil {
		return
	}
	rounded := single.gradients(t)
	for k, i := range g.of {
		for j := range want[k] {
			if !(math.Abs(got[k][j]-want[k][j]) <= 1e-6*(1+math.Abs(want[k][j]))) {
				t.Errorf("outputs %v, input %d, element %d: gradient %v, differences give %v", flows, i, j, got[k], want[k])
				break
			}
			if !(math.Abs(rounded[k][j]-want[k][j]) <= 1e-4*(1+math.Abs(want[k][j]))) {
				t.Errorf("outputs %v, input %d, element %d: gradient in float32 %v, differences give %v", flows, i, j, rounded[k], want[k])
				break
			}
		}
	}
}

// gradGraph is a node on inputs of one float type, and the graph that also computes its gradient.
type gradGraph struct {
	forward, backward *graph.Graph
	in                []*tensor.Tensor // of forward
	weights           []*tensor.Tensor // by which the outputs are multiplied; nil: no gradient flows
	of                []int            // the node's inputs that forward's inputs are
	flat              []bool           // forward's inputs whose gradient is nil
}

// newGradGraph builds the gradient and checks the types of what Grad gives; nil after a failure.
func newGradGraph(t *testing.T, e gradExample, d tensor.DType, flows []bool) *gradGraph {
	t.Helper()
	g := &gradGraph{}
	node := func() (*graph.Graph, *graph.Node) {
		n := &graph.Node{Name: "n", Op: e.op}
		one := &graph.Graph{Name: "gradient", Nodes: []*graph.Node{n}}
		g.in, g.of = nil, nil
		for i, x := range e.in {
			var v *graph.Value
			if x != nil && x.IsFloat() {
				x = toType(x, d)
			}
			switch {
			case x == nil:
			case !x.IsFloat() || slices.Contains(e.fixed, i):
				v = graph.NewConst(fmt.Sprintf("in%d", i), x)
			default:
				v = graph.NewInput(fmt.Sprintf("in%d", i), graph.TypeOf(x))
				one.Inputs, g.in, g.of = append(one.Inputs, v), append(g.in, x), append(g.of, i)
			}
			n.In = append(n.In, v)
		}
		for i := range e.outs {
			v := &graph.Value{Name: fmt.Sprintf("out%d", i), Def: n}
			v.Unranked = true
			n.Out = append(n.Out, v)
		}
		if err := graph.InferNode(n); err != nil {
			t.Fatal(err)
		}
		return one, n
	}
	var n *graph.Node
	g.forward, n = node()
	g.forward.Outputs = n.Out
	g.backward, n = node()
	dOut := make([]*graph.Value, len(n.Out))
	g.weights = make([]*tensor.Tensor, len(n.Out))
	for i, v := range n.Out {
		if shape, ok := v.Fixed(); !ok {
			t.Fatalf("output %d has no fixed shape: %s", i, v.Type)
		} else if v.DType.IsFloat() && flows[i] {
			g.weights[i] = toType(toType(spread(uint64(100+i), shape...), tensor.Float32), v.DType)
			dOut[i] = graph.NewInput(fmt.Sprintf("weights%d", i), v.Type)
			g.backward.Inputs = append(g.backward.Inputs, dOut[i])
		}
	}
	b := graph.NewBuilder(g.backward)
	grads := e.op.(graph.Differentiable).Grad(b, n, dOut)
	if b.Err != nil {
		t.Errorf("outputs %v: %v", flows, b.Err)
		return nil
	}
	return g.collect(t, n, grads)
}

// collect makes the gradients of the inputs the outputs of backward.
func (g *gradGraph) collect(t *testing.T, n *graph.Node, grads []*graph.Value) *gradGraph {
	t.Helper()
	if len(grads) != len(n.In) {
		t.Errorf("Grad gives %d values for %d inputs", len(grads), len(n.In))
		return nil
	}
	for i, v := range n.In {
		d := grads[i]
		if d != nil && (v == nil || !v.DType.IsFloat()) {
			t.Errorf("input %d has a gradient", i)
			return nil
		}
		if d == nil {
			continue
		}
		shape, ok := d.Fixed()
		if want, _ := v.Fixed(); d.DType != v.DType || !ok || !slices.Equal(shape, want) {
			t.Errorf("the gradient of input %d is %s, the input %s", i, d.Type, v.Type)
			return nil
		}
	}
	for _, i := range g.of {
		g.flat = append(g.flat, grads[i] == nil)
		if grads[i] != nil {
			g.backward.Outputs = append(g.backward.Outputs, grads[i])
		}
	}
	return g
}

// gradients evaluates backward: the gradient of each input, zeros where there is none.
func (g *gradGraph) gradients(t *testing.T) [][]float64 {
	t.Helper()
	in := append([]*tensor.Tensor{}, g.in...)
	for _, w := range g.weights {
		if w != nil {
			in = append(in, w)
		}
	}
	out, err := graph.Eval(context.Background(), g.backward, in)
	if err != nil {
		t.Fatal(err)
	}
	var d [][]float64
	for i, x := range g.in {
		if g.flat[i] {
			d = append(d, make([]float64, x.Len()))
			continue
		}
		if out[0].DType != x.DType || !slices.Equal(out[0].Shape, x.Shape) {
			t.Fatalf("the gradient of input %d is %s, the input %s", g.of[i], graph.TypeOf(out[0]), graph.TypeOf(x))
		}
		d, out = append(d, tensor.Float64s(out[0])), out[1:]
	}
	return d
}

// differences moves each element of each input up and down.
func (g *gradGraph) differences(t *testing.T) [][]float64 {
	t.Helper()
	var d [][]float64
	for i := range g.in {
		in := append([]*tensor.Tensor{}, g.in...)
		in[i] = in[i].Clone()
		v := tensor.View[float64](in[i])
		slope := make([]float64, len(v))
		for j, x := range v {
			h := 1e-5 * max(math.Abs(x), 1)
			v[j] = x + h
			up := g.loss(t, in)
			v[j] = x - h
			slope[j] = (up - g.loss(t, in)) / (2 * h)
			v[j] = x
		}
		d = append(d, slope)
	}
	return d
}

// loss is the weighted sum of forward's outputs.
func (g *gradGraph) loss(t *testing.T, in []*tensor.Tensor) float64 {
	t.Helper()
	out, err := graph.Eval(context.Background(), g.forward, in)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.
	for i, w := range g.weights {
		if w == nil {
			continue
		}
		v := tensor.Float64s(out[i])
		for j, k := range tensor.Float64s(w) {
			sum += k * v[j]
		}
	}
	return sum
}

// toType converts floats, by way of float32 so that both types hold the same numbers.
func toType(x *tensor.Tensor, d tensor.DType) *tensor.Tensor {
	r := tensor.New(d, x.Shape...)
	if err := tensor.SetFloats(r, tensor.Floats(x)); err != nil {
		panic(err)
	}
	return r
}
