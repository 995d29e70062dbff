// Package prune makes models smaller by leaving out what matters least: single weights, N of M, blocks, or whole
// channels. It scores, selects and masks weights, and can solve for those that stay so that each layer's output changes
// little, without labels.
package prune

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/graph"
)

// Options say which weights to cut; the zero value of each field is the documented default.
type Options struct {
	// Sparsity is the share of zeros among the weights of the layers that are cut, in [0, 1). N:M patterns imply it.
	Sparsity float64
	// Criterion is magnitude (default), taylor (or gradient), snip or random. See Accumulator for taylor and snip.
	Criterion string
	// Pattern is unstructured (default), N:M such as 2:4 (at most N of M neighbouring input channels are not zero), or
	// Bx1 such as 4x1 (blocks of B neighbouring output channels at one input).
	Pattern string
	// Scope is global (default: all layers compete by a score that does not depend on their scales) or layer (the same
	// sparsity in each). N:M patterns have none.
	Scope string
	// Raw lets layers compete by the plain score. Where scales differ, as they do once BatchNorm is folded, magnitude
	// then empties the layers with small weights.
	Raw bool
	// MinDensity is the share of each layer's weights that stays at least; 0: a tenth of what stays on average. No layer
	// loses everything.
	MinDensity float64
	// Include, if not empty, names the layers that are cut, Exclude those that are not: nodes, constants or operators.
	Include, Exclude []string
	// KeepFirst and KeepLast leave the first and the last layer as they are.
	KeepFirst, KeepLast bool

	Scores Scores // for taylor and snip
	Seed   uint64 // of random

	// Target, if set, chooses the sparsity.
	Target *Target

	// Data are samples, labelled or not: with them the report tells what each layer's output lost.
	Data *data.Set
	// Reconstruct solves for the weights that stay (and the biases) so that each layer's output on Data changes least.
	Reconstruct bool
	// KeepBias leaves biases as they are.
	KeepBias bool

	// AsIs leaves out the passes that simplify the graph first.
	AsIs     bool
	Threads  int    // 0: all cores
	CPU      string // kernel set; results do not depend on it
	Progress func(stage string, done, total int)
}

// Target is a cost that the pruned graph must not exceed.
type Target struct {
	Name  string // for messages: "bytes", "FLOPs", "ms"
	Limit float64
	Cost  func(ctx context.Context, g *graph.Graph) (float64, error)
	// Tolerance is how far above the least sufficient sparsity the choice may lie; 0: 0.0005. Costs that are measured
	// rather than counted do with less: 0.01.
	Tolerance float64
}

// The names of criteria and scopes.
const (
	magnitude, taylor, snip, random = "magnitude", "taylor", "snip", "random"
	scopeGlobal, scopeLayer         = "global", "layer"
)

// ErrNoData says that reconstruction needs samples.
var ErrNoData = errors.New("reconstruction needs data")

// Check fails on words and numbers that make no sense, whatever the graph, its scores and the data are.
func (o Options) Check() error {
	o.Scores, o.Reconstruct = Scores{}, false
	_, _, err := o.defaults()
	return err
}

// defaults fills in what is not said and checks the rest.
func (o Options) defaults() (Options, pattern, error) {
	if o.Criterion == "gradient" {
		o.Criterion = taylor
	}
	var errs []error
	for _, c := range []struct {
		option  string
		value   *string
		allowed []string
	}{
		{"criterion", &o.Criterion, []string{magnitude, taylor, snip, random}},
		{"scope", &o.Scope, []string{scopeGlobal, scopeLayer}},
	} {
		if *c.value == "" {
			*c.value = c.allowed[0]
		} else if !slices.Contains(c.allowed, *c.value) {
			errs = append(errs, fmt.Errorf("%s %q: want %s", c.option, *c.value, strings.Join(c.allowed, ", ")))
		}
	}
	p, err := parsePattern(o.Pattern)
	errs = append(errs, err)
	if err == nil && o.Target == nil {
		o.Sparsity, err = p.sparsity(o.Sparsity)
		errs = append(errs, err)
	}
	if err == nil && o.Target != nil {
		errs = append(errs, o.Target.check(p, o.Sparsity))
	}
	if !(o.MinDensity >= 0 && o.MinDensity <= 1) {
		errs = append(errs, fmt.Errorf("minimum density %g: want a share from 0 to 1", o.MinDensity))
	}
	if o.Reconstruct && (o.Data == nil || o.Data.Len() == 0) {
		errs = append(errs, ErrNoData)
	}
	if (o.Criterion == taylor || o.Criterion == snip) && o.Scores == nil {
		errs = append(errs, fmt.Errorf("criterion %s needs scores, which need labelled data and gradients", o.Criterion))
	}
	return o, p, errors.Join(errs...)
}

func (o Options) progress(stage string, done, total int) {
	if o.Progress != nil {
		o.Progress(stage, done, total)
	}
}

// choose drops the matrices that the options leave out. Names that match nothing are an error.
func (o Options) choose(all []*matrix) ([]*matrix, error) {
	known := map[string]bool{}
	named := func(list []string, m *matrix) bool {
		for _, n := range append(m.nodes, m.node) {
			if slices.Contains(list, n.Name) || slices.Contains(list, n.OpName()) {
				return true
			}
		}
		return slices.Contains(list, m.value.Name)
	}
	var out []*matrix
	for i, m := range all {
		for _, n := range m.nodes {
			known[n.Name], known[n.OpName()] = true, true
		}
		known[m.value.Name] = true
		skip := o.KeepFirst && i == 0 || o.KeepLast && i == len(all)-1
		if !skip && (len(o.Include) == 0 || named(o.Include, m)) && !named(o.Exclude, m) {
			out = append(out, m)
		}
	}
	var errs []error
	for _, l := range []struct {
		option string
		names  []string
	}{{"include", o.Include}, {"exclude", o.Exclude}} {
		for _, name := range l.names {
			if !known[name] {
				errs = append(errs, &graph.NameError{Option: l.option, Name: name, Problem: "no layer with weights has that name, constant or operator"})
			}
		}
	}
	if len(out) == 0 && len(errs) == 0 {
		errs = append(errs, errors.New("nothing to prune: no constant float weights of Conv, ConvTranspose, Gemm, MatMul, LSTM, GRU or RNN are left"))
	}
	return out, errors.Join(errs...)
}
