package graph

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"math"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"github.com/tfsopt/tfsopt/tensor"
)

// PrintOptions says how much Print writes.
type PrintOptions struct {
	Data bool // large constants in full, as base64, instead of by their hash; needed for Parse
}

// Print writes g in the text form, one node a line:
//
//	graph "name" {
//	  opset "" 17
//	  meta "producer" = "x"
//	  input x: float32[batch,3,224,224]
//	  const w: float32[2] = {1, 2}
//	  const v: float32[8,3,5,5] init=he
//	  y: float32[batch,8], _ = Conv(x, w, _) {group=2 strides=[2,2]} "the node's name" @{"doc" = "why"}
//	  output y
//	}
//
// Constants stand before their first use; one that waits for its value has the rule by which training draws it (he,
// glorot, zero, one: MetaInit). Floats in attributes have a point or an exponent. Bodies are attributes of the
// form graph "name" {…}. What inference finds beyond types is not part of it.
func Print(w io.Writer, g *Graph, o PrintOptions) error {
	b := bufio.NewWriter(w)
	p := printer{w: b, o: o}
	p.graph(g)
	p.line("")
	return b.Flush()
}

// String is the text form without large constants.
func (g *Graph) String() string {
	var b strings.Builder
	_ = Print(&b, g, PrintOptions{}) // a Builder does not fail
	return b.String()
}

type printer struct {
	w      *bufio.Writer
	o      PrintOptions
	indent int
	init   int // elements of constants that were written by their rule
}

func (p *printer) put(s ...string) {
	for _, s := range s {
		_, _ = p.w.WriteString(s) // the error stays in the writer until Flush
	}
}

// line ends a line and begins the next with s.
func (p *printer) line(s ...string) {
	p.put("\n")
	if len(s) > 0 && s[0] != "" {
		p.put(strings.Repeat("  ", p.indent))
		p.put(s...)
	}
}

func (p *printer) graph(g *Graph) {
	p.put("graph ", strconv.Quote(g.Name), " {")
	p.indent++
	p.header(g)
	seen := map[*Value]bool{}
	for _, v := range g.Inputs {
		p.line("input ")
		p.declare(v)
	}
	for _, s := range g.States {
		p.line("state ", strconv.Quote(s.Name), " ")
		p.declare(s.Value)
		if s.Init != nil {
			p.put(" = ")
			p.literal(s.Init)
		}
	}
	for _, n := range g.Nodes {
		for _, v := range n.In {
			p.constant(v, seen)
		}
		p.node(n)
	}
	g.ports(func(v **Value) { p.constant(*v, seen) })
	for _, v := range g.Unused {
		p.constant(v, seen)
	}
	for _, v := range g.Outputs {
		p.line("output ", nameOf(v))
	}
	for _, v := range g.Unused {
		p.line("unused ", nameOf(v))
	}
	for _, s := range g.Signatures {
		p.signature(s)
	}
	p.indent--
	p.line("}")
}

