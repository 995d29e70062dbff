package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// convCase is a convolution of a kh×kw window; c channels give n.
type convCase struct {
	lines, m, n, c, kh, kw, stride int
	bias, res                      bool
}

func convCases() []convCase {
	var cases []convCase
	for m := 1; m <= 30; m++ { // every number of pixels
		cases = append(cases, convCase{1 + m%3, m, 16, 3, 2, 3, 1 + m%2, m%2 == 0, m%3 == 0}, convCase{2, m, 37, 2, 1, 2, 1, false, false})
	}
	for n := 1; n <= 34; n++ { // every tail
		cases = append(cases, convCase{2, 5, n, 1 + n%5, 3, 1 + n%3, 1, n%2 == 0, n%3 == 0})
	}
	return append(cases, convCase{2, 3, 130, 4, 3, 3, 1, true, true}, convCase{2, 2, 128, 8, 1, 1, 2, false, true}, convCase{2, 9, 40, 600, 3, 3, 1, true, false})
}

func (c convCase) width() int { return (c.m-1)*c.stride + c.kw }

func (c convCase) taps() (taps []int) {
	for y := range c.kh {
		taps = append(taps, y*c.width()*c.c)
	}
	return taps
}

// spiked is random numbers with a NaN, an infinity and a subnormal among them.
func spiked(r *rand.Rand, n int) []float32 {
	x := randF32(r, n)
	for i, v := range []float32{float32(math.NaN()), inf32, -0x1p-140} {
		if n > 9 {
			x[i*n/3+r.IntN(n/3)] = v
		}
	}
	return x
}

func (c convCase) make(r *rand.Rand, s *Set) *ConvF32 {
	rows := (c.lines-1)*c.stride + c.kh
	d := &ConvF32{
		Lines: c.lines, M: c.m, N: c.n, Taps: c.taps(), Run: c.kw * c.c, X: spiked(r, rows*c.width()*c.c),
		XLine: c.stride * c.width() * c.c, XPixel: c.stride * c.c, YPixel: c.n + c.m%3, Lo: negInf32, Hi: inf32,
	}
	k := c.kh * c.kw * c.c
	d.W = make([]float32, s.PackedF32(k, c.n))
	s.PackF32(d.W, randF32(r, k*c.n), k, c.n, c.n, 1)
	d.YLine = c.m*d.YPixel + 1
	d.Y = randF32(r, (c.lines-1)*d.YLine+(c.m-1)*d.YPixel+c.n)
	if c.bias {
		d.Bias, d.Lo, d.Hi = randF32(r, c.n), -0.5, 2
	}
	if c.res {
		d.Res = randF32(r, len(d.Y))
	}
	if (c.m+c.n)%3 == 0 {
		d.Gate = gateOf(r, len(d.Y), c.n)
	}
	return d
}

func TestConvSameBits(t *testing.T) {
	eachAsm(t, func(t *testing.T, s *Set) {
		for i, c := range convCases() {
			run := func(s *Set) []float32 {
				d := c.make(rand.New(rand.NewPCG(uint64(i), 3)), s)
				s.Conv(d)
				return d.Y
			}
			sameBits(t, fmt.Sprintf("%+v", c), run(s), run(genericSet))
		}
	})
}

// TestConvIsGemm: the bits are those of a product of copied windows.
func TestConvIsGemm(t *testing.T) {
	for _, s := range Available() {
		for i, c := range []convCase{{2, 5, 20, 3, 3, 3, 2, true, true}, {2, 4, 33, 700, 2, 2, 1, true, false}} {
			d := c.make(rand.New(rand.NewPCG(uint64(i), 3)), s)
			want := append([]float32(nil), d.Y...)
			k := len(d.Taps) * d.Run
			for line := range c.lines {
				var rows []float32
				for p := range c.m {
					for _, tap := range d.Taps {
						rows = append(rows, d.X[tap+line*d.XLine+p*d.XPixel:][:d.Run]...)
					}
				}
				g := GemmF32{M: c.m, N: c.n, K: k, A: rows, LDA: k, B: d.W, C: want[line*d.YLine:], LDC: d.YPixel, Bias: d.Bias, Lo: d.Lo, Hi: d.Hi}
				if d.Res != nil {
					g.Res, g.LDR = d.Res[line*d.YLine:], d.YPixel
				}
				s.Gemm(&g)
			}
			s.Conv(d)
			sameBits(t, fmt.Sprintf("%s %+v", s.Name, c), d.Y, want)
		}
	}
}

// TestConvResidualInPlace adds onto Y itself, with more taps than one pass takes.
func TestConvResidualInPlace(t *testing.T) {
	eachAsm(t, func(t *testing.T, s *Set) {
		run := func(s *Set) []float32 {
			d := convCase{2, 3, 20, 1500, 2, 1, 1, false, false}.make(rand.New(rand.NewPCG(1, 3)), s)
			d.Res = d.Y
			s.Conv(d)
			return d.Y
		}
		sameBits(t, "Y + conv", run(s), run(genericSet))
	})
}

func TestConvPanicsOutside(t *testing.T) {
	c := convCase{2, 3, 4, 2, 2, 2, 1, false, false}.make(rand.New(rand.NewPCG(1, 3)), genericSet)
	c.X = c.X[:len(c.X)-1]
	defer func() {
		if recover() == nil {
			t.Fatal("no panic for an X that is too short")
		}
	}()
	genericSet.Conv(c)
}

func boundsConv(t *testing.T, s *Set, r *rand.Rand, c convCase) {
	d := c.make(r, s)
	d.X, d.W, d.Y = guardedCopy(t, d.X), guardedCopy(t, d.W), guardedCopy(t, d.Y)
	d.Bias, d.Res, d.Gate.Of = guardedCopy(t, d.Bias), guardedCopy(t, d.Res), guardedCopy(t, d.Gate.Of)
	s.Conv(d)
}

func TestConvBounds(t *testing.T) {
	eachAsm(t, func(t *testing.T, s *Set) {
		r := rand.New(rand.NewPCG(3, 4))
		for _, c := range convCases() {
			boundsConv(t, s, r, c)
		}
	})
}
