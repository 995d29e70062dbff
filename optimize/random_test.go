package optimize

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// TestRandomGraphs builds graphs of what passes look for, in random order and with values read several times, and runs both
// pipelines on them.
func TestRandomGraphs(t *testing.T) {
	for seed := range uint64(300) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			g := randomGraph(rand.New(rand.NewPCG(seed, 7)))
			for name, p := range map[string]graph.Pipeline{"default": Default(), "engine": ForEngine()} {
				optimized := g.Clone()
				if _, err := p.Run(t.Context(), optimized, indexTrue(t)); err != nil {
					t.Fatalf("%s: %v\n%s", name, err, g)
				}
				sameMeaning(t, g, optimized, 1e-5)
				if t.Failed() {
					t.Fatalf("%s makes of\n%s\nthis:\n%s", name, g, optimized)
				}
			}
		})
	}
}

type generator struct {
	*rand.Rand
	b      *graph.Builder
	values []*graph.Value // [N,C,H,W] in any order of the dimensions
}

func randomGraph(rng *rand.Rand) *graph.Graph {
	x := graph.NewInput("x", graph.Of(tensor.Float32, graph.Fixed(2), graph.Fixed(3), graph.Fixed(4), graph.Fixed(3)))
	if rng.IntN(2) == 0 {
		x.Shape[0] = graph.Named("N")
	}
	g := &graph.Graph{Name: "random", Inputs: []*graph.Value{x}, Opsets: map[string]int{"": 19}}
	r := &generator{rng, graph.NewBuilder(g), []*graph.Value{x}}
	for range 4 + rng.IntN(8) {
		recent := max(0, len(r.values)-3)
		v := r.values[recent+rng.IntN(len(r.values)-recent)]
		made := r.node(v)
		switch {
		case r.b.Err != nil: // a window larger than its input
			r.b.Err = nil
			g.Nodes = g.Nodes[:len(g.Nodes)-1]
		case made != nil:
			r.values = append(r.values, made)
		}
	}
	for i, v := range r.values[1:] {
		if i == len(r.values)-2 || rng.IntN(6) == 0 {
			g.Outputs = append(g.Outputs, v)
		}
	}
	return g
}

func (r *generator) floats(shape ...int) *graph.Value {
	v := make([]float32, tensor.Size(shape))
	for i := range v {
		v[i] = float32(r.IntN(33)-16) / 8
	}
	return r.b.Const("c", tensor.From(v, shape...))
}

func (r *generator) ints(v ...int64) *graph.Value { return r.b.Const("i", tensor.From(v, len(v))) }

// node adds one operator after v, nil where the one that was drawn does not fit.
func (r *generator) node(v *graph.Value) *graph.Value {
	if channels, ok := v.Shape[1].Value(); ok && r.IntN(3) == 0 {
		return r.channelwise(v, channels)
	}
	b := r.b
	kinds := []func() *graph.Value{
		func() *graph.Value { return b.Add("relu", ops.Relu{}, v) },
		func() *graph.Value {
			return b.Add("clip", ops.Clip{}, v, r.floats(), r.b.Const("hi", tensor.Scalar(float32(2))))
		},
		func() *graph.Value { return b.Add("same", ops.Identity{}, v) },
		func() *graph.Value {
			perm := [][]int{{0, 2, 3, 1}, {0, 3, 1, 2}, {0, 1, 3, 2}}[r.IntN(3)]
			return b.Add("transpose", ops.Transpose{Perm: perm}, v)
		},
		func() *graph.Value {
			pads := r.ints(0, 0, int64(r.IntN(2)), 1, 0, 0, 1, int64(r.IntN(2)))
			return b.Add("pad", ops.Pad{Mode: "constant"}, v, pads)
		},
		func() *graph.Value {
			return b.Add("max", ops.MaxPool{AutoPad: "NOTSET", KernelShape: []int{2, 2}, Pads: []int{0, 1, 0, 1}}, v)
		},
		func() *graph.Value {
			return b.Add("mean", ops.AveragePool{AutoPad: "NOTSET", KernelShape: []int{2, 2}, CountIncludePad: r.IntN(2) == 0}, v)
		},
		func() *graph.Value {
			other := r.values[r.IntN(len(r.values))]
			if !slices.Equal(other.Shape, v.Shape) {
				return nil
			}
			return b.Add("sum", []graph.Op{ops.Add{}, ops.Sub{}, ops.Sum{}}[r.IntN(3)], v, other)
		},
	}
	return kinds[r.IntN(len(kinds))]()
}

// channelwise adds one operator with a constant for each of v's channels.
func (r *generator) channelwise(v *graph.Value, channels int) *graph.Value {
	b := r.b
	kinds := []func() *graph.Value{
		func() *graph.Value {
			shape := [][]int{{}, {channels, 1, 1}, {1, channels, 1, 1}}[r.IntN(3)]
			return b.Add("scale", []graph.Op{ops.Mul{}, ops.Add{}, ops.Sub{}}[r.IntN(3)], v, r.floats(shape...))
		},
		func() *graph.Value {
			one := r.b.Const("var", tensor.From(slices.Repeat([]float32{1}, channels), channels))
			return b.Add("norm", ops.BatchNormalization{Epsilon: 1e-5}, v, r.floats(channels), r.floats(channels), r.floats(channels), one)
		},
		func() *graph.Value {
			op := ops.Conv{AutoPad: "NOTSET", Group: 1, Pads: []int{1, 1, 1, 1}}
			if r.IntN(2) == 0 {
				op.Group = channels
				return b.Add("conv", op, v, r.floats(channels, 1, 3, 3))
			}
			return b.Add("conv", op, v, r.floats(2, channels, 3, 3), r.floats(2))
		},
	}
	return kinds[r.IntN(len(kinds))]()
}
