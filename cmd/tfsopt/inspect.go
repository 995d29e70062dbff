package main

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tfsopt/tfsopt/doctor"
	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/prune"
)

type inspectOptions struct {
	nodes bool
	dot   string
	dims  dims
	data  dataFlags
}

func inspectCmd(a *app) *cobra.Command {
	var o inspectOptions
	cmd := &cobra.Command{
		Use:   "inspect MODEL",
		Short: "Show a model's signature, operators, size and work",
		Long: `Show a model's signature, operators, parameters, bytes and FLOPs.

Parameters are the elements of all constant tensors; --nodes lists these too,
with the share of zeros. FLOPs count a multiply-add as two, as the flag
--target-flops of prune does, and are those of one sample: dimensions without a
size are 1 where samples lie, 224 in images and 32 elsewhere unless --dim binds
them; what was chosen is said.

Of a model with 8-bit products it counts the pairs whose sums can saturate on
CPUs without VNNI; --data tells whether they do.`,
		Example: "  tfsopt inspect model.onnx\n  tfsopt inspect model.onnx --nodes --dim batch=8\n  tfsopt inspect model.onnx --dot model.dot && dot -Tsvg -O model.dot",
		Args:    oneModel,
		RunE:    func(cmd *cobra.Command, args []string) error { return a.inspect(cmd.Context(), args[0], o) },
	}
	cmd.Flags().BoolVar(&o.nodes, "nodes", false, "list every node and parameter")
	cmd.Flags().StringVar(&o.dot, "dot", "", "write a drawing for Graphviz to this file")
	o.data.add(cmd, 0)
	o.dims = addDims(cmd)
	return cmd
}

// inspection is the result. Opset is that of ONNX's own operators.
type inspection struct {
	Format      string         `json:"format"`
	Opset       int            `json:"opset"`
	Opsets      map[string]int `json:"opsets"`
	Inputs      []port         `json:"inputs"`
	Outputs     []port         `json:"outputs"`
	Signatures  []signature    `json:"signatures"`
	Nodes       int            `json:"nodes"`
	Operators   map[string]int `json:"operators"`
	Unsupported []string       `json:"unsupported"`
	Parameters  int64          `json:"parameters"`
	Zeros       int64          `json:"zeros"` // of the parameters
	Bytes       int64          `json:"bytes"`
	FLOPs       int64          `json:"flops"`
	FLOPsLeft   int64          `json:"flops_nonzero"` // without multiply-adds by weights that are zero
	FLOPsFor    map[string]any `json:"flops_for"`     // the shapes of inputs that are counted
	NodeList    []nodeInfo     `json:"node_list,omitempty"`
	Constants   []constantInfo `json:"constant_list,omitempty"`
	Warnings    []string       `json:"warnings"`

	Saturation *doctor.Saturation `json:"saturation"`

	work map[string]int64 // FLOPs by operator
}

type signature struct {
	Name    string `json:"name"`
	Method  string `json:"method"`
	Inputs  []port `json:"inputs"`
	Outputs []port `json:"outputs"`
}

type nodeInfo struct {
	Name    string   `json:"name"`
	Op      string   `json:"op"`
	Inputs  []string `json:"inputs"`
	Outputs []port   `json:"outputs"`
	FLOPs   int64    `json:"flops"`
}

// constantInfo describes a parameter. Sparsity is the percentage of zeros.
type constantInfo struct {
	Name     string  `json:"name"`
	DType    string  `json:"dtype"`
	Shape    []any   `json:"shape"`
	Zeros    int64   `json:"zeros"`
	Sparsity float64 `json:"sparsity"`
}

