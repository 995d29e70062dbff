package doctor

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// A range is reported if more than clippedShare of the values lie outside it by over half a step, or the values use less
// than usedShare of it.
const clippedShare, usedShare = 0.01, 0.25

// used is what the values before a QuantizeLinear were on the samples.
type used struct {
	lo, hi         float64 // of the values
	from, to, step float64 // what the integers can be
	out, count     int
	inherited      bool // the parameters are those of what its maker reads, which moves or pools
}

// relu6 is where the Clip of mobile networks ends.
const relu6 = 6

func (u *used) add(t *tensor.Tensor) {
	for _, x := range tensor.Floats(t) {
		v := float64(x)
		u.lo, u.hi = min(u.lo, v), max(u.hi, v)
		if v < u.from-u.step/2 && u.from != 0 || v > u.to+u.step/2 && u.to != 0 && math.Abs(u.to-relu6) > u.step {
			u.out++ // at 0 and 6 the quantization stands for a Relu or Clip too
		}
		u.count++
	}
}

// ranges compares the stored ranges of activations with those of the samples.
func (e *examination) ranges(s Samples) error {
	by := map[*graph.Value][]*graph.Node{}
	of := map[*graph.Node]*used{}
	var watch []*graph.Value
	for _, n := range e.g.Nodes {
		if _, ok := n.Op.(ops.QuantizeLinear); !ok || n.In[0] == nil || n.In[0].IsConst() || n.In[0].DType != tensor.Float32 {
			continue
		}
		u := stored(n)
		if u == nil {
			continue
		}
		if by[n.In[0]] == nil {
			watch = append(watch, n.In[0])
		}
		u.inherited = inherited(n)
		by[n.In[0]], of[n] = append(by[n.In[0]], n), u
	}
	if watch == nil {
		return nil
	}
	_, err := s.run(e.ctx, e.g, watch, func(v *graph.Value, t *tensor.Tensor) error {
		for _, n := range by[v] {
			of[n].add(t)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, v := range watch {
		for _, n := range by[v] {
			e.judge(n, of[n])
		}
	}
	return nil
}

// stored is the range of a QuantizeLinear to 8 bits with one scale; nil of others.
func stored(n *graph.Node) *used {
	s := slot{n, 1}.constant()
	d := n.Out[0].DType
	if s == nil || s.Len() != 1 || d != tensor.Uint8 && d != tensor.Int8 {
		return nil
	}
	step, zero := float64(tensor.Floats(s)[0]), 0.0
	if z := (slot{n, 2}).constant(); z != nil && z.Len() == 1 {
		zero = float64(tensor.Ints(z)[0])
	} else if (slot{n, 2}).value() != nil {
		return nil
	}
	lo, hi := 0.0, 255.0
	if d == tensor.Int8 {
		lo, hi = -128, 127
	}
	return &used{lo: math.Inf(1), hi: math.Inf(-1), from: (lo - zero) * step, to: (hi - zero) * step, step: step}
}

// inherited holds of a QuantizeLinear after an operator whose input has the same scale.
func inherited(n *graph.Node) bool {
	d := n.In[0].Def
	if d == nil || len(d.In) == 0 {
		return false
	}
	q := dequantizer(d.In[0])
	if q == nil {
		return false
	}
	s, own := slot{q, 1}.constant(), slot{n, 1}.constant()
	return s != nil && s.Len() == 1 && tensor.Floats(s)[0] == tensor.Floats(own)[0]
}

func (e *examination) judge(n *graph.Node, u *used) {
	if u.count == 0 || !(u.step > 0) {
		return
	}
	share := float64(u.out) / float64(u.count)
	lo, hi := max(u.lo, u.from), min(u.hi, u.to)
	part := max(hi-lo, 0) / (u.to - u.from)
	if share <= clippedShare && (part >= usedShare || u.inherited) {
		return
	}
	e.add(IDRange, n, Finding{
		Detail: fmt.Sprintf("stored for %.4g to %.4g, the data is %.4g to %.4g", u.from, u.to, u.lo, u.hi),
		Cost:   fmt.Sprintf("measured: %.2f %% of the values are clipped, %.1f %% of the range is used", 100*share, 100*part), Command: requantize,
	})
}
