package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// maxElements bounds the tensors whose elements are followed as dimensions.
const maxElements = 64

// elements gives the elements of an integer tensor of rank 0 or 1 as far as they are known: an element that is unknown
// or negative is the unknown Dim. It is nil if not even their number is known.
func elements(f graph.Fact) []graph.Dim {
	if d, ok := f.Elements(); ok {
		return d
	}
	if !f.DType.IsInt() || f.Unranked || len(f.Shape) > 1 {
		return nil
	}
	n := 1
	if len(f.Shape) == 1 {
		var ok bool
		if n, ok = f.Shape[0].Value(); !ok || n > maxElements {
			return nil
		}
	}
	out := make([]graph.Dim, n)
	if v, ok := f.ConstInts(); ok && len(v) == n {
		copy(out, graph.Dims(v...))
	}
	return out
}

// oneInt gives the single integer of a constant tensor, whatever its number type.
func oneInt(f graph.Fact) (int, bool) {
	if f.Const == nil || f.Const.Len() != 1 {
		return 0, false
	}
	v := tensor.Ints(f.Const)
	if len(v) != 1 {
		return 0, false
	}
	return int(v[0]), true
}

// shapesOf runs an operator's Infer on tensors, for kernels whose output shapes follow from the inputs.
func shapesOf(op graph.Op, in []*tensor.Tensor, outs int) ([][]int, error) {
	facts := make([]graph.Fact, len(in))
	for i, t := range in {
		if t != nil {
			facts[i] = graph.FactOf(t)
		}
	}
	types, err := op.Infer(facts, outs)
	if err != nil {
		return nil, err
	}
	shapes := make([][]int, len(types))
	for i, t := range types {
		var ok bool
		if shapes[i], ok = t.Fixed(); !ok {
			return nil, fmt.Errorf("the inputs do not determine the shape of output %d: %s", i, t)
		}
	}
	return shapes, nil
}

// shapeOf is shapesOf for operators with one output.
func shapeOf(op graph.Op, in []*tensor.Tensor) ([]int, error) {
	s, err := shapesOf(op, in, 1)
	if err != nil {
		return nil, err
	}
	return s[0], nil
}

// axes resolves a list of possibly negative axes against a rank and refuses repetitions.
func axes(list []int, r int) ([]int, error) {
	out := make([]int, len(list))
	seen := map[int]bool{}
	for i, a := range list {
		if a < -r || a >= r {
			return nil, fmt.Errorf("axis %d is outside of rank %d", a, r)
		}
		if a < 0 {
			a += r
		}
		if seen[a] {
			return nil, fmt.Errorf("axis %d is given twice", a)
		}
		seen[a], out[i] = true, a
	}
	return out, nil
}

// lengthOf is the number of elements of a tensor of rank 1, if known.
func lengthOf(f graph.Fact) (int, bool) {
	if f.Unranked || len(f.Shape) != 1 {
		return 0, false
	}
	return f.Shape[0].Value()
}

// inserted is s with v put before index i.
func inserted[T any](s []T, i int, v ...T) []T {
	out := append([]T{}, s[:i]...)
	return append(append(out, v...), s[i:]...)
}

// removed is s without index i.
func removed[T any](s []T, i int) []T { return append(append([]T{}, s[:i]...), s[i+1:]...) }

// around gives the product of the dimensions before and after an axis.
func around(shape []int, axis int) (outer, inner int) {
	return tensor.Size(shape[:axis]), tensor.Size(shape[axis+1:])
}

// only wraps one type as an Infer result.
func only(t graph.Type, err error) ([]graph.Type, error) {
	if err != nil {
		return nil, err
	}
	return []graph.Type{t}, nil
}

// indexInto wraps a possibly negative index into a dimension of size n.
func indexInto(i int64, n int) (int, error) {
	if i < -int64(n) || i >= int64(n) {
		return 0, fmt.Errorf("index %d is outside of dimension %d", i, n)
	}
	if i < 0 {
		i += int64(n)
	}
	return int(i), nil
}

// mover is the quantization trait of operators that only move or select elements of input 0.
type mover struct{}

// Quant says that the output shares the input's parameters.
func (mover) Quant() graph.Quant { return graph.Quant{Moves: true} }
