package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// window returns the taps of a kh×kw window in rows of the given width, all in bytes.
func window(kh, kw, dilation, width, c int) []int {
	var taps []int
	for y := range kh {
		for x := range kw {
			taps = append(taps, (y*width+x)*dilation*c)
		}
	}
	return taps
}

func testDepthwise(t *testing.T, s *Set, r *rand.Rand, d *DepthwiseU8S8) {
	size := d.Taps[len(d.Taps)-1] + (d.N-1)*d.Step + d.C
	taps := len(d.Taps)
	d.X = randomU8(t, r, size)
	w := randomS8(t, r, taps*d.C)
	d.W = guarded[int8](t, s.PackedDepthwiseS8(taps, d.C))
	s.PackDepthwiseS8(d.W, w, taps, d.C)
	d.Bias = nil
	if r.IntN(4) > 0 {
		d.Bias = guarded[int32](t, d.C)
		for j := range d.Bias {
			d.Bias[j] = int32(r.IntN(1<<17) - 1<<16)
		}
	}
	d.Scale = randomScales(t, r, d.C, 30, r.IntN(3) == 0)
	o := outputs[r.IntN(len(outputs))]
	d.Zero, d.Lo, d.Hi = o.zero, o.lo, o.hi
	d.LDY = d.C + r.IntN(2)*r.IntN(3)
	d.Y = guarded[byte](t, (d.N-1)*d.LDY+d.C)
	for i := range d.Y {
		d.Y[i] = 0xaa
	}
	s.DepthwiseU8S8(d)
	for p := range d.N {
		for j := range d.LDY {
			at := p*d.LDY + j
			if at >= len(d.Y) {
				break
			}
			want := byte(0xaa)
			if j < d.C {
				var sum int32
				if d.Bias != nil {
					sum = d.Bias[j]
				}
				for k, tap := range d.Taps {
					sum += int32(d.X[tap+p*d.Step+j]) * int32(w[k*d.C+j])
				}
				want = wantQuantum(float32(sum)*d.Scale[j], o)
			}
			if d.Y[at] != want {
				t.Fatalf("n %d c %d taps %v step %d %v: [%d,%d] = %d, want %d", d.N, d.C, d.Taps, d.Step, o, p, j, d.Y[at], want)
			}
		}
	}
}

func TestDepthwiseU8S8(t *testing.T) {
	eachSet(t, func(t *testing.T, s *Set) {
		r := rand.New(rand.NewPCG(5, 6))
		for c := 1; c <= 200; c++ {
			n, width := 1+r.IntN(9), 20
			testDepthwise(t, s, r, &DepthwiseU8S8{N: n, C: c, Step: c, Taps: window(3, 3, 1, width, c)})
			testDepthwise(t, s, r, &DepthwiseU8S8{N: n, C: c, Step: 2 * c, Taps: window(3, 3, 1, width, c)})
			testDepthwise(t, s, r, &DepthwiseU8S8{N: n, C: c, Step: c, Taps: window(1+r.IntN(5), 1+r.IntN(5), 1+r.IntN(2), width, c)})
		}
		for _, c := range []int{1, 2, 4, 8, 16} { // several pixels in one vector
			for n := 1; n <= 70; n++ {
				testDepthwise(t, s, r, &DepthwiseU8S8{N: n, C: c, Step: c, Taps: window(3, 3, 1, 72, c)})
			}
		}
		for n := 1; n <= 20; n++ {
			testDepthwise(t, s, r, &DepthwiseU8S8{N: n, C: 96, Step: 96, Taps: window(3, 3, 1, 22, 96)})
			testDepthwise(t, s, r, &DepthwiseU8S8{N: n, C: 96, Step: 96, Taps: window(5, 5, 1, 22, 96)})
		}
	})
}

func BenchmarkDepthwiseU8S8(b *testing.B) {
	for _, s := range Available() {
		for _, k := range []struct{ n, c, kernel, stride int }{
			{112, 32, 3, 1},
			{56, 144, 3, 1},
			{28, 192, 3, 1},
			{14, 384, 3, 1},
			{7, 960, 3, 1},
			{28, 64, 3, 1},
			{25, 24, 3, 1},
			{28, 144, 3, 2},
			{7, 576, 3, 2},
			{14, 480, 5, 1},
			{112, 16, 3, 1},
			{48, 8, 3, 1},
		} {
			b.Run(fmt.Sprintf("%s/%dx%d-%dx%d-s%d", s.Name, k.n, k.c, k.kernel, k.kernel, k.stride), func(b *testing.B) {
				taps := window(k.kernel, k.kernel, 1, k.n*k.stride+k.kernel, k.c)
				d := &DepthwiseU8S8{N: k.n, C: k.c, Step: k.c * k.stride, Taps: taps, LDY: k.c, Hi: 255}
				d.X = make([]byte, taps[len(taps)-1]+(k.n-1)*d.Step+k.c)
				d.W = make([]int8, s.PackedDepthwiseS8(len(taps), k.c))
				d.Scale, d.Bias, d.Y = make([]float32, k.c), make([]int32, k.c), make([]byte, k.n*k.c)
				for b.Loop() {
					s.DepthwiseU8S8(d)
				}
				reportMACs(b, s, k.n*k.c*len(taps))
			})
		}
	}
}
