// Package conformance runs the official ONNX test cases, which lie beside the project, against anything that computes
// graphs. It is for tests only.
package conformance

import (
	"bufio"
	"context"
	"errors"
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
	"github.com/tfsopt/tfsopt/tensor"
)

// Suite is one way to compute graphs and the list of cases that it must pass.
type Suite struct {
	List    string  // a file with a case a line, such as "node/test_abs"
	Update  bool    // add the cases that pass to List
	Why     string  // if not empty: fail with the reasons of the cases that do not pass and match this expression
	MaxMACs float64 // leave out cases with more multiply-adds; 0: none
	Run     func(ctx context.Context, g *graph.Graph, in []*tensor.Tensor) ([]*tensor.Tensor, error)

	mu                     sync.Mutex
	listed                 map[string]bool
	why                    *regexp.Regexp
	passed, fresh, reasons []string
}

// Case is one model of the suite; its data lies beside it.
type Case struct{ Group, Name, Model string }

func (c Case) String() string { return c.Group + "/" + c.Name }

// ErrLeftOut marks cases above MaxMACs.
var ErrLeftOut = errors.New("left out")

// Test runs every case as a subtest. Those in List must pass; one that passes and is not listed fails too, so that the
// list can only grow. Without the data it skips.
func (s *Suite) Test(t *testing.T) {
	root := dataDir(t)
	s.listed = s.readList(t)
	s.why = regexp.MustCompile(s.Why)
	t.Run("cases", func(t *testing.T) {
		for _, group := range []string{"node", "simple", "pytorch-converted", "light"} {
			t.Run(group, func(t *testing.T) {
				for _, c := range casesIn(t, root, group) {
					t.Run(c.Name, func(t *testing.T) {
						t.Parallel()
						s.report(t, c, s.runCase(t, c))
					})
				}
			})
		}
	})
	slices.Sort(s.fresh)
	if s.Update {
		s.writeList(t)
	} else if len(s.fresh) > 0 && s.Why == "" {
		t.Errorf("%d cases pass: add to %s with -update\n%s", len(s.fresh), filepath.Base(s.List), strings.Join(s.fresh, "\n"))
	}
	if s.Why != "" { // go test shows the output of failed tests only
		slices.Sort(s.reasons)
		t.Errorf("%d cases do not pass:\n%s", len(s.reasons), strings.Join(s.reasons, "\n"))
	}
}

func (s *Suite) report(t *testing.T, c Case, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	listed := s.listed[c.String()]
	switch {
	case err == nil:
		s.passed = append(s.passed, c.String())
		if !listed {
			s.fresh = append(s.fresh, c.String())
		}
	case listed && errors.Is(err, ErrLeftOut):
		t.Skip(err)
	case listed:
		t.Errorf("is listed as passing: %v", err)
	case s.Why != "" && s.why.MatchString(c.String()):
		s.reasons = append(s.reasons, fmt.Sprintf("%s: %v", c, err))
	}
}

// dataDir finds the cases: TFSOPT_SHARED or ../shared beside the project.
func dataDir(t *testing.T) string {
	dir := os.Getenv("TFSOPT_SHARED")
	if dir == "" {
		dir = filepath.Join(projectDir(t), "..", "shared")
	}
	dir = filepath.Join(dir, "conformance", "onnx")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no conformance cases: %v", err)
	}
	return dir
}

// projectDir is the directory of go.mod.
func projectDir(t *testing.T) string {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test's directory")
		}
	}
}

func casesIn(t *testing.T, root, group string) (out []Case) {
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
		out = append(out, Case{group, name, m})
	}
	return out
}

func (s *Suite) readList(t *testing.T) map[string]bool {
	listed := map[string]bool{}
	f, err := os.Open(s.List)
	if os.IsNotExist(err) {
		return listed
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if line := strings.TrimSpace(lines.Text()); line != "" && line[0] != '#' {
			listed[line] = true
		}
	}
	return listed
}

// writeList adds to the file as it is now.
func (s *Suite) writeList(t *testing.T) {
	passed := s.passed
	for name := range s.readList(t) {
		passed = append(passed, name)
	}
	slices.Sort(passed)
	passed = slices.Compact(passed)
	if err := os.MkdirAll(filepath.Dir(s.List), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.List, []byte(strings.Join(passed, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d cases pass", len(passed))
}

// runCase is nil if every data set of the case gives the expected outputs.
func (s *Suite) runCase(t *testing.T, c Case) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	f, err := onnx.Load(c.Model)
	if err != nil {
		return err
	}
	defer f.Close()
	if missing := graph.Unsupported(f.Graph); len(missing) > 0 {
		return &graph.UnsupportedError{Ops: missing}
	}
	if macs := graphMACs(f.Graph); s.MaxMACs > 0 && macs > s.MaxMACs {
		return fmt.Errorf("%w: %.2g multiply-adds", ErrLeftOut, macs)
	}
	sets, err := dataSets(c, f.Graph)
	if err != nil {
		return err
	}
	for _, d := range sets {
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		got, err := s.Run(ctx, f.Graph, d.in)
		cancel()
		if err != nil {
			return err
		}
		for i, want := range d.out {
			if err := Compare(got[i], want, toleranceOf(c)); err != nil {
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

func dataSets(c Case, g *graph.Graph) ([]dataSet, error) {
	if c.Group == "light" {
		return lightData(c, g)
	}
	dirs, err := filepath.Glob(filepath.Join(filepath.Dir(c.Model), "test_data_set_*"))
	if err != nil || len(dirs) == 0 {
		return nil, fmt.Errorf("no data beside %s: %v", c.Model, err)
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
func lightData(c Case, g *graph.Graph) ([]dataSet, error) {
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
	y, err := readValue(strings.TrimSuffix(c.Model, ".onnx")+"_output_0.pb", g.Outputs[0].Type)
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
