package prune

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/optimize"
)

// ChannelOptions say how many channels to cut and which; the zero value of each field is the documented default. At
// least one of Sparsity, TargetFLOPs, TargetBytes and Width is needed, all that are given are met; or Target alone.
type ChannelOptions struct {
	// Sparsity is the share of the model's multiply-adds that is to go, in [0, 1).
	Sparsity float64
	// TargetFLOPs is how many FLOPs, two for a multiply-add, one sample may take.
	TargetFLOPs int64
	// TargetBytes is how many bytes the model's constants may take.
	TargetBytes int64
	// Target, for costs that only the smaller graph itself can tell, such as its latency, chooses the least Sparsity whose
	// result costs no more.
	Target *Target
	// Width, if above 0, is the share of its channels that stays in every group, rounded up; MinShare does not count then.
	Width float64
	// Criterion is magnitude (default), taylor (or gradient), snip or random. Those that need gradients read Scores.
	Criterion string
	// Scope is global (default: channels of all layers compete by score for each multiply-add saved) or layer (every
	// group loses the same share).
	Scope string
	// MinShare is the share of a group's channels that stays at least; 0: 0.1. One channel stays in any case.
	MinShare float64
	// Multiple is what the number of positions that stay along an axis is a multiple of; 0: 4, with Width 1. A group with
	// fewer channels stays whole; a head of attention counts as many as it has positions. ONNX Runtime works in blocks of
	// channels: MobileNetV2-0.35 with 40 % fewer multiply-adds takes 1.47 ms there with 1, 0.75 with 4 and 0.70 with 8,
	// whole 0.95.
	Multiple int
	// Include, if not empty, names the groups that are cut, Exclude those that are not, by any of their nodes' names.
	Include, Exclude []string

	// Reconstruct solves for the weights that stay so that each layer's output on Data, labelled or not, changes least. It
	// does not go with Target.
	Reconstruct bool
	Data        *data.Set
	Threads     int // 0: all cores
	Progress    func(stage string, done, total int)

	Scores Scores // by the names of the constants of the graph as it is given: see AsIs
	Seed   uint64 // of random

	// Dims are sizes of symbolic dimensions, for counting work. A first dimension that they do not name counts as 1.
	Dims map[string]int
	// AsIs leaves out the passes of optimize.Default, which otherwise run first on a copy. Gradients must be those of the
	// very graph that is cut, so Scores imply it.
	AsIs bool
}

// ChannelReport tells what Channels did.
type ChannelReport struct {
	MACs, Bytes [2]int64 // of the model before and after; MACs of one sample
	Layers      []ChannelLayer
	Groups      []ChannelGroup
	Warnings    []string
	nodes       []*graph.Node // of Layers
}

// ChannelLayer is a convolution or product with constant weights. Pairs hold what was before and after.
type ChannelLayer struct {
	Name, Op    string
	Channels    [2]int // output channels
	MACs, Bytes [2]int64
	Reason      string // why its output channels cannot be cut; "" if they can
}

// ChannelGroup is a group of channels that are cut together.
type ChannelGroup struct {
	Name     string
	Nodes    []string
	Channels [2]int
	Reason   string // why it cannot be cut; "" if it can
}

// defaults fills in what is not said and checks the rest.
func (o ChannelOptions) defaults() (ChannelOptions, error) {
	var errs []error
	switch {
	case o.Reconstruct && o.Data == nil:
		errs = append(errs, ErrNoData)
	case o.Reconstruct && o.Target != nil:
		errs = append(errs, errors.New("reconstruction does not go with a measured target"))
	}
	common, _, err := Options{Criterion: o.Criterion, Scope: o.Scope, Scores: o.Scores}.defaults()
	errs = append(errs, err)
	o.Criterion, o.Scope = common.Criterion, common.Scope
	if !(o.Sparsity >= 0 && o.Sparsity < 1) {
		errs = append(errs, fmt.Errorf("sparsity %g: want a share of the multiply-adds from 0 to below 1", o.Sparsity))
	}
	if o.TargetFLOPs < 0 || o.TargetBytes < 0 {
		errs = append(errs, fmt.Errorf("targets of %d FLOPs and %d bytes: want positive numbers", o.TargetFLOPs, o.TargetBytes))
	}
	if !(o.Width >= 0 && o.Width <= 1) {
		errs = append(errs, fmt.Errorf("width %g: want a share of the channels from 0 to 1", o.Width))
	}
	switch others := o.Sparsity != 0 || o.TargetFLOPs != 0 || o.TargetBytes != 0 || o.Width != 0; {
	case o.Target != nil && others:
		errs = append(errs, fmt.Errorf("a target of %g %s and another one: want one of them", o.Target.Limit, o.Target.Name))
	case o.Target != nil:
		errs = append(errs, o.Target.check(pattern{}, 0))
	case !others:
		errs = append(errs, errors.New("pruning channels needs a sparsity or a target"))
	}
	switch {
	case o.Width > 0:
		o.MinShare = o.Width
	case o.MinShare == 0:
		o.MinShare = 0.1
	}
	if !(o.MinShare > 0 && o.MinShare <= 1) {
		errs = append(errs, fmt.Errorf("minimum share %g: want a share from 0 to 1", o.MinShare))
	}
	if o.Multiple < 0 {
		errs = append(errs, fmt.Errorf("multiple %d is negative", o.Multiple))
	}
	switch {
	case o.Multiple != 0:
	case o.Width > 0:
		o.Multiple = 1
	default:
		o.Multiple = 4
	}
	return o, errors.Join(errs...)
}

