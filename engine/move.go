package engine

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// view is an operator whose output is its first input with another shape.
type view struct{ graph.Op }

func (v view) source() graph.Op { return v.Op }
func (view) view()              {}

// Ints passes shape arithmetic through.
func (v view) Ints(in []graph.Fact) []graph.Dim {
	if s, ok := v.Op.(graph.Shaper); ok {
		return s.Ints(in)
	}
	return nil
}

func (v view) exec(x *exec, in, out []*tensor.Tensor) error {
	o := out[0]
	if o == nil {
		return nil
	}
	if o.Shape == nil || in[0].DType == tensor.Sequence || in[0].DType == tensor.String || tensor.Size(o.Shape) != in[0].Len() {
		if s, ok := v.Op.(lowered); ok {
			return x.kernel(s.source(), in, out)
		}
		return x.kernel(v.Op, in, out)
	}
	o.Data = in[0].Data
	return nil
}

// lowerView lowers an operator that only changes the shape.
func lowerView(l *lowering, n *graph.Node) bool {
	for _, v := range n.Out[1:] {
		if v != nil {
			return false
		}
	}
	l.keep(n, view{n.Op})
	return true
}

// transpose permutes dimensions, with fast paths for the two layouts.
type transpose struct{ ops.Transpose }

func (t transpose) source() graph.Op { return t.Transpose }

func (t transpose) exec(x *exec, in, out []*tensor.Tensor) error {
	a := in[0]
	size := a.DType.Bits() / 8
	if size*8 != a.DType.Bits() || size == 0 {
		return x.kernel(t.Transpose, in, out)
	}
	perm := t.Perm
	if len(perm) == 0 {
		for i := len(a.Shape) - 1; i >= 0; i-- {
			perm = append(perm, i)
		}
	}
	if len(perm) != len(a.Shape) {
		return fmt.Errorf("perm %v for rank %d", perm, len(a.Shape))
	}
	y := x.Make(out[0], a.DType, permuted(a.Shape, perm)...)
	shape, perm := mergeDims(a.Shape, perm)
	if rows, cols, batch, ok := matrixPerm(shape, perm); ok && (size == 4 || size == 1) {
		x.p.pool.run(x.scratch, batch, func(_ *scratch, i int) {
			n := rows * cols * size
			if size == 4 {
				x.p.set.Transpose2D(f32(y.Data[i*n:(i+1)*n]), f32(a.Data[i*n:(i+1)*n]), rows, cols)
			} else {
				x.p.set.Transpose2DU8(y.Data[i*n:(i+1)*n], a.Data[i*n:(i+1)*n], rows, cols)
			}
		})
		return nil
	}
	to, from := byteSteps(permuted(shape, perm), size), byteSteps(shape, size)
	dims := make([]boxDim, len(perm))
	for i, p := range perm {
		dims[i] = boxDim{shape[p], to[i], from[p]}
	}
	copyBox(x, y.Data, a.Data, dims, size)
	return nil
}

// mergeDims joins dimensions that stay neighbours and drops those of size one.
func mergeDims(shape, perm []int) ([]int, []int) {
	group := map[int]int{} // old dimension -> index into order
	var order [][]int
	prev := -2
	for _, p := range perm {
		if shape[p] == 1 {
			continue
		}
		if next := prev + 1; prev >= 0 && skipOnes(shape, next) == p {
			order[len(order)-1] = append(order[len(order)-1], p)
		} else {
			order = append(order, []int{p})
		}
		group[p] = len(order) - 1
		prev = p
	}
	var outShape []int
	place := make([]int, len(order))
	seen := make([]bool, len(order))
	for d := range shape {
		g, ok := group[d]
		if !ok || seen[g] {
			continue
		}
		seen[g] = true
		place[g] = len(outShape)
		n := 1
		for _, q := range order[g] {
			n *= shape[q]
		}
		outShape = append(outShape, n)
	}
	return outShape, place
}

func skipOnes(shape []int, d int) int {
	for d < len(shape) && shape[d] == 1 {
		d++
	}
	return d
}

// matrixPerm reports whether a permutation transposes matrices in a batch.
func matrixPerm(shape, perm []int) (rows, cols, batch int, ok bool) {
	switch {
	case len(perm) == 2 && perm[0] == 1:
		return shape[0], shape[1], 1, true
	case len(perm) == 3 && perm[0] == 0 && perm[1] == 2:
		return shape[1], shape[2], shape[0], true
	}
	return 0, 0, 0, false
}

// broadcast is the shape of an elementwise result.
func broadcast(a, b []int) ([]int, error) {
	if len(a) < len(b) {
		a, b = b, a
	}
	out := append([]int{}, a...)
	off := len(a) - len(b)
	for i, d := range b {
		switch {
		case out[off+i] == 1:
			out[off+i] = d
		case d != 1 && d != out[off+i]:
			return nil, fmt.Errorf("shapes %v and %v do not broadcast", a, b)
		}
	}
	return out, nil
}

// offsets lists, for each index of the shape out, where a tensor of the broadcast shape has its block of size n.
func offsets(out, shape []int, n int) []int {
	list := []int{0}
	steps := make([]int, len(out))
	for i := len(shape) - 1; i >= 0; i-- {
		if shape[i] != 1 {
			steps[len(out)-len(shape)+i] = n
		}
		n *= shape[i]
	}
	for d, size := range out {
		next := make([]int, 0, len(list)*size)
		for _, o := range list {
			for i := range size {
				next = append(next, o+i*steps[d])
			}
		}
		list = next
	}
	return list
}
