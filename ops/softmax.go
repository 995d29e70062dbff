package ops

import (
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 13, Softmax{}, LogSoftmax{}, Hardmax{}) }

// alongAxis is what operators that look at a whole axis and keep the shape share: that axis.
type alongAxis int

func (a alongAxis) infer(in []graph.Fact) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	if !in[0].Unranked {
		if _, err := axis(int(a), len(in[0].Shape)); err != nil {
			return nil, err
		}
	}
	return []graph.Type{in[0].Type}, nil
}

// run rewrites each row along the axis.
func (a alongAxis) run(x *graph.Exec, in, out []*tensor.Tensor, rewrite func(row []float64)) error {
	t := in[0]
	if !t.IsFloat() {
		return noArithmetic(t.DType)
	}
	at, err := axis(int(a), len(t.Shape))
	if err != nil {
		return err
	}
	drop := make([]bool, len(t.Shape))
	if len(drop) > 0 {
		drop[at] = true
	}
	g, v := groupsOf(t.Shape, drop), tensor.Float64s(t)
	r, row := make([]float64, len(v)), make([]float64, len(g.inner))
	for _, base := range g.bases {
		for i, off := range g.inner {
			row[i] = v[base+off]
		}
		rewrite(row)
		for i, off := range g.inner {
			r[base+off] = row[i]
		}
	}
	return tensor.SetFloat64s(x.Make(out[0], t.DType, t.Shape...), r)
}

// Softmax is exp(x) over its sum along the axis.
type Softmax struct {
	Axis int `attr:"axis" default:"-1"`
}

// Infer gives the type of the input.
func (o Softmax) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return alongAxis(o.Axis).infer(in)
}

func (o Softmax) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return alongAxis(o.Axis).run(x, in, out, func(row []float64) {
		top := foldFrom(math.Inf(-1), higher[float64])(row)
		sum := 0.
		for i, v := range row {
			row[i] = math.Exp(v - top)
			sum += row[i]
		}
		for i := range row {
			row[i] /= sum
		}
	})
}

// Quant tells that Softmax has an integer twin.
func (Softmax) Quant() graph.Quant { return graph.Quant{} }

// Permute moves the axis along.
func (o Softmax) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, to, ok := along(in, outs, 1, o.Axis, order)
	o.Axis = to
	p.Op = o
	return p, ok
}

// Links ties everything but the axis that is normalised.
func (o Softmax) Links(in, out []graph.Fact) []graph.Link {
	return normalised(in, out, o.Axis, "it is a softmax over them")
}

// LogSoftmax is the logarithm of Softmax.
type LogSoftmax struct {
	Axis int `attr:"axis" default:"-1"`
}

// Infer gives the type of the input.
func (o LogSoftmax) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return alongAxis(o.Axis).infer(in)
}

func (o LogSoftmax) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return alongAxis(o.Axis).run(x, in, out, func(row []float64) {
		top := foldFrom(math.Inf(-1), higher[float64])(row)
		sum := 0.
		for i, v := range row {
			row[i] = v - top
			sum += math.Exp(row[i])
		}
		for i := range row {
			row[i] -= math.Log(sum)
		}
	})
}

// Permute moves the axis along.
func (o LogSoftmax) Permute(in []graph.Fact, outs int, order []int) (graph.Permuted, bool) {
	p, to, ok := along(in, outs, 1, o.Axis, order)
	o.Axis = to
	p.Op = o
	return p, ok
}

// Links ties everything but the axis that is normalised.
func (o LogSoftmax) Links(in, out []graph.Fact) []graph.Link {
	return normalised(in, out, o.Axis, "it is a softmax over them")
}

// Hardmax is 1 at the first of the largest elements along the axis and 0 elsewhere.
type Hardmax struct {
	Axis int `attr:"axis" default:"-1"`
}

// Infer gives the type of the input.
func (o Hardmax) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return alongAxis(o.Axis).infer(in)
}

func (o Hardmax) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return alongAxis(o.Axis).run(x, in, out, func(row []float64) {
		top := index(isMore[float64], false)(row)
		clear(row)
		if len(row) > 0 {
			row[top] = 1
		}
	})
}
