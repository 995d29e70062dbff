package savedmodel_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/formats"
	_ "github.com/tfsopt/tfsopt/formats/savedmodel"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// golden is a signature.json below ../shared/golden: what TensorFlow itself gives.
type golden struct {
	Model, Kind string
	Signatures  map[string]goldenEntry
	Cases       []goldenCase
	Sequence    []goldenStep
}

type goldenEntry struct {
	Cases []goldenCase
	Error string
}

type goldenCase struct {
	Inputs, Outputs map[string]goldenTensor
	Error           string
}

type goldenTensor struct {
	DType string
	Shape []int
	File  string
}

type goldenStep struct {
	Signature string
	Inputs    map[string]float32
	Outputs   map[string]float32
}

// shared is the directory with models and goldens beside the checkout.
func shared(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("TFSOPT_SHARED")
	if dir == "" {
		dir = "../../../shared"
	}
	if _, err := os.Stat(filepath.Join(dir, "golden")); err != nil {
		t.Skip("no golden outputs beside the checkout: ", err)
	}
	return dir
}

func TestGolden(t *testing.T) {
	dir := shared(t)
	var files []string
	err := filepath.WalkDir(filepath.Join(dir, "golden"), func(p string, _ os.DirEntry, err error) error {
		if filepath.Base(p) == "signature.json" {
			files = append(files, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var g golden
		if err := json.Unmarshal(b, &g); err != nil {
			t.Fatal(file, err)
		}
		if g.Kind != "savedmodel" && g.Kind != "graphdef" {
			continue
		}
		ran++
		t.Run(g.Model, func(t *testing.T) { g.test(t, dir, filepath.Dir(file)) })
	}
	if ran == 0 {
		t.Error("no golden of a SavedModel")
	}
}

func (g golden) test(t *testing.T, shared, dir string) {
	path := filepath.Join(shared, strings.Replace(g.Model, "tfserving/", "conformance/tfserving/", 1))
	f, err := formats.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, w := range f.Warnings {
		t.Log(w)
	}
	if g.Kind == "graphdef" {
		for _, c := range g.Cases {
			c.test(t, f.Graph, dir)
			c.middle(t, path, dir)
		}
		return
	}
	for name, entry := range g.Signatures {
		t.Run(strings.ReplaceAll(name, "/", "_"), func(t *testing.T) {
			one, err := graph.Select(f.Graph, name)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range entry.Cases {
				c.test(t, one, dir)
			}
		})
	}
	if len(g.Sequence) > 0 {
		g.sequence(t, f.Graph)
	}
}

// goldenTolerance bounds |got-want| / (1+|want|).
const goldenTolerance = 1e-4

func (c goldenCase) test(t *testing.T, g *graph.Graph, dir string) {
	if c.Error != "" {
		return
	}
	if err := c.run(t, g, dir); err != nil {
		t.Error(err)
	}
}

func (c goldenCase) run(t *testing.T, g *graph.Graph, dir string) error {
	var in []*tensor.Tensor
	for _, v := range g.Inputs {
		x, err := c.Inputs[v.Name].read(dir)
		if err != nil {
			return fmt.Errorf("%s: %w", v.Name, err)
		}
		in = append(in, x)
	}
	p, err := engine.Compile(t.Context(), g, engine.Options{Threads: 1})
	if err != nil {
		return err
	}
	defer p.Close()
	call := &engine.Call{In: in}
	if err := p.Run(t.Context(), call); err != nil {
		return err
	}
	for i, v := range g.Outputs {
		want, ok := c.Outputs[v.Name]
		if !ok {
			return fmt.Errorf("output %q is not in the golden", v.Name)
		}
		w, err := want.read(dir)
		if err != nil {
			return err
		}
		if err := near(call.Out[i], w); err != nil {
			return fmt.Errorf("%s: %w", v.Name, err)
		}
	}
	return nil
}

// middle feeds the tensors of which the golden has the values inside the graph.
func (c goldenCase) middle(t *testing.T, path, dir string) {
	const inside = "mid:"
	from := goldenCase{Inputs: map[string]goldenTensor{}, Outputs: map[string]goldenTensor{}}
	var o formats.Options
	for name, x := range c.Outputs {
		if node, ok := strings.CutPrefix(name, inside); ok {
			o.Inputs = append(o.Inputs, node)
			from.Inputs[node] = x
		} else {
			o.Outputs = append(o.Outputs, name)
			from.Outputs[name] = x
		}
	}
	if o.Inputs == nil {
		return
	}
	f, err := formats.LoadWith(path, o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := from.run(t, f.Graph, dir); err != nil {
		t.Error(err)
	}
}

func near(got, want *tensor.Tensor) error {
	if got.DType != want.DType || fmt.Sprint(got.Shape) != fmt.Sprint(want.Shape) {
		return fmt.Errorf("%s, want %s", graph.TypeOf(got), graph.TypeOf(want))
	}
	if got.DType == tensor.String {
		if fmt.Sprint(got.Strings) != fmt.Sprint(want.Strings) {
			return fmt.Errorf("%q, want %q", got.Strings, want.Strings)
		}
		return nil
	}
	g, w := tensor.Float64s(got), tensor.Float64s(want)
	for i := range w {
		if !(math.Abs(g[i]-w[i]) <= goldenTolerance*(1+math.Abs(w[i]))) {
			return fmt.Errorf("element %d is %g, want %g", i, g[i], w[i])
		}
	}
	return nil
}

func (x goldenTensor) read(dir string) (*tensor.Tensor, error) {
	path := filepath.Join(dir, x.File)
	if x.DType != "string" {
		t, err := data.LoadTensor(path)
		if err != nil {
			return nil, err
		}
		d, err := tensor.ParseDType(x.DType)
		if err != nil {
			return nil, err
		}
		if t, err = data.As(t, d); err != nil {
			return nil, err
		}
		return t.Reshape(x.Shape...), nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(path, ".wav") {
		return tensor.FromStrings([]string{string(b)}), nil
	}
	var list struct{ B64 []string }
	if err := json.Unmarshal(b, &list.B64); err != nil {
		if err := json.Unmarshal(b, &list); err != nil {
			return nil, err
		}
	}
	out := make([]string, len(list.B64))
	for i, s := range list.B64 {
		raw, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return nil, err
		}
		out[i] = string(raw)
	}
	return tensor.FromStrings(out, x.Shape...), nil
}

// sequence calls entry points one after another, which share their variables.
func (g golden) sequence(t *testing.T, m *graph.Graph) {
	states, err := engine.NewStates(m)
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range g.Sequence {
		one, err := graph.Select(m, step.Signature)
		if err != nil {
			t.Fatal(err)
		}
		p, err := engine.Compile(t.Context(), one, engine.Options{States: states})
		if err != nil {
			t.Fatal(err)
		}
		call := &engine.Call{}
		for _, v := range one.Inputs {
			call.In = append(call.In, tensor.Scalar(step.Inputs[v.Name]))
		}
		if err := p.Run(t.Context(), call); err != nil {
			t.Fatalf("call %d, %s: %v", i, step.Signature, err)
		}
		for j, v := range one.Outputs {
			if got := tensor.Floats(call.Out[j])[0]; got != step.Outputs[v.Name] {
				t.Errorf("call %d, %s: %s is %g, want %g", i, step.Signature, v.Name, got, step.Outputs[v.Name])
			}
		}
		p.Close()
	}
}
