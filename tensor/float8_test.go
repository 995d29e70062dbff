package tensor

import (
	"math"
	"testing"
)

// Every code of an 8-bit or 4-bit float is the nearest one to its own value.
func TestNarrowFloatsRoundTrip(t *testing.T) {
	for _, d := range []DType{Float8E4M3FN, Float8E4M3FNUZ, Float8E5M2, Float8E5M2FNUZ} {
		for code := range 256 {
			v := small[d]([]byte{byte(code)}, 0)
			if v != v {
				continue
			}
			if got := ToFloat8(v, d, false); got != byte(code) {
				t.Errorf("%s: %v has code %#x, got %#x", d, v, code, got)
			}
		}
	}
	for code := range 16 {
		if got := ToFloat4(float4[code]); got != byte(code) {
			t.Errorf("float4: %v has code %#x, got %#x", float4[code], code, got)
		}
	}
}

func TestFloat8E8M0Limits(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	tiny := math.Float32frombits(1)
	for _, c := range []struct {
		x    float32
		want byte
	}{
		{0, 0},
		{float32(math.Copysign(0, -1)), 0},
		{tiny, 0},
		{1, 127},
		{-2, 128},
		{1.49, 127},
		{1.5, 128},
		{math.MaxFloat32, 254},
		{inf, 254},
		{-inf, 254},
		{nan, 255},
	} {
		if got := ToFloat8E8M0(c.x); got != c.want {
			t.Errorf("ToFloat8E8M0(%v) = %d, want %d", c.x, got, c.want)
		}
	}
}
