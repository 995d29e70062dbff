package engine_test

import (
	"testing"

	"github.com/tfsopt/tfsopt/tensor"
)

// TestCasts converts what becomes float32 in a fast step.
func TestCasts(t *testing.T) {
	g := parse(t, `graph "casts" {
		opset "" 21
		input a: int32[2,3]
		input b: uint8[5]
		input c: int8[3]
		input d: bool[4]
		input e: int64[2]
		w: float32[2,3] = Cast(a) {to=1}
		x: float32[5] = Cast(b) {to=1}
		y: float32[3] = Cast(c) {to=1}
		z: float32[4] = Cast(d) {to=1}
		i: float32[2] = Cast(e) {to=1}
		output w
		output x
		output y
		output z
		output i
	}`)
	agreeOn(t, g, []*tensor.Tensor{
		tensor.From([]int32{1, -2, 1 << 30, -1 << 31, 16777217, 0}, 2, 3), tensor.From([]uint8{0, 1, 127, 128, 255}, 5),
		tensor.From([]int8{-128, 0, 127}, 3), tensor.From([]bool{true, false, true, true}, 4), tensor.From([]int64{-7, 1 << 40}, 2),
	}, 0)
}
