package tensor

import "testing"

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
