package data

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/tfsopt/tfsopt/tensor"
)

// Random makes n unlabelled samples: floats are normally distributed, bytes and smaller integers uniform over their
// range, wider integers and booleans 0 or 1 (they index or mask). Sample i depends on seed and i alone. Unknown
// dimensions become 224 in the last three of four (images) and 32 elsewhere. It says nothing about accuracy, and
// Warnings says so.
func Random(inputs []Input, n int, seed uint64) *Set {
	s := &Set{path: "random", whole: whole(inputs), warned: map[string]bool{}, source: &source{n: n, name: func(i int) string { return fmt.Sprintf("random sample %d", i) }}}
	for i := range n {
		s.index = append(s.index, i)
	}
	s.prepare = func(at int) ([]*tensor.Tensor, error) {
		r := rand.New(rand.NewPCG(seed, uint64(at)))
		out := make([]*tensor.Tensor, len(inputs))
		for i, in := range inputs {
			t, err := randomTensor(r, in, s.whole)
			if err != nil {
				return nil, fmt.Errorf("input %q: %w", in.Name, err)
			}
			out[i] = t
		}
		return out, nil
	}
	s.warn("the data is random: ranges, accuracy and agreement mean nothing for real data")
	return s
}

func randomTensor(r *rand.Rand, in Input, whole bool) (*tensor.Tensor, error) {
	if !in.numeric() {
		return nil, fmt.Errorf("it takes %s, and random data is tensors of numbers", in.DType)
	}
	if in.Shape == nil {
		return nil, errors.New("the model does not say how many dimensions it has, and random data needs that")
	}
	shape := make([]int, len(in.Shape))
	for i, d := range in.Shape {
		switch {
		case i == in.Batch && (d < 0 || !whole):
			d = 1
		case d < 0 && len(shape) == 4:
			d = 224
		case d < 0:
			d = 32
		}
		shape[i] = d
	}
	if _, err := count(shape); err != nil {
		return nil, err
	}
	t := tensor.New(in.DType, shape...)
	v := make([]float64, t.Len())
	lo, hi := 0, 1
	if in.DType.IsInt() && in.DType.Bits() <= 8 {
		a, b := limits(in.DType)
		lo, hi = int(a), int(b)
	}
	for i := range v {
		if in.DType.IsFloat() {
			v[i] = r.NormFloat64()
		} else {
			v[i] = float64(lo + r.IntN(hi-lo+1))
		}
	}
	return t, tensor.SetFloat64s(t, v)
}
