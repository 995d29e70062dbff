package prune

import (
	"errors"
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// Plan knows which weights of a graph are cut and in which pattern. A trainer makes one and asks it for masks as its
// weights change.
type Plan struct {
	Warnings []string
	o        Options
	p        pattern
	all      []*matrix          // every weight that could be cut
	list     []*matrix          // those that are
	kept     map[*matrix]string // why others are not
}

// NewPlan looks for the weights of g that the options name. Of the options Criterion, Pattern, Scope, Raw, MinDensity,
// Include, Exclude, KeepFirst, KeepLast and Seed matter; g is taken as it is and must have been inferred.
func NewPlan(g *graph.Graph, o Options) (*Plan, error) {
	o.Target, o.Reconstruct = nil, false
	if o.Scores == nil {
		o.Scores = Scores{}
	}
	o, p, err := o.defaults()
	if err != nil {
		return nil, err
	}
	return newPlan(g, o, p)
}

func newPlan(g *graph.Graph, o Options, p pattern) (*Plan, error) {
	plan := &Plan{o: o, p: p, kept: map[*matrix]string{}}
	plan.all, plan.Warnings = matrices(g)
	chosen, err := o.choose(plan.all)
	if err != nil {
		return nil, err
	}
	for _, m := range chosen {
		why := p.misfit(m)
		if why == "" {
			plan.list = append(plan.list, m)
			if n := m.rows() - p.whole(m); n > 0 {
				plan.Warnings = append(plan.Warnings, fmt.Sprintf("%s: the last %d of %d output channels are no block and stay dense", m.label(), n, m.rows()))
			}
			continue
		}
		plan.kept[m] = why
		plan.Warnings = append(plan.Warnings, fmt.Sprintf("%s: stays dense: %s", m.label(), why))
	}
	if len(plan.list) == 0 {
		return nil, fmt.Errorf("no layer fits the pattern %v", p)
	}
	if o.Raw && o.Scope == scopeGlobal && o.Criterion == magnitude && p.of == 0 {
		plan.warnScales()
	}
	return plan, nil
}

// scaleRatio is how far the scales of layers may differ before raw magnitude is called risky.
const scaleRatio = 4

// warnScales says when the layers' scales differ so much that raw magnitude will empty some of them.
func (p *Plan) warnScales() {
	small, large := p.list[0], p.list[0]
	for _, m := range p.list {
		if scale(m.value.Const) < scale(small.value.Const) {
			small = m
		}
		if scale(m.value.Const) > scale(large.value.Const) {
			large = m
		}
	}
	if ratio := scale(large.value.Const) / scale(small.value.Const); !(ratio <= scaleRatio) {
		p.Warnings = append(p.Warnings, fmt.Sprintf("raw magnitude: the weights of %s are %.3g times as large as those of %s, "+
			"which will lose more; the default score does not depend on scales", large.label(), ratio, small.label()))
	}
}

// Tensors names the constants that are cut, in the order of the graph.
func (p *Plan) Tensors() []string {
	var out []string
	for _, m := range p.list {
		out = append(out, m.value.Name)
	}
	return out
}

// Masks chooses what goes at a sparsity, which N:M patterns ignore. v has the present values of the weights, the
// constants' where it lacks one (nil: all of them); s the scores for the criteria taylor and snip. What is zero already
// goes first.
func (p *Plan) Masks(v Values, s Scores, sparsity float64) (Masks, error) {
	with := *p
	with.o.Scores = s
	if p.p.of == 0 {
		if _, err := p.p.sparsity(sparsity); err != nil {
			return nil, err
		}
	}
	r, err := with.rank(v)
	if err != nil {
		return nil, err
	}
	c, err := with.cut(r, sparsity)
	if err != nil {
		return nil, err
	}
	return c.masks(), nil
}

// scored is the matrices of a plan with their scores.
type scored struct {
	scores [][]float64 // of elements, [rows][k]; for N:M
	ranks  []ranking   // for the other patterns
}

// rank scores every matrix of the plan.
func (p *Plan) rank(v Values) (*scored, error) {
	out := &scored{}
	var errs []error
	for _, m := range p.list {
		w, ok := v[m.value.Name]
		if !ok {
			w = tensor.Floats(m.value.Const)
		} else if len(w) != m.len() {
			errs = append(errs, fmt.Errorf("weight %q: %d values for %v", m.value.Name, len(w), m.shape))
			continue
		}
		s, err := p.o.score(m, w)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if p.p.of != 0 {
			out.scores = append(out.scores, s)
			continue
		}
		out.ranks = append(out.ranks, rank(m, p.p.units(m, s), p.o.Raw || p.o.Criterion == random))
	}
	return out, errors.Join(errs...)
}

// cut is what goes of one matrix.
type cut struct {
	m     *matrix
	mask  *Mask
	units int // how many units of the pattern
	// fixed: mask says already which elements go; keepBias: the bias stays as it is.
	fixed, keepBias bool
}

type cuts []cut

func (c cuts) masks() Masks {
	out := Masks{}
	for _, x := range c {
		out[x.m.value.Name] = x.mask
	}
	return out
}

// cut chooses the units that go.
func (p *Plan) cut(s *scored, sparsity float64) (cuts, error) {
	var out cuts
	for i, m := range p.list {
		c := cut{m: m, mask: NewMask(m.shape...)}
		if p.p.of != 0 {
			p.p.groups(c.mask, m, s.scores[i])
		}
		out = append(out, c)
	}
	if p.p.of != 0 {
		return out, nil
	}
	counts, err := p.counts(s.ranks, sparsity)
	if err != nil {
		return nil, err
	}
	for i, r := range s.ranks {
		out[i].units = counts[i]
		for _, u := range r.order[:counts[i]] {
			p.p.prune(out[i].mask, r.m, int(u))
		}
	}
	return out, nil
}

// counts says how many units of each matrix go.
func (p *Plan) counts(ranks []ranking, sparsity float64) ([]int, error) {
	density := p.o.MinDensity
	if density == 0 {
		density = (1 - sparsity) / 10
	}
	units, most := 0, 0
	for i := range ranks {
		r := &ranks[i]
		n := len(r.order)
		units += n
		r.most = n - min(max(int(math.Ceil(density*float64(n))), 1), n)
		most += r.most
	}
	if p.o.Scope == scopeLayer {
		if p.o.MinDensity > 1-sparsity {
			return nil, fmt.Errorf("sparsity %g of each layer leaves less than the minimum density %g", sparsity, p.o.MinDensity)
		}
		return evenly(ranks, sparsity), nil
	}
	n := int(math.RoundToEven(sparsity * float64(units)))
	if p.o.Target != nil { // a search asks for more than there is
		n = min(n, most)
	}
	counts, err := budget(ranks, n)
	if err != nil {
		return nil, fmt.Errorf("sparsity %g: %w", sparsity, err)
	}
	return counts, nil
}
