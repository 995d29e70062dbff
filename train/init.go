package train

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// Unset names the constants of g that wait for Init: those that a text form declares by `init=he` and the like.
func Unset(g *graph.Graph) []string {
	var names []string
	for _, v := range g.Values() {
		if v.IsConst() && v.Meta["init"] != "" {
			names = append(names, v.Name)
		}
	}
	return names
}

// Init gives a copy of g with new parameters, drawn from seed: with all, every one (weights by He's rule, biases zero,
// norms 1 and 0), else only those whose text form asks for it, by the rule that it names: he, normal with variance 2/fan-in
// (He et al., arXiv 1502.01852); glorot, uniform with variance 2/(fan-in + fan-out) (Glorot and Bengio, AISTATS 2010);
// zero; one.
func Init(g *graph.Graph, seed uint64, all bool) (*graph.Graph, error) {
	g = g.Clone()
	uses := g.Uses()
	m, err := NewModel(g)
	if err != nil {
		return nil, err
	}
	kind := map[string]*Param{}
	for _, p := range append(m.Params, m.Stats...) {
		kind[p.Name] = p
	}
	for i, v := range g.Values() {
		rule := v.Meta["init"]
		p := kind[v.Name]
		if !v.IsConst() || rule == "" && (!all || p == nil) {
			continue
		}
		if rule == "" {
			rule = ruleOf(p, uses[v])
		}
		t := tensor.New(v.DType, v.Const.Shape...)
		fill, ok := fills[rule]
		if !ok || v.DType != tensor.Float32 {
			return nil, fmt.Errorf("constant %q: cannot initialise %s by %q: want float32 and he, glorot, zero or one", v.Name, v.Type, rule)
		}
		in, out := fans(v, uses[v])
		fill(tensor.View[float32](t), rand.New(rand.NewPCG(seed^initStream, uint64(i))), in, out)
		v.Fact = graph.FactOf(t)
		delete(v.Meta, "init")
	}
	return g, g.Infer()
}

// ruleOf says how a parameter without a rule of its own starts.
func ruleOf(p *Param, uses []graph.Use) string {
	if p.Weight {
		return "he"
	}
	for _, u := range uses {
		name := u.Node.OpName()
		if name == "PRelu" {
			return "quarter"
		}
		if list := roles[name]; name != "Conv" && name != "ConvTranspose" && name != "Gemm" && len(list) > 0 {
			if u.Index == 1 || u.Index == 4 { // scale, variance
				return "one"
			}
		}
		if name == "Mul" || name == "Div" {
			return "one"
		}
	}
	return "zero"
}

var fills = map[string]func(v []float32, r *rand.Rand, in, out float64){
	"he": func(v []float32, r *rand.Rand, in, _ float64) {
		sd := math.Sqrt(2 / in)
		for i := range v {
			v[i] = float32(sd * r.NormFloat64())
		}
	},
	"glorot": func(v []float32, r *rand.Rand, in, out float64) {
		bound := math.Sqrt(6 / (in + out))
		for i := range v {
			v[i] = float32(bound * (2*r.Float64() - 1))
		}
	},
	"zero":    func([]float32, *rand.Rand, float64, float64) {},
	"one":     func(v []float32, _ *rand.Rand, _, _ float64) { constant(v, 1) },
	"quarter": func(v []float32, _ *rand.Rand, _, _ float64) { constant(v, 0.25) },
}

func constant(v []float32, x float32) {
	for i := range v {
		v[i] = x
	}
}

// fans are the numbers of inputs that one output of a weight sums, and of outputs that one input goes to.
func fans(v *graph.Value, uses []graph.Use) (in, out float64) {
	s := v.Const.Shape
	if len(s) < 2 {
		return float64(max(v.Const.Len(), 1)), float64(max(v.Const.Len(), 1))
	}
	in, out = float64(s[0]), float64(s[1]) // MatMul and Gemm: [K, N]
	if len(s) > 2 {
		in, out = float64(tensor.Size(s[1:])), float64(s[0]*tensor.Size(s[2:])) // Conv: [M, C/g, kernel…]
	}
	for _, u := range uses {
		switch u.Node.OpName() {
		case "Gemm":
			for _, a := range graph.AttrsOf(u.Node.Op) {
				if a.Name == "transB" && u.Index == 1 {
					in, out = float64(s[1]), float64(s[0])
				}
			}
		case "LSTM", "GRU", "RNN": // [directions, gates·hidden, inputs]
			in, out = float64(s[2]), float64(s[1])
		}
	}
	return max(in, 1), max(out, 1)
}
