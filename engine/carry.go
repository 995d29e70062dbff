package engine

import (
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// Carry hands outputs of one call to inputs of the next: the state of a model that keeps none itself. A nil Carry does
// nothing.
type Carry struct {
	pairs []carried
}

type carried struct {
	out, in int
	state   *tensor.Tensor // nil before the first call
}

// NewCarry makes one for a graph. names maps outputs to inputs; types that do not fit are an error.
func NewCarry(g *graph.Graph, names map[string]string) (*Carry, error) {
	if len(names) == 0 {
		return nil, nil
	}
	find := func(list []*graph.Value, what, name string) (int, error) {
		var known []string
		for i, v := range list {
			if v.Name == name {
				return i, nil
			}
			known = append(known, v.Name)
		}
		return 0, fmt.Errorf("carry: the model has no %s %q, it has %q", what, name, known)
	}
	c := &Carry{}
	for i, v := range g.Outputs {
		name, ok := names[v.Name]
		if !ok {
			continue
		}
		in, err := find(g.Inputs, "input", name)
		if err != nil {
			return nil, err
		}
		if to := g.Inputs[in]; v.DType != to.DType || v.Rank() >= 0 && to.Rank() >= 0 && v.Rank() != to.Rank() {
			return nil, fmt.Errorf("carry: output %q is %s, input %q %s", v.Name, v.Type, name, to.Type)
		}
		c.pairs = append(c.pairs, carried{out: i, in: in})
	}
	if len(c.pairs) < len(names) {
		for out := range names {
			if _, err := find(g.Outputs, "output", out); err != nil {
				return nil, err
			}
		}
	}
	return c, nil
}

// Before gives the inputs of a call: in, which stays as it is, with what the last call left in place of its own.
func (c *Carry) Before(in []*tensor.Tensor) []*tensor.Tensor {
	if c == nil {
		return in
	}
	out := slices.Clone(in)
	for _, p := range c.pairs {
		if p.state != nil {
			out[p.in] = p.state
		}
	}
	return out
}

// After keeps a copy of what a call gave.
func (c *Carry) After(out []*tensor.Tensor) {
	if c == nil {
		return
	}
	for i, p := range c.pairs {
		c.pairs[i].state = out[p.out].Clone()
	}
}
