// Command pairs prints, for each model file, how many of its 8-bit products' pairs can saturate without VNNI, and with -data
// what the activations of the samples make of them, as a JSON object a line; see optimize.CheckSaturation.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/formats"
	_ "github.com/tfsopt/tfsopt/formats/onnx"
	"github.com/tfsopt/tfsopt/graph"
	_ "github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/optimize"
	"github.com/tfsopt/tfsopt/tensor"
)

func main() {
	var o data.Options
	flag.StringVar(&o.Path, "data", "", "samples, as in tfsopt --data")
	flag.StringVar(&o.Preprocess, "preprocess", "none", "as in tfsopt --preprocess")
	flag.IntVar(&o.Samples, "samples", 4, "how many")
	flag.Parse()
	for _, path := range flag.Args() {
		if err := look(path, o); err != nil {
			fmt.Fprintln(os.Stderr, "pairs:", err)
			os.Exit(1)
		}
	}
}

func look(path string, o data.Options) error {
	m, err := formats.Load(path)
	if err != nil {
		return err
	}
	defer m.Close()
	s := optimize.CheckSaturation(m.Graph)
	var r optimize.Reached
	if o.Path != "" {
		if err := reach(m.Graph, s, o, &r); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]int{"pairs": s.Pairs, "unsafe": s.Unsafe, "largest": r.Largest, "clamped": r.Clamped})
}

// reach runs the samples with the inputs of the unsafe layers watched.
func reach(g *graph.Graph, s optimize.Saturation, o data.Options, r *optimize.Reached) error {
	for _, v := range g.Inputs {
		in := data.Input{Name: v.Name, DType: v.DType}
		for _, d := range v.Shape {
			n, ok := d.Value()
			if !ok {
				n = -1
			}
			in.Shape = append(in.Shape, n)
		}
		o.Inputs = append(o.Inputs, in)
	}
	layers := map[*graph.Value][]*optimize.SaturatingLayer{}
	var watch []*graph.Value
	for i := range s.Layers {
		l := &s.Layers[i]
		if l.Unsafe > 0 && l.Input != nil && l.Input.Def != nil {
			if layers[l.Input] == nil {
				watch = append(watch, l.Input)
			}
			layers[l.Input] = append(layers[l.Input], l)
		}
	}
	ctx := context.Background()
	p, err := engine.Compile(ctx, g, engine.Options{Watch: watch})
	if err != nil {
		return err
	}
	defer p.Close()
	set, err := data.Open(o)
	if err != nil {
		return err
	}
	defer set.Close()
	var failed error
	for batch, err := range set.Stream(ctx, 1, 0) {
		if err != nil {
			return err
		}
		call := &engine.Call{In: batch.In, Observe: func(v *graph.Value, t *tensor.Tensor) {
			for _, l := range layers[v] {
				one, err := l.Reach(t)
				if err != nil {
					failed = err
				}
				r.Add(one)
			}
		}}
		if err := p.Run(ctx, call); err != nil {
			return err
		}
	}
	return failed
}
