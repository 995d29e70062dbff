package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("", 1, RandomNormal{}, RandomNormalLike{}, RandomUniform{}, RandomUniformLike{})
	graph.Register("", 7, Multinomial{})
	graph.Register("", 15, Bernoulli{})
}

// likeType is the type that random operators make from an input: its shape, and its element type unless one is given.
func likeType(in []graph.Fact, to *int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	if to == nil {
		return []graph.Type{in[0].Type}, nil
	}
	return retyped(in[0].Type, *to)
}

func likeDType(t *tensor.Tensor, to *int) tensor.DType {
	if to == nil {
		return t.DType
	}
	return tensor.DType(*to)
}

// shapeType is the type of a new random tensor.
func shapeType(in []graph.Fact, shape []int, to int) ([]graph.Type, error) {
	if err := want(in, 0, 0); err != nil {
		return nil, err
	}
	if _, err := tensor.CheckedSize(shape); err != nil {
		return nil, err
	}
	return retyped(graph.Of(0, graph.Dims(shape...)...), to)
}

// draw fills a new tensor by calling next for each element.
func draw(x *graph.Exec, out *tensor.Tensor, t graph.Type, next func() float64) error {
	shape, ok := t.Fixed()
	if !ok || !t.DType.IsFloat() {
		return fmt.Errorf("cannot draw %s", t)
	}
	v := make([]float64, tensor.Size(shape))
	for i := range v {
		v[i] = next()
	}
	return tensor.SetFloat64s(x.Make(out, t.DType, shape...), v)
}

// RandomNormal draws from the normal distribution.
type RandomNormal struct {
	DType int      `attr:"dtype" default:"1"`
	Mean  float32  `attr:"mean"`
	Scale float32  `attr:"scale" default:"1"`
	Seed  *float32 `attr:"seed"`
	Shape []int    `attr:"shape" required:"true"`
}

// Traits says that the operator is random.
func (RandomNormal) Traits() graph.Traits { return graph.Traits{Random: true} }

// Infer gives the type that the attributes name.
func (o RandomNormal) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return shapeType(in, o.Shape, o.DType)
}

// Run draws the elements; without a seed the stream is always the same.
func (o RandomNormal) Run(x *graph.Exec, _, out []*tensor.Tensor) error {
	t, err := o.Infer(nil, 1)
	if err != nil {
		return err
	}
	rng := randomFor(x, o.Seed)
	return draw(x, out[0], t[0], func() float64 { return float64(o.Mean) + float64(float64(o.Scale)*rng.NormFloat64()) })
}

// RandomNormalLike draws from the normal distribution in the shape of its input.
type RandomNormalLike struct {
	DType *int     `attr:"dtype"`
	Mean  float32  `attr:"mean"`
	Scale float32  `attr:"scale" default:"1"`
	Seed  *float32 `attr:"seed"`
}

// Traits says that the operator is random.
func (RandomNormalLike) Traits() graph.Traits { return graph.Traits{Random: true} }

// Infer gives the shape of the input.
func (o RandomNormalLike) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return likeType(in, o.DType)
}

// Run draws the elements.
func (o RandomNormalLike) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return RandomNormal{int(likeDType(in[0], o.DType)), o.Mean, o.Scale, o.Seed, in[0].Shape}.Run(x, nil, out)
}

// RandomUniform draws between Low and High.
type RandomUniform struct {
	DType int      `attr:"dtype" default:"1"`
	High  float32  `attr:"high" default:"1"`
	Low   float32  `attr:"low"`
	Seed  *float32 `attr:"seed"`
	Shape []int    `attr:"shape" required:"true"`
}

// Traits says that the operator is random.
func (RandomUniform) Traits() graph.Traits { return graph.Traits{Random: true} }

// Infer gives the type that the attributes name.
func (o RandomUniform) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return shapeType(in, o.Shape, o.DType)
}