func (p *printer) header(g *Graph) {
	var domains []string
	for d := range g.Opsets {
		domains = append(domains, d)
	}
	sort.Strings(domains)
	for _, d := range domains {
		p.line("opset ", strconv.Quote(d), " ", strconv.Itoa(g.Opsets[d]))
	}
	for _, k := range sortedKeys(g.Meta) {
		p.line("meta ", strconv.Quote(k), " = ", strconv.Quote(g.Meta[k]))
	}
	if g.Captures != 0 {
		p.line("captures ", strconv.Itoa(g.Captures))
	}
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func (p *printer) signature(s Signature) {
	p.line("signature ", strconv.Quote(s.Name), " ", strconv.Quote(s.Method), " {")
	p.indent++
	for _, part := range []struct {
		word  string
		ports []Port
	}{{"input ", s.Inputs}, {"output ", s.Outputs}, {"next ", s.Next}} {
		for _, port := range part.ports {
			p.line(part.word, strconv.Quote(port.Name), " = ", nameOf(port.Value))
		}
	}
	p.indent--
	p.line("}")
}

// constant writes v if it is a constant that was not written yet.
func (p *printer) constant(v *Value, seen map[*Value]bool) {
	if !v.IsConst() || seen[v] {
		return
	}
	seen[v] = true
	p.line("const ")
	if rule := p.ruleOf(v); rule != "" {
		rest := maps.Clone(v.Meta)
		delete(rest, MetaInit)
		p.put(nameOf(v), ": ", typeText(v.Type))
		p.meta(rest)
		p.put(" init=", rule)
		return
	}
	p.declare(v)
	p.put(" = ")
	p.tensor(v.Const)
}

func (p *printer) declare(v *Value) {
	p.put(nameOf(v), ": ", typeText(v.Type))
	p.meta(v.Meta)
}

func (p *printer) meta(m map[string]string) {
	if len(m) == 0 {
		return
	}
	for i, k := range sortedKeys(m) {
		p.put([]string{" @{", ", "}[min(i, 1)], strconv.Quote(k), " = ", strconv.Quote(m[k]))
	}
	p.put("}")
}

func (p *printer) node(n *Node) {
	p.put("\n", strings.Repeat("  ", p.indent))
	for i, v := range n.Out {
		if i > 0 {
			p.put(", ")
		}
		if v == nil {
			p.put("_")
		} else {
			p.declare(v)
		}
	}
	if len(n.Out) > 0 {
		p.put(" ")
	}
	p.put("= ")
	o, opaque := n.Op.(Opaque)
	if opaque {
		p.put("opaque ", strconv.Quote(o.Format), " ", strconv.Quote(o.Domain), " ", strconv.Quote(o.Type), " ", strconv.Quote(o.Overload))
		if o.Raw != nil {
			p.put(" ")
			p.bytes(o.Raw)
		}
	} else {
		p.put(n.opText())
	}
	for i, v := range n.In {
		p.put([]string{"(", ", "}[min(i, 1)], nameOf(v))
	}
	if len(n.In) == 0 {
		p.put("(")
	}
	p.put(")")
	p.attrs(AttrsOf(n.Op))
	for i, t := range o.Out {
		p.put([]string{" -> ", ", "}[min(i, 1)], typeText(t))
	}
	if n.Name != "" {
		p.put(" ", strconv.Quote(n.Name))
	}
	p.meta(n.Meta)
}

// opText is the operator's name; in quotes, domain and name, if that could not be read again.
func (n *Node) opText() string {
	domain, name := NameOf(n.Op)
	if s := n.OpName(); plain.MatchString(s) && !strings.ContainsAny(name, "./") && s != "opaque" && !strings.HasPrefix(domain, ".") {
		return s
	}
	return strconv.Quote(domain) + " " + strconv.Quote(name)
}

func (p *printer) attrs(attrs []Attr) {
	if len(attrs) == 0 {
		return
	}
	for i, a := range attrs {
		name := a.Name
		if !plain.MatchString(name) {
			name = strconv.Quote(name)
		}
		p.put([]string{" {", " "}[min(i, 1)], name, "=")
		p.attr(a.Value)
		if a.Doc != "" {
			p.put(" doc ", strconv.Quote(a.Doc))
		}
	}
	p.put("}")
}

func (p *printer) attr(value any) {
	switch v := value.(type) {
	case int64:
		p.put(strconv.FormatInt(v, 10))
	case float32:
		p.put(floatText(v))
	case string:
		p.put(strconv.Quote(v))
	case bool:
		p.put(strconv.FormatBool(v))
	case []byte:
		p.bytes(v)
	case Function:
		p.put("function ", strconv.Quote(v.Name))
		p.attrs(v.Attrs)
	case *tensor.Tensor:
		p.put("tensor ")
		p.literal(v)
	case *Graph:
		p.graph(v)
	case Type:
		p.put("type ", typeText(v))
	case []int64:
		list(p, "ints", v)
	case []float32:
		list(p, "floats", v)
	case []string:
		list(p, "strings", v)
	case []*tensor.Tensor:
		list(p, "tensors", v)
	case []*Graph:
		list(p, "graphs", v)
	case []Type:
		list(p, "types", v)
	case []bool:
		list(p, "bools", v)
	case []Function:
		list(p, "functions", v)
	default:
		p.put(strconv.Quote(fmt.Sprintf("%T", value)))
	}
}

func (p *printer) bytes(b []byte) {
	p.put("base64 ", strconv.Quote(base64.StdEncoding.EncodeToString(b)))
}

// list writes elements in brackets; an empty list is told by its kind.
func list[T any](p *printer, kind string, v []T) {
	if len(v) == 0 {
		p.put(kind)
	}
	p.put("[")
	for i, e := range v {
		if i > 0 {
			p.put(",")
		}
		p.attr(e)
	}
	p.put("]")
}

// floatText is the shortest text that reads back as the same float32; it never looks like an integer.
func floatText(v float32) string {
	f := float64(v)
	switch {
	case f != f:
		return fmt.Sprintf("nan_%08x", math.Float32bits(v))
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	}
	s := strconv.FormatFloat(f, 'g', -1, 32)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

// plain names need no quotes.
var plain = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./]*$`)

// keywords begin a statement and so are quoted as names.
var keywords = map[string]bool{
	"_": true, "opset": true, "meta": true, "captures": true, "input": true, "state": true, "const": true, "output": true,
	"unused": true, "signature": true, "graph": true, "opaque": true,
}

func nameOf(v *Value) string {
	switch {
	case v == nil:
		return "_"
	case plain.MatchString(v.Name) && !keywords[v.Name]:
		return v.Name
	}
	return strconv.Quote(v.Name)
}

// typeText is Type.String with symbols in quotes where they are not plain.
func typeText(t Type) string {
	switch {
	case t.Elem != nil:
		return t.DType.String() + "(" + typeText(*t.Elem) + ")"
	case t.Unranked:
		return t.DType.String() + "[...]"
	}
	dims := make([]string, len(t.Shape))
	for i, d := range t.Shape {
		dims[i] = dimText(d)
	}
	return t.DType.String() + "[" + strings.Join(dims, ",") + "]"
}

func dimText(d Dim) string {
	if d.names == "" {
		return d.String()
	}
	var factors []string
	if d.n != 1 {
		factors = append(factors, strconv.Itoa(d.n))
	}
	for _, s := range d.Names() {
		if !plain.MatchString(s) {
			s = strconv.Quote(s)
		}
		factors = append(factors, s)
	}
	return strings.Join(factors, "*")
}