func (a *app) inspect(ctx context.Context, path string, o inspectOptions) error {
	m, err := a.loadBound(path, o.dims)
	if err != nil {
		return err
	}
	defer m.Close()
	r := newInspection(m)
	if a.entries != nil {
		r.Signatures = a.entries
	}
	r.constants(m.Graph, o.nodes)
	if err := r.count(m.Graph, o.nodes); err != nil {
		return at(path, err)
	}
	if r.Saturation, err = a.inspectSaturation(ctx, path, m.Graph, o); err != nil {
		return err
	}
	if o.dot != "" {
		b, err := graph.DOT(m.Graph)
		if err != nil {
			return at(path, err)
		}
		if err := writeFile(ctx, o.dot, b); err != nil {
			return err
		}
	}
	a.warn(r.Warnings...)
	if a.json {
		return a.printJSON(r)
	}
	return a.printInspection(path, r, m.Format)
}

// signatures describes the entry points of g.
func signatures(g *graph.Graph) []signature {
	named := func(list []graph.Port) []port {
		out := []port{}
		for _, p := range list {
			out = append(out, portOf(p.Name, p.Value.Type))
		}
		return out
	}
	out := []signature{}
	for _, s := range g.Signatures {
		out = append(out, signature{s.Name, s.Method, named(s.Inputs), named(s.Outputs)})
	}
	return out
}

func newInspection(m *formats.File) *inspection {
	g := m.Graph
	r := &inspection{
		Format: strings.ToLower(m.Format), Opset: g.Opsets[""], Opsets: map[string]int{},
		Inputs: ports(g.Inputs), Outputs: ports(g.Outputs), Signatures: signatures(g),
		Operators: map[string]int{}, Unsupported: append([]string{}, graph.Unsupported(g)...),
		Bytes: m.Bytes, Warnings: append([]string{}, m.Warnings...), work: map[string]int64{}, FLOPsFor: map[string]any{},
	}
	for domain, v := range g.Opsets {
		if domain == "" {
			domain = "ai.onnx"
		}
		r.Opsets[domain] = v
	}
	return r
}

// constants counts parameters and zeros.
func (r *inspection) constants(g *graph.Graph, list bool) {
	for _, p := range graph.Constants(g) {
		n, zeros := int64(p.Tensor.Len()), int64(p.Tensor.Zeros())
		r.Parameters += n
		r.Zeros += zeros
		if list {
			t := portOf(p.Name, graph.TypeOf(p.Tensor))
			r.Constants = append(r.Constants, constantInfo{p.Name, t.DType, t.Shape, zeros, percent(zeros, n)})
		}
	}
}

// percent is 0 of nothing.
func percent(part, whole int64) float64 { return 100 * float64(part) / float64(max(whole, 1)) }

// count adds up nodes and work, for one sample where the batch is open.
func (r *inspection) count(g *graph.Graph, list bool) error {
	c, _, chosen, err := g.OneSample(nil)
	if err != nil {
		r.Warnings = append(r.Warnings, fmt.Sprintf("flops are not those of one sample, which the model does not take: %v", err))
		c = g.Clone()
	}
	for _, p := range ports(c.Inputs) {
		r.FLOPsFor[p.Name] = p.Shape
	}
	if chosen != "" {
		r.Warnings = append(r.Warnings, fmt.Sprintf("flops are those for %s; --dim NAME=N gives other sizes", chosen))
	}
	unknown, left := 0, 0.
	var failed error
	c.Walk(func(n *graph.Node) {
		cost, known, err := graph.NodeCost(n)
		if err != nil && failed == nil {
			failed = err
		}
		if f, _, err := prune.NodeFLOPs(n); err == nil {
			left += f
		}
		if !known {
			unknown++
		}
		flops := cost.FLOPs()
		r.Nodes++
		r.Operators[n.OpName()]++
		r.work[n.OpName()] += flops
		r.FLOPs += flops
		if list {
			r.NodeList = append(r.NodeList, nodeOf(n, flops))
		}
	})
	r.FLOPsLeft = int64(math.Round(left))
	if unknown > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("flops leave out %d operators whose shapes are not known; --dim NAME=N gives sizes", unknown))
	}
	return failed
}

