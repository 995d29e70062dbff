package optimize

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// Reached is what activations make of a layer's pairs.
type Reached struct {
	Largest int `json:"largest"` // the sum of an unsafe pair that is farthest from zero
	Clamped int `json:"clamped"` // sums that leave int16
}

// Add merges what other activations made.
func (r *Reached) Add(o Reached) {
	if abs(o.Largest) > abs(r.Largest) {
		r.Largest = o.Largest
	}
	r.Clamped += o.Clamped
}

// Reach adds up the products of the layer's unsafe pairs with activations x, values of Input. Safe pairs cannot leave int16.
func (l *SaturatingLayer) Reach(x *tensor.Tensor) (Reached, error) {
	var r Reached
	if l.weight == nil || l.Unsafe == 0 {
		return r, nil
	}
	if x.DType != tensor.Uint8 {
		return r, graph.NodeError(l.Node, fmt.Errorf("activations are %s, not uint8", x.DType))
	}
	views, err := l.views(x)
	if err != nil {
		return r, graph.NodeError(l.Node, err)
	}
	w, p := tensor.View[int8](l.weight), l.products
	for row := range p.Rows {
		for k := 0; k+1 < p.K; k += 2 {
			a, b := w[p.At(row, k)], w[p.At(row, k+1)]
			if !SafePair(a, b) {
				r.pair(views(row, k), views(row, k+1), int(a), int(b))
			}
		}
	}
	return r, nil
}

func (r *Reached) pair(x, y []byte, a, b int) {
	for i, u := range x {
		s := int(u)*a + int(y[i])*b
		if abs(s) > abs(r.Largest) {
			r.Largest = s
		}
		if s < -1<<15 || s >= 1<<15 {
			r.Clamped++
		}
	}
}

// views gives, for a row's k-th factor, the activations that it is multiplied by.
func (l *SaturatingLayer) views(x *tensor.Tensor) (func(row, k int) []byte, error) {
	if len(x.Shape) < 1 || x.Len() == 0 {
		return func(int, int) []byte { return nil }, nil
	}
	if op, ok := l.Node.Op.(interface {
		Window(x, w []int) (ops.Window, error)
	}); ok {
		win, err := op.Window(x.Shape, l.weight.Shape)
		if err != nil {
			return nil, err
		}
		return l.patches(x, win), nil
	}
	k, rows := l.products.K, x.Len()/max(l.products.K, 1)
	step, next := k, 1 // from one vector to the next, and from one factor
	if transA(l.Node.Op) {
		step, next = 1, rows
	}
	if rows*k != x.Len() || next == 1 && x.Shape[len(x.Shape)-1] != k {
		return nil, fmt.Errorf("activations %v do not fit %d factors", x.Shape, k)
	}
	return func(_, i int) []byte {
		out := make([]byte, rows)
		for r := range out {
			out[r] = x.Data[r*step+i*next]
		}
		return out
	}, nil
}

func transA(op graph.Op) bool {
	switch op := op.(type) {
	case ops.Gemm:
		return op.TransA
	case ops.QGemm:
		return op.TransA
	}
	return false
}

// patches are views for convolutions: a tap of a channel over all positions of all images.
func (l *SaturatingLayer) patches(x *tensor.Tensor, w ops.Window) func(row, k int) []byte {
	channels, group := l.weight.Shape[1], l.products.Rows*l.weight.Shape[1]/max(x.Shape[1], 1) // rows in a group
	cache := map[[2]int][]byte{}
	return func(row, k int) []byte {
		key := [2]int{row/max(group, 1)*channels + k%channels, k / channels}
		if cache[key] == nil {
			cache[key] = l.patch(x, w, key[0], key[1])
		}
		return cache[key]
	}
}

func (l *SaturatingLayer) patch(x *tensor.Tensor, w ops.Window, channel, tap int) []byte {
	area, positions := tensor.Size(w.In), tensor.Size(w.Out)
	out := make([]byte, 0, x.Shape[0]*positions)
	for image := range x.Shape[0] {
		data := x.Data[(image*x.Shape[1]+channel)*area:][:area]
		for pos := range positions {
			at, inside := 0, true
			p, t, step := pos, tap, 1
			for d := len(w.Out) - 1; d >= 0; d-- {
				i := p%w.Out[d]*w.Strides[d] + t%w.Kernel[d]*w.Dilations[d] - w.Begin[d]
				inside = inside && i >= 0 && i < w.In[d]
				at += i * step
				p, t, step = p/w.Out[d], t/w.Kernel[d], step*w.In[d]
			}
			if inside {
				out = append(out, data[at])
			} else {
				out = append(out, l.zero)
			}
		}
	}
	return out
}
