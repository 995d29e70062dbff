package prune

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// selection chooses the channels to cut, one step in one group after the other.
type selection struct {
	groups []*Group
	gone   [][]bool // by group and channel
	state  []progress
	work   *work
	first  map[*graph.Node]int64 // multiply-adds before
	macs   int64
	flops  int64
	bytes  int64
	by     func(s step) float64 // the least is cut first
	near   [][]int              // groups whose savings change when one is cut
}

// progress is how far a group is cut.
type progress struct {
	can    bool
	scores []float64 // of each channel
	order  []int     // channels that may go by score, least first
	cut    int       // of order
	least  int       // channels that stay at least
	unit   int       // the number of those that stay is a multiple of it, unless all stay
	next   step      // what the next step would bring; worth nothing if it has no channels
}

// step is the next cut in a group: these channels, together worth score.
type step struct {
	channels    []int
	score       float64
	rest        float64 // share of all the group's scores that is left
	left        float64 // share of the group's channels that is left
	macs, bytes int64
}

func newSelection(groups []*Group, w *work, shared sharing, o ChannelOptions) (*selection, error) {
	can, err := o.choose(groups)
	if err != nil {
		return nil, err
	}
	s := &selection{groups: groups, work: w, first: maps.Clone(w.macs), macs: w.total, flops: w.flops, state: make([]progress, len(groups)), gone: make([][]bool, len(groups))}
	s.by = o.priority()
	for v, shape := range w.shape {
		if v.IsConst() {
			s.bytes += int64(v.DType.Bytes(tensor.Size(shape)))
		}
	}
	for i, g := range groups {
		s.gone[i] = make([]bool, g.Channels)
		if !can[i] {
			continue
		}
		p := progress{can: true, unit: g.unit(o.Multiple)}
		if p.scores, err = o.channelScores(g, shared); err != nil {
			return nil, err
		}
		for c := range g.Channels {
			if g.free != nil && g.free[c] && o.Criterion != random {
				p.scores[c] = 0
			}
			if g.stays == nil || g.stays[c] == "" {
				p.order = append(p.order, c)
			}
		}
		slices.SortStableFunc(p.order, func(a, b int) int { return cmp.Compare(p.scores[a], p.scores[b]) })
		p.least = max(1, int(math.Ceil(o.MinShare*float64(g.Channels))))
		p.least = (p.least + p.unit - 1) / p.unit * p.unit
		s.state[i] = p
	}
	s.near = neighbours(groups)
	return s, nil
}

