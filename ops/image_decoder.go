package ops

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"

	"github.com/tfsopt/tfsopt/codec"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 20, ImageDecoder{}) }

// ImageDecoder decodes the bytes of an image file to uint8 [height, width, 3], or 1 channel for Grayscale. It reads JPEG,
// PNG, BMP, TIFF, WebP and the portable formats (PBM, PGM, PPM); what it cannot read becomes an empty image, as ONNX
// wants it, and so does JPEG 2000.
type ImageDecoder struct {
	PixelFormat string `attr:"pixel_format" default:"RGB"`
}

// pixelFormats gives the number of channels.
var pixelFormats = map[string]int{"RGB": 3, "BGR": 3, "Grayscale": 1}

// Infer gives an image of unknown size.
func (o ImageDecoder) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	channels, ok := pixelFormats[o.PixelFormat]
	if !ok {
		return nil, fmt.Errorf("pixel_format %q is none of RGB, BGR, Grayscale", o.PixelFormat)
	}
	if in[0].DType != tensor.Uint8 {
		return nil, fmt.Errorf("input 0: want uint8, got %s", in[0].DType)
	}
	return []graph.Type{graph.Of(tensor.Uint8, graph.Dim{}, graph.Dim{}, graph.Fixed(channels))}, nil
}

// Run decodes the image.
func (o ImageDecoder) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	channels := pixelFormats[o.PixelFormat]
	if channels == 0 || in[0].DType != tensor.Uint8 {
		return fmt.Errorf("pixel_format %q from %s", o.PixelFormat, in[0].DType)
	}
	im, err := decodeImage(in[0].Data)
	if err != nil {
		x.Make(out[0], tensor.Uint8, 0, 0, channels)
		return nil
	}
	if channels == 1 {
		im = codec.Gray(im)
	} else {
		im = codec.RGB(im)
	}
	y := x.Make(out[0], tensor.Uint8, im.H, im.W, channels)
	copy(y.Data, im.Pix)
	if o.PixelFormat == "BGR" {
		for i := 0; i < len(y.Data); i += 3 {
			y.Data[i], y.Data[i+2] = y.Data[i+2], y.Data[i]
		}
	}
	return nil
}

// imageFormats are those that codec does not read, by their first bytes.
var imageFormats = []struct {
	magic  string
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
}{
	{"BM", bmp.DecodeConfig, bmp.Decode},
	{"II*\x00", tiff.DecodeConfig, tiff.Decode},
	{"MM\x00*", tiff.DecodeConfig, tiff.Decode},
	{"RIFF", webp.DecodeConfig, webp.Decode},
}

func decodeImage(b []byte) (*codec.Image, error) {
	for _, f := range imageFormats {
		if !bytes.HasPrefix(b, []byte(f.magic)) {
			continue
		}
		c, err := f.config(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		if c.Width <= 0 || c.Height <= 0 || c.Width > codec.DefaultMaxPixels/c.Height {
			return nil, fmt.Errorf("image of %dx%d pixels", c.Width, c.Height)
		}
		m, err := f.decode(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		if y, ok := m.(*image.YCbCr); ok && f.magic == "RIFF" {
			return fromVP8(y), nil
		}
		return pixelsOf(m), nil
	}
	if len(b) > 2 && b[0] == 'P' && b[1] >= '1' && b[1] <= '6' {
		return decodePNM(b)
	}
	return codec.Decode(b, 0)
}

// pixelsOf drops alpha; gray images keep one channel.
func pixelsOf(m image.Image) *codec.Image {
	r := m.Bounds()
	_, gray := m.(*image.Gray)
	channels := 3
	if gray {
		channels = 1
	}
	im := codec.NewRaster[uint8](r.Dx(), r.Dy(), channels)
	for i := range r.Dx() * r.Dy() {
		p := color.NRGBAModel.Convert(m.At(r.Min.X+i%r.Dx(), r.Min.Y+i/r.Dx())).(color.NRGBA)
		im.Pix[i*channels] = p.R
		if !gray {
			im.Pix[3*i+1], im.Pix[3*i+2] = p.G, p.B
		}
	}
	return im
}

// decodePNM reads the six formats of Netpbm: P1 to P3 in text, P4 to P6 binary; bits, gray and colours. Samples are
// scaled to 0..255.
func decodePNM(b []byte) (*codec.Image, error) {
	kind := b[1] - '0'
	p := pnm{b: b[2:]}
	w, h, most := p.number(), p.number(), 1
	if kind%3 != 1 {
		most = p.number()
	}
	if w <= 0 || h <= 0 || w > codec.DefaultMaxPixels/h || most <= 0 || most > 65535 || len(p.b) == 0 {
		return nil, errors.New("malformed portable image")
	}
	channels := 1
	if kind%3 == 0 {
		channels = 3
	}
	if kind > 3 {
		p.b = p.b[1:] // one space behind the header
	}
	if len(p.b) < w*h*channels/8 {
		return nil, errors.New("truncated portable image")
	}
	im := codec.NewRaster[uint8](w, h, channels)
	p.w = w
	for i := range im.Pix {
		v := p.sample(kind, i%w, most)
		if v < 0 || v > most {
			return nil, fmt.Errorf("sample %d of %d", v, most)
		}
		if kind%3 == 1 {
			v = 1 - v // 1 is black
		}
		im.Pix[i] = uint8((v*255 + most/2) / most)
	}
	return im, nil
}

// pnm is what is left of a file whose rows have w pixels.
type pnm struct {
	b []byte
	w int
}

// number reads a decimal number behind blanks and comments; -1 if there is none.
func (p *pnm) number() int {
	for len(p.b) > 0 && (p.b[0] <= ' ' || p.b[0] == '#') {
		if p.b[0] == '#' {
			n := bytes.IndexByte(p.b, '\n')
			if n < 0 {
				return -1
			}
			p.b = p.b[n:]
		}
		p.b = p.b[1:]
	}
	n, digits := 0, 0
	for len(p.b) > 0 && p.b[0] >= '0' && p.b[0] <= '9' && digits < 9 {
		n = 10*n + int(p.b[0]-'0')
		p.b, digits = p.b[1:], digits+1
	}
	if digits == 0 {
		return -1
	}
	return n
}

// sample reads the sample in column x; -1 at the end of the file.
func (p *pnm) sample(kind byte, x, most int) int {
	if kind <= 3 {
		return p.number()
	}
	if kind == 4 {
		if len(p.b) == 0 {
			return -1
		}
		v := int(p.b[0]>>(7-x%8)) & 1
		if x%8 == 7 || x == p.w-1 {
			p.b = p.b[1:]
		}
		return v
	}
	width := 1
	if most > 255 {
		width = 2
	}
	if len(p.b) < width {
		return -1
	}
	v := int(p.b[0])
	if width == 2 {
		v = v<<8 | int(p.b[1])
	}
	p.b = p.b[width:]
	return v
}
