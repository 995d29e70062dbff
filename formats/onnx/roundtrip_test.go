package onnx

import (
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// describe lists everything that a graph says, one thing a line.
func describe(g *graph.Graph) string {
	var b strings.Builder
	describeGraph(&b, g, "")
	return b.String()
}

func describeGraph(b *strings.Builder, g *graph.Graph, indent string) {
	fmt.Fprintf(b, "%sgraph %q captures %d opsets %v meta %s\n", indent, g.Name, g.Captures, g.Opsets, describeMeta(g.Meta))
	value := func(v *graph.Value) string {
		switch {
		case v == nil:
			return "-"
		case v.IsConst():
			return fmt.Sprintf("%s=%s#%x %s", v.Name, v.Type, digest(v.Const), describeMeta(v.Meta))
		}
		return fmt.Sprintf("%s:%s %s", v.Name, v.Type, describeMeta(v.Meta))
	}
	list := func(kind string, values []*graph.Value) {
		for _, v := range values {
			fmt.Fprintf(b, "%s  %s %s\n", indent, kind, value(v))
		}
	}
	list("input", g.Inputs)
	list("unused", g.Unused)
	for _, n := range g.Nodes {
		fmt.Fprintf(b, "%s  node %q %s overload %q meta %s\n", indent, n.Name, n.OpName(), overload(n.Op), describeMeta(n.Meta))
		for _, a := range graph.AttrsOf(n.Op) {
			switch v := a.Value.(type) {
			case *graph.Graph:
				fmt.Fprintf(b, "%s    %s:\n", indent, a.Name)
				describeGraph(b, v, indent+"      ")
			case *tensor.Tensor:
				fmt.Fprintf(b, "%s    %s %s#%x\n", indent, a.Name, graph.TypeOf(v), digest(v))
			default:
				fmt.Fprintf(b, "%s    %s %T %v %s\n", indent, a.Name, v, v, a.Doc)
			}
		}
		list("  in", n.In)
		list("  out", n.Out)
	}
	list("output", g.Outputs)
}

func overload(op graph.Op) string {
	if o, ok := op.(graph.Opaque); ok {
		return o.Overload
	}
	return ""
}

func digest(t *tensor.Tensor) uint64 {
	h := fnv.New64a()
	h.Write(t.Data)
	for _, s := range t.Strings {
		fmt.Fprintf(h, "%q", s)
	}
	return h.Sum64()
}

func describeMeta(m map[string]string) string {
	var out []string
	for k, v := range m {
		out = append(out, fmt.Sprintf("%s=%q", k, v))
	}
	sort.Strings(out)
	return strings.Join(out, " ")
}

// withoutVersions drops what Save says in its warnings: opsets and IR version may rise.
func withoutVersions(g *graph.Graph) string {
	c := *g
	c.Opsets = nil
	c.Meta = map[string]string{}
	for k, v := range g.Meta {
		if k != metaPrefix+"ir_version" && !strings.HasPrefix(k, metaTraining) {
			c.Meta[k] = v
		}
	}
	return describe(&c)
}

// listedBefore4 tells of a model from before IR version 4.
func listedBefore4(g *graph.Graph) bool {
	v, err := strconv.Atoi(g.Meta[metaPrefix+"ir_version"])
	return err == nil && v < 4
}

// TestRoundTrip loads every model there is, saves it, loads that and saves it again. TFSOPT_KEEP=dir keeps the files
// for other programs to look at.
func TestRoundTrip(t *testing.T) {
	keep := os.Getenv("TFSOPT_KEEP")
	for _, path := range sharedModels(t) {
		if incomplete(path) {
			continue
		}
		out := filepath.Join(t.TempDir(), "model.onnx")
		if keep != "" {
			rel, _ := filepath.Rel(sharedDir(t, ""), path)
			out = filepath.Join(keep, strings.ReplaceAll(rel, "/", "__"))
		}
		if err := roundTrip(t, path, out); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func roundTrip(t *testing.T, path, out string) error {
	first, err := Load(path)
	if err != nil {
		return err
	}
	defer first.Close()
	if _, err := Save(t.Context(), first.Graph, out); err != nil {
		return err
	}
	second, err := Load(out)
	if err != nil {
		return err
	}
	defer second.Close()
	want, got := withoutVersions(first.Graph), withoutVersions(second.Graph)
	if listedBefore4(first.Graph) { // then initializers had to be inputs; now they need not
		want = strings.ReplaceAll(want, `onnx.listed="input"`, "")
		got = strings.ReplaceAll(got, `onnx.listed="input"`, "")
	}
	if d := cmp.Diff(want, got); d != "" {
		return fmt.Errorf("differs after saving:\n%s", d)
	}
	return saveAgain(t, second, out)
}

// saveAgain checks that a file of our own comes back with the same bytes.
func saveAgain(t *testing.T, f *formats.File, path string) error {
	b, warnings, err := Write(f.Graph)
	if err != nil {
		return err
	}
	if len(warnings) > 0 || len(f.Warnings) > 0 {
		return fmt.Errorf("a file of our own gives warnings: %v %v", f.Warnings, warnings)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if string(b) != string(want) {
		return fmt.Errorf("saving twice gives %d and %d bytes that differ", len(want), len(b))
	}
	return nil
}
