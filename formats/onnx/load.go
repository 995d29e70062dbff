package onnx

import (
	"errors"
	"fmt"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
	_ "github.com/tfsopt/tfsopt/ops" // registers the operators that nodes become
)

func init() {
	formats.Register(formats.Format{
		Name: Name, Exts: []string{".onnx"}, Detect: detect, Load: formats.Plain(FormatName, Load), Save: Save, Decode: Read, Encode: encodeWhole,
	})
}

// detect looks for a ModelProto: it begins with ir_version in everything that ONNX's own libraries write.
func detect(path string, head []byte) bool {
	if strings.EqualFold(filepath.Ext(path), ".onnx") {
		return true
	}
	return len(head) > 2 && head[0] == 0x08 && head[1] < 0x20 && (head[2] == 0x12 || head[2] == 0x3a || head[2] == 0x42)
}

// Load reads a model. Its operators come in their newest form, functions inlined; what had to be changed is in
// Warnings. Errors: *formats.SyntaxError with the offset in the file, *graph.OpError for a node that cannot be right.
func Load(path string) (*formats.File, error) {
	m, err := formats.Map(path)
	if err != nil {
		return nil, err
	}
	f := &formats.File{Format: Name, Bytes: int64(len(m.Data))}
	f.CloseWith(m)
	f.Graph, f.Warnings, err = read(m.Data, &external{model: path, file: f, files: map[string]*formats.Mapping{}})
	if err != nil {
		f.Close()
		var s *formats.SyntaxError
		if errors.As(err, &s) {
			s.Path = path
			return nil, err
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// Read decodes a model from memory, whose raw tensors the graph aliases. External data is an error.
func Read(b []byte) (g *graph.Graph, warnings []string, err error) { return read(b, nil) }

func read(b []byte, src dataSource) (*graph.Graph, []string, error) {
	s := span{b, 0}
	p, err := decodeModel(s)
	if err != nil {
		return nil, nil, err
	}
	if p.graph == nil {
		return nil, nil, s.fail("the model holds no graph")
	}
	l := newLoader(p, src)
	if len(l.opsets) == 0 {
		return nil, nil, s.fail("the model imports no operator set")
	}
	g, err := l.graph(p.graph)
	if err != nil {
		return nil, nil, err
	}
	g.Opsets, g.Meta = map[string]int{}, p.metadata()
	for domain, v := range l.opsets {
		g.Opsets[domain] = v
	}

	if l.unsorted {
		if err := g.SortDeep(); err != nil {
			return nil, nil, err
		}
		if err := g.Infer(); err != nil {
			return nil, nil, err
		}
	}
	if err := g.Check(); err != nil {
		return nil, nil, err
	}
	l.dropped()
	return g, l.warnings(), nil
}

// metadata keeps what stands around the graph under "onnx." keys; metadata_props keep their own.
func (p *modelProto) metadata() map[string]string {
	meta := map[string]string{}
	for k, v := range map[string]string{
		"producer_name": p.producerName, "producer_version": p.producerVersion, "domain": p.domain, "doc_string": p.doc,
	} {
		if v != "" {
			meta[metaPrefix+k] = v
		}
	}
	meta[metaPrefix+"ir_version"] = strconv.FormatInt(p.irVersion, 10)
	if p.modelVersion != 0 {
		meta[metaPrefix+"model_version"] = strconv.FormatInt(p.modelVersion, 10)
	}
	if p.graph.doc != "" {
		meta[metaDoc] = p.graph.doc
	}
	for _, kv := range p.meta {
		key := kv[0]
		if strings.HasPrefix(key, metaPrefix) || key == metaDoc {
			key = metaModelProp + key
		}
		meta[key] = kv[1]
	}
	addProps(meta, p.graph.meta)
	for key, list := range map[string][]string{
		metaAnnotation: p.graph.annotations, metaTraining: p.training, metaConfiguration: p.configuration,
	} {
		for i, raw := range list {
			meta[key+"."+strconv.Itoa(i)] = raw
		}
	}
	return meta
}

func addProps(meta map[string]string, props [][2]string) {
	for _, kv := range props {
		meta[metaProp+kv[0]] = kv[1]
	}
}

// domainOf is the canonical name of a domain: "" for ONNX's own.
func domainOf(d string) string {
	if d == "ai.onnx" {
		return ""
	}
	return d
}

func opsetMap(list []opsetID) map[string]int {
	out := map[string]int{}
	for _, o := range list {
		out[domainOf(o.domain)] = int(o.version)
	}
	return out
}

func newLoader(p *modelProto, src dataSource) *loader {
	l := &loader{
		ir:  p.irVersion,
		src: src, opsets: opsetMap(p.opsets), values: graph.Namer{}, nodes: map[string]bool{}, given: map[string]bool{},
		numbers: map[string]int{}, notes: map[string]int{}, pending: map[*graph.Value]bool{},
		functions: map[functionKey]*functionProto{}, called: map[functionKey]bool{},
	}
	for _, f := range p.functions {
		l.functions[functionKey{domainOf(f.domain), f.name, f.overload}] = f
	}
	l.reserve(p.graph)
	return l
}

// reserve takes every name that the file uses, so that the ones made here differ.
func (l *loader) reserve(g *graphProto) {
	for _, t := range g.initializers {
		l.values[t.name] = true
	}
	for _, t := range g.sparse {
		for _, v := range t.values {
			l.values[v.name] = true
		}
	}
	for _, v := range g.inputs {
		l.values[v.name] = true
	}
	for _, n := range g.nodes {
		l.given[n.name] = true
		for _, name := range n.out {
			l.values[name] = true
		}
		for _, a := range n.attrs {
			for _, b := range a.graphs {
				l.reserve(b)
			}
		}
	}
}

// warnings sorts the notes, with how often each arose.
func (l *loader) warnings() []string {
	var out []string
	for text, n := range l.notes {
		if n > 1 {
			text = fmt.Sprintf("%s (%d times)", text, n)
		}
		out = append(out, text)
	}
	sort.Strings(out)
	return out
}
