package main

import (
	"context"
	"fmt"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/evaluate"
	"github.com/tfsopt/tfsopt/graph"
)

// heldScore is what held-out samples say of a model that was made, and of the model that it is to replace.
type heldScore struct {
	Data          string      `json:"data"`
	Samples       int         `json:"samples"`
	Top1          *float64    `json:"top1"` // percent
	Reference     string      `json:"reference,omitempty"`
	ReferenceTop1 *float64    `json:"reference_top1"`
	Drop          *float64    `json:"drop"`    // percentage points
	DropCI        *[2]float64 `json:"drop_ci"` // Tango's interval for paired samples
	Confidence    float64     `json:"confidence"`

	// Of models of two classes; see evaluate.Scores.
	Recall    *float64 `json:"recall,omitempty"`
	Precision *float64 `json:"precision,omitempty"`
	AUC       *float64 `json:"auc,omitempty"`
}

// String says it in a sentence.
func (h *heldScore) String() string {
	s := fmt.Sprintf("held out, %s: top-1 %.2f %%", evaluate.Plural(h.Samples, "sample"), *h.Top1)
	if h.Drop == nil {
		return s
	}
	return s + fmt.Sprintf(", %s %.2f %%: drop %.2f points, %g %% interval %.2f to %.2f",
		h.Reference, *h.ReferenceTop1, *h.Drop, 100*h.Confidence, h.DropCI[0], h.DropCI[1])
}

// judgeHeld judges what was made on the held-out samples in one pass. What was
// made is not thrown away because it cannot be judged: then the warning of the result says why.
func (r *change) judgeHeld(ctx context.Context, a *app, t *trainFlags, j judgement) error {
	if j.held == nil {
		return nil
	}
	o := evaluate.Options{
		Model: evaluate.Model{Graph: j.made}, Set: j.held, DataPath: t.held, LabelOffset: t.data.labelOffset,
		Threads: a.threads, LatencyTime: -1, Progress: a.progressOf("judge"),
	}
	if j.reference != nil {
		o.Reference = &evaluate.Model{Path: j.path, Graph: j.reference}
	}
	e, err := evaluate.Evaluate(ctx, o)
	a.clearProgress()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		r.Warnings = append(r.Warnings, fmt.Sprintf("--held %s cannot judge the result: %v", t.held, err))
		return nil
	}
	if e.Model.Top1 == nil {
		return nil // the judged output names no class
	}
	r.Warnings = append(r.Warnings, e.Warnings...)
	h := &heldScore{Data: t.held, Samples: e.Samples, Top1: e.Model.Top1, Drop: e.Drop, DropCI: e.DropCI, Confidence: e.Confidence}
	h.Recall, h.Precision, h.AUC = e.Model.Recall, e.Model.Precision, e.Model.AUC
	if e.Reference != nil {
		h.Reference, h.ReferenceTop1 = j.path, e.Reference.Top1
	}
	r.Held = h
	return nil
}

// judgement is a model that was made and the one that it is to replace, nil if there is none.
type judgement struct {
	made, reference *graph.Graph
	path            string // of the reference
	held            *data.Set
}
