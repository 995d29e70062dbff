package ops_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tfsopt/tfsopt/formats/onnx"
	"github.com/tfsopt/tfsopt/graph"
	_ "github.com/tfsopt/tfsopt/ops" // registers the operators
	"github.com/tfsopt/tfsopt/tensor"
)

var (
	updatePassing = flag.Bool("update", false, "add the conformance cases that pass to testdata/passing.txt")
	why           = flag.String("why", "", "say why conformance cases that are not listed fail: a regular expression on their names")
)

// maxReferenceMACs leaves out cases that plain loops would need many seconds for.
const maxReferenceMACs = 200e6

const passingFile = "testdata/passing.txt"

// A case is one model of ONNX's own conformance suite with its inputs and outputs.
type conformanceCase struct{ group, name, model string }

func (c conformanceCase) String() string { return c.group + "/" + c.name }

// TestConformance runs ONNX's conformance models with the operators' own kernels. The cases in testdata/passing.txt
// must pass; a case that passes and is not listed fails too, so that the list can only grow.
//
//	go test ./ops -run 'TestConformance/node/test_conv' -why conv   says what is wrong with those not listed
//	go test ./ops -run TestConformance -update                      adds new ones
func TestConformance(t *testing.T) {
	root := conformanceDir(t)
	listed := readPassing(t)
	whyRE := regexp.MustCompile(*why)
	var mu sync.Mutex
	var passed, fresh, reasons []string
	t.Run("cases", func(t *testing.T) {
		for _, group := range []string{"node", "simple", "pytorch-converted", "light"} {
			t.Run(group, func(t *testing.T) {
				for _, c := range casesIn(t, root, group) {
					t.Run(c.name, func(t *testing.T) {
						t.Parallel()
						err := runCase(t, c)
						mu.Lock()
						defer mu.Unlock()
						if err == nil {
							passed = append(passed, c.String())
						}
						switch {
						case err == nil && !listed[c.String()]:
							fresh = append(fresh, c.String())
						case err != nil && listed[c.String()]:
							t.Errorf("is listed as passing: %v", err)
						case err != nil && *why != "" && whyRE.MatchString(c.String()):
							reasons = append(reasons, fmt.Sprintf("%s: %v", c, err))
						}
					})
				}
			})
		}
	})
	if *updatePassing {
		writePassing(t, passed)
	} else if len(fresh) > 0 && *why == "" {
		slices.Sort(fresh)
		t.Errorf("%d cases pass: add to passing.txt (go test ./ops -run TestConformance -update)\n%s", len(fresh), strings.Join(fresh, "\n"))
	}
	if *why != "" { // go test shows the output of failed tests only
		slices.Sort(reasons)
		t.Errorf("%d cases do not pass:\n%s", len(reasons), strings.Join(reasons, "\n"))
	}
}

func conformanceDir(t *testing.T) string {
	dir := os.Getenv("TFSOPT_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared")
	}
	dir = filepath.Join(dir, "conformance", "onnx")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no conformance cases: %v", err)
	}
	return dir
}

func casesIn(t *testing.T, root, group string) (out []conformanceCase) {
	pattern := filepath.Join(root, group, "*", "model.onnx")
	if group == "light" {
		pattern = filepath.Join(root, group, "*.onnx")
	}
	models, err := filepath.Glob(pattern)
	if err != nil || len(models) == 0 {
		t.Fatalf("no cases at %s: %v", pattern, err)
	}
	for _, m := range models {
		name := filepath.Base(filepath.Dir(m))
		if group == "light" {
			name = strings.TrimSuffix(filepath.Base(m), ".onnx")
		}
		out = append(out, conformanceCase{group, name, m})
	}
	return out
}

func readPassing(t *testing.T) map[string]bool {
	listed := map[string]bool{}
	f, err := os.Open(passingFile)
	if os.IsNotExist(err) {
		return listed
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if line := strings.TrimSpace(s.Text()); line != "" && line[0] != '#' {
			listed[line] = true
		}
	}
	return listed
}

