package prune

import (
	"context"
	"slices"

	"github.com/tfsopt/tfsopt/tensor"
)

// solve gives the weights that stay the values with which each layer, on what the cut layers before it make of the samples,
// comes nearest to what it gave before: reconstruction with the masks that the cut channels mean. Layers without a bias
// get none.
func (p *channelPlan) solve(ctx context.Context, o ChannelOptions) (warnings []string, err error) {
	plan, err := NewPlan(p.g, Options{})
	if err != nil {
		return nil, err
	}
	k := keptOf(p.groups, p.gone)
	var c cuts
	for _, m := range plan.list {
		at := 2
		if len(m.nodes[0].In) <= at || m.nodes[0].In[at] == nil {
			at = 0
		}
		c = append(c, cut{m: m, mask: k.mask(m), fixed: true, keepBias: at == 0})
	}
	s := &session{ctx: ctx, o: Options{Data: o.Data, Threads: o.Threads, Progress: o.Progress}}
	solved, warnings, err := reconstruct(s, p.g, plan, c)
	if err != nil {
		return nil, err
	}
	for i, n := range p.g.Nodes {
		for j, v := range n.In {
			w := solved.Nodes[i].In[j]
			if v != nil && v.IsConst() && v.Const.IsFloat() && w != nil && w.IsConst() && slices.Equal(v.Const.Shape, w.Const.Shape) {
				v.Const = w.Const
			}
		}
	}
	return warnings, nil
}

// mask keeps the elements of a weight that no cut takes.
func (k kept) mask(m *matrix) *Mask {
	mask := NewMask(m.shape...)
	for axis := range m.shape {
		stay, ok := k[axisOf{m.value, axis}]
		if !ok {
			continue
		}
		inner := tensor.Size(m.shape[axis+1:])
		for e := range mask.Len() {
			if !slices.Contains(stay, e/inner%m.shape[axis]) {
				mask.Prune(e)
			}
		}
	}
	return mask
}

// solveFor solves for the weights that a mask keeps.
func (s *solver) solveFor(mask *Mask) {
	k := s.m.k()
	for e := range s.gone {
		if !mask.Keeps(s.m.row[e/k] + s.m.col[e%k]) {
			s.gone[e] = true
		}
	}
	parallel(s.m.rows(), k*k, func(r int) {
		s.pass(s.of(r), s.w[r*k:(r+1)*k], r, [2]int{0, k})
	})
	s.refit()
}
