package prune

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// residualNet has a stream of 16 channels with an inner layer of 12, then 10 more and a classifier of 4.
func residualNet(t *testing.T) *graph.Graph {
	t.Helper()
	n, x := newDrawn(5, slices.Clone(picture)...)
	y := n.relu(n.conv(x, 16, 1))
	y = n.Add("sum", ops.Add{}, y, n.conv(n.relu(n.conv(y, 12, 1)), 16, 1))
	y = n.Add("gap", ops.GlobalAveragePool{}, n.relu(n.conv(y, 10, 1)))
	n.G.Outputs = []*graph.Value{n.dense(n.Add("flat", ops.Flatten{Axis: 1}, y), 4)}
	if n.Err != nil {
		t.Fatal(n.Err)
	}
	return n.G
}

// left gives the channels that stay, by group.
func left(r *ChannelReport) map[string]int {
	out := map[string]int{}
	for _, g := range r.Groups {
		out[g.Name] = g.Channels[1]
	}
	return out
}

func TestChannelTargets(t *testing.T) {
	g := residualNet(t)
	whole, err := newWork(g, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name        string
		o           ChannelOptions
		macs, bytes int64
	}{
		{"share", ChannelOptions{Sparsity: 0.4}, whole.total * 6 / 10, math.MaxInt64},
		{"FLOPs", ChannelOptions{TargetFLOPs: whole.total, Multiple: 1}, whole.total / 2, math.MaxInt64},
		{"bytes", ChannelOptions{TargetBytes: 9000, Multiple: 1}, math.MaxInt64, 9000},
		{"both", ChannelOptions{TargetBytes: 9000, TargetFLOPs: whole.total * 3 / 2}, whole.total * 3 / 4, 9000},
		{"by layer", ChannelOptions{Sparsity: 0.4, Scope: "layer"}, whole.total * 6 / 10, math.MaxInt64},
		{"random", ChannelOptions{Sparsity: 0.4, Criterion: "random"}, whole.total * 6 / 10, math.MaxInt64},
		{"single", ChannelOptions{Sparsity: 0.4, Multiple: 1}, whole.total * 6 / 10, math.MaxInt64},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := checkChannels(t, g, c.o)
			if r.MACs[1] > c.macs || r.Bytes[1] > c.bytes {
				t.Errorf("%d multiply-adds and %d bytes are left, want at most %d and %d", r.MACs[1], r.Bytes[1], c.macs, c.bytes)
			}
			if r.MACs[0] != whole.total || r.Bytes[0] != storedBytes(g) {
				t.Errorf("before there were %d multiply-adds and %d bytes, want %d and %d", r.MACs[0], r.Bytes[0], whole.total, storedBytes(g))
			}
			first, _, err := Channels(t.Context(), g, c.o)
			if err != nil {
				t.Fatal(err)
			}
			if f, err := FLOPs(nil)(t.Context(), first); err != nil || c.o.TargetFLOPs > 0 && int64(f) > c.o.TargetFLOPs {
				t.Errorf("%v FLOPs are left, want at most %d (%v)", f, c.o.TargetFLOPs, err)
			}
			again, _, err := Channels(t.Context(), g, c.o)
			if err != nil || again.String() != first.String() {
				t.Errorf("a second time gives another graph (%v)", err)
			}
		})
	}
}

func TestChannelMultiple(t *testing.T) {
	for given, want := range map[int]int{0: 4, 2: 2, 8: 8} {
		_, r, err := Channels(t.Context(), residualNet(t), ChannelOptions{Sparsity: 0.3, Multiple: given})
		if err != nil {
			t.Fatal(err)
		}
		cut := 0
		for _, g := range r.Groups {
			if g.Channels[1] != g.Channels[0] {
				cut++
				if g.Channels[1]%want != 0 {
					t.Errorf("group %q keeps %d channels for a multiple of %d", g.Name, g.Channels[1], given)
				}
			}
		}
		if cut == 0 {
			t.Errorf("nothing is cut for a multiple of %d", given)
		}
	}
}

// TestHeadsAreMultiples: heads of 4 places are cut one by one where places are to be a multiple of 4, in twos for 8.
func TestHeadsAreMultiples(t *testing.T) {
	n, x := newDrawn(2, slices.Clone(sequence)...)
	n.G.Outputs = []*graph.Value{n.dense(n.heads(n.dense(x, 12), n.dense(x, 12), n.dense(x, 12)), 8)}
	for multiple, want := range map[int]int{4: 2, 8: 2, 16: 3} {
		_, r, err := Channels(t.Context(), n.G, ChannelOptions{Sparsity: 0.2, Multiple: multiple})
		switch {
		case want == 3 && (err == nil || !strings.Contains(err.Error(), "no more channels")):
			t.Errorf("3 heads of 4 with a multiple of %d: error %v", multiple, err)
		case want < 3 && (err != nil || left(r)["m"] != want):
			t.Errorf("3 heads of 4 with a multiple of %d: %v, %v", multiple, r, err)
		}
	}
}

