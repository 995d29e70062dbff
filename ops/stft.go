package ops

import (
	"errors"
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 17, STFT{}) }

// STFT is the short-time Fourier transform of signals [batch, length, 1 or 2]: frames of frame_length, frame_step apart,
// times the window, each transformed as by DFT. Inputs are the signal, frame_step, window [frame_length] and
// frame_length (default: the window's length, else the signal's). Y is [batch, frames, frame_length/2+1 if OneSided else
// frame_length, 2].
type STFT struct {
	OneSided bool `attr:"onesided" default:"1"`
}

// Infer gives the type of Y.
func (o STFT) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 4); err != nil {
		return nil, err
	}
	if err := rank(in, 0, 3); err != nil {
		return nil, err
	}
	frame := dimAt(in[0], 1)
	if window := fact(in, 2); window.Given() {
		frame = dimAt(window, 0)
	}
	if length := fact(in, 3); length.Given() {
		frame = graph.Dim{}
		if e, ok := length.Elements(); ok && len(e) == 1 {
			frame = e[0]
		}
	}
	bins := frame
	n, ok := frame.Value()
	if o.OneSided {
		bins = graph.Dim{}
		if ok {
			bins = graph.Fixed(n/2 + 1)
		}
	}
	var frames graph.Dim
	length, both := dimAt(in[0], 1).Value()
	if step, known := in[1].ConstInts(); known && ok && both && len(step) == 1 {
		if step[0] <= 0 || n > length {
			return nil, fmt.Errorf("frames of %d, %d apart, in a signal of %d", n, step[0], length)
		}
		frames = graph.Fixed((length-n)/step[0] + 1)
	}
	return []graph.Type{graph.Of(in[0].DType, dimAt(in[0], 0), frames, bins, graph.Fixed(2))}, nil
}

func (o STFT) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	in = allInputs(in, 4)
	s := in[0].Shape
	if len(s) != 3 || s[2] != 1 && s[2] != 2 {
		return fmt.Errorf("signal of shape %v, want [batch, length, 1 or 2]", s)
	}
	if s[2] == 2 && o.OneSided {
		return errors.New("a complex signal has no one-sided transform")
	}
	step, err := scalarInt("frame_step", in[1])
	if err != nil {
		return err
	}
	n := s[1]
	if in[2] != nil {
		n = in[2].Len()
	}
	if in[3] != nil {
		if n, err = scalarInt("frame_length", in[3]); err != nil {
			return err
		}
	}
	if err := wantShape("window", in[2], n); err != nil {
		return err
	}
	if step <= 0 || n <= 0 || n > s[1] {
		return fmt.Errorf("frames of %d, %d apart, in a signal of %d", n, step, s[1])
	}
	frames, bins := (s[1]-n)/step+1, n
	if o.OneSided {
		bins = n/2 + 1
	}
	shape := []int{s[0], frames, bins, 2}
	if err := checkSize(in[0].DType, shape); err != nil {
		return err
	}
	v, f, line := tensor.Float64s(in[0]), newFourier(n, false), make([]complex128, n)
	var window []float64
	if in[2] != nil {
		window = tensor.Float64s(in[2])
	}
	y := make([]float64, 0, tensor.Size(shape))
	for i := range s[0] * frames {
		start := i/frames*s[1] + i%frames*step
		readFrame(line, v[start*s[2]:], s[2], window)
		for k := range bins {
			c := f.at(line, k)
			y = append(y, real(c), imag(c))
		}
	}
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, shape...), y)
}

// readFrame fills line with samples of one or two parts, times the window if there is one.
func readFrame(line []complex128, v []float64, parts int, window []float64) {
	for k := range line {
		line[k] = complex(v[k*parts], 0)
		if parts == 2 {
			line[k] = complex(v[2*k], v[2*k+1])
		}
		if window != nil {
			line[k] *= complex(window[k], 0)
		}
	}
}
