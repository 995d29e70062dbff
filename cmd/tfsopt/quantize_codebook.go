package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/optimize"
	"github.com/tfsopt/tfsopt/quantize"
)

// codebookFlags are those of the mode codebook alone.
type codebookFlags struct {
	bits int
	sqnr float64
}

func (c *codebookFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.IntVar(&c.bits, "bits", 4, "of an index into the values that a layer's weights share, for --mode codebook")
	f.Float64Var(&c.sqnr, "sqnr", 0, "dB that are enough for a layer's weights, which may then share fewer values, for --mode codebook (0: all that --bits allows)")
}

// checkCodebook refuses flags of the mode codebook without it, and those that it has no use for.
func (o *quantizeOptions) checkCodebook(cmd *cobra.Command) error {
	changed := cmd.Flags().Changed
	if o.Mode != "codebook" {
		if changed("bits") || changed("sqnr") {
			return usagef("--bits and --sqnr are for --mode codebook")
		}
		return nil
	}
	for _, name := range []string{"qat", "dry-run", "step", "weights", "activations", "saturation", "style", "target", "io", "block-size", "per-tensor"} {
		if changed(name) {
			return usagef("--%s does not go with --mode codebook, which shares values of weights", name)
		}
	}
	switch {
	case o.book.bits < 2 || o.book.bits > 8:
		return usagef("--bits %d: want 2 to 8", o.book.bits)
	case !(o.book.sqnr >= 0):
		return usagef("--sqnr %g: want 0 or more", o.book.sqnr)
	case o.out == "":
		return errNoOutput
	}
	return nil
}

// shared lets the weights of g share a few values, those that suit the data if there is any.
func (o *quantizeOptions) shared(ctx context.Context, g *graph.Graph) (*quantize.Result, error) {
	set, err := o.openData(g)
	if err != nil {
		return nil, err
	}
	g = g.Clone()
	if _, err := optimize.Default().Run(ctx, g, nil); err != nil {
		return nil, err
	}
	return quantize.Codebook(ctx, g, quantize.CodebookOptions{
		Bits: o.book.bits, SQNR: o.book.sqnr, Exclude: o.Exclude, Data: set, Threads: o.Threads, Progress: o.Progress,
	})
}
