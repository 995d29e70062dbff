package graph

import (
	"encoding/base64"
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/tfsopt/tfsopt/tensor"
)

// typ reads float32[batch,3], float32[...] or sequence(float32[?]).
func (p *parser) typ() Type {
	at := p.tok
	p.enter(at)
	defer func() { p.depth-- }()
	d := p.dtype()
	if p.accept("(") {
		elem := p.typ()
		p.expect(")")
		return Type{DType: d, Elem: &elem, Unranked: true}
	}
	p.expect("[")
	if p.accept("...") {
		p.expect("]")
		return AnyRank(d)
	}
	shape := []Dim{}
	for !p.accept("]") {
		shape = append(shape, p.dim())
		if !p.is("]") {
			p.expect(",")
		}
	}
	return Type{DType: d, Shape: shape}
}

func (p *parser) dtype() tensor.DType {
	at := p.tok
	name := p.take(wordToken, "an element type")
	if name == tensor.Undefined.String() {
		return tensor.Undefined
	}
	d, err := tensor.ParseDType(name)
	p.check(at, err)
	return d
}

// dim reads ?, 7, batch or 64*batch; symbols may be in quotes.
func (p *parser) dim() Dim {
	if p.accept("?") {
		return Dim{}
	}
	d := Fixed(1)
	for first := true; ; first = false {
		at := p.tok
		if at.kind == stringToken || at.kind == wordToken && plain.MatchString(at.text) {
			p.advance()
			d = d.Mul(Named(at.text))
		} else {
			n := p.integer()
			if n < 0 || !first {
				p.fail(at, "want a symbol, got %s", at)
			}
			d = Fixed(n)
		}
		if !p.accept("*") {
			return d
		}
	}
}

// tensor reads the elements of a constant of type t.
func (p *parser) tensor(t Type) *tensor.Tensor {
	at := p.tok
	if t.DType == tensor.Sequence || t.DType == tensor.Optional {
		r := p.literal()
		if r.DType != t.DType {
			p.fail(at, "a constant of type %s, but its value is a %s", t, r.DType)
		}
		return r
	}
	shape, ok := t.Fixed()
	if !ok {
		p.fail(at, "a constant of type %s", t)
	}
	n, err := tensor.CheckedSize(shape)
	p.check(at, err)
	switch {
	case p.is("{"):
		return p.elements(t.DType, shape, n)
	case p.is("base64"):
		b := p.bytes()
		if t.DType.Bits() == 0 || len(b) != t.DType.Bytes(n) {
			p.fail(at, "%d bytes for %s", len(b), t)
		}
		r := tensor.New(t.DType, shape...)
		copy(r.Data, b)
		return r
	case p.is("sha256"):
		p.fail(at, "the text was printed without the data of large constants")
	}
	p.fail(at, "want elements, got %s", at)
	return nil
}

func (p *parser) elements(d tensor.DType, shape []int, n int) *tensor.Tensor {
	at := p.tok
	p.expect("{")
	var words []string
	for !p.accept("}") {
		if p.tok.kind == markToken || p.tok.kind == endToken || (p.tok.kind == stringToken) != (d == tensor.String) {
			p.fail(p.tok, "want an element of type %s, got %s", d, p.tok)
		}
		words = append(words, p.tok.text)
		p.advance()
		if !p.is("}") {
			p.expect(",")
		}
	}
	if len(words) != n {
		p.fail(at, "%d elements for shape %v", len(words), shape)
	}
	r := tensor.New(d, shape...)
	p.check(at, setElements(r, words))
	return r
}

// literal reads a tensor with its type in front.
func (p *parser) literal() *tensor.Tensor {
	at := p.tok
	p.enter(at)
	defer func() { p.depth-- }()
	d, err := tensor.ParseDType(at.text)
	p.check(at, err)
	if d != tensor.Sequence && d != tensor.Optional {
		return p.tensor(p.typ())
	}
	p.advance()
	p.expect("(")
	r := &tensor.Tensor{DType: d}
	for !p.accept(")") {
		r.Items = append(r.Items, p.literal())
		if !p.is(")") {
			p.expect(",")
		}
	}
	if d == tensor.Optional && len(r.Items) > 1 {
		p.fail(at, "an optional of %d elements", len(r.Items))
	}
	return r
}

