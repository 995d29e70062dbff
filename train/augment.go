package train

import (
	"math/rand/v2"

	"github.com/tfsopt/tfsopt/tensor"
)

// Augment says how images change each time they are seen. It applies to inputs of rank 4 with 1, 3 or 4 channels, in
// either layout. The zero value changes nothing.
type Augment struct {
	Flip  bool // mirror left and right, every second time
	Crop  int  // pad each side by so many pixels of zero and cut the old size out anywhere
	Shift int  // move by up to so many pixels; what comes in repeats the edge
}

func (a Augment) any() bool { return a != Augment{} }

// imageShape is where the pixels of a sample lie: element (y, x, c) at y·row + x·col + c·chan.
type imageShape struct{ h, w, c, row, col, chn int }

// imageOf finds the layout of a sample [1, …]; ok is false if it is no image.
func imageOf(shape []int) (s imageShape, ok bool) {
	if len(shape) != 4 || shape[0] != 1 {
		return s, false
	}
	channels := func(n int) bool { return n == 1 || n == 3 || n == 4 }
	switch {
	case channels(shape[3]) && !(channels(shape[1]) && shape[2] > 4):
		h, w, c := shape[1], shape[2], shape[3]
		return imageShape{h, w, c, w * c, c, 1}, true
	case channels(shape[1]):
		c, h, w := shape[1], shape[2], shape[3]
		return imageShape{h, w, c, w, 1, h * w}, true
	}
	return s, false
}

// apply changes one sample. The same r gives the same change for every input of the sample.
func (a Augment) apply(sample []*tensor.Tensor, r *rand.Rand) []*tensor.Tensor {
	flip := a.Flip && r.IntN(2) == 1
	dy, dx := 0, 0
	if a.Crop > 0 {
		dy, dx = r.IntN(2*a.Crop+1)-a.Crop, r.IntN(2*a.Crop+1)-a.Crop
	}
	ey, ex := 0, 0
	if a.Shift > 0 {
		ey, ex = r.IntN(2*a.Shift+1)-a.Shift, r.IntN(2*a.Shift+1)-a.Shift
	}
	out := make([]*tensor.Tensor, len(sample))
	for i, t := range sample {
		out[i] = t
		s, ok := imageOf(t.Shape)
		if !ok || t.DType != tensor.Float32 {
			continue
		}
		out[i] = tensor.New(t.DType, t.Shape...)
		moved{s, flip, dy, dx, ey, ex}.draw(tensor.View[float32](out[i]), tensor.View[float32](t))
	}
	return out
}

// moved is a change of one image: pixel (y, x) of the result is (y+dy, x+dx) of the source, zero outside, where the source
// was shifted by (ey, ex) with its edges repeated, then mirrored.
type moved struct {
	imageShape
	flip           bool
	dy, dx, ey, ex int
}

func (m moved) draw(dst, src []float32) {
	for y := range m.h {
		sy := y + m.dy
		if sy < 0 || sy >= m.h {
			continue // dst is zero
		}
		sy = min(max(sy+m.ey, 0), m.h-1)
		for x := range m.w {
			sx := x + m.dx
			if sx < 0 || sx >= m.w {
				continue
			}
			sx = min(max(sx+m.ex, 0), m.w-1)
			if m.flip {
				sx = m.w - 1 - sx
			}
			for c := range m.c {
				dst[y*m.row+x*m.col+c*m.chn] = src[sy*m.row+sx*m.col+c*m.chn]
			}
		}
	}
}
