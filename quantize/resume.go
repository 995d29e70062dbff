package quantize

import (
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// resumeBudget bounds the values that bias correction keeps of all samples.
const resumeBudget = 256 << 20

// spot names a value in every rewriting of one float graph: what stands for a value of that, or the integers of it.
type spot struct {
	of   *graph.Value
	ints bool
}

// resume lets passes over growing prefixes of a graph begin where the last one ended: it keeps, by sample, what the layers
// that are final give to the others.
type resume struct {
	held   map[spot][]*tensor.Tensor
	budget int // of bytes
}

// segment is a part of a rewritten graph that computes watched values from what is held and from the graph's inputs.
type segment struct {
	g    *graph.Graph
	from []spot                // what the inputs after those of the whole graph hold
	bare bool                  // no input of the whole graph is read
	next map[*graph.Value]spot // watched as well: what later segments begin with
	keep []spot                // held already, and what later segments begin with too
}

// spots finds the names of a rewritten graph's values; of leads to them from the float graph.
func spots(of map[*graph.Value]*graph.Value) func(v *graph.Value) (spot, bool) {
	back := make(map[*graph.Value]*graph.Value, len(of))
	for v, w := range of {
		back[w] = v
	}
	return func(v *graph.Value) (spot, bool) {
		if f := back[v]; f != nil {
			return spot{of: f}, true
		}
		if v.Def != nil && v.Def.OpName() == "QuantizeLinear" {
			if f := back[v.Def.In[0]]; f != nil {
				return spot{of: f, ints: true}, true
			}
		}
		return spot{}, false
	}
}

// cut makes the segment of a sorted graph that watches the results of open layers, whose biases are yet to be corrected.
// watch are those of some of them.
func (r *resume) cut(g *graph.Graph, of map[*graph.Value]*graph.Value, open map[*graph.Value]bool, watch []*graph.Value) segment {
	s := segment{g: g, next: map[*graph.Value]spot{}}
	at := spots(of)
	want := slices.Clone(watch)
	seen := map[*graph.Value]bool{}
	var find func(v *graph.Value)
	find = func(v *graph.Value) {
		if v == nil || v.Def == nil || seen[v] {
			return
		}
		seen[v] = true
		if p, ok := at(v); !ok {
			for _, in := range v.Def.In {
				find(in)
			}
		} else if r.held[p] != nil {
			s.keep = append(s.keep, p)
		} else {
			s.next[v] = p
			want = append(want, v)
		}
	}
	waits := map[*graph.Value]bool{} // for an open layer
	for _, n := range g.Nodes {
		late := slices.ContainsFunc(n.In, func(v *graph.Value) bool { return waits[v] }) ||
			slices.ContainsFunc(n.Out, func(v *graph.Value) bool { return open[v] })
		if !late {
			continue
		}
		for _, v := range n.Out {
			waits[v] = true
		}
		for _, v := range n.In {
			if !waits[v] {
				find(v)
			}
		}
	}
	s.begin(r, at, want)
	return s
}

// begin replaces what is held by inputs and drops all that want does not need.
func (s *segment) begin(r *resume, at func(*graph.Value) (spot, bool), want []*graph.Value) {
	names := s.g.Names()
	made := map[*graph.Value]spot{}
	var inputs []*graph.Value
	for _, n := range s.g.Nodes {
		for _, v := range n.Out {
			if v == nil {
				continue
			}
			if p, ok := at(v); ok && r.held[p] != nil {
				in := graph.NewInput(names.Fresh(v.Name), v.Type)
				s.g.Replace(v, in)
				made[in] = p
				inputs = append(inputs, in)
			}
		}
	}
	prefix(s.g, want)
	uses := s.g.Uses()
	if !slices.ContainsFunc(s.g.Inputs, func(v *graph.Value) bool { return len(uses[v]) > 0 }) {
		s.bare, s.g.Inputs = true, nil
	}
	for _, in := range inputs {
		if len(uses[in]) > 0 {
			s.g.Inputs = append(s.g.Inputs, in)
			s.from = append(s.from, made[in])
		}
	}
}

// inputs are what a sample's run takes after the inputs of the whole graph.
func (s *segment) inputs(r *resume, sample int) []*tensor.Tensor {
	var in []*tensor.Tensor
	for _, p := range s.from {
		in = append(in, r.held[p][sample])
	}
	return in
}

// run shows what a segment watches to w.see, and keeps its other results for the next segment if they are small.
func (r *resume) run(s *session, seg segment, w walk) error {
	made := map[spot]*tensor.Tensor{}
	held := map[spot][]*tensor.Tensor{}
	fits, see := true, w.see
	w.g, w.bare, w.watch = seg.g, seg.bare, seg.g.Outputs
	w.more = func(sample int) []*tensor.Tensor { return seg.inputs(r, sample) }
	w.see = func(sample int, v *graph.Value, t *tensor.Tensor) error {
		p, ok := seg.next[v]
		if !ok {
			return see(sample, v, t)
		}
		if fits {
			made[p] = t.Clone()
		}
		return nil
	}
	w.after = func(sample, total int) {
		if sample == 0 {
			fits = r.fits(made, seg.keep, total)
		}
		if !fits {
			return
		}
		for _, p := range seg.keep {
			held[p] = append(held[p], r.held[p][sample])
		}
		for p, t := range made {
			held[p] = append(held[p], t)
		}
		for _, all := range r.held {
			all[sample] = nil
		}
		clear(made)
	}
	if err := s.walk(w); err != nil {
		return err
	}
	if fits {
		r.held = held
	}
	return nil
}

// fits reports whether what the first of some samples made and what is kept stays within the budget for all of them.
func (r *resume) fits(made map[spot]*tensor.Tensor, keep []spot, samples int) bool {
	size := 0
	for _, t := range made {
		size += len(t.Data)
	}
	for _, p := range keep {
		size += len(r.held[p][0].Data)
	}
	return size*samples <= r.budget
}
