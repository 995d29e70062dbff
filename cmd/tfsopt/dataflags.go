package main

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/graph"
)

// dataFlags name a data set and how it is prepared.
type dataFlags struct {
	path, preprocess, label string
	samples, labelOffset    int
}

func (d *dataFlags) add(cmd *cobra.Command, samples int) {
	f := cmd.Flags()
	f.StringVar(&d.path, "data", "", "data set: folder, archive, x.npy,y.npy, .npz, IDX pair, CSV, or random; D#0:100 and the like take a part")
	f.StringVar(&d.preprocess, "preprocess", "", "preset (none, unit, tf, imagenet, caffe) with :key=value,… or a YAML file")
	f.IntVar(&d.samples, "samples", samples, "how many samples to take, spread over the set (0: all)")
	f.StringVar(&d.label, "label", "", "label column of a CSV file")
	f.IntVar(&d.labelOffset, "label-offset", 0, "added to every label (1 for a 1001-class model on 1000-class data)")
}

// open opens the set for a graph's inputs.
func (d *dataFlags) open(inputs []data.Input) (*data.Set, error) {
	if d.samples < 0 {
		return nil, usagef("--samples %d: want a positive number, or 0 for all", d.samples)
	}
	if _, err := data.ParsePreprocess(d.preprocess); err != nil {
		return nil, usageError{err}
	}
	return data.Open(data.Options{
		Path: d.path, Preprocess: d.preprocess, Samples: d.samples,
		LabelColumn: d.label, LabelOffset: d.labelOffset, Inputs: inputs,
	})
}

// sameInputs tells whether one prepared set can feed both graphs: names matter only where there are several inputs,
// the batch never.
func sameInputs(g, h *graph.Graph) bool {
	return slices.EqualFunc(dataInputs(g), dataInputs(h), func(x, y data.Input) bool {
		if len(x.Shape) != len(y.Shape) || len(g.Inputs) > 1 && x.Name != y.Name {
			return false
		}
		return x.DType == y.DType && x.Scale == y.Scale && x.Zero == y.Zero && (len(x.Shape) == 0 || slices.Equal(x.Shape[1:], y.Shape[1:]))
	})
}
