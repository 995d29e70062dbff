package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

type rowCase struct{ n, c, k, stride, padY int }

func rowCases() []rowCase {
	var cases []rowCase
	for c := 1; c <= 34; c++ { // every channel tail
		cases = append(cases, rowCase{5, c, 3, 1, c % 3})
	}
	for n := 1; n <= 30; n++ { // every number of pixels
		cases = append(cases, rowCase{n, 19, 2 + n%2, 1 + n%2, n % 2}, rowCase{n, 48, 1, 1, 0})
	}
	return append(cases, rowCase{14, 96, 5, 1, 0}, rowCase{7, 100, 7, 2, 3})
}

// taps returns the offsets of a k×k window and the length of the input, the last window ending where X does.
func (c rowCase) taps() (taps []int, step, size int) {
	width := (c.n-1)*c.stride + c.k
	for y := range c.k {
		for x := range c.k {
			taps = append(taps, (y*width+x)*c.c)
		}
	}
	return taps, c.stride * c.c, c.k * width * c.c
}

func TestDepthwiseSameBits(t *testing.T) {
	eachAsm(t, func(t *testing.T, s *Set) {
		for i, c := range rowCases() {
			run := func(s *Set) []float32 {
				r := rand.New(rand.NewPCG(uint64(i), 1))
				taps, step, size := c.taps()
				d := DepthwiseF32{N: c.n, C: c.c, X: wild(r, size), Step: step, Taps: taps, W: randF32(r, len(taps)*c.c), Lo: negInf32, Hi: inf32, LDY: c.c + c.padY}
				if i%3 == 0 {
					d.Rows, d.XRow, d.YRow = 3, size/c.k, c.n*d.LDY+1
					d.X = wild(r, size+2*d.XRow)
				}
				if i%2 == 0 {
					d.Bias, d.Lo, d.Hi = randF32(r, c.c), 0, 6
				}
				d.Y = randF32(r, 2*d.YRow+(c.n-1)*d.LDY+c.c)
				s.Depthwise(&d)
				return d.Y
			}
			sameBits(t, fmt.Sprintf("%+v", c), run(s), run(genericSet))
		}
	})
}

func TestPoolSameBits(t *testing.T) {
	eachAsm(t, func(t *testing.T, s *Set) {
		for i, c := range rowCases() {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			taps, step, size := c.taps()
			x := wild(r, size)
			got, want := make([]float32, c.n*c.c), make([]float32, c.n*c.c)
			s.MaxRows(got, c.n, c.c, x, step, taps)
			genericSet.MaxRows(want, c.n, c.c, x, step, taps)
			sameBits(t, fmt.Sprintf("MaxRows %+v", c), got, want)
			s.SumRows(got, c.n, c.c, x, step, taps)
			genericSet.SumRows(want, c.n, c.c, x, step, taps)
			sameBits(t, fmt.Sprintf("SumRows %+v", c), got, want)
		}
	})
}

func TestRowsGeneric(t *testing.T) {
	x := []float32{1, -2, 3, 4, -5, 6} // three pixels of two channels
	d := DepthwiseF32{N: 2, C: 2, X: x, Step: 2, Taps: []int{0, 2}, W: []float32{1, 2, 10, 20}, Bias: []float32{0.5, -1}, Lo: -25, Hi: 70, Y: make([]float32, 5), LDY: 3}
	genericSet.Depthwise(&d)
	// channel 0: 1+30+.5, 3-50+.5 clamped; channel 1: -4+80-1 clamped, 8+120-1 clamped
	sameBits(t, "Depthwise", d.Y, []float32{31.5, 70, 0, -25, 70})
	y := make([]float32, 4)
	genericSet.MaxRows(y, 2, 2, x, 2, []int{0, 2})
	sameBits(t, "MaxRows", y, []float32{3, 4, 3, 6})
	genericSet.SumRows(y, 2, 2, x, 2, []int{0, 2})
	sameBits(t, "SumRows", y, []float32{4, 2, -2, 10})
}

func TestRowsPanicOutside(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fatal("no panic for a tap outside X")
		}
	}()
	genericSet.MaxRows(make([]float32, 4), 2, 2, make([]float32, 5), 2, []int{0, 2})
}
