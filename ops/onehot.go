package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 11, OneHot{}) }

// OneHot inserts at Axis a dimension of size depth that holds values[1] at the position that the index names and
// values[0] elsewhere; an index outside of [-depth, depth) gives no position. Inputs: indices, depth, values.
type OneHot struct {
	Axis int `attr:"axis" default:"-1"`
}

// Infer inserts the depth.
func (o OneHot) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 3, 3); err != nil {
		return nil, err
	}
	if in[0].Unranked {
		return []graph.Type{graph.AnyRank(in[2].DType)}, nil
	}
	a, err := axis(o.Axis, len(in[0].Shape)+1)
	if err != nil {
		return nil, err
	}
	depth := graph.Dim{}
	if n, ok := oneInt(in[1]); ok {
		if n < 0 {
			return nil, fmt.Errorf("depth %d", n)
		}
		depth = graph.Fixed(n)
	} else if e := elements(in[1]); len(e) == 1 {
		depth = e[0]
	}
	return []graph.Type{graph.Of(in[2].DType, inserted(in[0].Shape, a, depth)...)}, nil
}

// Run fills.
func (o OneHot) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	shape, err := shapeOf(o, in)
	if err != nil {
		return err
	}
	if in[2].Len() != 2 {
		return fmt.Errorf("values has %d elements, not 2", in[2].Len())
	}
	dst, err := target(x, out[0], in[2].DType, shape)
	if err != nil {
		return err
	}
	a, err := axis(o.Axis, len(shape))
	if err != nil {
		return err
	}
	values := source(in[2])
	dst.fill(values, 0)
	_, inner := around(shape, a)
	depth := int64(shape[a])
	for i, v := range tensor.Ints(in[0]) {
		if v < 0 {
			v += depth
		}
		if v >= 0 && v < depth {
			dst.move((i/inner*int(depth)+int(v))*inner+i%inner, values, 1, 1)
		}
	}
	dst.done()
	return nil
}

func init() {
	graph.Register("", 9, EyeLike{})
	graph.Register("", 14, Trilu{})
}

// EyeLike makes a matrix of the input's shape with ones on diagonal K (positive: above the main one).
type EyeLike struct {
	DType int `attr:"dtype"` // 0: the input's
	K     int `attr:"k"`
}

// Infer gives the input's shape.
func (o EyeLike) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	if err := rank(in, 0, 2); err != nil {
		return nil, err
	}
	t := in[0].Type
	if o.DType != 0 {
		if t.DType = tensor.DType(o.DType); o.DType < 0 || o.DType > math.MaxUint8 || !t.DType.Valid() {
			return nil, fmt.Errorf("unknown element type %d", o.DType)
		}
	}
	return []graph.Type{t}, nil
}

// Run fills.
func (o EyeLike) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	types, err := o.Infer([]graph.Fact{graph.FactOf(in[0])}, 1)
	if err != nil {
		return err
	}
	rows, cols := in[0].Shape[0], in[0].Shape[1]
	v := make([]int64, rows*cols)
	for i := range rows {
		if j := i + o.K; j >= 0 && j < cols {
			v[i*cols+j] = 1
		}
	}
	return tensor.SetInts(x.Make(out[0], types[0].DType, rows, cols), v)
}

// Trilu keeps the upper or lower triangle of each matrix, up to diagonal k (second input, default 0), and clears the
// rest.
type Trilu struct {
	mover
	Upper bool `attr:"upper" default:"1"`
}

// Traits says that the rest is zero.
func (Trilu) Traits() graph.Traits { return graph.Traits{Fill: graph.FillZero} }

// Infer gives the type of the input.
func (Trilu) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 2); err != nil {
		return nil, err
	}
	if r := in[0].Rank(); r >= 0 && r < 2 {
		return nil, fmt.Errorf("want rank 2 or more, got %d", r)
	}
	return []graph.Type{in[0].Type}, nil
}

// Run copies the kept part of each row.
func (o Trilu) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	k := 0
	if t := optional(in, 1); t != nil {
		if t.Len() != 1 {
			return fmt.Errorf("k has %d elements", t.Len())
		}
		k = int(tensor.Ints(t)[0])
	}
	shape := in[0].Shape
	rows, cols := shape[len(shape)-2], shape[len(shape)-1]
	k = min(max(k, -rows-1), cols+1)
	dst, err := target(x, out[0], in[0].DType, shape)
	if err != nil {
		return err
	}
	dst.clear()
	src := source(in[0])
	for i := range tensor.Size(shape[:len(shape)-1]) {
		lo, hi := min(max(i%rows+k, 0), cols), cols
		if !o.Upper {
			lo, hi = 0, min(max(i%rows+k+1, 0), cols)
		}
		dst.move(i*cols+lo, src, i*cols+lo, hi-lo)
	}
	dst.done()
	return nil
}
