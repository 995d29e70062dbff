package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/formats/onnx"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/optimize"
)

func optimizeCmd(a *app) *cobra.Command {
	var out, dump string
	var freeze bool
	cmd := &cobra.Command{
		Use:   "optimize MODEL -o OUT",
		Short: "Simplify a model without changing what it computes",
		Long: `Fold constants, fuse and remove operators without changing what the model computes.

--dump-after prints the graph in its text form behind a pass, of which there are:
` + "  " + strings.Join(passNames(), ", "),
		Example: "  tfsopt optimize model.onnx -o fast.onnx\n  tfsopt optimize model.onnx --dump-after " + passNames()[0],
		Args:    oneModel,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.optimize(cmd.Context(), args[0], optimizeOptions{out, dump, freeze})
		},
	}
	addOutput(cmd, &out)
	cmd.Flags().BoolVar(&freeze, "freeze-defaults", false, "fold initializers that are inputs too, which callers could feed (IR version 4 and later)")
	cmd.Flags().StringVar(&dump, "dump-after", "", "print the graph's text form behind this pass; then -o may be missing")
	// It fails only for a flag that does not exist.
	_ = cmd.RegisterFlagCompletionFunc("dump-after", cobra.FixedCompletions(passNames(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// passNames lists the passes in their order, each once.
func passNames() []string {
	var names []string
	for _, p := range optimize.Default() {
		if !slices.Contains(names, p.Name()) {
			names = append(names, p.Name())
		}
	}
	return names
}

type optimizeOptions struct {
	out, dump string
	freeze    bool
}

func (a *app) optimize(ctx context.Context, in string, o optimizeOptions) error {
	out, dump := o.out, o.dump
	switch {
	case dump != "" && !slices.Contains(passNames(), dump):
		return usagef("--dump-after %s: there is no such pass%s", dump, oneOf("there are", passNames()))
	case out == "" && dump == "":
		return errNoOutput
	}
	r, err := a.rewrite(ctx, in, out, func(m *formats.File, r *change) (*graph.Graph, error) {
		restore := func() {}
		if defaults := m.Graph.Defaults(); !o.freeze && len(defaults) > 0 {
			restore = m.Graph.OpenDefaults(defaults...)
			r.Warnings = append(r.Warnings, fmt.Sprintf("%d inputs with a default stay inputs (--freeze-defaults makes constants of them)", len(defaults)))
		} else if listed := onnx.Listed(m.Graph); listed > 0 {
			r.Warnings = append(r.Warnings, fmt.Sprintf("%d initializers that are listed among the inputs become constants: nobody can feed them any more", listed))
		}
		defer restore()
		results, err := optimize.Default().Run(ctx, m.Graph, func(p graph.PassResult, g *graph.Graph) {
			if p.Pass == dump {
				r.Dump = g.String() // of a pass that runs twice the last
			}
		})
		for _, p := range results {
			a.log.Debug("pass", "name", p.Pass, "changes", p.Changes, "time", p.Time)
			r.Passes = append(r.Passes, passResult{p.Pass, p.Changes, p.Time.Seconds()})
		}
		return m.Graph, at(in, err)
	})
	if err != nil {
		return err
	}
	if a.json {
		return a.report(r)
	}
	if dump != "" {
		return a.printf("%s", r.Dump)
	}
	if err := a.report(r); err != nil || a.quiet {
		return err
	}
	var rows [][]string
	for _, p := range r.Passes {
		if p.Changes > 0 {
			rows = append(rows, []string{p.Pass, strconv.Itoa(p.Changes)})
		}
	}
	return a.table([]column{text("pass"), number("changes")}, rows)
}
