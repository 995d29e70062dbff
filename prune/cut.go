package prune

import (
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// axisOf is one axis of a value.
type axisOf struct {
	value *graph.Value
	axis  int
}

// kept says which positions stay, ascending, along the axes of which some are cut.
type kept map[axisOf][]int

// keptOf turns channels to cut, by group, into positions that stay.
func keptOf(groups []*Group, gone [][]bool) kept {
	cut := map[axisOf]map[int]bool{}
	for i, g := range groups {
		for c, drop := range gone[i] {
			if !drop {
				continue
			}
			for _, s := range g.spans {
				a := axisOf{s.Value, s.Axis}
				if cut[a] == nil {
					cut[a] = map[int]bool{}
				}
				for _, at := range s.Positions[c] {
					cut[a][at] = true
				}
			}
		}
	}
	k := kept{}
	for a, drop := range cut {
		n, _ := a.value.Shape[a.axis].Value()
		k[a] = []int{}
		for i := range n {
			if !drop[i] {
				k[a] = append(k[a], i)
			}
		}
	}
	return k
}

// touches reports whether a node has an operand that is cut.
func (k kept) touches(n *graph.Node) bool {
	return slices.ContainsFunc(n.In, k.has) || slices.ContainsFunc(n.Out, k.has)
}

func (k kept) has(v *graph.Value) bool {
	if v == nil {
		return false
	}
	for a := range v.Shape {
		if k[axisOf{v, a}] != nil {
			return true
		}
	}
	return false
}

// cut takes the positions out of the graph, which is changed in place: constants become smaller ones, operators that
// hold sizes are fitted, types are inferred anew and compared with what is expected.
func (k kept) cut(g *graph.Graph) error {
	if err := k.fit(g); err != nil {
		return err
	}
	want := map[*graph.Value][]graph.Dim{}
	for _, v := range g.Values() {
		if !k.has(v) {
			continue
		}
		shape := slices.Clone(v.Shape)
		for a := range shape {
			if left := k[axisOf{v, a}]; left != nil {
				if shape[a] = graph.Fixed(len(left)); v.IsConst() {
					t, err := take(v.Const, a, left)
					if err != nil {
						return fmt.Errorf("constant %q: %w", v.Name, err)
					}
					v.Const = t
				}
			}
		}
		if want[v] = shape; v.IsConst() {
			v.Fact = graph.FactOf(v.Const)
		} else {
			v.Fact = graph.Fact{Type: graph.AnyRank(v.DType)}
		}
	}
	if err := g.Infer(); err != nil {
		return err
	}
	for _, n := range g.Nodes {
		for _, v := range n.Out {
			if w := want[v]; w != nil && !agrees(v.Type, w) {
				return graph.NodeError(n, fmt.Errorf("once channels are cut, %q is %s instead of %v", v.Name, v.Type, w))
			}
		}
	}
	return g.Check()
}

// agrees reports whether the known sizes of t are those of the shape.
func agrees(t graph.Type, shape []graph.Dim) bool {
	if t.Rank() != len(shape) {
		return false
	}
	for a, d := range shape {
		if _, fixed := d.Value(); fixed && t.Shape[a] != d {
			return false
		}
	}
	return true
}

// fit gives every operator that holds sizes of what is cut new ones. Its new constants are its own.
func (k kept) fit(g *graph.Graph) error {
	names := g.Names()
	for _, n := range g.Nodes {
		op, ok := n.Op.(graph.Sized)
		if !ok || !k.touches(n) {
			continue
		}
		fitted, consts, err := op.Fit(graph.Cut{In: facts(n.In), Out: facts(n.Out), Kept: func(out bool, index, axis int) []int {
			list := n.In
			if out {
				list = n.Out
			}
			return k[axisOf{list[index], axis}]
		}})
		if err != nil {
			return graph.NodeError(n, err)
		}
		n.Op = fitted
		for i, t := range consts {
			if t == nil {
				continue
			}
			base := n.Name + "_sizes"
			for len(n.In) <= i {
				n.In = append(n.In, nil)
			}
			if v := n.In[i]; v != nil {
				base = v.Name
			}
			n.In[i] = graph.NewConst(names.Fresh(base), t)
		}
	}
	return nil
}

// take gives a new tensor with the positions of one axis that are listed.
func take(t *tensor.Tensor, axis int, positions []int) (*tensor.Tensor, error) {
	bits := t.Bits()
	if t.DType == tensor.String || bits == 0 {
		return nil, fmt.Errorf("channels of %s cannot be cut", t.DType)
	}
	shape := slices.Clone(t.Shape)
	shape[axis] = len(positions)
	out := tensor.New(t.DType, shape...)
	outer, inner := tensor.Size(t.Shape[:axis]), tensor.Size(t.Shape[axis+1:])
	if bits < 8 {
		per, mask := 8/bits, byte(1<<bits-1)
		for i := range out.Len() {
			o, j, r := i/(inner*len(positions)), i/inner%len(positions), i%inner
			from := (o*t.Shape[axis]+positions[j])*inner + r
			tensor.SetBits(out.Data, i, bits, t.Data[from/per]>>(from%per*bits)&mask)
		}
		return out, nil
	}
	step := inner * bits / 8
	for o := range outer {
		for j, p := range positions {
			copy(out.Data[(o*len(positions)+j)*step:], t.Data[(o*t.Shape[axis]+p)*step:][:step])
		}
	}
	return out, nil
}
