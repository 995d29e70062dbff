package prune

import (
	"context"
	"errors"
	"fmt"

	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// momentRows is how many vectors all samples together give at least for the moments of a layer, if they have as many.
const momentRows = 1 << 15

// moments are sums over the vectors that a layer's rows are multiplied with: x̂ in the pruned model, x in the original,
// one pair for each group of channels.
type moments struct {
	m         *matrix
	k, groups int
	perSample int             // vectors taken from one sample
	product   *engine.Program // [groups,k,n] times the transpose of another
	xx, yx    []float64       // Σ x̂ x̂ᵀ and Σ x x̂ᵀ, [groups][k][k]
	sx, sy    []float64       // Σ x̂ and Σ x, [groups][k]
	count     int
}

// maxMoments bounds the elements of one matrix of moments: 5,792 inputs of an ungrouped layer, 1.6 GB in all.
const maxMoments = 1 << 25

// These say why a weight is cut by its scores alone.
var (
	errShape = errors.New("its inputs cannot be seen as vectors: cut without reconstruction")
	errLarge = errors.New("it has too many inputs: cut without reconstruction")
)

// observable reports whether a layer's inputs are vectors that its rows are multiplied with.
func (m *matrix) observable() bool {
	switch m.node.Op.(type) {
	case ops.Conv, ops.ConvTranspose, ops.Gemm:
		return true
	case ops.MatMul:
		return len(m.shape) == 2
	}
	return m.input == 1 // what a recurrent layer's R meets does not leave the layer
}

func (s *session) newMoments(m *matrix, samples int) (*moments, error) {
	if !m.observable() {
		return nil, errShape
	}
	out := &moments{m: m, k: m.k(), groups: 1}
	switch m.node.Op.(type) {
	case ops.Conv, ops.ConvTranspose:
		out.groups = m.rows() / m.run
	}
	if out.groups*out.k > maxMoments/out.k {
		return nil, errLarge
	}
	out.perSample = max(max(momentRows, 4*out.k)/max(samples, 1), 1)
	n := out.groups * out.k
	out.xx, out.yx = make([]float64, n*out.k), make([]float64, n*out.k)
	out.sx, out.sy = make([]float64, n), make([]float64, n)
	g := &graph.Graph{Name: "product", Opsets: map[string]int{"": 17}}
	var in [2]*graph.Value
	for i, name := range []string{"a", "b"} {
		in[i] = graph.NewInput(name, graph.Of(tensor.Float32, graph.Fixed(out.groups), graph.Fixed(out.k), graph.Named("n")))
	}
	g.Inputs = in[:]
	b := graph.NewBuilder(g)
	g.Outputs = []*graph.Value{b.Add("ab", ops.MatMul{}, in[0], b.Add("bt", ops.Transpose{Perm: []int{0, 2, 1}}, in[1]))}
	if b.Err != nil {
		return nil, b.Err
	}
	var err error
	out.product, err = engine.Compile(s.ctx, g, engine.Options{Threads: s.o.Threads, CPU: s.o.CPU})
	return out, err
}

func (o *moments) close() {
	if o.product != nil {
		o.product.Close()
	}
}

// add takes a node's input in both models, of the same run.
func (o *moments) add(ctx context.Context, n *graph.Node, original, pruned *tensor.Tensor) error {
	x, err := o.vectors(n, pruned)
	if err != nil {
		return err
	}
	y := x
	if original != pruned {
		if y, err = o.vectors(n, original); err != nil {
			return err
		}
	}
	if x.Len() == 0 {
		return nil
	}
	o.count += x.Shape[2]
	for _, c := range []struct {
		sum, mean []float64
		a         *tensor.Tensor
	}{{o.xx, o.sx, x}, {o.yx, o.sy, y}} {
		call := &engine.Call{In: []*tensor.Tensor{c.a, x}}
		if err := o.product.Run(ctx, call); err != nil {
			return err
		}
		for i, v := range tensor.Floats(call.Out[0]) {
			c.sum[i] += float64(v)
		}
		each := c.a.Shape[2]
		v := tensor.Floats(c.a)
		for i := range c.mean {
			for _, e := range v[i*each : (i+1)*each] {
				c.mean[i] += float64(e)
			}
			if c.mean[i]-c.mean[i] != 0 {
				return fmt.Errorf("input of %s adds up to %v", n.Name, c.mean[i])
			}
		}
	}
	return nil
}

// vectors takes what the rows are multiplied with, from evenly spaced positions: [groups, k, positions].
func (o *moments) vectors(n *graph.Node, t *tensor.Tensor) (*tensor.Tensor, error) {
	switch op := n.Op.(type) {
	case ops.Conv:
		w, err := op.Window(t.Shape, o.m.shape)
		return o.patches(t, w, false), err
	case ops.ConvTranspose:
		w, err := op.Window(t.Shape, o.m.shape)
		return o.patches(t, w, true), err
	}
	v, k := tensor.Floats(t), o.k
	if len(v)%k != 0 {
		return nil, fmt.Errorf("input %v of %s: want vectors of %d", t.Shape, n.Name, k)
	}
	rows := len(v) / k
	stepRow, stepCol := k, 1
	if g, ok := n.Op.(ops.Gemm); ok && g.TransA {
		stepRow, stepCol = 1, rows
	}
	at := o.positions(rows)
	out := tensor.New(tensor.Float32, 1, k, len(at))
	to := tensor.View[float32](out)
	for i := range k {
		for j, r := range at {
			to[i*len(at)+j] = v[r*stepRow+i*stepCol]
		}
	}
	return out, nil
}

// positions picks about perSample of n evenly spaced ones, beginning elsewhere in each run.
func (o *moments) positions(n int) []int {
	step := max((n+o.perSample-1)/o.perSample, 1)
	var at []int
	for i := o.count * 7 % step; i < n; i += step {
		at = append(at, i)
	}
	return at
}

// patches spreads out an image [N, groups·channels, …] as a convolution sees it: [groups, taps·channels, N·positions].
func (o *moments) patches(t *tensor.Tensor, w ops.Window, transposed bool) *tensor.Tensor {
	if len(w.Out) == 0 {
		return nil
	}
	at := o.positions(tensor.Size(w.Out))
	taps, channels, area := tensor.Size(w.Kernel), o.m.channels, tensor.Size(w.In)
	n := t.Shape[0] * len(at)
	out := tensor.New(tensor.Float32, o.groups, o.k, n)
	to, v := tensor.View[float32](out), tensor.Floats(t)
	from := make([]int, len(at))
	for tap := range taps {
		for j, pos := range at {
			from[j] = source(w, pos, tap, transposed)
		}
		for b := range t.Shape[0] {
			for c := range o.groups * channels {
				image := v[(b*o.groups*channels+c)*area:][:area]
				row := to[(c/channels*o.k+tap*channels+c%channels)*n+b*len(at):]
				for j, i := range from {
					if i >= 0 {
						row[j] = image[i]
					}
				}
			}
		}
	}
	return out
}

// source is the input element that an output position reads at a kernel tap, -1 for padding (and, in a transposed
// convolution, for what lies between elements).
func source(w ops.Window, pos, tap int, transposed bool) int {
	at, size := 0, 1
	for d := len(w.Out) - 1; d >= 0; d-- {
		o, k := pos%w.Out[d], tap%w.Kernel[d]
		pos, tap = pos/w.Out[d], tap/w.Kernel[d]
		i := o*w.Strides[d] - w.Begin[d] + k*w.Dilations[d]
		if transposed {
			if i = o + w.Begin[d] - k*w.Dilations[d]; i%w.Strides[d] != 0 {
				return -1
			}
			i /= w.Strides[d]
		}
		if i < 0 || i >= w.In[d] {
			return -1
		}
		at += i * size
		size *= w.In[d]
	}
	return at
}