// Run draws the elements; without a seed the stream is always the same.
func (o RandomUniform) Run(x *graph.Exec, _, out []*tensor.Tensor) error {
	t, err := o.Infer(nil, 1)
	if err != nil {
		return err
	}
	rng := randomFor(x, o.Seed)
	low, width := float64(o.Low), float64(o.High)-float64(o.Low)
	return draw(x, out[0], t[0], func() float64 { return low + float64(width*rng.Float64()) })
}

// RandomUniformLike draws between Low and High in the shape of its input.
type RandomUniformLike struct {
	DType *int     `attr:"dtype"`
	High  float32  `attr:"high" default:"1"`
	Low   float32  `attr:"low"`
	Seed  *float32 `attr:"seed"`
}

// Traits says that the operator is random.
func (RandomUniformLike) Traits() graph.Traits { return graph.Traits{Random: true} }

// Infer gives the shape of the input.
func (o RandomUniformLike) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return likeType(in, o.DType)
}

// Run draws the elements.
func (o RandomUniformLike) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return RandomUniform{int(likeDType(in[0], o.DType)), o.High, o.Low, o.Seed, in[0].Shape}.Run(x, nil, out)
}

// Bernoulli draws 1 with the probability that each element of its input is, else 0.
type Bernoulli struct {
	DType *int     `attr:"dtype"`
	Seed  *float32 `attr:"seed"`
}

// Traits says that the operator is random.
func (Bernoulli) Traits() graph.Traits { return graph.Traits{Random: true} }

// Infer gives the shape of the input.
func (o Bernoulli) Infer(in []graph.Fact, _ int) ([]graph.Type, error) { return likeType(in, o.DType) }

// Run draws the elements.
func (o Bernoulli) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	p := in[0]
	if !p.IsFloat() {
		return noArithmetic(p.DType)
	}
	rng := randomFor(x, o.Seed)
	v := mapSlice(tensor.Float64s(p), func(p float64) int64 {
		if rng.Float64() < p {
			return 1
		}
		return 0
	})
	return conversion{saturate: true, round: "up"}.fromInts(x.Make(out[0], likeDType(p, o.DType), p.Shape...), v)
}

// Multinomial draws SampleSize classes for each row of [batch, classes] unnormalized log-probabilities.
type Multinomial struct {
	DType      int      `attr:"dtype" default:"6"`
	SampleSize int      `attr:"sample_size" default:"1"`
	Seed       *float32 `attr:"seed"`
}

// Traits says that the operator is random.
func (Multinomial) Traits() graph.Traits { return graph.Traits{Random: true} }

// Infer gives [batch, SampleSize] of Int32 or Int64.
func (o Multinomial) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	if err := rank(in, 0, 2); err != nil {
		return nil, err
	}
	if o.SampleSize < 0 {
		return nil, fmt.Errorf("sample_size is %d", o.SampleSize)
	}
	batch := graph.Dim{}
	if !in[0].Unranked {
		batch = in[0].Shape[0]
	}
	return retyped(graph.Of(0, batch, graph.Fixed(o.SampleSize)), o.DType)
}

// Run draws the classes.
func (o Multinomial) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	t := in[0]
	if len(t.Shape) != 2 || !t.IsFloat() || t.Shape[1] == 0 {
		return fmt.Errorf("want [batch, classes] of floats, got %s", graph.TypeOf(t))
	}
	rows, classes := t.Shape[0], t.Shape[1]
	logits, rng := tensor.Float64s(t), randomFor(x, o.Seed)
	v := make([]int64, 0, rows*o.SampleSize)
	for r := range rows {
		row := logits[r*classes : (r+1)*classes]
		total := logSumExp(row)
		for range o.SampleSize {
			left, c := rng.Float64(), 0
			for ; c < classes-1; c++ {
				if left -= math.Exp(row[c] - total); left < 0 {
					break
				}
			}
			v = append(v, int64(c))
		}
	}
	return tensor.SetInts(x.Make(out[0], tensor.DType(o.DType), rows, o.SampleSize), v)
}
