package graph

import "slices"

// BatchAxes gives for each input the axis along which samples lie, -1 where there is none and a sample is the whole input. It
// is the axis of the symbol that leads the first input, or any; where sizes are numbers, axis 0 if all inputs agree
// there.
func (g *Graph) BatchAxes() []int {
	axes := make([]int, len(g.Inputs))
	symbol, leading, agree := Dim{}, Dim{}, true
	for i, v := range g.Inputs {
		if v.Rank() == 0 {
			axes[i] = -1
		}
		if v.Rank() < 1 {
			continue
		}
		d := v.Shape[0]
		if _, fixed := d.Value(); d.Known() && !fixed {
			if len(d.Names()) == 1 && !symbol.Known() {
				symbol = d
			}
		} else if fixed {
			agree = agree && (!leading.Known() || leading == d)
			leading = d
		}
	}
	for i, v := range g.Inputs {
		if v.Rank() < 1 {
			continue
		}
		_, fixed := v.Shape[0].Value()
		switch at := slices.Index(v.Shape, symbol); {
		case symbol.Known() && at >= 0:
			axes[i] = at
		case symbol.Known() && fixed, !symbol.Known() && !agree:
			axes[i] = -1
		}
	}
	return axes
}

// Unread tells of each input whether nothing reads it.
func (g *Graph) Unread() []bool {
	uses := g.Uses()
	out := make([]bool, len(g.Inputs))
	for i, v := range g.Inputs {
		out[i] = len(uses[v]) == 0 && !g.IsOutput(v)
	}
	return out
}