func TestChannelScope(t *testing.T) {
	_, r, err := Channels(t.Context(), residualNet(t), ChannelOptions{Sparsity: 0.5, Multiple: 1, Scope: "layer"})
	if err != nil {
		t.Fatal(err)
	}
	least, most := 1., 0.
	for _, g := range r.Groups {
		if share := float64(g.Channels[1]) / float64(g.Channels[0]); g.Reason == "" {
			least, most = min(least, share), max(most, share)
		}
	}
	if most-least > 0.1 { // one channel of the smallest group
		t.Errorf("groups keep between %g and %g of their channels", least, most)
	}
	if _, r, err = Channels(t.Context(), residualNet(t), ChannelOptions{Sparsity: 0.25, Multiple: 1, Exclude: []string{"sum"}}); err != nil {
		t.Fatal(err)
	}
	if n := left(r); n["c"] != 16 || n["c_1"] == 12 && n["c_3"] == 10 {
		t.Errorf("without the residual stream these are left: %v", n)
	}
}

// TestChannelScores cuts what scores call worthless, and what has the smallest weights.
func TestChannelScores(t *testing.T) {
	g := residualNet(t)
	small := g.Clone()
	scores := Scores{}
	for _, v := range small.Values() {
		if !v.IsConst() || !v.Const.IsFloat() {
			continue
		}
		s := make([]float32, v.Const.Len())
		for i := range s {
			s[i] = 1
		}
		x := tensor.Float64s(v.Const)
		if v.Name == "cw_1" || v.Name == "cb_1" { // inner channels 2, 5 and 7
			for _, c := range []int{2, 5, 7} {
				each := len(s) / 12
				for i := c * each; i < (c+1)*each; i++ {
					s[i], x[i] = 0, x[i]*1e-3
				}
			}
		}
		if v.Name == "cw_2" {
			for i := range s {
				if c := i / 9 % 12; c == 2 || c == 5 || c == 7 {
					s[i], x[i] = 0, x[i]*1e-3
				}
			}
		}
		scores[v.Name] = s
		v.Const = v.Const.Clone()
		if err := tensor.SetFloat64s(v.Const, x); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		g *graph.Graph
		o ChannelOptions
	}{
		{g, ChannelOptions{Criterion: "taylor", Scores: scores}},
		{g, ChannelOptions{Criterion: "snip", Scores: scores}},
		{small, ChannelOptions{}},
		{small, ChannelOptions{AsIs: true}},
	} {
		c.o.Sparsity, c.o.Multiple = 0.12, 1
		p, err := planChannels(t.Context(), c.g, c.o)
		if err != nil {
			t.Fatal(err)
		}
		for i, g := range p.groups {
			var gone []int
			for ch, drop := range p.gone[i] {
				if drop {
					gone = append(gone, ch)
				}
			}
			if want := []int{2, 5, 7}; g.Name == "c_1" && !slices.Equal(gone, want) || g.Name != "c_1" && gone != nil {
				t.Errorf("%q with %d scores: group %q loses %v", c.o.Criterion, len(c.o.Scores), g.Name, gone)
			}
		}
	}
}