func nodeOf(n *graph.Node, flops int64) nodeInfo {
	i := nodeInfo{Name: n.Name, Op: n.OpName(), Inputs: []string{}, Outputs: []port{}, FLOPs: flops}
	for _, v := range n.In {
		name := ""
		if v != nil {
			name = v.Name
		}
		i.Inputs = append(i.Inputs, name)
	}
	for _, v := range n.Out {
		if v != nil {
			i.Outputs = append(i.Outputs, portOf(v.Name, v.Type))
		}
	}
	return i
}

func (a *app) printInspection(path string, r *inspection, format string) error {
	err := a.printf("%s: %s, opset %d, %d nodes, %s parameters (%.1f %% zeros), %s, %s\n\n", path, format, r.Opset, r.Nodes,
		strings.TrimSpace(siText(float64(r.Parameters), "")), percent(r.Zeros, r.Parameters), bytesText(r.Bytes), siText(float64(r.FLOPs), "FLOPs"))
	if err != nil {
		return err
	}
	var rows [][]string
	for _, p := range r.Inputs {
		rows = append(rows, []string{"input", p.Name, p.DType, shapeText(p)})
	}
	for _, p := range r.Outputs {
		rows = append(rows, []string{"output", p.Name, p.DType, shapeText(p)})
	}
	if err := a.table([]column{text(""), text("name"), text("type"), text("shape")}, rows); err != nil {
		return err
	}
	for _, s := range r.Signatures {
		if err := a.printf("signature %s (%s): %d inputs, %d outputs\n", s.Name, s.Method, len(s.Inputs), len(s.Outputs)); err != nil {
			return err
		}
	}
	if err := a.printf("\n"); err != nil {
		return err
	}
	if err := a.printOperators(r); err != nil {
		return err
	}
	if err := a.printSaturation(r.Saturation); err != nil || r.NodeList == nil {
		return err
	}
	if err := a.printf("\n"); err != nil {
		return err
	}
	if err := a.printNodes(r.NodeList); err != nil {
		return err
	}
	if err := a.printf("\n"); err != nil {
		return err
	}
	return a.printConstants(r.Constants)
}

func (a *app) printOperators(r *inspection) error {
	names := slices.SortedFunc(maps.Keys(r.Operators), func(x, y string) int {
		if d := r.Operators[y] - r.Operators[x]; d != 0 {
			return d
		}
		return strings.Compare(x, y)
	})
	var rows [][]string
	for _, name := range names {
		note := ""
		if slices.Contains(r.Unsupported, name) {
			note = "cannot run here"
		}
		rows = append(rows, []string{name, strconv.Itoa(r.Operators[name]), siText(float64(r.work[name]), ""), note})
	}
	return a.table([]column{text("operator"), number("nodes"), number("FLOPs"), text("")}, rows)
}

func (a *app) printNodes(list []nodeInfo) error {
	var rows [][]string
	for _, n := range list {
		var outs []string
		for _, p := range n.Outputs {
			outs = append(outs, p.Name+" "+p.DType+shapeText(p))
		}
		rows = append(rows, []string{n.Name, n.Op, strings.Join(n.Inputs, ", "), strings.Join(outs, ", "), siText(float64(n.FLOPs), "")})
	}
	return a.table([]column{text("node"), text("operator"), text("reads"), text("makes"), number("FLOPs")}, rows)
}

func (a *app) printConstants(list []constantInfo) error {
	var rows [][]string
	for _, c := range list {
		shape := shapeText(port{Shape: c.Shape})
		rows = append(rows, []string{c.Name, c.DType + shape, strconv.FormatInt(c.Zeros, 10), fmt.Sprintf("%.1f %%", c.Sparsity)})
	}
	return a.table([]column{text("parameter"), text("type"), number("zeros"), number("share")}, rows)
}

func shapeText(p port) string {
	if p.Shape == nil {
		return "[...]"
	}
	parts := make([]string, len(p.Shape))
	for i, d := range p.Shape {
		parts[i] = "?"
		if d != nil {
			parts[i] = fmt.Sprint(d)
		}
	}
	return "[" + strings.Join(parts, ",") + "]"
}
