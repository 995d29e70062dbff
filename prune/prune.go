package prune

import (
	"context"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/optimize"
	"github.com/tfsopt/tfsopt/tensor"
)

// Result is a pruned graph and what it cost.
type Result struct {
	Graph    *graph.Graph
	Masks    Masks   // by the names of Graph's constants
	Sparsity float64 // share of zeros among the weights that could be cut, in all layers
	Layers   []Layer
	Warnings []string
}

// Layer tells about one weight.
type Layer struct {
	Name, Op, Tensor string
	Elements, Zeros  int
	Sparsity         float64 // Zeros / Elements
	NormLost         float64 // share of the squared norm of the original weights that was cut
	OutputDB         float64 // of the layer's output against the original's on Data, signal to noise in dB; 0: not measured
	Kept             string  // why the weight does not fit the pattern, "" if it does
}

// Prepared gives the copy of a graph that Weights works on, simplified unless asIs is set: scores and names of weights
// refer to it.
func Prepared(ctx context.Context, g *graph.Graph, asIs bool) (*graph.Graph, error) {
	f := g.Clone()
	if err := f.Infer(); err != nil || asIs {
		return f, err
	}
	_, err := optimize.Default().Run(ctx, f, nil)
	return f, err
}

// Weights sets single weights of g to zero. g stays as it is; the result shares the tensors that did not change. Biases
// and normalizations are never cut; what is zero already goes first and stays zero. Errors name the layer or the tensor.
func Weights(ctx context.Context, g *graph.Graph, o Options) (*Result, error) {
	o, p, err := o.defaults()
	if err != nil {
		return nil, err
	}
	f, err := Prepared(ctx, g, o.AsIs)
	if err != nil {
		return nil, err
	}
	plan, err := newPlan(f, o, p)
	if err != nil {
		return nil, err
	}
	s, err := plan.rank(nil)
	if err != nil {
		return nil, err
	}
	sparsity := o.Sparsity
	if o.Target != nil {
		if sparsity, err = plan.search(ctx, f, s); err != nil {
			return nil, err
		}
	}
	cuts, err := plan.cut(s, sparsity)
	if err != nil {
		return nil, err
	}
	for _, c := range cuts {
		c.keepZeros()
	}
	return plan.finish(ctx, f, cuts)
}

// keepZeros adds what is zero already to the mask, unless everything is.
func (c cut) keepZeros() {
	w := tensor.Floats(c.m.value.Const)
	if !slices.ContainsFunc(w, func(x float32) bool { return x != 0 }) {
		return
	}
	for i, x := range w {
		if x == 0 {
			c.mask.Prune(i)
		}
	}
}

// finish applies the masks, with reconstruction if it is wanted, and measures.
func (p *Plan) finish(ctx context.Context, f *graph.Graph, c cuts) (*Result, error) {
	r := &Result{Warnings: p.Warnings}
	var err error
	var run *session
	if p.o.Data != nil && p.o.Data.Len() > 0 {
		run = &session{ctx: ctx, o: p.o}
	}
	if p.o.Reconstruct {
		var more []string
		r.Graph, more, err = reconstruct(run, f, p, c)
		r.Warnings = append(r.Warnings, more...)
	} else {
		r.Graph, err = c.masks().Apply(f)
	}
	if err != nil {
		return nil, err
	}
	r.Masks = c.masks()
	r.report(p)
	if run != nil {
		if err := run.measure(f, r); err != nil {
			return nil, err
		}
		r.Warnings = append(r.Warnings, p.o.Data.Warnings()...)
	}
	return r, nil
}

// report counts zeros.
func (r *Result) report(p *Plan) {
	of := constants(r.Graph)
	zeros, elements := 0, 0
	for _, m := range p.all {
		l := Layer{Name: m.label(), Op: m.node.OpName(), Tensor: m.value.Name, Elements: m.len(), Kept: p.kept[m]}
		before := tensor.Floats(m.value.Const)
		var lost, norm float64
		for i, x := range tensor.Floats(of[m.value.Name].Const) {
			s := float64(float64(before[i]) * float64(before[i]))
			norm += s
			if x == 0 {
				l.Zeros++
				lost += s
			}
		}
		if norm > 0 {
			l.NormLost = lost / norm
		}
		l.Sparsity = float64(l.Zeros) / float64(l.Elements)
		zeros, elements = zeros+l.Zeros, elements+l.Elements
		r.Layers = append(r.Layers, l)
	}
	r.Sparsity = float64(zeros) / float64(max(elements, 1))
}