// TestChannelScale tells that no scaling of a layer changes what magnitude chooses: a ReLU passes a factor on, which the
// next layer undoes.
func TestChannelScale(t *testing.T) {
	g := residualNet(t)
	scaled := g.Clone()
	for _, v := range scaled.Values() {
		by := map[string]float64{"cw_1": 64, "cb_1": 64, "cw_2": 1. / 64}[v.Name]
		if by == 0 {
			continue
		}
		x := tensor.Float64s(v.Const)
		for i := range x {
			x[i] *= by
		}
		v.Const = v.Const.Clone()
		if err := tensor.SetFloat64s(v.Const, x); err != nil {
			t.Fatal(err)
		}
	}
	_, a, err := Channels(t.Context(), g, ChannelOptions{Sparsity: 0.5, Multiple: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, b, err := Channels(t.Context(), scaled, ChannelOptions{Sparsity: 0.5, Multiple: 1})
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range left(a) {
		if left(b)[name] != n {
			t.Errorf("group %q keeps %d channels, %d once layers are scaled", name, n, left(b)[name])
		}
	}
}

// TestChannelSearch looks for the least cut after which a cost is low enough: here the number of all parameters.
func TestChannelSearch(t *testing.T) {
	g := residualNet(t)
	cost := func(_ context.Context, g *graph.Graph) (float64, error) { return float64(graph.Parameters(g)), nil }
	whole := graph.Parameters(g)
	out, r, err := Channels(t.Context(), g, ChannelOptions{Multiple: 1, Target: &Target{Name: "parameters", Limit: float64(whole) / 2, Cost: cost}})
	if err != nil {
		t.Fatal(err)
	}
	if n := graph.Parameters(out); n > whole/2 || n < whole*4/10 || r.MACs[1] >= r.MACs[0] {
		t.Errorf("%d parameters of %d are left, %d multiply-adds of %d", n, whole, r.MACs[1], r.MACs[0])
	}
	_, _, err = Channels(t.Context(), g, ChannelOptions{Target: &Target{Name: "parameters", Limit: 3, Cost: cost}})
	if err == nil || !strings.Contains(err.Error(), "target of 3 parameters: with") {
		t.Errorf("error %v", err)
	}
	broken := func(context.Context, *graph.Graph) (float64, error) { return 0, errors.New("no clock") }
	if _, _, err = Channels(t.Context(), g, ChannelOptions{Target: &Target{Name: "ms", Limit: 3, Cost: broken}}); err == nil || err.Error() != "no clock" {
		t.Errorf("error %v", err)
	}
}

func TestChannelErrors(t *testing.T) {
	softmax := func(t *testing.T) *graph.Graph {
		n, x := newDrawn(1, slices.Clone(picture)...)
		n.G.Outputs = []*graph.Value{n.Add("soft", ops.Softmax{Axis: 1}, n.conv(x, 4, 1))}
		return n.G
	}
	for _, c := range []struct {
		g    func(*testing.T) *graph.Graph
		o    ChannelOptions
		want []string
	}{
		{residualNet, ChannelOptions{}, []string{"needs a sparsity or a target"}},
		{residualNet, ChannelOptions{Sparsity: 1}, []string{"sparsity 1: want a share"}},
		{residualNet, ChannelOptions{Sparsity: math.NaN()}, []string{"sparsity NaN"}},
		{residualNet, ChannelOptions{Sparsity: 0.5, TargetBytes: -1}, []string{"want positive numbers"}},
		{residualNet, ChannelOptions{Sparsity: 0.5, Criterion: "size"}, []string{`criterion "size"`}},
		{residualNet, ChannelOptions{Sparsity: 0.5, Criterion: "taylor"}, []string{"needs scores"}},
		{residualNet, ChannelOptions{Sparsity: 0.5, Criterion: "taylor", Scores: Scores{"other": nil}}, []string{"has no scores for any"}},
		{residualNet, ChannelOptions{Sparsity: 0.5, Criterion: "taylor", Scores: Scores{"cw": {1}}}, []string{`constant "cw": 1 scores for [16 3 3 3]`}},
		{residualNet, ChannelOptions{Sparsity: 0.5, Target: &Target{Name: "ms", Limit: 1}}, []string{"a target of 1 ms and another one"}},
		{residualNet, ChannelOptions{Target: &Target{Name: "ms", Limit: 1}}, []string{"want a cost"}},
		{residualNet, ChannelOptions{Sparsity: 0.5, MinShare: 2}, []string{"minimum share 2"}},
		{residualNet, ChannelOptions{Sparsity: 0.5, Multiple: -8}, []string{"multiple -8"}},
		{residualNet, ChannelOptions{Sparsity: 0.5, Include: []string{"nobody"}}, []string{`"nobody"`}},
		{residualNet, ChannelOptions{Sparsity: 0.5, Dims: map[string]int{"Q": 2}}, []string{`"Q"`}},
		{residualNet, ChannelOptions{Sparsity: 0.999}, []string{"no more channels can be cut", "multiply-adds are left"}},
		{residualNet, ChannelOptions{TargetBytes: 10}, []string{"no more channels can be cut", "10 are wanted"}},
		{softmax, ChannelOptions{Sparsity: 0.5, Multiple: 1}, []string{"no group of channels can be cut", `4 channels of "c": output "soft_out" of the model has them`}},
	} {
		g := c.g(t)
		before := g.String()
		_, _, err := Channels(t.Context(), g, c.o)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: error %v, want %q", c.o, err, want)
			}
		}
		if g.String() != before {
			t.Errorf("%+v: the graph has changed", c.o)
		}
	}
}
