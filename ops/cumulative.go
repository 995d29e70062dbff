package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("", 11, CumSum{})
	graph.Register("", 26, CumProd{})
}

// cumulative is what CumSum and CumProd share; input 1 is the axis.
type cumulative struct{ Exclusive, Reverse bool }

func (cumulative) infer(in []graph.Fact) ([]graph.Type, error) {
	if err := want(in, 2, 2); err != nil {
		return nil, err
	}
	return []graph.Type{in[0].Type}, nil
}

func (o cumulative) run(x *graph.Exec, in, out []*tensor.Tensor, first int64, f arith2) error {
	t := in[0]
	if in[1].Len() != 1 {
		return fmt.Errorf("axis has shape %v, want one element", in[1].Shape)
	}
	a, err := axis(int(tensor.Ints(in[1])[0]), len(t.Shape))
	if err != nil || a >= len(t.Shape) {
		return fmt.Errorf("axis is outside of rank %d", len(t.Shape))
	}
	drop := make([]bool, len(t.Shape))
	drop[a] = true
	g := groupsOf(t.Shape, drop)
	switch {
	case t.IsFloat():
		return tensor.SetFloat64s(x.Make(out[0], t.DType, t.Shape...), scan(o, tensor.Float64s(t), g, float64(first), f.f))
	case t.IsSigned():
		return tensor.SetInts(x.Make(out[0], t.DType, t.Shape...), scan(o, tensor.Ints(t), g, first, f.i))
	case t.IsInt():
		return setUints(x.Make(out[0], t.DType, t.Shape...), scan(o, uints(t), g, uint64(first), f.u))
	}
	return noArithmetic(t.DType)
}

// scan folds along each group.
func scan[T word](o cumulative, v []T, g groups, first T, f func(a, b T) T) []T {
	r := make([]T, len(v))
	for _, base := range g.bases {
		sum := first
		for i := range g.inner {
			at := base + g.inner[i]
			if o.Reverse {
				at = base + g.inner[len(g.inner)-1-i]
			}
			if o.Exclusive {
				r[at], sum = sum, f(sum, v[at])
			} else {
				sum = f(sum, v[at])
				r[at] = sum
			}
		}
	}
	return r
}

// CumSum is the running sum along an axis.
type CumSum struct {
	Exclusive bool `attr:"exclusive"` // each element leaves itself out
	Reverse   bool `attr:"reverse"`   // from the end
}

// Infer gives the type of input 0.
func (o CumSum) Infer(in []graph.Fact, _ int) ([]graph.Type, error) { return cumulative(o).infer(in) }

func (o CumSum) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return cumulative(o).run(x, in, out, 0, arith2{add[int64], add[uint64], add[float64]})
}

// CumProd is the running product along an axis.
type CumProd struct {
	Exclusive bool `attr:"exclusive"` // each element leaves itself out
	Reverse   bool `attr:"reverse"`   // from the end
}

// Infer gives the type of input 0.
func (o CumProd) Infer(in []graph.Fact, _ int) ([]graph.Type, error) { return cumulative(o).infer(in) }

func (o CumProd) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return cumulative(o).run(x, in, out, 1, arith2{mul[int64], mul[uint64], mul[float64]})
}
