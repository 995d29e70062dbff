package graph

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/tfsopt/tfsopt/tensor"
)

// Parse reads the text form that Print writes with Data. A mistake is a ParseError, which tells line and column. It does
// not infer: types are those of the text, unknown where a node's result has none. A constant with init=RULE in place of
// a value holds zeros, ones for the rule one, and has the rule in its metadata.
func Parse(r io.Reader) (g *Graph, err error) {
	src, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	p := &parser{lexer: lexer{src: string(src), line: 1}}
	defer func() {
		switch e := recover().(type) {
		case nil:
		case *ParseError:
			g, err = nil, e
		default:
			panic(e)
		}
	}()
	p.advance()
	g = p.graph()
	if p.tok.kind != endToken {
		p.fail(p.tok, "%s behind the graph", p.tok)
	}
	return g, nil
}

// maxDepth bounds how deep graphs and types may be nested.
const maxDepth = 100

// parser is a recursive descent. Errors are thrown as *ParseError and caught in Parse.
type parser struct {
	lexer
	tok   token
	last  int // the line of the token before
	depth int
	init  int // elements of constants that have a rule instead of a value
}

func (p *parser) advance() {
	p.last = p.tok.line
	t, err := p.next()
	if err != nil {
		e, ok := err.(*ParseError)
		if !ok {
			e = &ParseError{t.line, t.col, err}
		}
		panic(e)
	}
	p.tok = t
}

func (p *parser) fail(at token, format string, args ...any) {
	panic(&ParseError{at.line, at.col, fmt.Errorf(format, args...)})
}

// check fails at a token if err is not nil.
func (p *parser) check(at token, err error) {
	if err != nil {
		panic(&ParseError{at.line, at.col, err})
	}
}

func (p *parser) is(text string) bool {
	return p.tok.kind != stringToken && p.tok.kind != endToken && p.tok.text == text
}

// accept takes a mark or word if it is there.
func (p *parser) accept(text string) bool {
	if !p.is(text) {
		return false
	}
	p.advance()
	return true
}

func (p *parser) expect(text string) {
	if !p.accept(text) {
		p.fail(p.tok, "want '%s', got %s", text, p.tok)
	}
}

func (p *parser) take(kind tokenKind, what string) string {
	t := p.tok
	if t.kind != kind {
		p.fail(t, "want %s, got %s", what, t)
	}
	p.advance()
	return t.text
}

func (p *parser) str() string { return p.take(stringToken, "a string") }

func (p *parser) integer() int {
	t := p.tok
	n, err := strconv.Atoi(p.take(wordToken, "an integer"))
	if err != nil {
		p.fail(t, "%s is no integer", t)
	}
	return n
}

// name takes a plain or quoted name.
func (p *parser) name() string {
	if p.tok.kind == stringToken {
		return p.str()
	}
	if p.tok.kind != wordToken || !plain.MatchString(p.tok.text) {
		p.fail(p.tok, "want a name, got %s", p.tok)
	}
	return p.take(wordToken, "a name")
}

func (p *parser) enter(at token) {
	if p.depth++; p.depth > maxDepth {
		p.fail(at, "nested more than %d deep", maxDepth)
	}
}

// scope is a graph under construction. Values may be read before they are defined.
type scope struct {
	*Graph
	values  map[string]*Value
	used    map[string]token // where a name was read first
	defined map[string]bool
	order   []string
}

// value finds or makes the value of a name that is read.
func (s *scope) value(name string, at token) *Value {
	v := s.values[name]
	if v == nil {
		v = &Value{Name: name}
		s.values[name] = v
		s.used[name] = at
		s.order = append(s.order, name)
	}
	return v
}

func (p *parser) graph() *Graph {
	start := p.tok
	p.enter(start)
	p.expect("graph")
	s := &scope{Graph: &Graph{Name: p.str()}, values: map[string]*Value{}, used: map[string]token{}, defined: map[string]bool{}}
	p.expect("{")
	for !p.accept("}") {
		if statement := statements[p.tok.text]; p.tok.kind == wordToken && statement != nil {
			p.advance()
			statement(p, s)
		} else {
			p.node(s)
		}
	}
	for _, name := range s.order {
		if !s.defined[name] {
			p.fail(s.used[name], "%q is not defined in graph %q", name, s.Name)
		}
	}
	if s.Captures < 0 || s.Captures > len(s.Inputs) {
		p.fail(start, "%d captures of %d inputs", s.Captures, len(s.Inputs))
	}
	p.depth--
	return s.Graph
}

var statements map[string]func(p *parser, s *scope)

