package data

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/codec"
	"github.com/tfsopt/tfsopt/tensor"
)

// framer turns images into tensors of one model input.
type framer struct {
	p    Preprocess
	cell cell
	form form
	warn func(string)
}

// form is how an image lies in a tensor.
type form struct {
	layout  string // nchw, nhwc, nhw (gray without a channel dimension) or flat
	c, w, h int    // 0: unknown
	size    int    // of a flat input, 0: unknown
}

func newFramer(p Preprocess, in Input, warn func(string)) (*framer, error) {
	if p.Filter == "" {
		p.Filter = codec.Bilinear
	}
	c, err := newCell(p, in, tensor.Uint8)
	if err != nil {
		return nil, err
	}
	f, err := formOf(in.Shape, p.Layout)
	if err != nil {
		return nil, fmt.Errorf("input %q: %w", in.Name, err)
	}
	if f.c > 0 {
		if _, _, err := p.norm(f.c); err != nil {
			return nil, err
		}
	}
	return &framer{p: p, cell: c, form: f, warn: warn}, nil
}

// formOf reads a model's input shape, batch first. Without one it is three channels in the given layout or nchw.
func formOf(shape []int, layout string) (form, error) {
	known := func(d int) int { return max(d, 0) }
	switch len(shape) {
	case 0:
		if layout == "" {
			layout = "nchw"
		}
		return form{layout: layout, c: 3}, nil
	case 2:
		return form{layout: "flat", size: known(shape[1])}, nil
	case 3:
		return form{layout: "nhw", c: 1, h: known(shape[1]), w: known(shape[2])}, nil
	case 4:
	default:
		return form{}, fmt.Errorf("an image does not fit the shape %v", shape)
	}
	if layout == "" {
		layout = layoutOf(shape)
	}
	f := form{layout: "nhwc", c: shape[3], h: known(shape[1]), w: known(shape[2])}
	if layout == "nchw" {
		f = form{layout: "nchw", c: shape[1], h: known(shape[2]), w: known(shape[3])}
	}
	if f.c < 0 {
		f.c = 3
	}
	if f.c != 1 && f.c != 3 {
		return f, fmt.Errorf("the shape %v has %d channels as %s; an image has 1 or 3", shape, f.c, layout)
	}
	return f, nil
}

// layoutOf finds the dimension of 1 or 3 channels; 3 wins over 1, the front over the back.
func layoutOf(shape []int) string {
	for _, c := range []int{3, 1} {
		if shape[1] == c {
			return "nchw"
		}
		if shape[3] == c {
			return "nhwc"
		}
	}
	if shape[1] > 0 && shape[3] <= 0 {
		return "nhwc"
	}
	return "nchw"
}

// decode gives the tensor of an image file, with a batch dimension of 1.
func (f *framer) decode(b []byte, maxPixels int) (*tensor.Tensor, error) {
	im, err := codec.Decode(b, maxPixels)
	if err != nil {
		return nil, err
	}
	return f.frame(im)
}

func (f *framer) frame(im *codec.Image) (*tensor.Tensor, error) {
	form, err := f.form.of(im, &f.p)
	if err != nil {
		return nil, err
	}
	if form.c == 1 {
		im = codec.Gray(im)
	} else {
		im = codec.RGB(im)
	}
	if f.p.Filter == codec.TF {
		wide, err := fit(codec.Floats(im), f, form, codec.ResizeTF)
		if err != nil {
			return nil, err
		}
		return pack(wide, f, form)
	}
	im, err = fit(im, f, form, func(im *codec.Image, w, h int) (*codec.Image, error) {
		return codec.Resize(im, w, h, f.p.Filter)
	})
	if err != nil {
		return nil, err
	}
	return pack(im, f, form)
}