// unit is how many channels go together so that the positions along every axis stay a multiple of m.
func (g *Group) unit(m int) int {
	unit := 1
	for _, s := range g.Slices {
		if !isVector(s.Value.Const.Shape) {
			unit = max(unit, m/gcd(m, len(s.Positions[0])))
		}
	}
	return unit
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// priority is what steps are compared by.
func (o ChannelOptions) priority() func(step) float64 {
	switch {
	case o.Scope == scopeLayer:
		return func(s step) float64 { return -s.left }
	case o.Criterion == random:
		return func(s step) float64 { return s.score / float64(len(s.channels)) }
	}
	gain := func(s step) float64 { return float64(s.macs) }
	if o.Sparsity == 0 && o.TargetFLOPs == 0 {
		gain = func(s step) float64 { return float64(s.bytes) }
	}
	return func(s step) float64 { return s.score / max(s.rest, math.SmallestNonzeroFloat64) / gain(s) }
}

// neighbours lists, for each group, those that share a node with it, itself included.
func neighbours(groups []*Group) [][]int {
	at := map[*graph.Node][]int{}
	for i, g := range groups {
		for _, n := range g.nodes {
			at[n] = append(at[n], i)
		}
	}
	out := make([][]int, len(groups))
	for i, g := range groups {
		for _, n := range g.nodes {
			out[i] = append(out[i], at[n]...)
		}
		slices.Sort(out[i])
		out[i] = slices.Compact(out[i])
	}
	return out
}

// run cuts until the targets are met.
func (s *selection) run(ctx context.Context, o ChannelOptions) error {
	macs, flops, bytes := int64(math.MaxInt64), int64(math.MaxInt64), int64(math.MaxInt64)
	if o.Sparsity > 0 {
		macs = int64(math.Floor((1 - o.Sparsity) * float64(s.work.total)))
	}
	if o.TargetFLOPs > 0 {
		flops = o.TargetFLOPs
	}
	if o.TargetBytes > 0 {
		bytes = o.TargetBytes
	}
	if o.Width > 0 {
		macs, bytes = 0, 0 // as far as the width lets
	}
	for i := range s.state {
		s.look(i)
	}
	for s.macs > macs || s.flops > flops || s.bytes > bytes {
		if err := ctx.Err(); err != nil {
			return err
		}
		best := -1
		for i := range s.state {
			n := &s.state[i].next
			if len(n.channels) > 0 && (n.macs > 0 || n.bytes > 0) && (best < 0 || s.by(*n) < s.by(s.state[best].next)) {
				best = i
			}
		}
		if best < 0 && o.Width > 0 {
			return nil
		}
		if best < 0 {
			return s.short(macs, flops, bytes)
		}
		s.take(best)
	}
	return nil
}

// short says how far cutting can go.
func (s *selection) short(macs, flops, bytes int64) error {
	text := ""
	if s.macs > macs {
		text = fmt.Sprintf("; %d multiply-adds are left of %d, %d are wanted", s.macs, s.work.total, macs)
	}
	if s.flops > flops {
		text += fmt.Sprintf("; %d FLOPs are left of %d, %d are wanted", s.flops, s.work.flops, flops)
	}
	if s.bytes > bytes {
		text += fmt.Sprintf("; %d bytes are left, %d are wanted", s.bytes, bytes)
	}
	return &shortError{text}
}

// shortError says that every channel that may go is gone, and what is left then.
type shortError struct{ left string }

func (e *shortError) Error() string { return "no more channels can be cut" + e.left }

// look finds a group's next step and what it saves.
func (s *selection) look(i int) {
	p, g := &s.state[i], s.groups[i]
	if p.next = (step{}); !p.can {
		return
	}
	left := g.Channels - p.cut
	after := (left - 1) / p.unit * p.unit
	if after < p.least || g.Channels-after > len(p.order) {
		return
	}
	n := step{channels: p.order[p.cut : p.cut+left-after], left: float64(left) / float64(g.Channels)}
	for _, c := range n.channels {
		n.score += p.scores[c]
	}
	all, rest := 0., 0.
	for j, c := range p.order {
		if all += p.scores[c]; j >= p.cut {
			rest += p.scores[c]
		}
	}
	n.rest = rest / max(all, math.SmallestNonzeroFloat64)
	before := s.work.bytes(g)
	s.work.shrink(g, n.channels, 1)
	n.macs, n.bytes = s.work.recount(g, false).MACs, before-s.work.bytes(g)
	s.work.shrink(g, n.channels, -1)
	p.next = n
}

// take does a group's next step.
func (s *selection) take(i int) {
	p, g := &s.state[i], s.groups[i]
	for _, c := range p.next.channels {
		s.gone[i][c] = true
	}
	p.cut += len(p.next.channels)
	s.bytes -= p.next.bytes
	s.work.shrink(g, p.next.channels, 1)
	saved := s.work.recount(g, true)
	s.macs, s.flops = s.macs-saved.MACs, s.flops-saved.FLOPs()
	for _, j := range s.near[i] {
		s.look(j)
	}
}

// channelScores gives a number for each channel of a group: the sum, over the group's weights, of the share that the
// channel's slice has of the weight's squares or, for criteria with gradients, of the weight's scores. No scaling of a
// layer changes it, and a channel that many layers read counts more. (Sums of plain Taylor scores choose worse: ResNet-8
// with half its multiply-adds, tuned for 200 steps, has 35 % right instead of 53; biases with a share of their own 47.)
func (o ChannelOptions) channelScores(g *Group, shared sharing) ([]float64, error) {
	scores := make([]float64, g.Channels)
	if o.Criterion == random {
		h := fnv.New64a()
		h.Write([]byte(g.Name)) // never fails
		for c := range scores {
			scores[c] = float64(mix(h.Sum64()^mix(o.Seed)+uint64(c))>>11+1) / (1 << 53)
		}
		return scores, nil
	}
	used := 0
	for _, s := range g.scored() {
		v := tensor.Float64s(s.Value.Const)
		if o.Criterion == magnitude {
			for i, x := range v {
				v[i] = float64(x * x)
			}
		} else {
			given, ok := o.Scores[shared.origin(s.Value)]
			if !ok {
				continue
			}
			if len(given) != len(v) {
				return nil, fmt.Errorf("constant %q: %d scores for %v", s.Value.Name, len(given), s.Value.Const.Shape)
			}
			for i, x := range given {
				v[i] = float64(x)
			}
		}
		sums, total := s.sums(v)
		if !(total >= 0) || math.IsInf(total, 1) {
			return nil, fmt.Errorf("constant %q: its scores add up to %v", s.Value.Name, total)
		}
		used++
		for c, x := range sums {
			scores[c] += x / max(total, math.SmallestNonzeroFloat64)
		}
	}
	if used == 0 {
		return nil, fmt.Errorf("channels of %q: criterion %s has no scores for any of their constants", g.Name, o.Criterion)
	}
	return scores, nil
}

// sums adds up an element's values by channel.
func (s Slice) sums(v []float64) (sums []float64, total float64) {
	shape := s.Value.Const.Shape
	outer, inner := tensor.Size(shape[:s.Axis]), tensor.Size(shape[s.Axis+1:])
	sums = make([]float64, len(s.Positions))
	for c, list := range s.Positions {
		for _, at := range list {
			for o := range outer {
				for _, x := range v[(o*shape[s.Axis]+at)*inner:][:inner] {
					sums[c] += x
				}
			}
		}
		total += sums[c]
	}
	return sums, total
}

// scored lists the slices that count: of weights that multiply or, if there are none, of all floats.
func (g *Group) scored() []Slice {
	var all, heavy []Slice
	for _, s := range g.Slices {
		if !s.Value.Const.IsFloat() {
			continue
		}
		if all = append(all, s); !isVector(s.Value.Const.Shape) || g.scales(s.Value) {
			heavy = append(heavy, s)
		}
	}
	if len(heavy) > 0 {
		return heavy
	}
	return all
}

// scales reports whether v is the scale of a normalization.
func (g *Group) scales(v *graph.Value) bool {
	return slices.ContainsFunc(g.nodes, func(n *graph.Node) bool {
		return n.OpName() == "BatchNormalization" && len(n.In) > 1 && n.In[1] == v
	})
}
