package ops

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"

	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	signal := of3(1, 4, 1, 1, 2, 3, 4)
	spectrum := of3(1, 4, 2, 10, 0, -2, 2, -2, 0, -2, -2)
	register(mustOp("", "DFT"),
		opCase{in: tensors(signal), tol: 1e-7, out: tensors(spectrum)},
		opCase{
			name: "axis 0", in: tensors(shaped([]int{2, 1, 1}, 1., 2), nil, tensor.Scalar[int64](0)), tol: 1e-15,
			out: tensors(shaped([]int{2, 1, 2}, 3., 0, -1, 0)),
		},
		opCase{name: "cut", in: tensors(signal, tensor.Scalar[int64](2)), tol: 1e-7, out: tensors(of3(1, 2, 2, 3, 0, -1, 0))})
	register(mustOp("", "DFT", "onesided", int64(1)),
		opCase{in: tensors(signal), tol: 1e-7, out: tensors(of3(1, 3, 2, 10, 0, -2, 2, -2, 0))})
	register(mustOp("", "DFT", "inverse", int64(1)),
		opCase{in: tensors(spectrum), tol: 1e-7, out: tensors(of3(1, 4, 2, 1, 0, 2, 0, 3, 0, 4, 0))})
	register(mustOp("", "DFT", "inverse", int64(1), "onesided", int64(1)),
		opCase{in: tensors(of3(1, 3, 2, 10, 0, -2, 2, -2, 0)), tol: 1e-7, out: tensors(signal)})
	step := tensor.Scalar[int64](2)
	register(mustOp("", "STFT"),
		opCase{
			in: tensors(signal, step, vec[float32](1, 10)), tol: 1e-6,
			out: tensors(of4(1, 2, 2, 2, 21, 0, -19, 0, 43, 0, -37, 0)),
		})
	register(mustOp("", "STFT", "onesided", int64(0)),
		opCase{
			in: tensors(signal, step, nil, tensor.Scalar[int64](2)), tol: 1e-7,
			out: tensors(of4(1, 2, 2, 2, 3, 0, -1, 0, 7, 0, -1, 0)),
		})
	// the edges at 0, 433, 1132 and 2265 Hz fall into the bins 0, 0, 2 and 4
	register(mustOp("", "MelWeightMatrix"),
		opCase{
			in: tensors(tensor.Scalar[int64](2), tensor.Scalar[int64](16), tensor.Scalar[int64](8192), tensor.Scalar[float32](0),
				tensor.Scalar[float32](4096)),
			out: tensors(shaped([]int{9, 2}, float32(1), 0, .5, .5, 0, 1, 0, .5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)),
		})
}

func init() {
	log := shaped([]int{2, 3}, float32(-1), -2, -3, -4, -5, -6)
	register(mustOp("", "NegativeLogLikelihoodLoss"),
		opCase{in: tensors(log, vec[int64](0, 2)), out: tensors(tensor.Scalar[float32](3.5))},
		opCase{name: "weights", in: tensors(log, vec[int32](0, 2), vec[float32](1, 1, 3)), out: tensors(tensor.Scalar[float32](4.75))})
	register(mustOp("", "NegativeLogLikelihoodLoss", "reduction", "sum"),
		opCase{in: tensors(log, vec[int64](0, 2)), out: tensors(tensor.Scalar[float32](7))})
	register(mustOp("", "NegativeLogLikelihoodLoss", "reduction", "none", "ignore_index", int64(-1)),
		opCase{in: tensors(log, vec[int64](-1, 1)), out: tensors(vec[float32](0, 5))})
	register(mustOp("", "SoftmaxCrossEntropyLoss"), // scores that are log-probabilities already
		opCase{
			in: tensors(shaped([]int{1, 2, 1}, -1.3862943611198906, -0.2876820724517809), shaped([]int{1, 1}, int64(1))), tol: 1e-15,
			out: tensors(tensor.Scalar(0.2876820724517809), shaped([]int{1, 2, 1}, -1.3862943611198906, -0.2876820724517809)),
		})
}

func init() {
	im := image.NewNRGBA(image.Rect(0, 0, 1, 2))
	im.Set(0, 0, color.NRGBA{10, 20, 30, 255})
	im.Set(0, 1, color.NRGBA{200, 100, 50, 255})
	var buf bytes.Buffer
	if err := png.Encode(&buf, im); err != nil {
		panic(err)
	}
	file := func(b []byte) []*tensor.Tensor { return tensors(vec(b...)) }
	register(mustOp("", "ImageDecoder"),
		opCase{name: "png", in: file(buf.Bytes()), out: tensors(shaped([]int{2, 1, 3}, uint8(10), 20, 30, 200, 100, 50))},
		opCase{name: "ppm in text", in: file([]byte("P3 # red\n1 1\n3 3 0 1")), out: tensors(shaped([]int{1, 1, 3}, uint8(255), 0, 85))},
		opCase{
			name: "pgm", in: file([]byte("P5 2 1 65535\n\xff\xff\x80\x80")),
			out: tensors(shaped([]int{1, 2, 3}, uint8(255), 255, 255, 128, 128, 128)),
		},
		opCase{name: "not an image", in: file([]byte("P6 9 9")), out: tensors(shaped([]int{0, 0, 3}, []uint8{}...))})
	register(mustOp("", "ImageDecoder", "pixel_format", "BGR"),
		opCase{in: file(buf.Bytes()), out: tensors(shaped([]int{2, 1, 3}, uint8(30), 20, 10, 50, 100, 200))})
	register(mustOp("", "ImageDecoder", "pixel_format", "Grayscale"),
		opCase{name: "pbm", outs: 1, in: file([]byte("P4 9 2\n\x80\x80\x01\x00")), check: func(out []*tensor.Tensor) error {
			for i, v := range out[0].Data { // black at columns 0 and 8 of the first row and 7 of the second
				if (v == 0) != (i == 0 || i == 8 || i == 16) {
					return fmt.Errorf("pixel %d is %d", i, v)
				}
			}
			return nil
		}})
}