func init() {
	statements = map[string]func(p *parser, s *scope){
		"opset": func(p *parser, s *scope) {
			domain := p.str()
			if s.Opsets == nil {
				s.Opsets = map[string]int{}
			}
			s.Opsets[domain] = p.integer()
		},
		"meta": func(p *parser, s *scope) {
			key := p.str()
			p.expect("=")
			if s.Meta == nil {
				s.Meta = map[string]string{}
			}
			s.Meta[key] = p.str()
		},
		"captures": func(p *parser, s *scope) { s.Captures = p.integer() },
		"input":    func(p *parser, s *scope) { s.Inputs = append(s.Inputs, p.declare(s)) },
		"state": func(p *parser, s *scope) {
			st := State{Name: p.str()}
			st.Value = p.declare(s)
			if p.accept("=") {
				st.Init = p.literal()
			}
			s.States = append(s.States, st)
		},
		"const": func(p *parser, s *scope) {
			v := p.declare(s)
			if p.accept("init") {
				p.rule(v)
				return
			}
			p.expect("=")
			v.Const = p.tensor(v.Type)
		},
		"output":    func(p *parser, s *scope) { s.Outputs = append(s.Outputs, p.read(s)) },
		"unused":    func(p *parser, s *scope) { s.Unused = append(s.Unused, p.read(s)) },
		"signature": (*parser).signature,
	}
}

func (p *parser) read(s *scope) *Value {
	at := p.tok
	return s.value(p.name(), at)
}

// declare defines a value: name, type and metadata.
func (p *parser) declare(s *scope) *Value {
	v := p.define(s)
	p.expect(":")
	v.Type = p.typ()
	v.Meta = p.meta()
	return v
}

// result defines what a node makes. Its type may be left to inference.
func (p *parser) result(s *scope) *Value {
	v := p.define(s)
	v.Type = AnyRank(tensor.Undefined)
	if p.accept(":") {
		v.Type = p.typ()
	}
	v.Meta = p.meta()
	return v
}

// define takes the name of a new value.
func (p *parser) define(s *scope) *Value {
	at := p.tok
	name := p.name()
	v := s.value(name, at)
	if s.defined[name] {
		p.fail(at, "%q is defined twice", name)
	}
	s.defined[name] = true
	return v
}

func (p *parser) meta() map[string]string {
	if !p.is("@") || p.tok.line != p.last {
		return nil
	}
	p.advance()
	p.expect("{")
	m := map[string]string{}
	for {
		key := p.str()
		p.expect("=")
		m[key] = p.str()
		if !p.accept(",") {
			break
		}
	}
	p.expect("}")
	return m
}

func (p *parser) signature(s *scope) {
	sig := Signature{Name: p.str()}
	sig.Method = p.str()
	ports := map[string]*[]Port{"input": &sig.Inputs, "output": &sig.Outputs, "next": &sig.Next}
	p.expect("{")
	for !p.accept("}") {
		list := ports[p.tok.text]
		if p.tok.kind != wordToken || list == nil {
			p.fail(p.tok, "want input, output, next or '}', got %s", p.tok)
		}
		p.advance()
		name := p.str()
		p.expect("=")
		*list = append(*list, Port{name, p.read(s)})
	}
	s.Signatures = append(s.Signatures, sig)
}

// node reads outputs = Op(inputs) {attributes} "name".
func (p *parser) node(s *scope) {
	n := &Node{}
	for !p.accept("=") {
		if p.accept("_") {
			n.Out = append(n.Out, nil)
		} else {
			v := p.result(s)
			v.Def = n
			n.Out = append(n.Out, v)
		}
		if !p.is("=") {
			p.expect(",")
		}
	}
	at := p.tok
	opaque, domain, name := p.opName()
	p.expect("(")
	for !p.accept(")") {
		if p.accept("_") {
			n.In = append(n.In, nil)
		} else {
			n.In = append(n.In, p.read(s))
		}
		if !p.is(")") {
			p.expect(",")
		}
	}
	attrs := p.attrs()
	if opaque != nil {
		opaque.Attrs = attrs
		if p.accept("->") {
			opaque.Out = append(opaque.Out, p.typ())
			for p.accept(",") {
				opaque.Out = append(opaque.Out, p.typ())
			}
		}
		n.Op = *opaque
	} else {
		op, err := NewOp(domain, name, attrs)
		p.check(at, err)
		n.Op = op
	}
	if p.tok.kind == stringToken && p.tok.line == p.last {
		n.Name = p.str()
	}
	n.Meta = p.meta()
	s.Nodes = append(s.Nodes, n)
}

// opName reads Conv, com.microsoft.Gelu, "domain" "Name" or, with four strings, opaque.
func (p *parser) opName() (opaque *Opaque, domain, name string) {
	if p.tok.kind == stringToken {
		domain = p.str()
		return nil, domain, p.str()
	}
	at := p.tok
	name = p.name()
	if name == "opaque" && p.tok.kind == stringToken {
		o := &Opaque{}
		for _, s := range []*string{&o.Format, &o.Domain, &o.Type, &o.Overload} {
			*s = p.str()
		}
		if p.is("base64") {
			o.Raw = p.bytes()
		}
		return o, "", ""
	}
	if !strings.Contains(name, ".") {
		return nil, "", name
	}
	i := strings.LastIndexByte(name, '.')
	if i == 0 || i == len(name)-1 {
		p.fail(at, "%s is no operator", at)
	}
	return nil, name[:i], name[i+1:]
}
