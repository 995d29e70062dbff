package train_test

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
	"github.com/tfsopt/tfsopt/train"
)

// TestGradientsLikePyTorch compares results and gradients with those that testdata/interop/gradients.py had PyTorch
// compute, both by the operators' own kernels and by the engine.
func TestGradientsLikePyTorch(t *testing.T) {
	golden := readGolden(t)
	for name := range golden {
		if torchCases[name] == nil {
			t.Errorf("gradients.npz has the case %q, which nobody builds", name)
		}
	}
	for name, build := range torchCases {
		t.Run(name, func(t *testing.T) {
			c, ok := golden[name]
			if !ok {
				t.Fatal("gradients.npz has no such case: run testdata/interop/gradients.py")
			}
			g, in, want := c.graph(t, build)
			got, err := graph.Eval(context.Background(), g, in)
			c.compare(t, "reference", g, got, want, err)
			got, err = engineRun(g, in)
			c.compare(t, "engine", g, got, want, err)
		})
	}
}

// torchCase is a case of gradients.npz: arrays by what stands after its name.
type torchCase map[string]*tensor.Tensor

func readGolden(t *testing.T) map[string]torchCase {
	t.Helper()
	z, err := zip.OpenReader("../testdata/interop/gradients.npz")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	golden := map[string]torchCase{}
	for _, f := range z.File {
		name, key, _ := strings.Cut(strings.TrimSuffix(f.Name, ".npy"), ".")
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		a, err := data.ReadNPY(r)
		if err = errors.Join(err, r.Close()); err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		if golden[name] == nil {
			golden[name] = torchCase{}
		}
		golden[name][key] = a
	}
	return golden
}

// keys lists the names after a prefix, sorted.
func (c torchCase) keys(prefix string) []string {
	var list []string
	for k := range c {
		if name, ok := strings.CutPrefix(k, prefix); ok {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// graph builds the case with its gradients: its outputs are the results and the gradients, which want names.
func (c torchCase) graph(t *testing.T, build func(w *torchGraph) []*graph.Value) (g *graph.Graph, in []*tensor.Tensor, want []string) {
	t.Helper()
	g = &graph.Graph{Name: "case"}
	w := &torchGraph{Builder: graph.NewBuilder(g), in: map[string]*graph.Value{}}
	for _, k := range c.keys("in.") {
		w.in[k] = graph.NewInput(k, graph.TypeOf(c["in."+k]))
		g.Inputs, in = append(g.Inputs, w.in[k]), append(in, c["in."+k])
	}
	var loss *graph.Value
	for i, y := range build(w) {
		part := w.node("ReduceSum", attrs("keepdims", 0), w.node("Mul", nil, y, w.Const("dy", c[fmt.Sprint("dy.", i)])))
		if loss == nil {
			loss = part
		} else {
			loss = w.node("Add", nil, loss, part)
		}
		g.Outputs, want = append(g.Outputs, y), append(want, fmt.Sprint("out.", i))
	}
	if w.Err != nil {
		t.Fatal(w.Err)
	}
	var wrt []*graph.Value
	for _, k := range c.keys("grad.") {
		wrt, want = append(wrt, w.in[k]), append(want, "grad."+k)
	}
	grads, err := train.Gradients(w.Builder, loss, wrt)
	if err != nil {
		t.Fatal(err)
	}
	g.Outputs = append(g.Outputs, grads...)
	return g, in, want
}

func engineRun(g *graph.Graph, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	p, err := engine.Compile(context.Background(), g, engine.Options{Threads: 1})
	if err != nil {
		return nil, err
	}
	call := &engine.Call{In: in}
	err = p.Run(context.Background(), call)
	return call.Out, errors.Join(err, p.Close())
}

// compare allows a relative error of 1e-5, and 1e-6 of the largest element.
func (c torchCase) compare(t *testing.T, who string, g *graph.Graph, got []*tensor.Tensor, want []string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", who, err)
	}
	for i, key := range want {
		a, b := tensor.Float64s(got[i]), tensor.Float64s(c[key])
		if !slices.Equal(got[i].Shape, c[key].Shape) {
			t.Errorf("%s: %s has shape %v, PyTorch's %v", who, key, got[i].Shape, c[key].Shape)
			continue
		}
		most := 0.0
		for _, v := range b {
			most = max(most, math.Abs(v))
		}
		for j, v := range b {
			if !(math.Abs(a[j]-v) <= 1e-5*math.Abs(v)+1e-6*most) {
				t.Errorf("%s: %s, element %d: %v, PyTorch has %v", who, key, j, a[j], v)
				break
			}
		}
	}
}

// torchGraph builds one case from its inputs.
type torchGraph struct {
	*graph.Builder
	in map[string]*graph.Value
}

// attrs makes attributes from pairs of name and value.
func attrs(pairs ...any) []graph.Attr {
	var list []graph.Attr
	for i := 0; i < len(pairs); i += 2 {
		a := graph.Attr{Name: pairs[i].(string), Value: pairs[i+1]}
		switch v := a.Value.(type) {
		case int:
			a.Value = int64(v)
		case float64:
			a.Value = float32(v)
		case []int:
			list := make([]int64, len(v))
			for i, n := range v {
				list[i] = int64(n)
			}
			a.Value = list
		}
		list = append(list, a)
	}
	return list
}

func (w *torchGraph) nodes(op string, a []graph.Attr, outs int, in ...*graph.Value) []*graph.Value {
	o, err := graph.NewOp("", op, a)
	if err != nil {
		panic(err)
	}
	return w.AddN(strings.ToLower(op), outs, o, in...)
}

func (w *torchGraph) node(op string, a []graph.Attr, in ...*graph.Value) *graph.Value {
	return w.nodes(op, a, 1, in...)[0]
}

// of gives inputs by name; "" is an omitted one.
func (w *torchGraph) of(names ...string) []*graph.Value {
	var list []*graph.Value
	for _, n := range names {
		list = append(list, w.in[n])
	}
	return list
}

func (w *torchGraph) ints(v ...int64) *graph.Value { return w.Const("ints", tensor.From(v, len(v))) }

func (w *torchGraph) num(v float32) *graph.Value { return w.Const("num", tensor.Scalar(v)) }

// fill is a constant vector.
func (w *torchGraph) fill(v float32, n int) *graph.Value {
	return w.Const("fill", tensor.From(slices.Repeat([]float32{v}, n), n))
}

// dense is x·m + b.
func (w *torchGraph) dense(x *graph.Value, m, b string) *graph.Value {
	return w.node("Add", nil, w.node("MatMul", nil, x, w.in[m]), w.in[b])
}

// norm is a batch normalization in training.
func (w *torchGraph) norm(x *graph.Value, scale, bias string, epsilon float64) *graph.Value {
	n, _ := w.in[scale].Shape[0].Value()
	return w.node("BatchNormalization", attrs("training_mode", 1, "epsilon", epsilon), x, w.in[scale], w.in[bias], w.fill(0, n), w.fill(1, n))
}

// crossEntropy is the loss of training, of scores and distributions.
func (w *torchGraph) crossEntropy(z, target *graph.Value) []*graph.Value {
	n, _ := z.Shape[0].Value()
	return []*graph.Value{train.CrossEntropy(&train.Task{Builder: w.Builder, Batch: n, Logits: z, Target: target})}
}
