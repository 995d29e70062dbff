// Command steps times training steps of a network in text form, for bench_train.py: forward, cross entropy, gradients and
// SGD with momentum, on one batch of noise. It writes that batch and the first parameters to the directory -o (x.npy,
// y.npy, p_0.npy, …, in the order in which the network has them), so that another library can start from the same, and
// prints the losses of the first steps. Then each line on stdin, a number of seconds, is answered by a line of JSON:
// the milliseconds that each step took.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/formats"
	_ "github.com/tfsopt/tfsopt/formats/text"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
	"github.com/tfsopt/tfsopt/train"
)

const (
	rate, momentum = 0.001, 0.9
	first          = 4 // steps whose losses are told; they also let the engine allocate
	least          = 3 // steps in a slice
)

type options struct {
	model, out     string
	batch, threads int
}

func main() {
	var o options
	flag.StringVar(&o.model, "model", "", "network in text form")
	flag.StringVar(&o.out, "o", "", "directory for the arrays")
	flag.IntVar(&o.batch, "batch", 64, "samples in a step")
	flag.IntVar(&o.threads, "threads", 1, "as in tfsopt --threads")
	flag.Parse()
	if err := o.run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "steps:", err)
		os.Exit(1)
	}
}

func (o options) run(ctx context.Context) error {
	s, err := newStep(ctx, o)
	if err != nil {
		return err
	}
	defer s.program.Close()
	if err := s.save(o.out); err != nil {
		return err
	}
	var losses []float32
	for range first {
		if err := s.run(ctx); err != nil {
			return err
		}
		losses = append(losses, tensor.View[float32](s.call.Out[0])[0])
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(losses); err != nil {
		return err
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		seconds, err := strconv.ParseFloat(in.Text(), 64)
		if err != nil {
			return err
		}
		var times []float64
		for begin := time.Now(); time.Since(begin).Seconds() < seconds || len(times) < least; {
			start := time.Now()
			if err := s.run(ctx); err != nil {
				return err
			}
			times = append(times, time.Since(start).Seconds()*1e3)
		}
		if err := out.Encode(times); err != nil {
			return err
		}
	}
	return nil
}

// step is a network with the gradients of its parameters.
type step struct {
	program  *engine.Program
	call     engine.Call // in: the batch, its targets, the parameters; out: the loss, the gradients
	labels   *tensor.Tensor
	params   []*tensor.Tensor
	velocity [][]float32
}

func newStep(ctx context.Context, o options) (*step, error) {
	m, err := formats.Load(o.model)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	g, err := train.Init(m.Graph, 1, true)
	if err != nil {
		return nil, err
	}
	if g, err = train.Batched(g, o.batch, nil); err != nil {
		return nil, err
	}
	if len(g.Inputs) != 1 || len(g.Outputs) != 1 {
		return nil, fmt.Errorf("%s: want one input and one output", o.model)
	}
	shape, _ := g.Outputs[0].Fixed()
	if len(shape) != 2 {
		return nil, fmt.Errorf("%s: the output is %s; want float32[batch,classes]", o.model, g.Outputs[0].Type)
	}
	s := &step{}
	s.noise(g.Inputs[0], shape[1])
	b := graph.NewBuilder(g)
	target := graph.NewInput(b.Fresh("target"), graph.TypeOf(s.call.In[1]))
	wrt := s.open(g)
	g.Inputs = append([]*graph.Value{g.Inputs[0], target}, wrt...)
	loss := train.CrossEntropy(&train.Task{Builder: b, Batch: o.batch, Logits: g.Outputs[0], Target: target})
	grads, err := train.Gradients(b, loss, wrt)
	if err != nil {
		return nil, err
	}
	g.Outputs = append([]*graph.Value{loss}, grads...)
	s.program, err = engine.Compile(ctx, g, engine.Options{Threads: o.threads})
	return s, err
}

// noise makes the batch, uniform in 0 to 1, and labels in turn.
func (s *step) noise(in *graph.Value, classes int) {
	shape, _ := in.Fixed()
	x := tensor.New(tensor.Float32, shape...)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range tensor.View[float32](x) {
		tensor.View[float32](x)[i] = r.Float32()
	}
	s.labels = tensor.New(tensor.Int64, shape[0])
	target := tensor.New(tensor.Float32, shape[0], classes)
	for i := range shape[0] {
		tensor.View[int64](s.labels)[i] = int64(i % classes)
		tensor.View[float32](target)[i*classes+i%classes] = 1
	}
	s.call.In = []*tensor.Tensor{x, target}
}

// open makes every constant an input.
func (s *step) open(g *graph.Graph) []*graph.Value {
	var inputs []*graph.Value
	for _, v := range g.Values() {
		if !v.IsConst() {
			continue
		}
		in := graph.NewInput(v.Name, v.Type)
		data := tensor.New(v.DType, v.Const.Shape...)
		copy(data.Data, v.Const.Data)
		s.params = append(s.params, data)
		s.velocity = append(s.velocity, make([]float32, data.Len()))
		inputs = append(inputs, in)
		g.Replace(v, in)
	}
	s.call.In = append(s.call.In, s.params...)
	return inputs
}

func (s *step) save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	arrays := map[string]*tensor.Tensor{"x": s.call.In[0], "y": s.labels}
	for i, p := range s.params {
		arrays[fmt.Sprintf("p_%d", i)] = p
	}
	for name, t := range arrays {
		if err := data.SaveTensor(filepath.Join(dir, name+".npy"), t); err != nil {
			return err
		}
	}
	return nil
}

// run does one step.
func (s *step) run(ctx context.Context) error {
	if err := s.program.Run(ctx, &s.call); err != nil {
		return err
	}
	for i, p := range s.params {
		w, g, v := tensor.View[float32](p), tensor.View[float32](s.call.Out[i+1]), s.velocity[i]
		for k, d := range g {
			v[k] = float32(momentum*v[k]) + d
			w[k] -= float32(rate * v[k])
		}
	}
	return nil
}
