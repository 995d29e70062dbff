package onnx

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
)

// loader turns the messages of one model into graphs.
type loader struct {
	ir        int64 // the file's IR version
	src       dataSource
	opsets    map[string]int
	functions map[functionKey]*functionProto
	calls     []functionKey // functions being inlined, outermost first
	called    map[functionKey]bool
	values    graph.Namer // names of values in any graph
	nodes     map[string]bool
	numbers   map[string]int  // the last number given to a node name, so that a thousand nameless nodes cost no search
	given     map[string]bool // names that the file gives to nodes
	unfolded  int             // roughly what inlining functions has cost, in bytes
	notes     map[string]int
	pending   map[*graph.Value]bool // outputs of nodes that are not converted yet
	unsorted  bool
}

func (l *loader) note(format string, args ...any) { l.notes[fmt.Sprintf(format, args...)]++ }

// scope is where names of values are looked up: a graph, a body, or an inlined function inside one of them.
type scope struct {
	g        *graph.Graph
	values   map[string]*graph.Value
	outer    *scope // of a body: where it stands
	captured []capture
	opsets   map[string]int
	reads    map[string]bool // values, by their names in the file, that some node or output reads
	call     *functionCall   // nil outside of functions
	omitted  map[string]bool // inputs of the function that the caller leaves out
}

// capture is a value from outside and the input that stands for it inside.
type capture struct{ outside, inside *graph.Value }

// find looks a name up here and further out; what is found outside becomes an input of each body on the way.
func (s *scope) find(name string) *graph.Value {
	if v := s.values[name]; v != nil {
		return v
	}
	if s.outer == nil {
		return nil
	}
	o := s.outer.find(name)
	if o == nil {
		return nil
	}
	v := graph.NewInput(s.free(o.Name), o.Type)
	s.values[name] = v
	s.captured = append(s.captured, capture{o, v})
	return v
}

// free gives a name for a captured value that no value of this scope's graph bears.
func (s *scope) free(name string) string {
	for s.values[name] != nil {
		name += "_outer"
	}
	return name
}

func (s *scope) define(at span, name string, v *graph.Value) error {
	if s.values[name] != nil {
		return at.fail("value %q is defined twice", name)
	}
	s.values[name] = v
	return nil
}

// graph converts the main graph.
func (l *loader) graph(p *graphProto) (*graph.Graph, error) {
	s := &scope{g: &graph.Graph{Name: graphName(p.name)}, values: map[string]*graph.Value{}, opsets: l.opsets}
	return s.g, l.body(p, s)
}

// body fills s.g. The captures of an operator's body become inputs later: see shareCaptures.
func (l *loader) body(p *graphProto, s *scope) error {
	consts, err := l.constants(p, s)
	if err != nil {
		return err
	}
	for _, in := range p.inputs {
		if v := s.values[in.name]; v != nil && v.IsConst() {
			setMeta(&v.Meta, metaListed, listedInput)
			if l.ir >= 4 && s.outer == nil { // before, every initializer had to be listed
				setMeta(&v.Meta, graph.MetaDefault, "1")
			}
			l.describe(v, in)
			continue
		}
		if in.name == "" {
			return in.span.fail("an input of the graph has no name")
		}
		v := graph.NewInput(in.name, graph.AnyRank(0))
		if err := l.declare(v, in); err != nil {
			return err
		}
		if err := s.define(in.span, in.name, v); err != nil {
			return err
		}
		s.g.Inputs = append(s.g.Inputs, v)
	}
	if err := l.outputsOf(p.nodes, s); err != nil {
		return err
	}
	if err := l.declared(p, s); err != nil {
		return err
	}
	s.reads = map[string]bool{}
	for _, out := range p.outputs {
		s.reads[out.name] = true
	}
	readNames(p.nodes, s.reads)
	for _, n := range p.nodes {
		if err := l.node(n, s); err != nil {
			return err
		}
	}
	for _, out := range p.outputs {
		v := s.find(out.name)
		if v == nil {
			return out.fail("output %q is made by no node", out.name)
		}
		s.g.Outputs = append(s.g.Outputs, v)
	}
	l.unused(s.g, consts)
	return nil
}

