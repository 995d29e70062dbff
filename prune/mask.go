package prune

import (
	"fmt"
	"maps"
	"math/bits"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// Mask says which elements of a tensor stay; the others are zero, now and after every later step.
type Mask struct {
	Shape []int
	gone  []uint64 // a bit for each element, set where it is pruned
}

// NewMask makes a mask that keeps every element of a tensor.
func NewMask(shape ...int) *Mask {
	return &Mask{Shape: slices.Clone(shape), gone: make([]uint64, (tensor.Size(shape)+63)/64)}
}

// Len is the number of elements.
func (m *Mask) Len() int { return tensor.Size(m.Shape) }

// Keeps reports whether element i, in row-major order, stays.
func (m *Mask) Keeps(i int) bool { return m.gone[i/64]>>(i%64)&1 == 0 }

// Prune marks element i.
func (m *Mask) Prune(i int) { m.gone[i/64] |= 1 << (i % 64) }

// Zeros counts the pruned elements.
func (m *Mask) Zeros() int {
	n := 0
	for _, w := range m.gone {
		n += bits.OnesCount64(w)
	}
	return n
}

// Multiply sets the pruned elements of w to +0: what a trainer does to its own weights after each update. w has Len
// elements in the order of the tensor.
func (m *Mask) Multiply(w []float32) {
	for at, word := range m.gone {
		for ; word != 0; word &= word - 1 {
			w[at*64+bits.TrailingZeros64(word)] = 0
		}
	}
}

// apply gives a copy of t, of any type whose elements are whole bytes, with zeros.
func (m *Mask) apply(t *tensor.Tensor) (*tensor.Tensor, error) {
	width := t.Bits() / 8
	if !slices.Equal(t.Shape, m.Shape) || width == 0 || t.Bits()%8 != 0 {
		return nil, fmt.Errorf("a mask of shape %v does not fit %s%v", m.Shape, t.DType, t.Shape)
	}
	out := t.Clone()
	for at, word := range m.gone {
		for ; word != 0; word &= word - 1 {
			i := at*64 + bits.TrailingZeros64(word)
			clear(out.Data[i*width : (i+1)*width])
		}
	}
	return out, nil
}

// Masks are masks by the names of the constants (for a trainer: the parameters) that they belong to.
type Masks map[string]*Mask

// Names lists the masked tensors in the order of their names.
func (m Masks) Names() []string { return slices.Sorted(maps.Keys(m)) }

// Apply gives a copy of g whose masked constants are new tensors with zeros; every other tensor is shared with g. It
// fails on a mask whose constant g lacks or that has another shape.
func (m Masks) Apply(g *graph.Graph) (*graph.Graph, error) {
	with := map[string]*tensor.Tensor{}
	of := constants(g)
	for _, name := range m.Names() {
		v := of[name]
		if v == nil {
			return nil, fmt.Errorf("mask of %q: the graph has no such constant", name)
		}
		t, err := m[name].apply(v.Const)
		if err != nil {
			return nil, fmt.Errorf("constant %q: %w", name, err)
		}
		with[name] = t
	}
	return replaced(g, with), nil
}

// MasksOf finds the masks of a pruned graph: the exact zeros of each float weight that the pruner could have cut. Tensors
// without a zero, or with nothing but zeros (weights that are yet to be initialised), have no mask.
func MasksOf(g *graph.Graph) Masks {
	out := Masks{}
	list, _ := matrices(g)
	for _, w := range list {
		m := NewMask(w.shape...)
		for i, x := range tensor.Floats(w.value.Const) {
			if x == 0 {
				m.Prune(i)
			}
		}
		if n := m.Zeros(); n > 0 && n < m.Len() {
			out[w.value.Name] = m
		}
	}
	return out
}

// constants finds the constants that nodes read, by name.
func constants(g *graph.Graph) map[string]*graph.Value {
	out := map[string]*graph.Value{}
	for _, v := range g.Values() {
		if v.IsConst() {
			out[v.Name] = v
		}
	}
	return out
}

// replaced is a copy of g in which some constants, given by name, have other tensors of the same type.
func replaced(g *graph.Graph, with map[string]*tensor.Tensor) *graph.Graph {
	out := g.Clone()
	for name, v := range constants(out) {
		if t := with[name]; t != nil {
			v.Const = t
		}
	}
	return out
}

// Values are tensors' elements by the names of their constants or parameters.
type Values map[string][]float32

// ValuesOf copies the weights of g that the pruner could cut: what Rewind goes back to.
func ValuesOf(g *graph.Graph) Values {
	out := Values{}
	list, _ := matrices(g)
	for _, w := range list {
		out[w.value.Name] = slices.Clone(tensor.Floats(w.value.Const))
	}
	return out
}

// Rewind gives a copy of g in which each tensor of v has the values of v where its mask keeps them, and zeros elsewhere:
// the lottery ticket (Frankle and Carbin, arXiv 1803.03635). Tensors that v does not name stay as they are in g.
func (m Masks) Rewind(g *graph.Graph, v Values) (*graph.Graph, error) {
	with := map[string]*tensor.Tensor{}
	of := constants(g)
	for _, name := range slices.Sorted(maps.Keys(v)) {
		c := of[name]
		if c == nil {
			return nil, fmt.Errorf("values of %q: the graph has no such constant", name)
		}
		if len(v[name]) != c.Const.Len() {
			return nil, fmt.Errorf("constant %q: %d values for %v", name, len(v[name]), c.Const.Shape)
		}
		w := slices.Clone(v[name])
		if k := m[name]; k != nil {
			if !slices.Equal(k.Shape, c.Const.Shape) {
				return nil, fmt.Errorf("constant %q: a mask of shape %v does not fit %v", name, k.Shape, c.Const.Shape)
			}
			k.Multiply(w)
		}
		t, err := tensor.FromFloats(c.Const.DType, w, c.Const.Shape...)
		if err != nil {
			return nil, fmt.Errorf("constant %q: %w", name, err)
		}
		with[name] = t
	}
	return replaced(g, with), nil
}
