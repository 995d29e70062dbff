package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/codec"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("tfsopt", 1, DecodeImage{}) }

// DecodeImage decodes the bytes of an image file, one string, to uint8 [height, width, Channels], as TensorFlow's DecodeJpeg and DecodePng do:
// 1 is gray, 3 is RGB, 0 what the file has. What cannot be read is an error. Alpha is left out, so that 4 channels are refused.
type DecodeImage struct {
	Channels int `attr:"channels"`
}

// Infer gives an image of unknown size.
func (o DecodeImage) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := wantStrings(in, 1); err != nil {
		return nil, err
	}
	if n, ok := in[0].Fixed(); ok && tensor.Size(n) != 1 {
		return nil, fmt.Errorf("input 0: want one string, got %s", in[0].Type)
	}
	t := graph.Of(tensor.Uint8, graph.Dim{}, graph.Dim{}, graph.Dim{})
	switch o.Channels {
	case 0:
	case 1, 3:
		t.Shape[2] = graph.Fixed(o.Channels)
	default:
		return nil, fmt.Errorf("images of %d channels: want 1, 3 or 0", o.Channels)
	}
	return []graph.Type{t}, nil
}

// Run decodes the image.
func (o DecodeImage) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	if in[0].Len() != 1 {
		return fmt.Errorf("want one string, got %v", in[0].Shape)
	}
	im, err := codec.Decode([]byte(in[0].Strings[0]), 0)
	if err != nil {
		return err
	}
	switch o.Channels {
	case 1:
		im = codec.Gray(im)
	case 3:
		im = codec.RGB(im)
	}
	copy(x.Make(out[0], tensor.Uint8, im.H, im.W, im.C).Data, im.Pix)
	return nil
}
