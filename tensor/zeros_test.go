package tensor

import (
	"math"
	"testing"
)

func TestZeros(t *testing.T) {
	minus := float32(math.Copysign(0, -1))
	half, _ := FromFloats(Float16, []float32{0, 1, minus, 1e-9}, 4)
	four := New(Int4, 5)
	if err := SetInts(four, []int64{0, -8, 0, 7, 0}); err != nil {
		t.Fatal(err)
	}
	pair := &Tensor{DType: Complex64, Shape: []int{2}, Data: From([]float32{0, 0, 0, 1}, 4).Data}
	for _, c := range []struct {
		t    *Tensor
		want int
	}{
		{From([]float32{0, minus, 1, 1e-42, float32(math.NaN())}, 5), 2},
		{From([]float64{0, 5}, 2), 1},
		{From([]int8{0, -128, 0}, 3), 2},
		{From([]int32{0, 1 << 30}, 2), 1},
		{From([]int64{0, 1 << 62}, 2), 1},
		{From([]bool{true, false}, 2), 1},
		{half, 3},
		{four, 3},
		{pair, 1},
		{FromStrings([]string{""}, 1), 0},
		{New(Float32, 0), 0},
	} {
		if got := c.t.Zeros(); got != c.want {
			t.Errorf("%s: %d zeros, want %d", c.t.DType, got, c.want)
		}
	}
}
