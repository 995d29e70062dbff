package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/evaluate"
	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// loadBound loads a model and binds symbolic dimensions of its inputs.
func (a *app) loadBound(path string, sizes dims) (*formats.File, error) {
	m, err := a.load(path)
	if err != nil {
		return nil, err
	}
	a.warn(m.Warnings...)
	if err := bind(m.Graph, sizes); err != nil {
		m.Close()
		return nil, at(path, err)
	}
	return m, nil
}

func bind(g *graph.Graph, sizes dims) error {
	known := map[string]bool{}
	for _, v := range g.Inputs {
		for _, d := range v.Shape {
			for _, name := range d.Names() {
				known[name] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sizes)) {
		if !known[name] {
			return usagef("--dim %s: no input has such a dimension%s", name, oneOf("the model's are", slices.Sorted(maps.Keys(known))))
		}
	}
	if len(sizes) == 0 {
		return nil
	}
	return g.Bind(sizes)
}

// oneOf lists what could have been meant, if there is anything.
func oneOf(intro string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s %s)", intro, strings.Join(names, ", "))
}

// load loads a model, of which --signature takes one entry point; without it, a model of several is the one that stands for
// it.
func (a *app) load(path string) (*formats.File, error) {
	m, err := formats.LoadWith(path, a.open)
	if err != nil {
		return nil, err
	}
	name := a.signature
	if name == "" && m.Default != "" && !a.whole {
		name, a.entries = m.Default, signatures(m.Graph)
		m.Warnings = append(m.Warnings, fmt.Sprintf("%s: the model has %d entry points; this is about %q, --signature takes another",
			path, len(m.Graph.Signatures), name))
	}
	return m, a.selectEntry(m, path, name)
}

// selectEntry cuts one entry point out of a model and closes the model if there is none of that name.
func (a *app) selectEntry(m *formats.File, path, name string) error {
	if name == "" {
		return nil
	}
	g, err := graph.Select(m.Graph, name)
	if err == nil {
		m.Graph = g
		return nil
	}
	m.Close()
	if !hasSignature(m.Graph, name) {
		return usagef("--signature %s: %v", name, err)
	}
	return at(path, err)
}

// loadOther loads a model beside the one that --signature speaks of: of that entry point if it has one of that name.
func (a *app) loadOther(path string) (*formats.File, error) {
	m, err := formats.Load(path)
	if err != nil {
		return nil, err
	}
	name := m.Default
	if hasSignature(m.Graph, a.signature) {
		name = a.signature
	}
	return m, a.selectEntry(m, path, name)
}

func hasSignature(g *graph.Graph, name string) bool {
	return slices.ContainsFunc(g.Signatures, func(s graph.Signature) bool { return s.Name == name })
}

// port describes an input or output. Of a dimension without a size it gives the name, or null.
type port struct {
	Name  string `json:"name"`
	DType string `json:"dtype"`
	Shape []any  `json:"shape"` // null: unknown rank
}

func ports(values []*graph.Value) []port {
	out := []port{}
	for _, v := range values {
		out = append(out, portOf(v.Name, v.Type))
	}
	return out
}

func portOf(name string, t graph.Type) port {
	p := port{Name: name, DType: t.DType.String()}
	if t.Elem != nil {
		p.DType = t.String()
	}
	if t.Unranked {
		return p
	}
	p.Shape = []any{}
	for _, d := range t.Shape {
		switch n, ok := d.Value(); {
		case ok:
			p.Shape = append(p.Shape, n)
		case d.Known():
			p.Shape = append(p.Shape, d.String())
		default:
			p.Shape = append(p.Shape, nil)
		}
	}
	return p
}

// dataInputs says what a model wants of a data set. An integer input that is dequantized at once takes real values,
// quantized by that DequantizeLinear's parameters.
func dataInputs(g *graph.Graph) []data.Input {
	uses, out := g.Uses(), evaluate.Inputs(g, nil)
	for i, v := range g.Inputs {
		if u := uses[v]; len(u) == 1 && u[0].Node != nil && v.DType.IsInt() {
			out[i].Scale, out[i].Zero = dequantized(u[0].Node)
		}
	}
	return out
}

// dequantized gives the parameters of a DequantizeLinear for whole tensors; a scale of 0 means that n is none.
func dequantized(n *graph.Node) (scale float64, zero int) {
	if n.OpName() != "DequantizeLinear" || len(n.In) < 2 || !n.In[1].IsConst() || n.In[1].Const.Len() != 1 {
		return 0, 0
	}
	scale = tensor.Float64s(n.In[1].Const)[0]
	if len(n.In) > 2 && n.In[2] != nil {
		if !n.In[2].IsConst() {
			return 0, 0
		}
		zero = int(tensor.Ints(n.In[2].Const)[0])
	}
	return scale, zero
}

// writeFile writes a text file whole or not at all.
func writeFile(ctx context.Context, path string, b []byte) error {
	p, err := formats.Create(ctx, path)
	if err != nil {
		return err
	}
	defer p.Discard()
	if _, err := p.Write(b); err != nil {
		return at(path, err)
	}
	if err := p.Flush(); err != nil {
		return at(path, err)
	}
	return p.Commit()
}
