package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	x := shaped([]int{2, 3}, []float32{3, 1, 3, 0, nan32, 5}...)
	register(ArgMax{Axis: 1, Keepdims: true},
		exactly(x, shaped([]int{2, 1}, []int64{0, 1}...)),
		exactly(shaped([]int{1, 2}, []uint64{1, math.MaxUint64}...), shaped([]int{1, 1}, []int64{1}...)))
	register(ArgMax{Axis: -1, Last: true}, exactly(x, vec[int64](2, 1)))
	register(ArgMin{Axis: 0},
		exactly(x, vec[int64](1, 1, 0)), exactly(vec[int8](4, -3, -3), tensor.Scalar[int64](1)))
	register(ArgMin{Axis: 0, Last: true}, exactly(vec[int8](4, -3, -3), tensor.Scalar[int64](2)))

	two := shaped([]int{2, 3}, []float32{1, 2, 3, 4, 5, 6}...)
	register(CumSum{},
		of2(two, tensor.Scalar[int32](1), shaped([]int{2, 3}, []float32{1, 3, 6, 4, 9, 15}...)),
		of2(two, tensor.Scalar[int64](-2), shaped([]int{2, 3}, []float32{1, 2, 3, 5, 7, 9}...)),
		of2(vec[uint64](1<<63, 1<<63, 1), vec[int64](0), vec[uint64](1<<63, 0, 1)))
	register(CumSum{Exclusive: true, Reverse: true},
		of2(vec[int32](1, 2, 3), tensor.Scalar[int64](0), vec[int32](5, 3, 0)))
	register(CumProd{}, of2(vec[float32](1, 2, 3), tensor.Scalar[int64](0), vec[float32](1, 2, 6)))
	register(CumProd{Exclusive: true}, of2(vec[int32](2, 3, 4), tensor.Scalar[int64](0), vec[int32](1, 2, 6)))

	register(Softmax{Axis: 1}, opCase{
		in:  tensors(shaped([]int{2, 2}, []float32{0, math.Ln2, 1000, 1000}...)),
		out: tensors(shaped([]int{2, 2}, []float32{1. / 3, 2. / 3, 0.5, 0.5}...)),
		tol: 1e-7,
	})
	register(Softmax{Axis: -2}, opCase{
		in:  tensors(shaped([]int{2, 1}, 0, inf32)),
		out: tensors(shaped([]int{2, 1}, nan32, nan32)),
	})
	register(LogSoftmax{Axis: -1}, opCase{
		in: tensors(vec[float32](1000, 1000)), out: tensors(vec[float32](-math.Ln2, -math.Ln2)), tol: 1e-7,
	})
	register(Hardmax{Axis: 0}, exactly(shaped([]int{2, 2}, []float32{1, 5, 3, 5}...), shaped([]int{2, 2}, []float32{0, 1, 1, 0}...)))

	four := tensor.Scalar[int64](4)
	register(HannWindow{DType: 1, Periodic: true},
		opCase{in: tensors(four), out: tensors(vec[float32](0, 0.5, 1, 0.5)), tol: 1e-7})
	register(HannWindow{DType: 11},
		opCase{in: tensors(tensor.Scalar[int32](3)), out: tensors(vec[float64](0, 1, 0)), tol: 1e-15})
	register(HammingWindow{DType: 1, Periodic: true},
		opCase{in: tensors(four), out: tensors(vec[float32](4./46, 25./46, 1, 25./46)), tol: 1e-7})
	register(BlackmanWindow{DType: 1, Periodic: true},
		opCase{in: tensors(four), out: tensors(vec[float32](0, 0.34, 1, 0.34)), tol: 1e-7})
}

// drawnFrom checks the type, the mean and the variance of a random result.
func drawnFrom(d tensor.DType, mean, variance float64) func([]*tensor.Tensor) error {
	return func(out []*tensor.Tensor) error {
		v := tensor.Float64s(out[0])
		m, s := 0., 0.
		for _, x := range v {
			m += x / float64(len(v))
		}
		for _, x := range v {
			s += (x - m) * (x - m) / float64(len(v))
		}
		if out[0].DType != d || math.Abs(m-mean) > 0.1 || math.Abs(s-variance) > 0.1*(1+variance) {
			return fmt.Errorf("%d elements of %s: mean %v, variance %v; want %s, %v, %v", len(v), out[0].DType, m, s, d, mean, variance)
		}
		return nil
	}
}

func init() {
	seed, double, sevenTh := float32(3), int(tensor.Float64), 7
	many := tensor.New(tensor.Float32, 40, 50)
	register(RandomNormal{DType: 1, Mean: 3, Scale: 2, Shape: []int{50, 50}}, opCase{outs: 1, check: drawnFrom(tensor.Float32, 3, 4)})
	register(RandomNormalLike{Scale: 1, Seed: &seed}, opCase{in: tensors(many), outs: 1, check: drawnFrom(tensor.Float32, 0, 1)})
	register(RandomUniform{DType: 11, High: 1, Seed: &seed, Shape: []int{2000}}, opCase{outs: 1, check: drawnFrom(tensor.Float64, 0.5, 1./12)})
	register(RandomUniformLike{DType: &double, Low: -3, High: 3}, opCase{in: tensors(many), outs: 1, check: drawnFrom(tensor.Float64, 0, 3)})
	p := make([]float32, 2000)
	for i := range p {
		p[i] = 0.25
	}
	register(Bernoulli{DType: &double}, opCase{in: tensors(vec(p...)), outs: 1, check: drawnFrom(tensor.Float64, 0.25, 0.25*0.75)})
	register(Bernoulli{Seed: &seed}, exactly(vec[float32](0, 1), vec[float32](0, 1)))
	register(Multinomial{DType: 7, SampleSize: 2000}, opCase{
		in: tensors(shaped([]int{1, 3}, 0, -inf32, 0)), outs: 1, check: drawnFrom(tensor.Int64, 1, 1),
	})
	register(Dropout{Seed: &sevenTh},
		opCase{in: tensors(vec[float32](1, 2), tensor.Scalar[float32](0.9)), out: tensors(vec[float32](1, 2), vec(true, true))},
		opCase{
			in: tensors(vec(p...), tensor.Scalar[float32](0.5), tensor.Scalar(true)), outs: 2,
			check: func(out []*tensor.Tensor) error {
				for i, v := range tensor.Floats(out[0]) {
					if kept := out[1].Data[i] != 0; v != map[bool]float32{true: 0.5}[kept] {
						return fmt.Errorf("element %d is %v, kept %v", i, v, kept)
					}
				}
				return drawnFrom(tensor.Float32, 0.25, 0.0625)(out)
			},
		})
}
