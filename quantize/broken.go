package quantize

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/graph"
)

// An output below leastOutput dB, or a layer below leastLayer dB, is noise rather than an answer.
const leastOutput, leastLayer = 5, 0

// Broken says what of a result is not fit for use, as measured on calibration samples.
type Broken struct {
	Outputs []Output // below 5 dB
	Layers  []Layer  // below 0 dB, the worst first
}

// Broken is nil if the result is fit for use or nothing was measured.
func (r *Result) Broken() *Broken {
	var b Broken
	for _, o := range r.Outputs {
		if o.SQNR != 0 && o.SQNR < leastOutput {
			b.Outputs = append(b.Outputs, o)
		}
	}
	for _, l := range r.Layers {
		if l.SQNR < leastLayer {
			b.Layers = append(b.Layers, l)
		}
	}
	if b.Outputs == nil && b.Layers == nil {
		return nil
	}
	slices.SortStableFunc(b.Layers, func(x, y Layer) int { return cmp.Compare(x.SQNR, y.SQNR) })
	return &b
}

// String names the outputs and layers.
func (b *Broken) String() string {
	var parts []string
	for _, o := range b.Outputs {
		parts = append(parts, fmt.Sprintf("output %q has %.1f dB", o.Name, o.SQNR))
	}
	for _, l := range b.Layers {
		parts = append(parts, fmt.Sprintf("layer %q has %.1f dB", l.Name, l.SQNR))
	}
	return strings.Join(parts, ", ")
}

// Proposal is a change of options that was tried and gives a result which is fit for use.
type Proposal struct {
	Exclude []string // the nodes to exclude besides those that are
	Mode    string   // the mode to use instead; "": the same
	SQNR    float64  // of the worst output, in dB
}

// Propose looks for nodes to exclude, or else another mode, with which the quantization that gave r is not broken. It tries
// few: the layers where most is lost, then all that stand before the broken ones. nil: none of them helps.
func (r *Result) Propose(ctx context.Context, g *graph.Graph, set *data.Set, o Options) (*Proposal, error) {
	f, err := prepare(ctx, g, o)
	if err != nil {
		return nil, err
	}
	var last []string
	for _, names := range candidates(f, r) {
		if len(names) == 0 || slices.Equal(names, last) {
			continue
		}
		last = names
		with := o
		with.Exclude = append(slices.Clone(o.Exclude), names...)
		if p, err := try(ctx, g, set, with); p != nil || ctx.Err() != nil {
			if p != nil {
				p.Exclude = names
			}
			return p, ctxError(ctx, err)
		}
	}
	if o.Mode == modeWeightOnly {
		return nil, nil
	}
	with := o
	with.Mode, with.Style, with.IO, with.Target = modeWeightOnly, "", "", ""
	p, err := try(ctx, g, set, with)
	if p != nil {
		p.Mode = modeWeightOnly
	}
	return p, ctxError(ctx, err)
}

// ctxError is err if the caller gave up; a trial that fails is only one that does not help.
func ctxError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return nil
}

// try is nil if the options give nothing fit for use.
func try(ctx context.Context, g *graph.Graph, set *data.Set, o Options) (*Proposal, error) {
	r, err := Quantize(ctx, g, set, o)
	if err != nil || r.Broken() != nil {
		return nil, err
	}
	p := &Proposal{}
	for i, out := range r.Outputs {
		if i == 0 || out.SQNR < p.SQNR {
			p.SQNR = out.SQNR
		}
	}
	return p, nil
}

// candidates are lists of nodes to exclude, small ones first.
func candidates(f *graph.Graph, r *Result) [][]string {
	sqnr := map[string]float64{}
	for _, l := range r.Layers {
		if l.SQNR != 0 {
			sqnr[l.Name] = l.SQNR
		}
	}
	best := 40.0 // about what rounding to 8 bits leaves of a value
	before := map[*graph.Value]float64{}
	type loss struct {
		name string
		drop float64
	}
	var losses []loss
	for _, n := range f.Nodes {
		in := best
		for _, v := range n.In {
			if x, ok := before[v]; ok {
				in = min(in, x)
			}
		}
		if own, ok := sqnr[n.Name]; ok {
			losses = append(losses, loss{n.Name, in - own})
			in = own
		}
		for _, v := range n.Out {
			if v != nil {
				before[v] = in
			}
		}
	}
	slices.SortStableFunc(losses, func(a, b loss) int { return cmp.Compare(b.drop, a.drop) })
	var out [][]string
	for _, k := range []int{1, 4} {
		var names []string
		for _, l := range losses[:min(k, len(losses))] {
			names = append(names, l.name)
		}
		out = append(out, names)
	}
	return append(out, upstream(f, r.Broken(), sqnr))
}

// upstream are the layers that broken ones and the first of the broken outputs depend on, as far as they are not sound.
func upstream(f *graph.Graph, b *Broken, sqnr map[string]float64) []string {
	need := map[*graph.Node]bool{}
	bad := func(name string) bool {
		return slices.ContainsFunc(b.Layers, func(l Layer) bool { return l.Name == name })
	}
	for _, v := range f.Outputs {
		if len(b.Layers) == 0 && v.Def != nil && slices.ContainsFunc(b.Outputs, func(o Output) bool { return o.Name == v.Name }) {
			need[v.Def] = true
		}
	}
	var names []string
	for i := len(f.Nodes) - 1; i >= 0; i-- {
		n := f.Nodes[i]
		if need[n] = need[n] || bad(n.Name); !need[n] {
			continue
		}
		if _, ok := sqnr[n.Name]; ok {
			names = append(names, n.Name)
		}
		for _, v := range n.In {
			if v != nil && v.Def != nil {
				need[v.Def] = true
			}
		}
	}
	slices.Reverse(names)
	return names
}