// writePassing adds to the file as it is now.
func writePassing(t *testing.T, passed []string) {
	for name := range readPassing(t) {
		passed = append(passed, name)
	}
	slices.Sort(passed)
	passed = slices.Compact(passed)
	if err := os.MkdirAll(filepath.Dir(passingFile), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(passingFile, []byte(strings.Join(passed, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d cases pass", len(passed))
}

// runCase is nil if every data set of the case gives the expected outputs.
func runCase(t *testing.T, c conformanceCase) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	f, err := onnx.Load(c.model)
	if err != nil {
		return err
	}
	defer f.Close()
	if missing := graph.Unsupported(f.Graph); len(missing) > 0 {
		return &graph.UnsupportedError{Ops: missing}
	}
	if macs := graphMACs(f.Graph); macs > maxReferenceMACs {
		return fmt.Errorf("%.2g multiply-adds are too many for the reference", macs)
	}
	sets, err := dataSets(c, f.Graph)
	if err != nil {
		return err
	}
	for _, d := range sets {
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		got, err := graph.Eval(ctx, f.Graph, d.in)
		cancel()
		if err != nil {
			return err
		}
		for i, want := range d.out {
			if err := compare(got[i], want, toleranceOf(c)); err != nil {
				return fmt.Errorf("%s, output %q: %w", d.name, f.Graph.Outputs[i].Name, err)
			}
		}
	}
	return nil
}

// graphMACs estimates the work of convolutions and constant matrix products.
func graphMACs(g *graph.Graph) (macs float64) {
	for _, n := range g.Nodes {
		if name := n.OpName(); name != "Conv" && name != "Gemm" && name != "MatMul" && name != "ConvTranspose" {
			continue
		}
		out, ok := n.Out[0].Fixed()
		w, fixed := n.In[1].Fixed()
		if !ok || !fixed || len(w) < 2 || len(out) < 2 {
			continue
		}
		perOutput := w[0]
		if len(w) > 2 {
			perOutput = tensor.Size(w[1:])
		} else if out[len(out)-1] == w[0] {
			perOutput = w[1]
		}
		macs += float64(tensor.Size(out)) * float64(perOutput)
	}
	return macs
}

type dataSet struct {
	name    string
	in, out []*tensor.Tensor
}

func dataSets(c conformanceCase, g *graph.Graph) ([]dataSet, error) {
	if c.group == "light" {
		return lightData(c, g)
	}
	dirs, err := filepath.Glob(filepath.Join(filepath.Dir(c.model), "test_data_set_*"))
	if err != nil || len(dirs) == 0 {
		return nil, fmt.Errorf("no data beside %s: %v", c.model, err)
	}
	var sets []dataSet
	for _, dir := range dirs {
		d := dataSet{name: filepath.Base(dir)}
		for i, v := range g.Inputs {
			x, err := readValue(filepath.Join(dir, fmt.Sprintf("input_%d.pb", i)), v.Type)
			if err != nil {
				return nil, err
			}
			d.in = append(d.in, x)
		}
		for i, v := range g.Outputs {
			y, err := readValue(filepath.Join(dir, fmt.Sprintf("output_%d.pb", i)), v.Type)
			if err != nil {
				return nil, err
			}
			d.out = append(d.out, y)
		}
		sets = append(sets, d)
	}
	return sets, nil
}

// lightData feeds arange(n)/n, as the light models' README does.
func lightData(c conformanceCase, g *graph.Graph) ([]dataSet, error) {
	d := dataSet{name: "arange"}
	for _, v := range g.Inputs {
		shape, ok := v.Fixed()
		if !ok {
			return nil, fmt.Errorf("input %q has the type %s", v.Name, v.Type)
		}
		x := make([]float32, tensor.Size(shape))
		for i := range x {
			x[i] = float32(i) / float32(len(x))
		}
		d.in = append(d.in, tensor.From(x, shape...))
	}
	y, err := readValue(strings.TrimSuffix(c.model, ".onnx")+"_output_0.pb", g.Outputs[0].Type)
	d.out = []*tensor.Tensor{y}
	return []dataSet{d}, err
}

func readValue(path string, t graph.Type) (*tensor.Tensor, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	read := onnx.ReadTensor
	switch t.DType {
	case tensor.Sequence:
		read = onnx.ReadSequence
	case tensor.Optional:
		read = onnx.ReadOptional
	}
	x, err := read(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return x, nil
}
