// Package codec decodes image files and resizes images, to the same pixels as the libraries that models are
// trained with: libjpeg, Pillow and TensorFlow.
package codec

import (
	"fmt"
	"image"
	"image/color"
)

// DefaultMaxPixels is the size limit that Decode uses when it is given none.
const DefaultMaxPixels = 100_000_000

// Raster is an image of C interleaved channels: Pix[(y*W+x)*C+c]. C is 1 (luma) or 3 (red, green, blue).
type Raster[T uint8 | float32] struct {
	W, H, C int
	Pix     []T
}

// Image is a raster of bytes, as it is decoded.
type Image = Raster[uint8]

// FloatImage is a raster of float32, still in 0..255.
type FloatImage = Raster[float32]

// NewRaster allocates a black image.
func NewRaster[T uint8 | float32](w, h, c int) *Raster[T] {
	return &Raster[T]{W: w, H: h, C: c, Pix: make([]T, w*h*c)}
}

func fromGo(m image.Image) *Image {
	b := m.Bounds()
	w, h := b.Dx(), b.Dy()
	switch m := m.(type) {
	case *image.YCbCr:
		return fromYCbCr(m)
	case *image.Gray:
		out := NewRaster[uint8](w, h, 1)
		for y := range h {
			copy(out.Pix[y*w:(y+1)*w], m.Pix[y*m.Stride:])
		}
		return out
	case *image.Gray16:
		out := NewRaster[uint8](w, h, 1)
		for i := range out.Pix {
			out.Pix[i] = m.Pix[i/w*m.Stride+i%w*2]
		}
		return out
	case *image.RGBA:
		if m.Opaque() { // otherwise the colours are multiplied by alpha
			return dropAlpha(m.Pix, m.Stride, w, h)
		}
	case *image.NRGBA:
		return dropAlpha(m.Pix, m.Stride, w, h)
	}
	out := NewRaster[uint8](w, h, 3)
	for i := range w * h {
		p := color.NRGBAModel.Convert(m.At(b.Min.X+i%w, b.Min.Y+i/w)).(color.NRGBA)
		out.Pix[3*i], out.Pix[3*i+1], out.Pix[3*i+2] = p.R, p.G, p.B
	}
	return out
}

// dropAlpha takes the first three of four interleaved channels.
func dropAlpha(pix []uint8, stride, w, h int) *Image {
	out := NewRaster[uint8](w, h, 3)
	for y := range h {
		src, dst := pix[y*stride:], out.Pix[y*w*3:]
		for x := range w {
			copy(dst[3*x:3*x+3], src[4*x:])
		}
	}
	return out
}

// Gray gives the luma of ITU-R 601-2 with Pillow's rounding, (19595 r + 38470 g + 7471 b + 32768) / 65536. An image of
// one channel is returned as it is.
func Gray(im *Image) *Image {
	if im.C == 1 {
		return im
	}
	out := NewRaster[uint8](im.W, im.H, 1)
	for i := range out.Pix {
		p := im.Pix[3*i : 3*i+3]
		out.Pix[i] = uint8((19595*uint32(p[0]) + 38470*uint32(p[1]) + 7471*uint32(p[2]) + 1<<15) >> 16)
	}
	return out
}

// RGB repeats the luma of a gray image three times. An image of three channels is returned as it is.
func RGB(im *Image) *Image {
	if im.C == 3 {
		return im
	}
	out := NewRaster[uint8](im.W, im.H, 3)
	for i, v := range im.Pix {
		out.Pix[3*i], out.Pix[3*i+1], out.Pix[3*i+2] = v, v, v
	}
	return out
}

// Floats widens the pixels.
func Floats(im *Image) *FloatImage {
	out := NewRaster[float32](im.W, im.H, im.C)
	for i, v := range im.Pix {
		out.Pix[i] = float32(v)
	}
	return out
}

// Crop copies the w x h pixels whose upper left corner is (x, y). It fails if they are not all inside the image.
func (im *Raster[T]) Crop(x, y, w, h int) (*Raster[T], error) {
	if x < 0 || y < 0 || w <= 0 || h <= 0 || w > im.W-x || h > im.H-y {
		return nil, fmt.Errorf("a crop of %dx%d at (%d, %d) does not fit an image of %dx%d", w, h, x, y, im.W, im.H)
	}
	out := NewRaster[T](w, h, im.C)
	for row := range h {
		from := ((y+row)*im.W + x) * im.C
		copy(out.Pix[row*w*im.C:(row+1)*w*im.C], im.Pix[from:])
	}
	return out, nil
}
