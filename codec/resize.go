package codec

import (
	"fmt"
	"math"
)

// Filter is a way to resize an image.
type Filter string

// The filters. Bilinear and Bicubic widen their support when they shrink (antialiasing) and are bit-exact with Pillow's
// Image.resize; TF is TensorFlow's tf.image.resize(method="bilinear", antialias=False) with half-pixel centres; Nearest
// is the same in both.
const (
	Bilinear Filter = "pillow"
	Bicubic  Filter = "bicubic"
	TF       Filter = "tf"
	Nearest  Filter = "nearest"
)

// MaxSide limits the width and height that Resize makes.
const MaxSide = 1 << 14

// Resize gives an image of w x h pixels. TF rounds to nearest; ResizeTF does not.
func Resize(im *Image, w, h int, f Filter) (*Image, error) {
	if err := checkSize(w, h); err != nil {
		return nil, err
	}
	switch f {
	case Bilinear:
		return resample(im, w, h, kernel{1, triangle}), nil
	case Bicubic:
		return resample(im, w, h, kernel{2, cubic}), nil
	case Nearest:
		return nearest(im, w, h), nil
	case TF:
		wide, err := ResizeTF(Floats(im), w, h)
		if err != nil {
			return nil, err
		}
		out := NewRaster[uint8](w, h, im.C)
		for i, v := range wide.Pix {
			out.Pix[i] = uint8(math.RoundToEven(float64(v)))
		}
		return out, nil
	}
	return nil, fmt.Errorf("unknown resize filter %q: want %s, %s, %s or %s", f, Bilinear, Bicubic, TF, Nearest)
}

func checkSize(w, h int) error {
	if w <= 0 || h <= 0 || w > MaxSide || h > MaxSide {
		return fmt.Errorf("cannot resize to %dx%d: sides must be 1 to %d", w, h, MaxSide)
	}
	return nil
}

// kernel is a resampling filter that is zero beyond its support.
type kernel struct {
	support float64
	at      func(x float64) float64
}

func triangle(x float64) float64 { return max(1-math.Abs(x), 0) }

// cubic is Keys' kernel with a = -0.5, in Pillow's order of operations.
func cubic(x float64) float64 {
	const a = -0.5
	x = math.Abs(x)
	switch {
	case x < 1:
		return ((a+2)*x-(a+3))*x*x + 1
	case x < 2:
		return (((x-5)*x+8)*x - 4) * a
	}
	return 0
}

// precision is the number of fractional bits of Pillow's weights for 8-bit images (Resample.c).
const precision = 32 - 8 - 2

// taps are the weights of the inputs first, first+1, … of one output.
type taps struct {
	first   int
	weights []int32
}

// weigh computes the taps for an axis of in pixels that becomes out pixels.
func weigh(in, out int, k kernel) []taps {
	scale := float64(in) / float64(out)
	filterScale := max(scale, 1)
	support := k.support * filterScale
	all := make([]taps, out)
	for i := range all {
		center := (float64(i) + 0.5) * scale
		first := max(int(center-support+0.5), 0)
		n := min(int(center+support+0.5), in) - first
		w, sum := make([]float64, n), 0.0
		for j := range w {
			w[j] = k.at((float64(j+first) - center + 0.5) * (1 / filterScale))
			sum += w[j]
		}
		fixed := make([]int32, n)
		for j := range w {
			if sum != 0 {
				w[j] /= sum
			}
			fixed[j] = int32(w[j]*(1<<precision) + math.Copysign(0.5, w[j]))
		}
		all[i] = taps{first, fixed}
	}
	return all
}

// resample filters across, then down, rounding to bytes in between, as Pillow does (up to 12; 13 goes down first where
// the height shrinks much more than the width). An axis that keeps its size is left alone.
func resample(im *Image, w, h int, k kernel) *Image {
	if w != im.W {
		im = across(im, weigh(im.W, w, k))
	}
	if h != im.H {
		im = down(im, weigh(im.H, h, k))
	}
	return im
}

func across(im *Image, columns []taps) *Image {
	out := NewRaster[uint8](len(columns), im.H, im.C)
	i := 0
	for y := range im.H {
		line := im.Pix[y*im.W*im.C : (y+1)*im.W*im.C]
		for _, t := range columns {
			for c := range im.C {
				sum, at := int32(1)<<(precision-1), t.first*im.C+c
				for _, w := range t.weights {
					sum += int32(line[at]) * w
					at += im.C
				}
				out.Pix[i] = clamp8(sum >> precision)
				i++
			}
		}
	}
	return out
}

func down(im *Image, rows []taps) *Image {
	out := NewRaster[uint8](im.W, len(rows), im.C)
	stride := im.W * im.C
	sums := make([]int32, stride)
	for y, t := range rows {
		for i := range sums {
			sums[i] = 1 << (precision - 1)
		}
		for j, w := range t.weights {
			line := im.Pix[(t.first+j)*stride:][:stride]
			for i, v := range line {
				sums[i] += int32(v) * w
			}
		}
		for i, v := range sums {
			out.Pix[y*stride+i] = clamp8(v >> precision)
		}
	}
	return out
}

func nearest(im *Image, w, h int) *Image {
	out := NewRaster[uint8](w, h, im.C)
	columns, i := centres(im.W, w), 0
	for _, y := range centres(im.H, h) {
		for _, x := range columns {
			from := (y*im.W + x) * im.C
			i += copy(out.Pix[i:], im.Pix[from:from+im.C])
		}
	}
	return out
}

// centres gives the input under the centre of each output. It adds the step up as Pillow does (ImagingScaleAffine),
// which decides where a centre falls between two inputs.
func centres(in, out int) []int {
	scale := float64(in) / float64(out)
	at, all := scale/2, make([]int, out)
	for i := range all {
		all[i] = min(int(at), in-1)
		at += scale
	}
	return all
}

// lerp is the position of an output between two inputs.
type lerp struct {
	low, high int
	t         float32
}

// between follows compute_interpolation_weights of TensorFlow's resize_bilinear_op.cc with half-pixel centres.
func between(in, out int) []lerp {
	scale := float32(in) / float32(out)
	all := make([]lerp, out)
	for i := range all {
		x := float32((float32(i)+0.5)*scale) - 0.5
		floor := float32(math.Floor(float64(x)))
		all[i] = lerp{low: max(int(floor), 0), high: min(int(math.Ceil(float64(x))), in-1), t: x - floor}
	}
	return all
}

// ResizeTF is TensorFlow's bilinear resize, which gives float32 and does not antialias.
func ResizeTF(im *FloatImage, w, h int) (*FloatImage, error) {
	if err := checkSize(w, h); err != nil {
		return nil, err
	}
	out := NewRaster[float32](w, h, im.C)
	columns, stride, i := between(im.W, w), im.W*im.C, 0
	for _, r := range between(im.H, h) {
		top, bottom := im.Pix[r.low*stride:][:stride], im.Pix[r.high*stride:][:stride]
		for _, c := range columns {
			for ch := range im.C {
				l, h := c.low*im.C+ch, c.high*im.C+ch
				a := top[l] + float32((top[h]-top[l])*c.t)
				b := bottom[l] + float32((bottom[h]-bottom[l])*c.t)
				out.Pix[i] = a + float32((b-a)*r.t)
				i++
			}
		}
	}
	return out, nil
}
