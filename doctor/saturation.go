package doctor

import (
	"context"
	"fmt"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/optimize"
	"github.com/tfsopt/tfsopt/tensor"
)

// Saturation is what CPUs without VNNI can do to the integer products of a graph, and what they do on given samples.
type Saturation struct {
	Pairs   int     `json:"pairs"`
	Unsafe  int     `json:"unsafe"`
	Samples int     `json:"samples,omitempty"` // that the sums of the layers come from
	Layers  []Layer `json:"layers"`
}

// Layer is one integer product. Largest, the sum farthest from zero that a pair made, and Clamped, the sums that left int16,
// are nil where nothing was measured: without samples, in a safe layer, and where the activations cannot be watched.
type Layer struct {
	optimize.SaturatingLayer
	Largest *int `json:"largest"`
	Clamped *int `json:"clamped"`
}

// Samples is a prepared data set and how to run it; the zero Set means none.
type Samples struct {
	Set     *data.Set
	Threads int               // 0: all cores
	Carry   map[string]string // outputs to the inputs that they are in the next call
}

// CheckSaturation counts the pairs that can saturate and, with samples, looks for the sum farthest from zero of each
// unsafe layer.
func CheckSaturation(ctx context.Context, g *graph.Graph, s Samples) (*Saturation, error) {
	c := optimize.CheckSaturation(g)
	r := &Saturation{Pairs: c.Pairs, Unsafe: c.Unsafe, Layers: make([]Layer, len(c.Layers))}
	for i, l := range c.Layers {
		r.Layers[i].SaturatingLayer = l
	}
	if s.Set == nil || c.Unsafe == 0 {
		return r, nil
	}
	return r, r.reach(ctx, g, s)
}

// reach runs the samples with the activations of the unsafe layers watched.
func (r *Saturation) reach(ctx context.Context, g *graph.Graph, s Samples) error {
	own := map[*graph.Value]bool{}
	for _, v := range g.Values() {
		own[v] = true
	}
	layers := map[*graph.Value][]*Layer{}
	reached := map[*Layer]*optimize.Reached{}
	for i := range r.Layers {
		l := &r.Layers[i]
		if l.Unsafe > 0 && l.Input != nil && own[l.Input] && !l.Input.IsConst() {
			reached[l] = &optimize.Reached{}
			layers[l.Input] = append(layers[l.Input], l)
		}
	}
	var watch []*graph.Value
	for _, v := range g.Values() {
		if layers[v] != nil {
			watch = append(watch, v)
		}
	}
	if watch == nil {
		return nil
	}
	n, err := s.run(ctx, g, watch, func(v *graph.Value, t *tensor.Tensor) error {
		for _, l := range layers[v] {
			one, err := l.Reach(t)
			if err != nil {
				return err
			}
			reached[l].Add(one)
		}
		return nil
	})
	r.Samples = n
	for l, sum := range reached {
		l.Largest, l.Clamped = &sum.Largest, &sum.Clamped
	}
	return err
}

// run shows what the watched values, inputs of the graph too, are on each sample, and counts the samples.
func (s Samples) run(ctx context.Context, g *graph.Graph, watch []*graph.Value, see func(*graph.Value, *tensor.Tensor) error) (int, error) {
	outer := map[int]*graph.Value{}
	var inner []*graph.Value
	for _, v := range watch {
		if v.Def != nil {
			inner = append(inner, v)
			continue
		}
		for i, in := range g.Inputs {
			if in == v {
				outer[i] = v
			}
		}
	}
	p, err := engine.Compile(ctx, g, engine.Options{Threads: s.Threads, Watch: inner})
	if err != nil {
		return 0, err
	}
	defer p.Close()
	carry, err := engine.NewCarry(g, s.Carry)
	if err != nil {
		return 0, err
	}
	batch := 1
	if len(g.Inputs) > 0 && g.Inputs[0].Rank() > 0 && !s.Set.Whole() {
		if n, ok := g.Inputs[0].Shape[0].Value(); ok {
			batch = max(n, 1)
		}
	}
	if s.Set.Len() < batch {
		return 0, fmt.Errorf("%d samples do not fill the model's batch of %d", s.Set.Len(), batch)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := 0
	for b, err := range s.Set.Stream(ctx, batch, s.Threads) {
		if err != nil {
			return done, err
		}
		if done+batch > s.Set.Len() {
			break // the rest does not fill a batch
		}
		var failed error
		show := func(v *graph.Value, t *tensor.Tensor) {
			if err := see(v, t); err != nil && failed == nil {
				failed = err
			}
		}
		call := engine.Call{In: carry.Before(b.In), Observe: show}
		for i, v := range outer {
			show(v, call.In[i])
		}
		if err := p.Run(ctx, &call); err != nil {
			return done, fmt.Errorf("%s: %w", b.Names[0], err)
		}
		carry.After(call.Out)
		if failed != nil {
			return done, failed
		}
		done += batch
	}
	return done, ctx.Err()
}

// Sums is how many sums of the samples left int16, in all layers.
func (r *Saturation) Sums() int {
	n := 0
	for _, l := range r.Layers {
		if l.Clamped != nil {
			n += *l.Clamped
		}
	}
	return n
}

// Warning says what to run for a model that is unsafe; "" for others.
func (r *Saturation) Warning(path string) string {
	if r.Unsafe == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d pairs of 8-bit products can overflow 16 bits on x86 CPUs without VNNI, where ONNX Runtime then gives "+
		"other answers: tfsopt doctor %s -o OUT makes them safe", r.Unsafe, r.Pairs, path)
}
