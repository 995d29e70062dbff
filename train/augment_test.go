package train

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tfsopt/tfsopt/tensor"
)

func TestMoved(t *testing.T) {
	src := []float32{
		1, 2, 3,
		4, 5, 6,
	}
	img := imageShape{h: 2, w: 3, c: 1, row: 3, col: 1, chn: 6}
	cases := []struct {
		name string
		m    moved
		want []float32
	}{
		{"nothing", moved{imageShape: img}, src},
		{"flip", moved{imageShape: img, flip: true}, []float32{3, 2, 1, 6, 5, 4}},
		{"crop", moved{imageShape: img, dy: 1, dx: -1}, []float32{0, 4, 5, 0, 0, 0}},
		{"shift", moved{imageShape: img, ey: 1, ex: -1}, []float32{4, 4, 5, 4, 4, 5}},
		{"crop and flip", moved{imageShape: img, flip: true, dx: 1}, []float32{2, 1, 0, 5, 4, 0}},
	}
	for _, c := range cases {
		got := make([]float32, len(src))
		c.m.draw(got, src)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestImageOf(t *testing.T) {
	cases := []struct {
		shape []int
		want  imageShape
		ok    bool
	}{
		{[]int{1, 32, 32, 3}, imageShape{32, 32, 3, 96, 3, 1}, true},
		{[]int{1, 3, 32, 40}, imageShape{32, 40, 3, 40, 1, 1280}, true},
		{[]int{1, 1, 28, 28}, imageShape{28, 28, 1, 28, 1, 784}, true},
		{[]int{1, 28, 28, 1}, imageShape{28, 28, 1, 28, 1, 1}, true},
		{[]int{1, 784}, imageShape{}, false},
		{[]int{1, 7, 8, 9}, imageShape{}, false},
	}
	for _, c := range cases {
		if got, ok := imageOf(c.shape); ok != c.ok || got != c.want {
			t.Errorf("%v: %+v %t, want %+v %t", c.shape, got, ok, c.want, c.ok)
		}
	}
}

// Both layouts of one image change alike, with every change drawn from the generator.
func TestAugmentLayouts(t *testing.T) {
	const h, w, c = 6, 5, 3
	last, first := tensor.New(tensor.Float32, 1, h, w, c), tensor.New(tensor.Float32, 1, c, h, w)
	r := rand.New(rand.NewPCG(1, 2))
	for y := range h {
		for x := range w {
			for k := range c {
				v := r.Float32() + 1
				tensor.View[float32](last)[(y*w+x)*c+k] = v
				tensor.View[float32](first)[(k*h+y)*w+x] = v
			}
		}
	}
	a := Augment{Flip: true, Crop: 2, Shift: 1}
	changed := false
	for seed := range uint64(20) {
		l := a.apply([]*tensor.Tensor{last}, rand.New(rand.NewPCG(seed, 0)))[0]
		f := a.apply([]*tensor.Tensor{first}, rand.New(rand.NewPCG(seed, 0)))[0]
		changed = changed || !l.Equal(last)
		for y := range h {
			for x := range w {
				for k := range c {
					if p, q := tensor.View[float32](l)[(y*w+x)*c+k], tensor.View[float32](f)[(k*h+y)*w+x]; p != q {
						t.Fatalf("seed %d at (%d, %d, %d): %g and %g", seed, y, x, k, p, q)
					}
				}
			}
		}
	}
	if !changed {
		t.Error("nothing was changed by 20 seeds")
	}
}

// The mean of Beta(a, a) is 1/2, its variance 1/(4(2a+1)).
func TestBeta(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, a := range []float64{0.2, 1, 2} {
		const n = 40000
		sum, square := 0.0, 0.0
		for range n {
			x := beta(r, a)
			sum += x
			square += x * x
		}
		mean := sum / n
		if v := square/n - mean*mean; math.Abs(mean-0.5) > 0.01 || math.Abs(v-1/(4*(2*a+1))) > 0.005 {
			t.Errorf("Beta(%g): mean %.3f, variance %.4f", a, mean, v)
		}
	}
}
