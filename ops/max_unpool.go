package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 11, MaxUnpool{}) }

// MaxUnpool puts each element where MaxPool found it, zeros elsewhere. Inputs: MaxPool's two outputs and the result's
// shape, by default the smallest that MaxPool could have had with this Kernel, Pads and Strides. Where the given shape
// is larger, positions still refer to the default one.
type MaxUnpool struct {
	mover
	Kernel  []int `attr:"kernel_shape" required:"true"`
	Pads    []int `attr:"pads"`
	Strides []int `attr:"strides"`
}

// Traits says that zeros stand between the maxima.
func (MaxUnpool) Traits() graph.Traits { return graph.Traits{Fill: graph.FillZero} }

// Infer inverts pooling.
func (o MaxUnpool) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 3); err != nil {
		return nil, err
	}
	if in[0].Unranked {
		return []graph.Type{graph.AnyRank(in[0].DType)}, nil
	}
	t, err := o.pooled(in[0].Type)
	if f := fact(in, 2); err == nil && f.Given() {
		e := elements(f)
		if e == nil {
			e = make([]graph.Dim, len(t.Shape))
		}
		if len(e) != len(t.Shape) {
			return nil, fmt.Errorf("%d output dimensions for rank %d", len(e), len(t.Shape))
		}
		t.Shape = e
	}
	return only(t, err)
}

// pooled is the smallest shape that gives t when pooled.
func (o MaxUnpool) pooled(t graph.Type) (graph.Type, error) {
	n := len(t.Shape) - 2
	if n != len(o.Kernel) {
		return t, fmt.Errorf("kernel_shape %v for rank %d", o.Kernel, len(t.Shape))
	}
	strides, err := perAxis("strides", o.Strides, n, 1)
	if err != nil {
		return t, err
	}
	pads, err := perAxis("pads", o.Pads, 2*n, 0)
	if err != nil {
		return t, err
	}
	out := graph.Of(t.DType, t.Shape...)
	for i := range n {
		d := &out.Shape[i+2]
		size, ok := d.Value()
		*d = graph.Dim{}
		if ok {
			if size = (size-1)*strides[i] - pads[i] - pads[i+n] + o.Kernel[i]; size < 0 {
				return t, fmt.Errorf("pads %v leave nothing", o.Pads)
			}
			*d = graph.Fixed(size)
		}
	}
	return out, nil
}

// Run fails on an index outside of the result.
func (o MaxUnpool) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	shape, err := shapeOf(o, in)
	if err != nil {
		return err
	}
	small, err := shapeOf(o, in[:2])
	if err != nil {
		return err
	}
	if len(shape) != len(small) || in[0].Len() != in[1].Len() {
		return fmt.Errorf("values of shape %v, indices of shape %v", in[0].Shape, in[1].Shape)
	}
	dst, err := target(x, out[0], in[0].DType, shape)
	if err != nil {
		return err
	}
	dst.clear()
	src, n := source(in[0]), tensor.Size(small)
	from, to := dense(small).step, dense(shape).step
	for i, v := range tensor.Ints(in[1]) {
		p, err := indexInto(v, n)
		if err != nil {
			return err
		}
		place := 0
		for d, s := range from {
			k := p / s % small[d]
			if k >= shape[d] {
				return fmt.Errorf("index %d is outside of shape %v", v, shape)
			}
			place += k * to[d]
		}
		dst.move(place, src, i, 1)
	}
	dst.done()
	return nil
}
