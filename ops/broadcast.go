// Package ops holds ONNX's operators, one struct each: attributes, shape inference and the reference kernel that gives
// the operator its meaning. Kernels here are plain loops; engine has the fast ones and is tested against these.
package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// broadcastDims gives the shape of an elementwise result (ONNX "Multidirectional Broadcasting").
func broadcastDims(a, b []graph.Dim) ([]graph.Dim, error) {
	if len(a) < len(b) {
		a, b = b, a
	}
	out := append([]graph.Dim{}, a...)
	off := len(a) - len(b)
	for i, d := range b {
		e := a[off+i]
		_, dn := d.Value()
		_, en := e.Value()
		switch {
		case e == d && d.Known() || d.Is(1):
		case e.Is(1):
			out[off+i] = d
		case dn && en:
			return nil, fmt.Errorf("shapes do not broadcast: %s against %s in dimension %d", e, d, off+i)
		case dn: // d is a number other than 1: the unknown e can only be 1 or d
			out[off+i] = d
		case en:
		default:
			out[off+i] = graph.Dim{}
		}
	}
	return out, nil
}

// broadcastType is the type of an elementwise result of element type d.
func broadcastType(d tensor.DType, in ...graph.Fact) (graph.Type, error) {
	shape := []graph.Dim{}
	for _, f := range in {
		if f.Unranked {
			return graph.AnyRank(d), nil
		}
		var err error
		if shape, err = broadcastDims(shape, f.Shape); err != nil {
			return graph.Type{}, err
		}
	}
	return graph.Type{DType: d, Shape: shape}, nil
}

// broadcastShape is broadcastDims for shapes that are known.
func broadcastShape(shapes ...[]int) ([]int, error) {
	var out []int
	for _, s := range shapes {
		a, b := out, s
		if len(a) < len(b) {
			a, b = b, a
		}
		r := append([]int{}, a...)
		off := len(a) - len(b)
		for i, d := range b {
			switch {
			case r[off+i] == 1:
				r[off+i] = d
			case d != 1 && d != r[off+i]:
				return nil, fmt.Errorf("shapes %v do not broadcast", shapes)
			}
		}
		out = r
	}
	return out, nil
}

// strides gives the element step of each of out's dimensions in a tensor of the given shape, 0 where it repeats.
func strides(shape, out []int) []int {
	s := make([]int, len(out))
	step := 1
	for i := len(shape) - 1; i >= 0; i-- {
		if shape[i] != 1 {
			s[len(out)-len(shape)+i] = step
		}
		step *= shape[i]
	}
	return s
}

// walk visits the elements of shape in row-major order with their offsets under two stride vectors.
func walk(shape, sa, sb []int, visit func(i, a, b int)) {
	n := tensor.Size(shape)
	index := make([]int, len(shape))
	a, b := 0, 0
	for i := range n {
		visit(i, a, b)
		for d := len(shape) - 1; d >= 0; d-- {
			index[d]++
			a += sa[d]
			b += sb[d]
			if index[d] < shape[d] {
				break
			}
			a -= sa[d] * index[d]
			b -= sb[d] * index[d]
			index[d] = 0
		}
	}
}

// zip computes out[i] = f(a, b) with broadcasting; shape is the broadcast shape.
func zip[T, R any](out []R, a, b []T, s zipShape, f func(T, T) R) {
	walk(s.out, strides(s.a, s.out), strides(s.b, s.out), func(i, j, k int) { out[i] = f(a[j], b[k]) })
}

type zipShape struct{ out, a, b []int }

// want checks that between min and max inputs are given and that the first min are present.
func want(in []graph.Fact, least, most int) error {
	if len(in) < least || most >= 0 && len(in) > most {
		return fmt.Errorf("want %d to %d inputs, got %d", least, most, len(in))
	}
	for i := range least {
		if !in[i].Given() {
			return fmt.Errorf("input %d is missing", i)
		}
	}
	return nil
}

// rank checks that a fact, if its rank is known, has the given rank.
func rank(in []graph.Fact, i, r int) error {
	if !in[i].Unranked && len(in[i].Shape) != r {
		return fmt.Errorf("input %d: want rank %d, got %d", i, r, len(in[i].Shape))
	}
	return nil
}

// axis resolves a possibly negative axis of a tensor of rank r.
func axis(a, r int) (int, error) {
	if a < -r || a >= max(r, 1) {
		return 0, fmt.Errorf("axis %d is outside of rank %d", a, r)
	}
	if a < 0 {
		a += r
	}
	return a, nil
}
