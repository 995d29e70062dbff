package ops

import "math"

func init() {
	register(Relu{}, opCase{
		in:  tensors(vec[float32](-1, 0, 2.5, float32(math.NaN()), float32(math.Inf(-1)))),
		out: tensors(vec[float32](0, 0, 2.5, float32(math.NaN()), 0)),
	})
}
