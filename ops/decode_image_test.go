package ops

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/png"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// pngFile is a picture of one row: black, and one of the given colour.
func pngFile(c color.Color) *tensor.Tensor {
	m := image.NewRGBA(image.Rect(0, 0, 2, 1))
	m.Set(0, 0, color.Black)
	m.Set(1, 0, c)
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		panic(err)
	}
	return text(b.String()).Reshape()
}

func init() {
	in := tensors(pngFile(color.RGBA{10, 20, 30, 255}))
	register(DecodeImage{}, opCase{in: in, out: tensors(shaped([]int{1, 2, 3}, uint8(0), 0, 0, 10, 20, 30))})
	register(DecodeImage{Channels: 1}, opCase{name: "gray", in: in, out: tensors(shaped([]int{1, 2, 1}, uint8(0), 18))})
}

func TestDecodeImageRefuses(t *testing.T) {
	if _, err := (DecodeImage{Channels: 4}).Infer([]graph.Fact{graph.FactOf(text("").Reshape())}, 1); err == nil {
		t.Error("4 channels are accepted")
	}
	for _, in := range []*tensor.Tensor{text("no image").Reshape(), text("a", "b")} {
		if err := (DecodeImage{}).Run(&graph.Exec{Ctx: context.Background()}, tensors(in), tensors(&tensor.Tensor{})); err == nil {
			t.Errorf("%q is decoded", in.Strings)
		}
	}
}
