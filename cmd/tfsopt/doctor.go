package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tfsopt/tfsopt/doctor"
	"github.com/tfsopt/tfsopt/evaluate"
	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
)

// exitFindings is the code of doctor where findings remain.
const exitFindings = 3

type doctorOptions struct {
	out  string
	data dataFlags
}

func doctorCmd(a *app) *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use:   "doctor MODEL [-o OUT] [--data D]",
		Short: "Find what is wrong with an int8 model, whoever wrote it, and mend what can be mended",
		Long: `Examine a model with 8-bit integers that any tool wrote (QDQ or integer operators): what runtimes compute differently from
what the file says, in float instead of in integers, or not at all. Each finding has its layer, its cost and the command that
mends it; with --data costs are measured.

-o writes a copy in which everything is mended that needs no float model. Exit codes: 0 nothing was found or all is mended,
3 findings remain.`,
		Example: "  tfsopt doctor int8.onnx --data images --samples 100\n  tfsopt doctor int8.onnx -o safe.onnx",
		Args:    oneModel,
		RunE:    func(cmd *cobra.Command, args []string) error { return a.doctor(cmd.Context(), args[0], o) },
	}
	addOutput(cmd, &o.out)
	o.data.add(cmd, 0)
	return cmd
}

// diagnosis is the result of doctor.
type diagnosis struct {
	Input      modelFile          `json:"input"`
	Output     *modelFile         `json:"output,omitempty"`
	Findings   []doctor.Finding   `json:"findings"`
	Before     int                `json:"before"` // how many findings there are
	After      int                `json:"after"`  // how many remain
	Saturation *doctor.Saturation `json:"saturation"`
	Mended     *doctor.Difference `json:"mended,omitempty"` // the written model against the examined one, on the samples
	Warnings   []string           `json:"warnings"`
}

func (a *app) doctor(ctx context.Context, path string, o doctorOptions) error {
	d := diagnosis{}
	r, err := a.rewrite(ctx, path, o.out, func(m *formats.File, _ *change) (*graph.Graph, error) {
		s := doctor.Samples{Threads: a.threads}
		if o.data.path != "" {
			var err error
			if s.Set, err = o.data.open(dataInputs(m.Graph)); err != nil {
				return nil, err
			}
			defer s.Set.Close()
			if s.Carry, err = o.data.carry(); err != nil {
				return nil, err
			}
		}
		g, err := d.examine(ctx, m.Graph, path, o.out != "", s)
		return g, at(path, err)
	})
	if err != nil {
		return err
	}
	d.Input, d.Output, d.Warnings = r.Input, r.Output, r.Warnings
	if a.json {
		err = a.printJSON(d)
	} else {
		err = a.printDiagnosis(&d)
	}
	if err == nil && d.After > 0 {
		return gateError(exitFindings)
	}
	return err
}

// examine fills in the findings and gives the mended graph if one is wanted.
func (d *diagnosis) examine(ctx context.Context, g *graph.Graph, path string, mend bool, s doctor.Samples) (*graph.Graph, error) {
	before, err := doctor.Examine(ctx, g, path, s)
	if err != nil {
		return nil, err
	}
	d.Findings, d.Saturation, d.Before, d.After = before.Findings, before.Saturation, len(before.Findings), len(before.Findings)
	if !mend {
		return g, nil
	}
	mended, err := doctor.Mend(ctx, g, s)
	if err != nil {
		return nil, err
	}
	after, err := doctor.Examine(ctx, mended, path, s)
	if err != nil {
		return nil, err
	}
	before.Compare(after)
	d.After = before.Remaining()
	if s.Set != nil {
		d.Mended, err = doctor.Compare(ctx, g, mended, s)
	}
	return mended, err
}

func (a *app) printDiagnosis(d *diagnosis) error {
	var rows [][]string
	for _, f := range d.Findings {
		todo := f.Command
		if f.Mended {
			todo = "mended"
		}
		rows = append(rows, []string{f.ID, f.Layer, f.Op, f.Detail, f.Cost, todo})
	}
	if len(rows) > 0 {
		columns := []column{text("finding"), text("layer"), text("operator"), text("what"), text("cost"), text("mend by")}
		if err := a.table(columns, rows); err != nil {
			return err
		}
	}
	line := fmt.Sprintf("%s: %d findings", d.Input.Path, d.Before)
	if d.Output != nil {
		line += fmt.Sprintf("; %s: %d remain", d.Output.Path, d.After)
	}
	if m := d.Mended; m != nil && m.Agreement != nil {
		line += fmt.Sprintf("; %.2f %% of %s answer the same", *m.Agreement, evaluate.Plural(m.Samples, "sample"))
	}
	return a.printf("%s\n", line)
}
