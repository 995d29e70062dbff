package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/quantize"
)

// exitBroken is the code of a verb that measured its own result as broken and wrote nothing.
const exitBroken = 5

// brokenError is a result that is not written, and what to do instead.
type brokenError struct {
	broken   *quantize.Broken
	proposal *quantize.Proposal
}

func (e *brokenError) Error() string {
	s := fmt.Sprintf("the result is broken on the calibration data, and is not written: %s", e.broken)
	switch p := e.proposal; {
	case p == nil:
		s += "\nNeither excluding layers nor weights alone helps"
	case p.Mode != "":
		s += fmt.Sprintf("\n--mode %s was tried and leaves the worst output %.1f dB", p.Mode, p.SQNR)
	default:
		s += fmt.Sprintf("\n%s was tried and leaves the worst output %.1f dB", excludeFlags(p.Exclude), p.SQNR)
	}
	return s + "; --force writes it as it is"
}

// brokenReport is what --json says of it beside the error.
type brokenReport struct {
	Outputs  []outputSQNR   `json:"outputs"`
	Layers   []layer        `json:"layers"`
	Proposal *proposalFlags `json:"proposal"` // null: nothing helps
}

type outputSQNR struct {
	Name string `json:"name"`
	SQNR finite `json:"sqnr_db"`
}

type proposalFlags struct {
	Exclude []string `json:"exclude,omitempty"`
	Mode    string   `json:"mode,omitempty"`
	SQNR    finite   `json:"sqnr_db"` // of the worst output, as tried
}

func (e *brokenError) report() *brokenReport {
	r := &brokenReport{Outputs: outputs(e.broken.Outputs), Layers: layers(e.broken.Layers)}
	if p := e.proposal; p != nil {
		r.Proposal = &proposalFlags{p.Exclude, p.Mode, finite(p.SQNR)}
	}
	return r
}

func outputs(list []quantize.Output) []outputSQNR {
	out := []outputSQNR{}
	for _, o := range list {
		s := finite(o.SQNR)
		if o.SQNR == 0 { // nothing was lost
			s = missing
		}
		out = append(out, outputSQNR{o.Name, s})
	}
	return out
}

// refuseBroken refuses a result that is broken on real calibration data, with a proposal that was tried.
func (a *app) refuseBroken(ctx context.Context, g *graph.Graph, o *quantizeOptions, r *change, q *quantize.Result) error {
	b := q.Broken()
	if b == nil || o.qat {
		return nil
	}
	if o.force || o.data.path == "random" {
		r.Warnings = append(r.Warnings, "the result is broken on the calibration data: "+b.String())
		return nil
	}
	set, err := o.openData(g)
	if err != nil {
		return err
	}
	defer closeSets(set)
	p, err := q.Propose(ctx, g, set, o.Options)
	a.clearProgress()
	if err != nil {
		return err
	}
	return at(r.Input.Path, &brokenError{b, p})
}

// excludeFlags are the names as one would type them.
func excludeFlags(names []string) string {
	var out []string
	for _, n := range names {
		if strings.ContainsAny(n, " ;&()$'\"\\*") {
			n = "'" + strings.ReplaceAll(n, "'", `'\''`) + "'"
		}
		out = append(out, "--exclude "+n)
	}
	return strings.Join(out, " ")
}
