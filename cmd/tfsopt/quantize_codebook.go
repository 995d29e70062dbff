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

// checkCodebook checks the flags of the mode codebook.
func (o *quantizeOptions) checkCodebook() error {
	switch {
	case o.Mode != "codebook":
		return nil
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