// of fills in what an image decides. A flat input takes one channel if the image (after resize and crop) has as many
// pixels as it has elements, three if a third, else the image becomes a square.
func (f form) of(im *codec.Image, p *Preprocess) (form, error) {
	if f.layout != "flat" {
		return f, nil
	}
	if f.size == 0 {
		f.c = im.C
		return f, nil
	}
	w, h := p.size(im.W, im.H)
	for _, c := range []int{1, 3} {
		if w*h*c == f.size {
			f.c = c
			return f, nil
		}
	}
	for _, c := range []int{1, 3} {
		side := int(math.Round(math.Sqrt(float64(f.size / c))))
		if side*side*c == f.size {
			f.c, f.w, f.h = c, side, side
			return f, nil
		}
	}
	return f, fmt.Errorf("an image of %dx%d does not fit an input of %d elements", w, h, f.size)
}

// size is what resize and crop make of an image of w x h. The rounding is torchvision's.
func (p *Preprocess) size(w, h int) (int, int) {
	w, h = p.resized(w, h)
	if p.CropW > 0 {
		return p.CropW, p.CropH
	}
	return w, h
}

func (p *Preprocess) resized(w, h int) (int, int) {
	switch {
	case p.Width > 0:
		return p.Width, p.Height
	case p.Short > 0 && w <= h:
		return p.Short, p.Short * h / w
	case p.Short > 0:
		return p.Short * w / h, p.Short
	}
	return w, h
}

// fit resizes and crops as asked, then resizes to the model's size if that differs.
func fit[T uint8 | float32](im *codec.Raster[T], f *framer, form form,
	resize func(*codec.Raster[T], int, int) (*codec.Raster[T], error),
) (*codec.Raster[T], error) {
	var err error
	to := func(w, h int) {
		if err == nil && (w != im.W || h != im.H) {
			im, err = resize(im, w, h)
		}
	}
	to(f.p.resized(im.W, im.H))
	if err == nil && f.p.CropW > 0 {
		x, y := (im.W-f.p.CropW)/2, (im.H-f.p.CropH)/2
		if odd := im.W - f.p.CropW; odd%4 == 3 { // torchvision rounds halves to even
			x++
		}
		if odd := im.H - f.p.CropH; odd%4 == 3 {
			y++
		}
		im, err = im.Crop(x, y, f.p.CropW, f.p.CropH)
	}
	if err != nil {
		return nil, err
	}
	w, h := form.w, form.h
	if w == 0 {
		w = im.W
	}
	if h == 0 {
		h = im.H
	}
	if w != im.W || h != im.H {
		why := "the preprocessing names neither resize nor crop"
		if f.p.resizes() {
			why = "the preprocessing makes another size"
		}
		f.warn(fmt.Sprintf("images are resized to the model's %dx%d (filter %s): %s", w, h, f.p.Filter, why))
		to(w, h)
	}
	return im, err
}

// pack normalises the pixels and lays them out.
func pack[T uint8 | float32](im *codec.Raster[T], f *framer, form form) (*tensor.Tensor, error) {
	n, c := im.W*im.H, im.C
	mean, std, err := f.p.norm(c)
	if err != nil {
		return nil, err
	}
	t := tensor.New(f.cell.dtype, shapeOf(form, im.W, im.H, c)...)
	out := make([]float32, n*c)
	if t.DType == tensor.Float32 {
		out = tensor.View[float32](t)
	}
	for k := range c {
		from := k
		if f.p.BGR {
			from = c - 1 - k
		}
		at, step := k, c
		if form.layout == "nchw" {
			at, step = k*n, 1
		}
		table := lookup(mean[k], std[k])
		for i := from; i < len(im.Pix); i += c {
			if v := im.Pix[i]; T(uint8(v)) == v {
				out[at] = table[uint8(v)]
			} else {
				out[at] = float32((float64(v) - mean[k]) / std[k])
			}
			at += step
		}
	}
	if t.DType == tensor.Float32 {
		return t, nil
	}
	return t, store(t, out, f.cell)
}

// lookup tabulates (x - mean) / std for bytes.
func lookup(mean, std float64) *[256]float32 {
	var t [256]float32
	for i := range t {
		t[i] = float32((float64(i) - mean) / std)
	}
	return &t
}

func shapeOf(f form, w, h, c int) []int {
	switch f.layout {
	case "nchw":
		return []int{1, c, h, w}
	case "nhwc":
		return []int{1, h, w, c}
	case "nhw":
		return []int{1, h, w}
	}
	return []int{1, h * w * c}
}
