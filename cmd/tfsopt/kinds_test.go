package main

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// kind is a model that reads "k", an input of a special kind, beside "x" of [n,4].
type kind struct {
	name, input, use string
	sample           *tensor.Tensor // what can be fed; nil: no file holds it
	refused          map[string]string
}

const kindSamples = 8

// noSample are the refusals of an input that neither random data nor an array can feed.
func noSample(typ string, more ...string) map[string]string {
	random, array := `input "k": it takes `+typ, `input "k" takes `+typ
	m := map[string]string{
		"bench": random, "evaluate random": random, "quantize random": random, "quantize io": random,
		"evaluate": array, "quantize": array, "train": array,
	}
	for i := 0; i < len(more); i += 2 {
		m[more[i]] = more[i+1]
	}
	return m
}

func kinds() []kind {
	scalar := map[string]string{"train": `input "k" is .*\[\]: want a batch dimension`}
	rank := `input "k": the model does not say how many dimensions it has`
	nothing := "nothing to quantize"
	list := func(t tensor.DType, n ...int) *tensor.Tensor { return tensor.New(t, n...) }
	n := kindSamples
	return []kind{
		{"scalar", "input k: float32[]", "y: float32[n,3] = Mul(h, k)", tensor.Scalar(float32(2)), scalar},
		{"integer scalar", "input k: int64[]", "f: float32[] = Cast(k) {to=1}\n y: float32[n,3] = Mul(h, f)", tensor.Scalar(int64(2)), scalar},
		{"string", "input k: string[n]", "y: float32[n,3] = Relu(h)\n z: string[n] = Identity(k)\n output z", strs(n), noSample("string")},
		{"bool", "input k: bool[n,3]", "y: float32[n,3] = Where(k, h, half)", list(tensor.Bool, n, 3), nil},
		{"float16", "input k: float16[n,3]", "f: float32[n,3] = Cast(k) {to=1}\n y: float32[n,3] = Add(h, f)", list(tensor.Float16, n, 3), nil},
		{"bfloat16", "input k: bfloat16[n,3]", "f: float32[n,3] = Cast(k) {to=1}\n y: float32[n,3] = Add(h, f)", list(tensor.BFloat16, n, 3), nil},
		{"double", "input k: float64[n,3]", "f: float32[n,3] = Cast(k) {to=1}\n y: float32[n,3] = Add(h, f)", list(tensor.Float64, n, 3), nil},
		{"sequence", "input k: sequence(float32[n,3])", "f: float32[n,3] = SequenceAt(k, zero)\n y: float32[n,3] = Add(h, f)", nil, noSample("sequence", "run", `"k" is sequence\(.*which no file holds`)},
		{"optional", "input k: optional(float32[n,3])", "f: float32[n,3] = OptionalGetElement(k)\n y: float32[n,3] = Add(h, f)", nil, noSample("optional", "run", `"k" is optional\(.*which no file holds`)},
		{"zero-sized", "input k: float32[n,0]", "y: float32[n,3] = Concat(h, k) {axis=1}", list(tensor.Float32, n, 0), nil},
		{"unranked", "input k: float32[...]", "y: float32[...] = Add(h, k)", list(tensor.Float32, n, 3), map[string]string{
			"bench": rank, "evaluate random": rank, "quantize random": rank, "quantize io": rank, "train": `input "k" is float32\[...\]: want a batch dimension`,
		}},
		{"none", "", "", nil, map[string]string{
			"evaluate": "the model has no inputs", "quantize": "the model has no inputs", "train": "the model has no inputs",
			"quantize random": nothing, "quantize dynamic": nothing, "quantize weight-only": nothing,
			"prune": "nothing to prune", "prune flops": "nothing to prune",
		}},
	}
}

func strs(n int) *tensor.Tensor {
	t := tensor.New(tensor.String, n)
	for i := range t.Strings {
		t.Strings[i] = fmt.Sprint("s", i)
	}
	return t
}

func (k kind) text() string {
	x := "input x: float32[n,4]"
	if k.input == "" {
		x = "const x: float32[2,4] = {1, 2, 3, 4, 5, 6, 7, 8}"
		k.use = "r: float32[2,3] = RandomNormalLike(h) {seed=1.0}\n y: float32[2,3] = Add(h, r)"
	}
	return fmt.Sprintf(`graph "k" {
  opset "" 21
  %s
  %s
  const w: float32[4,3] = {1, -2, 3, 4, -5, 6, 7, 8, -9, 1, 2, 3}
  const half: float32[] = {0.5}
  const zero: int64[] = {0}
  h: float32[?,3] = MatMul(x, w)
  %s
  output y
}
`, x, k.input, k.use)
}

