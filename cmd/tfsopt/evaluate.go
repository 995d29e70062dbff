package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/doctor"
	"github.com/tfsopt/tfsopt/evaluate"
	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
)

type evaluateOptions struct {
	evaluate.Options
	reference string
	data      dataFlags
	maxDrop   float64
	reports   []string
	dims      dims
	noLatency bool
}

// reportKinds are the extensions of report files.
var reportKinds = []string{"html", "md", "json", "xml"}

func evaluateCmd(a *app) *cobra.Command {
	var o evaluateOptions
	cmd := &cobra.Command{
		Use:   "evaluate MODEL [--reference REF] --data D",
		Short: "Measure a model's accuracy, and what it lost against a reference",
		Long: `Measure accuracy and latency on a data set. With --reference both models answer the same samples; --max-drop then judges
the drop in top-1 accuracy by a paired test: PASS (exit code 0), FAIL (3) or INCONCLUSIVE (4).

Of a model of two classes it also tells recall, precision and the area under the ROC curve, class 1 being the positive one.`,
		Example: `  tfsopt evaluate small.onnx --reference model.onnx --data images \
      --preprocess imagenet:resize=256,crop=224 --max-drop 1 -o report.html`,
		Args: oneModel,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("max-drop") {
				o.MaxDrop = &o.maxDrop
			}
			if err := refuseIdle(cmd, o.idle()); err != nil {
				return err
			}
			if err := o.check(); err != nil {
				return err
			}
			return a.evaluate(cmd.Context(), args[0], o)
		},
	}
	o.data.add(cmd, 0)
	addState(cmd, &o.data.axes, &o.data.carried)
	f := cmd.Flags()
	f.StringVar(&o.reference, "reference", "", "the model to compare with")
	f.Float64Var(&o.maxDrop, "max-drop", 0, "largest allowed drop in top-1 accuracy, in percentage points")
	f.Float64Var(&o.Confidence, "confidence", 0.95, "of the interval and the verdict")
	f.BoolVar(&o.Sequential, "sequential", false, "judge by a test that may be repeated as samples arrive; takes more of them")
	f.StringArrayVarP(&o.reports, "report", "o", nil, "report `FILE` to write: .html, .md, .json or .xml (JUnit); may be repeated")
	f.BoolVar(&o.Layers, "layers", false, "compare every layer with the reference too")
	f.StringVar(&o.Output, "output", "", "name of the output that is judged")
	f.IntVar(&o.Batch, "batch", 0, "samples in one call (0: chosen)")
	f.BoolVar(&o.noLatency, "no-latency", false, "do not time the models")
	o.dims = addDims(cmd)
	return cmd
}

// check refuses what no model or data could make right.
func (o *evaluateOptions) check() error {
	switch {
	case o.data.path == "":
		return usagef("on which data? give --data")
	case !(o.Confidence > 0.5 && o.Confidence < 1):
		return usagef("--confidence %g: want a number between 0.5 and 1, such as 0.95", o.Confidence)
	case o.Batch < 0:
		return usagef("--batch %d: want a positive number, or 0", o.Batch)
	}
	return checkReports(o.reports, reportKinds)
}

// checkReports refuses names that say no kind of report.
func checkReports(paths, kinds []string) error {
	for _, path := range paths {
		if !slices.Contains(kinds, reportKind(path)) {
			return usagef("--report %s: want a name that ends in .%s", path, strings.Join(kinds, ", ."))
		}
	}
	return nil
}

// canWrite finds out before the work whether reports can be written.
func canWrite(ctx context.Context, paths []string) error {
	for _, path := range paths {
		p, err := formats.Create(ctx, path)
		if err != nil {
			return err
		}
		p.Discard()
	}
	return nil
}

func reportKind(path string) string {
	return strings.TrimPrefix(strings.ToLower(filepath.Ext(path)), ".")
}

func (a *app) evaluate(ctx context.Context, path string, o evaluateOptions) error {
	m, err := a.loadBound(path, o.dims)
	if err != nil {
		return err
	}
	defer m.Close()
	o.Model = evaluate.Model{Path: path, Bytes: m.Bytes, Graph: m.Graph}
	if o.reference != "" {
		r, err := a.loadOther(o.reference)
		if err != nil {
			return err
		}
		a.warn(r.Warnings...)
		defer r.Close()
		if err := bindKnown(r.Graph, o.dims); err != nil {
			return at(o.reference, err)
		}
		o.Reference = &evaluate.Model{Path: o.reference, Bytes: r.Bytes, Graph: r.Graph}
	}
	closeData, err := o.openData()
	if err != nil {
		return err
	}
	if o.Carry, err = o.data.carry(); err != nil {
		return err
	}
	defer closeData()
	if err := canWrite(ctx, o.reports); err != nil {
		return err
	}
	o.DataPath, o.LabelOffset, o.Threads, o.Progress = o.data.path, o.data.labelOffset, a.threads, a.progressOf("evaluate")
	if o.noLatency {
		o.LatencyTime = -1
	}
	res, err := evaluate.Evaluate(ctx, o.Options)
	a.clearProgress()
	if err != nil {
		return err
	}
	found, err := a.saturation(ctx, path, m.Graph, doctor.Samples{Set: o.Set, Carry: o.Carry})
	if err != nil {
		return err
	}
	res.Saturation = found
	if s := saturationSection(found); s != nil {
		res.Sections = append(res.Sections, *s)
	}
	for _, w := range o.Set.Warnings() {
		if !slices.Contains(res.Warnings, w) {
			res.Warnings = append(res.Warnings, w)
		}
	}
	var files []modelFile
	for _, s := range []*evaluate.Scores{&res.Model, res.Reference} {
		if s != nil {
			f, err := describe(s.Path, s.Bytes)
			if err != nil {
				return err
			}
			files = append(files, f)
		}
	}
	res.Origin = a.origin(files...)
	return a.conclude(ctx, res, o.reports)
}

// bindKnown binds the sizes that a second model has names for.
func bindKnown(g *graph.Graph, sizes dims) error {
	own := dims{}
	for _, v := range g.Inputs {
		for _, d := range v.Shape {
			for _, name := range d.Names() {
				if n, ok := sizes[name]; ok {
					own[name] = n
				}
			}
		}
	}
	return bind(g, own)
}

// openData opens the set, a second time for a reference whose inputs differ.
func (o *evaluateOptions) openData() (func(), error) {
	var err error
	if o.Set, err = o.data.open(dataInputs(o.Model.Graph)); err != nil {
		return nil, err
	}
	if o.Reference == nil || sameInputs(o.Model.Graph, o.Reference.Graph) {
		return func() { o.Set.Close() }, nil
	}
	var second *data.Set
	if second, err = o.data.open(dataInputs(o.Reference.Graph)); err != nil {
		return nil, errors.Join(fmt.Errorf("for the reference %s: %w", o.reference, err), o.Set.Close())
	}
	o.ReferenceSet = second
	return func() { o.Set.Close(); second.Close() }, nil
}

// conclude writes the reports, prints the result and ends with the verdict's code.
func (a *app) conclude(ctx context.Context, res *evaluate.Result, reports []string) error {
	for _, path := range reports {
		err := formats.Atomic(ctx, path, func(w io.Writer) error { return evaluate.WriteReport(w, reportKind(path), res) })
		if err != nil {
			return at(path, err)
		}
	}
	a.warn(res.Warnings...)
	var err error
	if a.json {
		err = a.printJSON(res)
	} else {
		err = a.printEvaluation(res)
	}
	if code := res.ExitCode(); err == nil && code != 0 {
		return gateError(code)
	}
	return err
}
