package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/codec"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 20, ImageDecoder{}) }

// ImageDecoder decodes the bytes of an image file to uint8 [height, width, 3], or 1 channel for Grayscale. It reads what
// codec.Decode reads; anything else, JPEG 2000 too, becomes an empty image, as ONNX wants it.
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
	im, err := codec.Decode(in[0].Data, 0)
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
