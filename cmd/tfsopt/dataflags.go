package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/graph"
)

// dataFlags name a data set and how it is prepared.
type dataFlags struct {
	path, preprocess, label string
	samples, labelOffset    int
	axes, carried, features []string
	like                    *data.Set // has numbered the classes already
}

func (d *dataFlags) add(cmd *cobra.Command, samples int) {
	f := cmd.Flags()
	f.StringVar(&d.path, "data", "", "data set: folder, archive, x.npy,y.npy, .npz, IDX pair, CSV, TFRecord files, or random; D#0:100 and the like take a part")
	f.StringVar(&d.preprocess, "preprocess", "", "preset (none, unit, tf, imagenet, caffe) with :key=value,… or a YAML file")
	f.IntVar(&d.samples, "samples", samples, "how many samples to take, spread over the set (0: all)")
	f.StringVar(&d.label, "label", "", "label column of a CSV file, or the feature of TFRecord files that is the label")
	f.StringSliceVar(&d.features, "features", nil, "`NAME=INPUT`: the feature of TFRecord files that feeds an input, where its name is another")
	f.IntVar(&d.labelOffset, "label-offset", 0, "added to every label (1 for a 1001-class model on 1000-class data)")
}

// addState adds the flags of models whose samples do not lie along axis 0, or that have a state.
func addState(cmd *cobra.Command, axes, carried *[]string) {
	f := cmd.Flags()
	f.StringArrayVar(axes, "batch-axis", nil, "`INPUT=AXIS` along which samples lie, where that is not axis 0 (-1: none)")
	f.StringArrayVar(carried, "carry", nil, "`OUTPUT=INPUT`: what a call gives is that input of the next, as a state is")
}

// pairs reads NAME=VALUE flags.
func pairs(flag string, list []string) (map[string]string, error) {
	if len(list) == 0 {
		return nil, nil
	}
	out := map[string]string{}
	for _, s := range list {
		i := strings.LastIndexByte(s, '=')
		if i <= 0 || i == len(s)-1 {
			return nil, usagef("--%s %q: want two names with = between them", flag, s)
		}
		if _, twice := out[s[:i]]; twice {
			return nil, usagef("--%s: %q is given twice", flag, s[:i])
		}
		out[s[:i]] = s[i+1:]
	}
	return out, nil
}

// axesOf reads --batch-axis.
func axesOf(list []string) (map[string]int, error) {
	names, err := pairs("batch-axis", list)
	if err != nil {
		return nil, err
	}
	out := map[string]int{}
	for name, s := range names {
		n, err := strconv.Atoi(s)
		if err != nil || n < -1 {
			return nil, usagef("--batch-axis %s=%s: want the number of an axis, or -1", name, s)
		}
		out[name] = n
	}
	return out, nil
}

// carry reads --carry.
func (d *dataFlags) carry() (map[string]string, error) { return pairs("carry", d.carried) }

// state says of the inputs what --batch-axis and --carry do.
func (d *dataFlags) state(inputs []data.Input) error {
	axes, err := axesOf(d.axes)
	if err != nil {
		return err
	}
	carry, err := d.carry()
	if err != nil {
		return err
	}
	at := map[string]int{}
	for i, in := range inputs {
		at[in.Name] = i
	}
	for name, axis := range axes {
		i, ok := at[name]
		if !ok {
			return usagef("--batch-axis %s=%d: the model has no such input", name, axis)
		}
		if axis >= len(inputs[i].Shape) {
			return usagef("--batch-axis %s=%d: the input has %d dimensions", name, axis, len(inputs[i].Shape))
		}
		inputs[i].Batch = axis
	}
	for out, in := range carry {
		i, ok := at[in]
		if !ok {
			return usagef("--carry %s=%s: the model has no input %q", out, in, in)
		}
		inputs[i].Zeros = true // before the first call, unless the data says otherwise
	}
	return nil
}

// open opens the set for a graph's inputs.
func (d *dataFlags) open(inputs []data.Input) (*data.Set, error) {
	if d.samples < 0 {
		return nil, usagef("--samples %d: want a positive number, or 0 for all", d.samples)
	}
	if _, err := data.ParsePreprocess(d.preprocess); err != nil {
		return nil, usageError{err}
	}
	if err := d.state(inputs); err != nil {
		return nil, err
	}
	if len(inputs) == 0 && d.path != "random" {
		return nil, fmt.Errorf("the model has no inputs, so that --data %s cannot be fed; --data random needs none", d.path)
	}
	features, err := pairs("features", d.features)
	if err != nil {
		return nil, err
	}
	set, err := data.Open(data.Options{
		Path: d.path, Preprocess: d.preprocess, Samples: d.samples,
		LabelColumn: d.label, LabelOffset: d.labelOffset, Inputs: inputs, Like: d.like, Features: features,
	})
	if errors.Is(err, data.ErrNoFeatures) {
		return nil, usageError{fmt.Errorf("--features: %w", err)}
	}
	return set, err
}

// sameInputs reports whether one prepared set can feed both graphs: names matter only where there are several inputs,
// the batch never.
func sameInputs(g, h *graph.Graph) bool {
	return slices.EqualFunc(dataInputs(g), dataInputs(h), func(x, y data.Input) bool {
		if len(x.Shape) != len(y.Shape) || len(g.Inputs) > 1 && x.Name != y.Name {
			return false
		}
		return x.DType == y.DType && x.Scale == y.Scale && x.Zero == y.Zero && (len(x.Shape) == 0 || slices.Equal(x.Shape[1:], y.Shape[1:]))
	})
}