// Channels cuts whole channels: the result is a smaller graph that computes what g would if the channels' weights were
// zero where they are read. What channels add that no input reaches goes to the biases of the layers that read them, or
// they stay. g and its tensors stay as they are. It fails if no group of channels can be cut, with the
// reasons, and if the target cannot be met, with what can.
func Channels(ctx context.Context, g *graph.Graph, o ChannelOptions) (*graph.Graph, *ChannelReport, error) {
	if o.Target != nil {
		return searchChannels(ctx, g, o)
	}
	p, err := planChannels(ctx, g, o)
	if err != nil {
		return nil, nil, err
	}
	var warnings []string
	if o.Reconstruct {
		if warnings, err = p.solve(ctx, o); err != nil {
			return nil, nil, err
		}
	}
	report, err := p.cut()
	if err != nil {
		return nil, nil, err
	}
	report.Warnings = append(report.Warnings, warnings...)
	return p.g, report, nil
}

// channelPlan is a graph with what is to be cut from it.
type channelPlan struct {
	*selection
	g      *graph.Graph // a copy, as yet whole
	shared sharing
}

// prepare gives a copy of g that may be cut.
func (o ChannelOptions) prepare(ctx context.Context, g *graph.Graph) (*graph.Graph, error) {
	g = g.Clone()
	if !o.AsIs && o.Scores == nil {
		if _, err := optimize.Default().Run(ctx, g, nil); err != nil {
			return nil, err
		}
	}
	return g, g.Infer()
}

func planChannels(ctx context.Context, g *graph.Graph, o ChannelOptions) (*channelPlan, error) {
	o, err := o.defaults()
	if err != nil {
		return nil, err
	}
	if g, err = o.prepare(ctx, g); err != nil {
		return nil, err
	}
	p := &channelPlan{g: g, shared: unshare(g)}
	groups, err := Groups(g)
	if err != nil {
		return nil, err
	}
	if groups, err = p.foldDead(ctx, groups, o); err != nil {
		return nil, err
	}
	work, err := newWork(g, o.Dims)
	if err != nil {
		return nil, err
	}
	work.warnings = append(work.warnings, staying(groups)...)
	if p.selection, err = newSelection(groups, work, p.shared, o); err != nil {
		return nil, err
	}
	return p, p.run(ctx, o)
}

// cut does what is planned.
func (p *channelPlan) cut() (*ChannelReport, error) {
	r := &ChannelReport{MACs: [2]int64{p.work.total, p.macs}, Bytes: [2]int64{storedBytes(p.g)}, Warnings: p.work.warnings}
	k := keptOf(p.groups, p.gone)
	r.describe(p, k)
	if err := k.cut(p.g); err != nil {
		return nil, err
	}
	p.shared.restore(p.g)
	r.measure(p.g)
	return r, nil
}

// sharing remembers which constants are copies of which.
type sharing map[*graph.Value]*graph.Value

// unshare gives every reader of a constant vector (one axis longer than 1) its own: equal biases that were stored once
// must not tie their layers together.
func unshare(g *graph.Graph) sharing {
	s, names := sharing{}, g.Names()
	read := map[*graph.Value]bool{}
	for _, n := range g.Nodes {
		for i, v := range n.In {
			if !v.IsConst() || !isVector(v.Const.Shape) {
				continue
			}
			if read[v] {
				c := graph.NewConst(names.Fresh(v.Name), v.Const)
				n.In[i], s[c] = c, v
			}
			read[v] = true
		}
	}
	return s
}

func isVector(shape []int) bool {
	long := 0
	for _, n := range shape {
		if n > 1 {
			long++
		}
	}
	return long <= 1
}

// origin is the name under which a constant's scores are given.
func (s sharing) origin(v *graph.Value) string {
	if o := s[v]; o != nil {
		return o.Name
	}
	return v.Name
}

// restore stores again once what is still equal.
func (s sharing) restore(g *graph.Graph) {
	for _, n := range g.Nodes {
		for i, v := range n.In {
			if o := s[v]; o != nil && o.Const.Equal(v.Const) {
				n.In[i] = o
			}
		}
	}
}

// choose tells which groups the options let be cut. Names that no group has are an error.
func (o ChannelOptions) choose(groups []*Group) ([]bool, error) {
	ok := make([]bool, len(groups))
	known := map[string]bool{}
	for i, g := range groups {
		has := func(name string) bool { return slices.Contains(g.Nodes, name) }
		for _, n := range g.Nodes {
			known[n] = true
		}
		ok[i] = g.Reason == "" && (len(o.Include) == 0 || slices.ContainsFunc(o.Include, has)) && !slices.ContainsFunc(o.Exclude, has)
	}
	var errs []error
	for i, name := range slices.Concat(o.Include, o.Exclude) {
		if !known[name] {
			option := "include"
			if i >= len(o.Include) {
				option = "exclude"
			}
			errs = append(errs, &graph.NameError{Option: option, Name: name, Problem: "no group of channels has a node of that name"})
		}
	}
	if len(errs) == 0 && !slices.Contains(ok, true) {
		errs = append(errs, errNothing(groups))
	}
	return ok, errors.Join(errs...)
}

// errNothing lists why no group can be cut.
func errNothing(groups []*Group) error {
	text := []string{"no group of channels can be cut"}
	for _, g := range groups {
		if g.Reason != "" && len(text) < 20 {
			text = append(text, fmt.Sprintf("%d channels of %q: %s", g.Channels, g.Name, g.Reason))
		}
	}
	return errors.New(strings.Join(text, "\n  "))
}
