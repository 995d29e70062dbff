package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/tfsopt/tfsopt/evaluate"
	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
)

func benchCmd(a *app) *cobra.Command {
	var o evaluate.BenchOptions
	var against string
	var axes, carried []string
	cmd := &cobra.Command{
		Use:   "bench MODEL [--against MODEL2]",
		Short: "Time a model, alone or in turn with another",
		Long: `Time a model on random inputs. With --against both models run in turn, and the ratio is the median of the paired
ratios: above 1, MODEL is the faster one.`,
		Example: "  tfsopt bench small.onnx --against model.onnx --threads 1",
		Args:    oneModel,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case o.Batch < 0:
				return usagef("--batch %d: want a positive number, or 0", o.Batch)
			case o.Duration <= 0:
				return usagef("--duration %v: want a positive time, such as 5s", o.Duration)
			}
			var err error
			if o.Axes, err = axesOf(axes); err != nil {
				return err
			}
			if o.Carry, err = pairs("carry", carried); err != nil {
				return err
			}
			return a.bench(cmd.Context(), args[0], against, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&against, "against", "", "a second model to time in turn")
	f.IntVar(&o.Batch, "batch", 0, "samples in one call (0: the model's own, or 1)")
	f.DurationVar(&o.Duration, "duration", 5*time.Second, "how long to time each model")
	addState(cmd, &axes, &carried)
	o.Dims = addDims(cmd)
	return cmd
}

func (a *app) bench(ctx context.Context, path, against string, o evaluate.BenchOptions) error {
	var err error
	if o.Model, err = a.benchModel(path, a.load); err != nil {
		return err
	}
	if against != "" {
		m, err := a.benchModel(against, a.loadOther)
		if err != nil {
			return err
		}
		o.Against = &m
	}
	o.Threads = a.threads
	if p := a.progress(); p != nil {
		o.Progress = func(done, total time.Duration) { p("bench", int(done.Milliseconds()), int(total.Milliseconds())) }
	}
	r, err := evaluate.Bench(ctx, o)
	a.clearProgress()
	if err != nil {
		return err
	}
	a.warn(r.Warnings...)
	if a.json {
		return a.printJSON(r)
	}
	return a.printBench(r)
}

// benchModel names a model that Bench loads itself, since loading is part of what it times.
func (a *app) benchModel(path string, load func(string) (*formats.File, error)) (evaluate.Model, error) {
	m, err := load(path)
	if err != nil {
		return evaluate.Model{}, err
	}
	a.warn(m.Warnings...)
	size := m.Bytes
	if err := m.Close(); err != nil {
		return evaluate.Model{}, err
	}
	return evaluate.Model{Path: path, Bytes: size, Load: func() (*graph.Graph, io.Closer, error) {
		m, err := load(path)
		if err != nil {
			return nil, nil, err
		}
		return m.Graph, m, nil
	}}, nil
}

func (a *app) printBench(r *evaluate.BenchResult) error {
	var rows [][]string
	for b := r; b != nil; b = b.Against {
		rows = append(rows, []string{
			b.Path, strconv.Itoa(b.Runs), fmt.Sprintf("%.3f", b.MinMS), fmt.Sprintf("%.3f", b.MedianMS), fmt.Sprintf("%.3f", b.P95MS),
			fmt.Sprintf("%.1f", b.Throughput), fmt.Sprintf("%.1f", b.FirstMS), bytesText(b.RSS),
		})
	}
	err := a.printf("batch %d, %d threads, %s\n", r.Batch, r.Threads, r.CPU)
	if err != nil {
		return err
	}
	err = a.table([]column{
		text("model"), number("runs"), number("min ms"), number("median ms"), number("p95 ms"), number("samples/s"),
		number("first ms"), number("memory"),
	}, rows)
	if err != nil || r.Ratio == nil {
		return err
	}
	return a.printf("%s is %.2fx as fast as %s\n", r.Path, *r.Ratio, r.Against.Path)
}
