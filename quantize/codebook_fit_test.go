package quantize

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/optimize"
	"github.com/tfsopt/tfsopt/tensor"
)

// samplesOf are random samples for the inputs of g.
func samplesOf(g *graph.Graph, n int, seed uint64) *data.Set {
	var in []data.Input
	for _, v := range g.Inputs {
		shape := make([]int, v.Rank())
		for i, d := range v.Shape {
			shape[i] = -1
			if size, ok := d.Value(); ok {
				shape[i] = size
			}
		}
		in = append(in, data.Input{Name: v.Name, DType: v.DType, Shape: shape})
	}
	return data.Random(in, n, seed)
}

// distance is the sum of squared differences between the answers of two graphs.
func distance(t *testing.T, a, b *graph.Graph, set *data.Set) float64 {
	t.Helper()
	var out [2][]float32
	for i, g := range []*graph.Graph{a, b} {
		p, err := engine.Compile(t.Context(), g, engine.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		for batch, err := range set.Stream(t.Context(), 1, 1) {
			if err != nil {
				t.Fatal(err)
			}
			c := &engine.Call{In: batch.In}
			if err := p.Run(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			out[i] = append(out[i], tensor.Floats(c.Out[0])...)
		}
	}
	sum := 0.0
	for i, x := range out[0] {
		sum += math.Pow(float64(x)-float64(out[1][i]), 2)
	}
	return sum
}

// TestCodebookData shares values with regard to samples: others' answers change less than half as much as without them,
// zeros stay, no more values are used, and the number of threads does not matter.
func TestCodebookData(t *testing.T) {
	g := pruned(t, map[string]float64{"conv1": 1, "conv2": 0.4, "ip1": 0.1, "ip2": 1})
	var plain, fitted *graph.Graph
	for _, threads := range []int{0, 1, 2} {
		o := CodebookOptions{Bits: 3, Threads: threads}
		if threads > 0 {
			o.Data = samplesOf(g, 256, 1)
		}
		r, err := Codebook(t.Context(), g, o)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (optimize.Fold{Growth: 1 << 30, Codebooks: true}).Apply(t.Context(), r.Graph); err != nil {
			t.Fatal(err)
		}
		switch threads {
		case 0:
			plain = r.Graph
		case 1:
			fitted = r.Graph
		case 2:
			for i, n := range r.Graph.Nodes {
				for j, v := range n.In {
					if w := fitted.Nodes[i].In[j]; v.IsConst() && !v.Const.Equal(w.Const) {
						t.Errorf("%s: two threads give other weights", n.Name)
					}
				}
			}
		}
	}
	for i, n := range g.Nodes {
		if weightOf(n) == nil {
			continue
		}
		distinct := map[float32]bool{}
		was := tensor.Floats(n.In[1].Const)
		for j, x := range tensor.Floats(fitted.Nodes[i].In[1].Const) {
			if distinct[x] = true; (x == 0) != (was[j] == 0) {
				t.Fatalf("%s: element %d is %g, was %g", n.Name, j, x, was[j])
			}
		}
		if len(distinct) > 8 {
			t.Errorf("%s: %d values", n.Name, len(distinct))
		}
	}
	others := samplesOf(g, 64, 2)
	if a, b := distance(t, g, fitted, others), distance(t, g, plain, others); a > b/2 {
		t.Errorf("fitted to data the error is %g, without data %g", a, b)
	}
}

// TestSharing compares what sharing finds for a few weights with every choice of every two values.
func TestSharing(t *testing.T) {
	w := []float32{0.9, -0.4, 0, 1.3, 0.7}
	h := []float64{
		2, 0.9, 0.1, 0.3, -0.2,
		0.9, 1, 0.2, 0.1, 0.1,
		0.1, 0.2, 3, 0.5, 0.4,
		0.3, 0.1, 0.5, 1.5, 0.8,
		-0.2, 0.1, 0.4, 0.8, 1.2,
	}
	s := &sharing{
		k: 5, run: 1, w: w, h: [][]float64{h}, u: [][]float64{inverseFactor(h, 5)}, values: []float32{0, -0.4, 1},
		index: []uint8{2, 1, 0, 2, 2},
	}
	e := make([]float64, 5)
	first := s.descend(0, slices.Clone(s.index), e)
	for range bookRounds {
		s.assign()
		s.solve()
	}
	found := s.descend(0, slices.Clone(s.index), e)
	least := math.Inf(1)
	for choice := range 16 {
		q := []uint8{1, 1, 0, 1, 1}
		for bit, i := range []int{0, 1, 3, 4} {
			q[i] += uint8(choice >> bit & 1)
		}
		try := &sharing{k: 5, run: 1, w: w, h: s.h, u: s.u, values: []float32{0, -0.5, 0.5}, index: q}
		try.solve()
		var d, sum [5]float64
		for i := range 5 {
			d[i] = float64(w[i]) - float64(try.values[try.index[i]])
		}
		total := 0.0
		for i := range 5 {
			for j := range 5 {
				sum[i] += h[i*5+j] * d[j]
			}
			total += d[i] * sum[i]
		}
		least = min(least, total)
	}
	if found > first || found > least*1.2+1e-6 || found < least-1e-6 {
		t.Errorf("error %g, at first %g, at best %g", found, first, least)
	}
}

// TestCodebookDataErrors names the layer whose inputs are not finite.
func TestCodebookDataErrors(t *testing.T) {
	g := pruned(t, twelvefold)
	i := slices.IndexFunc(g.Nodes, func(n *graph.Node) bool { return n.Name == "ip2" })
	b := graph.NewBuilder(g)
	huge := tensor.Scalar(float32(math.Inf(1)))
	scaled := b.Add("scaled", ops.Mul{}, g.Nodes[i].In[0], graph.NewConst("huge", huge))
	g.Nodes[i].In[0] = scaled
	if err := g.Sort(); err != nil {
		t.Fatal(err)
	}
	_, err := Codebook(t.Context(), g, CodebookOptions{Data: samplesOf(g, 4, 1)})
	var at *graph.OpError
	if !errors.As(err, &at) || at.Node != "ip2" {
		t.Errorf("%v: want an error about node ip2", err)
	}
}
