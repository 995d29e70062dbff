// Command answers runs a model of one input over a data set with this project's engine and writes what it was given and
// what it answered, so that another runtime can be asked the same: in_K.npy and out_K.npy in the directory -o, 50
// samples each (fewer in the last), out being the model's first output.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/formats"
	_ "github.com/tfsopt/tfsopt/formats/onnx"
	"github.com/tfsopt/tfsopt/graph"
	_ "github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

const chunk = 50

type options struct {
	model, out string
	data       data.Options
}

func main() {
	var o options
	flag.StringVar(&o.model, "model", "", "model file")
	flag.StringVar(&o.out, "o", "", "directory for the arrays")
	flag.StringVar(&o.data.Path, "data", "", "samples, as in tfsopt --data")
	flag.StringVar(&o.data.Preprocess, "preprocess", "none", "as in tfsopt --preprocess")
	flag.IntVar(&o.data.Samples, "samples", 0, "how many; 0: all")
	flag.Parse()
	if err := o.run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "answers:", err)
		os.Exit(1)
	}
}

func (o options) run(ctx context.Context) error {
	m, err := formats.Load(o.model)
	if err != nil {
		return err
	}
	defer m.Close()
	if o.data.Inputs, err = inputs(m.Graph); err != nil {
		return err
	}
	p, err := engine.Compile(ctx, m.Graph, engine.Options{})
	if err != nil {
		return err
	}
	defer p.Close()
	set, err := data.Open(o.data)
	if err != nil {
		return err
	}
	defer set.Close()
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	var in, out []*tensor.Tensor
	part := 0
	for batch, err := range set.Stream(ctx, 1, 0) {
		if err != nil {
			return err
		}
		call := &engine.Call{In: batch.In}
		if err := p.Run(ctx, call); err != nil {
			return fmt.Errorf("sample %s: %w", batch.Names[0], err)
		}
		in, out = append(in, batch.In[0]), append(out, call.Out[0])
		if len(in) == chunk || batch.First == set.Len()-1 {
			if err := errors.Join(o.write("in", part, in), o.write("out", part, out)); err != nil {
				return err
			}
			in, out, part = in[:0], out[:0], part+1
		}
	}
	return nil
}

// inputs says what the model wants; a free dimension is free.
func inputs(g *graph.Graph) ([]data.Input, error) {
	if len(g.Inputs) != 1 {
		return nil, fmt.Errorf("the model has %d inputs; want 1", len(g.Inputs))
	}
	v := g.Inputs[0]
	in := data.Input{Name: v.Name, DType: v.DType}
	for _, d := range v.Shape {
		n, ok := d.Value()
		if !ok {
			n = -1
		}
		in.Shape = append(in.Shape, n)
	}
	return []data.Input{in}, nil
}

// write stacks tensors of batch 1 into one array.
func (o options) write(name string, part int, rows []*tensor.Tensor) error {
	all := &tensor.Tensor{DType: rows[0].DType, Shape: append([]int{len(rows)}, rows[0].Shape[1:]...)}
	for _, r := range rows {
		all.Data = append(all.Data, r.Data...)
	}
	return data.SaveTensor(filepath.Join(o.out, fmt.Sprintf("%s_%d.npy", name, part)), all)
}