func (p *parser) attrs() []Attr {
	if !p.is("{") || p.tok.line != p.last {
		return nil
	}
	p.advance()
	var attrs []Attr
	seen := map[string]bool{}
	for !p.accept("}") {
		at := p.tok
		a := Attr{Name: p.name()}
		if seen[a.Name] {
			p.fail(at, "attribute %q is given twice", a.Name)
		}
		seen[a.Name] = true
		p.expect("=")
		a.Value = p.attr()
		if p.is("doc") {
			before := *p
			p.advance()
			if p.tok.kind == stringToken {
				a.Doc = p.str()
			} else {
				*p = before // an attribute of that name
			}
		}
		attrs = append(attrs, a)
	}
	return attrs
}

func (p *parser) attr() any {
	at := p.tok
	switch {
	case at.kind == stringToken:
		return p.str()
	case p.is("["):
		return p.list()
	case p.is("graph"):
		return p.graph()
	case p.accept("tensor"):
		return p.literal()
	case p.accept("type"):
		return p.typ()
	case p.is("base64"):
		return p.bytes()
	case p.accept("function"):
		p.enter(at)
		defer func() { p.depth-- }()
		return Function{Name: p.str(), Attrs: p.attrs()}
	case p.accept("true"):
		return true
	case p.accept("false"):
		return false
	case at.kind == wordToken && emptyLists[at.text] != nil:
		p.advance()
		p.expect("[")
		p.expect("]")
		return emptyLists[at.text]
	}
	word := p.take(wordToken, "an attribute's value")
	if n, err := strconv.ParseInt(word, 10, 64); err == nil {
		return n
	}
	f, err := parseFloat(word)
	p.check(at, err)
	return f
}

// bytes reads base64 and a string of it.
func (p *parser) bytes() []byte {
	p.expect("base64")
	at := p.tok
	b, err := base64.StdEncoding.DecodeString(p.str())
	p.check(at, err)
	return b
}

var emptyLists = map[string]any{
	"ints": []int64{}, "floats": []float32{}, "strings": []string{}, "tensors": []*tensor.Tensor{}, "graphs": []*Graph{},
	"types": []Type{}, "bools": []bool{}, "functions": []Function{},
}

// parseFloat reads what floatText wrote.
func parseFloat(word string) (float32, error) {
	if bits, ok := strings.CutPrefix(word, "nan_"); ok {
		u, err := strconv.ParseUint(bits, 16, 32)
		if f := math.Float32frombits(uint32(u)); err == nil && f != f {
			return f, nil
		}
		return 0, errors.New("no bits of a NaN: " + word)
	}
	f, err := strconv.ParseFloat(word, 32)
	if err != nil || f != f {
		return 0, errors.New("no attribute's value: " + word)
	}
	return float32(f), nil
}

// list reads values of one kind in brackets.
func (p *parser) list() any {
	at := p.tok
	p.enter(at)
	defer func() { p.depth-- }()
	p.expect("[")
	var values []any
	for {
		values = append(values, p.attr())
		if p.accept("]") {
			break
		}
		p.expect(",")
	}
	var out any
	switch values[0].(type) {
	case int64:
		out = sameKind[int64](values)
	case float32:
		out = sameKind[float32](values)
	case string:
		out = sameKind[string](values)
	case *tensor.Tensor:
		out = sameKind[*tensor.Tensor](values)
	case *Graph:
		out = sameKind[*Graph](values)
	case Type:
		out = sameKind[Type](values)
	case bool:
		out = sameKind[bool](values)
	case Function:
		out = sameKind[Function](values)
	}
	if out == nil {
		p.fail(at, "a list of different or nested values")
	}
	return out
}

// sameKind is values as a list of T, nil (of no type) if they are not all T.
func sameKind[T any](values []any) any {
	out := make([]T, len(values))
	for i, v := range values {
		e, ok := v.(T)
		if !ok {
			return nil
		}
		out[i] = e
	}
	return out
}