// readNames collects the names that nodes and their bodies read.
func readNames(nodes []*nodeProto, reads map[string]bool) {
	for _, n := range nodes {
		for _, name := range n.in {
			reads[name] = true
		}
		for _, a := range n.attrs {
			for _, b := range a.graphs {
				readNames(b.nodes, reads)
				for _, out := range b.outputs {
					reads[out.name] = true
				}
			}
		}
	}
}

// constants makes values of the initializers, dense and sparse.
func (l *loader) constants(p *graphProto, s *scope) ([]*graph.Value, error) {
	var out []*graph.Value
	add := func(at span, name, doc string, props [][2]string, build func(dataSource) (*constTensor, error)) error {
		t, err := build(l.src)
		if err != nil {
			return err
		}
		v := graph.NewConst(name, t)
		if doc != "" {
			setMeta(&v.Meta, metaDoc, doc)
		}
		for _, kv := range props {
			setMeta(&v.Meta, metaProp+kv[0], kv[1])
		}
		out = append(out, v)
		return s.define(at, name, v)
	}
	for _, t := range p.initializers {
		if err := add(t.span, t.name, t.doc, t.meta, t.build); err != nil {
			return nil, err
		}
	}
	for _, t := range p.sparse {
		if len(t.values) != 1 {
			return nil, t.fail("a sparse initializer needs values")
		}
		if err := add(t.span, t.values[0].name, t.values[0].doc, t.values[0].meta, t.build); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// outputsOf defines what the nodes make before any of them is converted, so that their order does not matter.
func (l *loader) outputsOf(nodes []*nodeProto, s *scope) error {
	for _, n := range nodes {
		for _, name := range n.out {
			if name == "" {
				continue
			}
			if err := s.define(n.span, name, l.newValue(s, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// declared applies value_info and the types of outputs to values that nodes make.
func (l *loader) declared(p *graphProto, s *scope) error {
	for i, list := range [][]*valueProto{p.infos, p.outputs} {
		for _, info := range list {
			v := s.values[info.name]
			if v == nil || !l.pending[v] && i == 1 || v.IsConst() {
				continue
			}
			if err := l.declare(v, info); err != nil {
				return err
			}
			if i == 0 {
				setMeta(&v.Meta, metaListed, listedInfo)
			} else if info.typ == nil && s.outer != nil && v.Meta[metaListed] == "" {
				setMeta(&v.Meta, metaListed, listedBare)
			}
		}
	}
	return nil
}

// declare gives v the type, doc string and properties of a ValueInfoProto.
func (l *loader) declare(v *graph.Value, p *valueProto) error {
	l.describe(v, p)
	if p.typ == nil {
		return nil
	}
	t, exact, err := decodeType(*p.typ, 0)
	if err != nil {
		return err
	}
	v.Type = t
	if !exact && len(p.typ.b) > 0 {
		setMeta(&v.Meta, metaType, string(p.typ.b))
	}
	return nil
}

func (l *loader) describe(v *graph.Value, p *valueProto) {
	if p.doc != "" {
		setMeta(&v.Meta, metaDoc, p.doc)
	}
	for _, kv := range p.meta {
		setMeta(&v.Meta, metaProp+kv[0], kv[1])
	}
}

func setMeta(m *map[string]string, key, value string) {
	if *m == nil {
		*m = map[string]string{}
	}
	(*m)[key] = value
}

// unused keeps the initializers that nothing reads.
func (l *loader) unused(g *graph.Graph, consts []*graph.Value) {
	read := map[*graph.Value]bool{}
	for _, n := range g.Nodes {
		for _, v := range n.In {
			read[v] = true
		}
	}
	for _, v := range g.Outputs {
		read[v] = true
	}
	for _, v := range consts {
		if !read[v] {
			g.Unused = append(g.Unused, v)
		}
	}
}

// node converts one NodeProto: it finds the inputs, decodes the attributes, inlines a function, upgrades the operator.
func (l *loader) node(p *nodeProto, s *scope) error {
	if err := l.charge(p, s); err != nil {
		return err
	}
	c := &call{l: l, s: s, at: p, domain: domainOf(p.domain), op: p.op, name: l.nodeName(p, s)}
	for _, name := range p.in {
		var v *graph.Value
		if name != "" {
			if v = s.find(name); v == nil && !s.isOmitted(name) {
				return l.wrap(p, c.errorf("reads %q, which nothing makes", name))
			}
			l.unsorted = l.unsorted || l.pending[v]
		}
		c.in = append(c.in, v)
	}
	for _, name := range p.out {
		var v *graph.Value
		if name != "" {
			v = s.values[name]
		}
		c.out = append(c.out, v)
	}
	if f := l.functions[functionKey{c.domain, p.op, p.overload}]; f != nil {
		return l.wrap(p, l.inline(c, f))
	}
	attrs, err := l.attrs(c)
	if err != nil {
		return l.wrap(p, err)
	}
	c.attrs = attrs
	c.meta = nodeMeta(p)
	c.opset = s.opsets[c.domain]
	if c.opset <= 0 && c.domain == "" {
		return l.wrap(p, c.errorf("the model imports no operator set of ONNX's own domain"))
	}
	return l.wrap(p, c.convert())
}

// isOmitted reports whether name is an input of the function around s that its caller leaves out.
func (s *scope) isOmitted(name string) bool {
	for ; s != nil; s = s.outer {
		if s.omitted[name] {
			return true
		}
	}
	return false
}

// wrap adds the node's place in the file, once.
func (l *loader) wrap(p *nodeProto, err error) error {
	var syntax *formats.SyntaxError
	if err == nil || errors.As(err, &syntax) {
		return err
	}
	return &formats.SyntaxError{Format: Name, Offset: p.off, Err: err}
}

func nodeMeta(p *nodeProto) map[string]string {
	var meta map[string]string
	if p.doc != "" {
		setMeta(&meta, metaDoc, p.doc)
	}
	for _, kv := range p.meta {
		setMeta(&meta, metaProp+kv[0], kv[1])
	}
	for i, d := range p.devices {
		setMeta(&meta, metaDevice+"."+strconv.Itoa(i), d)
	}
	return meta
}

// nodeName is the node's own name if it has one that is free, else one made of its operator.
func (l *loader) nodeName(p *nodeProto, s *scope) string {
	switch {
	case s.call != nil && p.name == "":
		return l.freshNode(s.call.prefix + p.op)
	case s.call != nil:
		return l.freshNode(s.call.prefix + p.name)
	case p.name == "":
		return l.freshNode(p.op)
	case l.nodes[p.name]:
		l.note("several nodes bear the same name; all but the first got a number")
		return l.freshNode(p.name)
	}
	l.nodes[p.name] = true
	return p.name
}

// freshNode gives a name that no node has or will bear.
func (l *loader) freshNode(base string) string {
	name := base
	for l.nodes[name] || l.given[name] {
		l.numbers[base]++
		name = base + "_" + strconv.Itoa(l.numbers[base])
	}
	l.nodes[name] = true
	return name
}

// maxUnfolded bounds, in bytes, what a small file's functions may unfold to.
const maxUnfolded = 256 << 20

// charge counts what a node of an inlined function costs.
func (l *loader) charge(p *nodeProto, s *scope) error {
	if s.call == nil {
		return nil
	}
	l.unfolded += 1024 + (1+len(p.out))*len(s.call.prefix)
	if l.unfolded > maxUnfolded {
		return p.fail("the model's functions unfold to too many nodes")
	}
	return nil
}

// Listed counts the constants that the file lists among the inputs.
func Listed(g *graph.Graph) (n int) {
	for _, v := range g.Values() {
		if v.IsConst() && v.Meta[metaListed] == listedInput {
			n++
		}
	}
	return n
}
