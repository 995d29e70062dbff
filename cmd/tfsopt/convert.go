package main

import (
	"github.com/spf13/cobra"

	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
)

func convertCmd(a *app) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:     "convert MODEL -o OUT",
		Short:   "Write a model in the format that the output's extension names",
		Example: "  tfsopt convert model.onnx -o copy.onnx",
		Args:    oneModel,
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return errNoOutput
			}
			a.whole = formats.SavesEntries(out)
			r, err := a.rewrite(cmd.Context(), args[0], out, func(m *formats.File, _ *change) (*graph.Graph, error) {
				return m.Graph, nil
			})
			if err != nil {
				return err
			}
			return a.report(r)
		},
	}
	addOutput(cmd, &out)
	return cmd
}

var errNoOutput = usagef("where to? name a file with -o")

func addOutput(cmd *cobra.Command, out *string) {
	cmd.Flags().StringVarP(out, "output", "o", "", "the file to write")
}