// TestKinds takes models with inputs of every kind through every verb: it works, or is refused by one error that names
// the input and leaves nothing after.
func TestKinds(t *testing.T) {
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			dir := t.TempDir()
			model := filepath.Join(dir, "m.onnx")
			g, err := graph.Parse(strings.NewReader(k.text()))
			if err != nil {
				t.Fatal(err)
			}
			if err := g.Infer(); err != nil {
				t.Fatal(err)
			}
			if _, err := formats.Save(t.Context(), g, model); err != nil {
				t.Fatal(err)
			}
			set := k.write(t, dir)
			for _, verb := range kindVerbs(k, dir, set) {
				t.Run(verb.name, func(t *testing.T) { verb.check(t, k, dir) })
			}
		})
	}
}

type kindVerb struct {
	name string
	args []string
}

func kindVerbs(k kind, dir, set string) []kindVerb {
	model := filepath.Join(dir, "m.onnx")
	feed := []string{"run", model}
	if k.input != "" {
		feed = append(feed, "--input", "x="+filepath.Join(dir, "x.npy"))
		if k.sample != nil {
			feed = append(feed, "--input", "k="+filepath.Join(dir, "k"+data.TensorExt(k.sample)))
		}
	}
	out := func(args ...string) []string { return append(args, model, "-o", filepath.Join(dir, "out.onnx")) }
	judge := []string{"evaluate", model, "--reference", model, "--no-latency", "--data"}
	return []kindVerb{
		{"inspect", []string{"inspect", model}},
		{"run", feed},
		{"bench", []string{"bench", model, "--duration", "1ms"}},
		{"convert", out("convert")},
		{"optimize", out("optimize")},
		{"evaluate random", append(judge[:len(judge):len(judge)], "random", "--samples", "4")},
		{"evaluate", append(judge[:len(judge):len(judge)], set)},
		{"quantize weight-only", append(out("quantize"), "--mode", "weight-only")},
		{"quantize dynamic", append(out("quantize"), "--mode", "dynamic")},
		{"quantize random", append(out("quantize"), "--data", "random", "--force")},
		{"quantize", append(out("quantize"), "--data", set, "--force")},
		{"quantize io", append(out("quantize"), "--data", "random", "--io", "int8", "--force")},
		{"prune", append(out("prune"), "--sparsity", "0.5")},
		{"prune flops", append(out("prune"), "--target-flops", "30")},
		{"train", append(out("train"), "--data", set, "--epochs", "1")},
	}
}

// write makes the files of the model's inputs and gives the data set of all of them, with labels.
func (k kind) write(t *testing.T, dir string) string {
	x := tensor.New(tensor.Float32, kindSamples, 4)
	for i := range x.Len() {
		tensor.View[float32](x)[i] = float32(i%7) - 3
	}
	files := map[string]*tensor.Tensor{"x": x, "y": tensor.New(tensor.Int64, kindSamples)}
	if k.sample != nil {
		files["k"] = k.sample
	}
	set := filepath.Join(dir, "set.npz")
	f, err := os.Create(set)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for name, v := range files {
		var b bytes.Buffer
		if err := data.WriteTensor(&b, v); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+data.TensorExt(v)), b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		w, err := z.Create(name + data.TensorExt(v))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(b.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return set
}

func (v kindVerb) check(t *testing.T, k kind, dir string) {
	var stdout, stderr bytes.Buffer
	made := filepath.Join(dir, "out.onnx")
	defer os.Remove(made)
	code := run(t.Context(), v.args, &stdout, &stderr)
	want := k.refused[v.name]
	switch {
	case want == "" && code != 0:
		t.Errorf("exit code %d: %s", code, stderr.String())
	case want != "" && (code == 0 || !regexp.MustCompile(want).MatchString(stderr.String())):
		t.Errorf("exit code %d, %q: want an error like %q", code, stderr.String(), want)
	}
	if slices.Contains(v.args, "-o") && code == 0 {
		var again bytes.Buffer
		if code := run(t.Context(), []string{"inspect", made}, &again, &again); code != 0 || k.input != "" && !strings.Contains(again.String(), "k") {
			t.Errorf("the output cannot be looked at: %s", again.String())
		}
	}
	if code != 0 {
		if n := strings.Count(stderr.String(), "tfsopt: "); n != 1 {
			t.Errorf("%d errors: %q", n, stderr.String())
		}
		if _, err := os.Stat(made); err == nil {
			t.Error("there is an output although it failed")
		}
	}
}
