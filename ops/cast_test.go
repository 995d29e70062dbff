package ops

import (
	"context"
	"fmt"
	"math"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func bytesOf(d tensor.DType, n int, b ...byte) *tensor.Tensor {
	return &tensor.Tensor{DType: d, Shape: []int{n}, Data: b}
}

func castTo(d tensor.DType) Cast { return Cast{To: int(d), Saturate: true, RoundMode: "up"} }

func init() {
	register(castTo(tensor.Int64), exactly(vec[float32](-1.9, 2.9, 3e9), vec[int64](-1, 2, 3e9)),
		exactly(vec(nan32, inf32), vec[int64](math.MinInt64, math.MinInt64)),
		exactly(tensor.FromStrings([]string{"12", "-7", "100.5"}, 3), vec[int64](12, -7, 100)),
		exactly(vec[int32](3, 4), vec[int64](3, 4)))
	register(castTo(tensor.Int32), exactly(vec[float32](3e9, -5.5), vec[int32](math.MinInt32, -5)),
		exactly(vec[int64](1<<40+3), vec[int32](3)))
	register(castTo(tensor.Int8), exactly(vec[int16](200), vec[int8](-56)), exactly(vec[float32](300.7, -1.5, 3e9), vec[int8](44, -1, 0)))
	register(castTo(tensor.Uint64), exactly(vec(-1, 1e19), vec[uint64](math.MaxUint64, 1e19)),
		exactly(vec[int64](math.MaxInt64, -1), vec[uint64](math.MaxInt64, math.MaxUint64)))
	register(castTo(tensor.Float32), exactly(vec(true, false), vec[float32](1, 0)),
		exactly(vec[uint64](1<<63+1<<40), vec[float32](1<<63+1<<40)),
		exactly(tensor.FromStrings([]string{"3.14", "1e-5", "+inf", "-INF", "NaN"}, 5), vec(3.14, 1e-5, inf32, -inf32, nan32)),
		exactly(bytesOf(tensor.Int4, 3, 0x8f, 0x07), vec[float32](-1, -8, 7)),
		exactly(bytesOf(tensor.Float8E8M0, 3, 127, 130, 0xff), vec(1, 8, nan32)))
	register(castTo(tensor.Float64), exactly(vec[int64](1<<53), vec[float64](1<<53)))
	register(castTo(tensor.Bool), exactly(vec(0, neg0, 0.1, nan32), vec(false, false, true, true)))
	register(castTo(tensor.String),
		exactly(vec(0.1, 1e-5, 3e9, nan32, -inf32), tensor.FromStrings([]string{"0.1", "9.9999997e-06", "3e+09", "NaN", "-INF"}, 5)),
		exactly(vec[int16](-3), tensor.FromStrings([]string{"-3"}, 1)))
	register(castTo(tensor.Float16), // 1+2^-11+2^-40 is above a tie, which rounding through float32 would forget
		exactly(vec(1+0x1p-11, 1+0x1p-11+0x1p-40, 1e6), typed(tensor.Float16, 1, 1+0x1p-10, inf32)))
	register(castTo(tensor.BFloat16), exactly(vec[float32](1+0x1p-8, 1+0x1p-7+0x1p-8), typed(tensor.BFloat16, 1, 1+0x1p-6)))
	register(castTo(tensor.Int4), exactly(vec[float32](-1.5, 9, 7.6), bytesOf(tensor.Int4, 3, 0x9f, 0x07)))
	register(castTo(tensor.Uint2), exactly(vec[float32](1.5, 3, 2, 5), bytesOf(tensor.Uint2, 4, 0b01_10_11_01)))
	register(castTo(tensor.Float4E2M1), exactly(vec[float32](0.5, -6, 100, 2.5), bytesOf(tensor.Float4E2M1, 4, 0xf1, 0x47)))
	register(castTo(tensor.Float8E4M3FN), exactly(vec(1, 1000, nan32, -inf32), bytesOf(tensor.Float8E4M3FN, 4, 0x38, 0x7e, 0x7f, 0xfe)))
	register(Cast{To: int(tensor.Float8E5M2), RoundMode: "up"},
		exactly(vec(1, 1e6, -inf32), bytesOf(tensor.Float8E5M2, 3, 0x3c, 0x7c, 0xfc)))
	register(castTo(tensor.Float8E8M0), exactly(vec(1, 1.01, 3, 0, inf32, nan32), bytesOf(tensor.Float8E8M0, 6, 127, 128, 129, 0, 254, 255)))
	register(Cast{To: int(tensor.Float8E8M0), RoundMode: "nearest"},
		exactly(vec(1.4, 1.5, 0, inf32), bytesOf(tensor.Float8E8M0, 4, 127, 128, 255, 255)))
	register(Cast{To: int(tensor.Float8E8M0), RoundMode: "down", Saturate: true},
		exactly(vec[float64](1.9, 1e300), bytesOf(tensor.Float8E8M0, 2, 127, 254)))
	register(CastLike{Saturate: true, RoundMode: "up"}, of2(vec[float32](1.5, -2), vec[int8](0), vec[int8](1, -2)))
	register(BitCast{To: int(tensor.Int32)}, exactly(vec[float32](1, -0.5), vec[int32](0x3f800000, -0x41000000)))
	register(BitCast{To: int(tensor.Int8)}, exactly(vec[uint8](200), vec[int8](-56)))
}

// TestCastPairs converts 0 and 1, which every type holds, between all pairs of types.
func TestCastPairs(t *testing.T) {
	types := []tensor.DType{
		tensor.Float32, tensor.Uint8, tensor.Int8, tensor.Uint16, tensor.Int16, tensor.Int32, tensor.Int64,
		tensor.String, tensor.Bool, tensor.Float16, tensor.Float64, tensor.Uint32, tensor.Uint64, tensor.BFloat16,
		tensor.Float8E4M3FN, tensor.Float8E4M3FNUZ, tensor.Float8E5M2, tensor.Float8E5M2FNUZ, tensor.Uint4,
		tensor.Int4, tensor.Float4E2M1, tensor.Uint2, tensor.Int2,
	}
	x := &graph.Exec{Ctx: context.Background()}
	cast := func(in *tensor.Tensor, to tensor.DType) *tensor.Tensor {
		out := &tensor.Tensor{}
		if err := castTo(to).Run(x, []*tensor.Tensor{in}, []*tensor.Tensor{out}); err != nil {
			t.Fatalf("%s to %s: %v", in.DType, to, err)
		}
		return out
	}
	for _, from := range types {
		for _, to := range types {
			r := cast(cast(cast(vec[float32](0, 1), from), to), tensor.Float32)
			if got := fmt.Sprint(tensor.Floats(r)); got != "[0 1]" {
				t.Errorf("%s to %s gives %s", from, to, got)
			}
		}
	}
}

func TestCastRefuses(t *testing.T) {
	x := &graph.Exec{Ctx: context.Background()}
	for _, c := range []struct {
		op graph.Kernel
		in *tensor.Tensor
	}{
		{castTo(tensor.Int32), tensor.FromStrings([]string{"Hello"}, 1)},
		{castTo(tensor.Float32), tensor.FromStrings([]string{"Hello"}, 1)},
		{castTo(tensor.Sequence), vec[float32](1)},
		{Cast{To: 999}, vec[float32](1)},
		{castTo(tensor.Float32), vec[complex64](1)},
		{BitCast{To: int(tensor.Int64)}, vec[float32](1)},
		{Cast{To: int(tensor.Float8E8M0), RoundMode: "sideways"}, vec[float32](1)},
	} {
		if err := c.op.Run(x, []*tensor.Tensor{c.in}, []*tensor.Tensor{{}}); err == nil {
			t.Errorf("%+v of %s: no error", c.op, c.in.DType)
		}
	}
}
