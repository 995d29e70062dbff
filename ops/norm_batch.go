package ops

import (
	"fmt"
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 9, BatchNormalization{}) }

// BatchNormalization is (x - mean)/√(variance+Epsilon)·scale + bias with a number for each channel of x [N,C,spatial…]
// (arXiv 1502.03167). Inputs: x, scale, bias, mean, variance. With TrainingMode mean and population variance are the
// batch's own, and outputs 1 and 2 are input·Momentum + the batch's·(1-Momentum).
type BatchNormalization struct {
	Epsilon      float32 `attr:"epsilon" default:"1e-5"`
	Momentum     float32 `attr:"momentum" default:"0.9"`
	TrainingMode bool    `attr:"training_mode"`
}

// Infer gives x's type, and in training those of mean and variance.
func (BatchNormalization) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 5, 5); err != nil {
		return nil, err
	}
	t := in[0].Type
	if t.Rank() == 0 {
		return nil, fmt.Errorf("input of rank 0: want 1 or more")
	}
	if t.Rank() > 1 {
		for i := 1; i < 5; i++ {
			if err := rank(in, i, 1); err != nil {
				return nil, err
			}
			c, known := t.Shape[1].Value()
			if in[i].Unranked || !known {
				continue
			}
			if n, ok := in[i].Shape[0].Value(); ok && n != c {
				return nil, fmt.Errorf("input %d has %d elements for %d channels", i, n, c)
			}
		}
	}
	return []graph.Type{t, in[3].Type, in[4].Type}, nil
}

// Run computes in float64 and rounds once.
func (b BatchNormalization) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	s := in[0].Shape
	channels, size := 1, 1
	if len(s) > 1 {
		channels, size = s[1], tensor.Size(s[2:])
	}
	v, err := floats(in[0])
	if err != nil {
		return err
	}
	var p [4][]float64
	for i := range p {
		if p[i], err = floats(in[i+1]); err != nil || len(p[i]) != channels {
			return fmt.Errorf("input %d: %s%v does not fit %d channels", i+1, in[i+1].DType, in[i+1].Shape, channels)
		}
	}
	mean, variance := p[2], p[3]
	if b.TrainingMode {
		mean, variance = channelMoments(v, channels, size)
		for i, batch := range [][]float64{mean, variance} {
			if len(out) <= i+1 || out[i+1] == nil {
				continue
			}
			old := p[2+i]
			for c := range old {
				old[c] = old[c]*float64(b.Momentum) + batch[c]*(1-float64(b.Momentum))
			}
			if err := tensor.SetFloat64s(x.Make(out[i+1], in[3+i].DType, in[3+i].Shape...), old); err != nil {
				return err
			}
		}
	}
	for i := range v {
		c := i / size % channels
		v[i] = (v[i]-mean[c])/math.Sqrt(variance[c]+float64(b.Epsilon))*p[0][c] + p[1][c]
	}
	if out[0] == nil {
		return nil
	}
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, s...), v)
}

// Links ties a channel with its four parameters and, in training, its new statistics, which need all of the other axes.
func (b BatchNormalization) Links(in, out []graph.Fact) []graph.Link {
	links := pointwise(in[:1], out[:1])
	if b.TrainingMode {
		links = slices.DeleteFunc(links, func(l graph.Link) bool { return l.Ends[0].Axis != 1 })
	}
	for i, l := range links {
		if l.Ends[0].Axis != 1 {
			continue
		}
		for p := 1; p < len(in); p++ {
			links[i].Ends = append(links[i].Ends, given(p, 0))
		}
		for o := 1; o < len(out); o++ {
			if out[o].Given() {
				links[i].Ends = append(links[i].Ends, made(o, 0))
			}
		}
	}
	return links
}

// channelMoments gives mean and population variance of each channel of v [N,channels,size].
func channelMoments(v []float64, channels, size int) (mean, variance []float64) {
	mean, variance = make([]float64, channels), make([]float64, channels)
	n := float64(len(v)) / float64(max(channels, 1))
	for i, e := range v {
		mean[i/size%channels] += e
	}
	for c := range mean {
		mean[c] /= n
	}
	for i, e := range v {
		d := e - mean[i/size%channels]
		variance[i/size%channels] += d * d
	}
	for c := range variance {
		variance[c] /= n
	}
	return mean, variance
}
