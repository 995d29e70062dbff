package graph

import (
	"bytes"

	"github.com/tfsopt/tfsopt/tensor"
)

// MetaInit is the key under which a constant's metadata keep the rule by which its value is still to be drawn.
const MetaInit = "init"

// rules are those that the text form knows, with the value that stands in until training draws one.
var rules = map[string]float32{"he": 0, "glorot": 0, "zero": 0, "one": 1}

// maxInit bounds the elements that a text may ask for by rules alone.
const maxInit = 1 << 28

// rule reads the part of init=he after the first word.
func (p *parser) rule(v *Value) {
	p.expect("=")
	at := p.tok
	name := p.take(wordToken, "a rule")
	stand, ok := rules[name]
	if !ok {
		p.fail(at, "no rule %s: there are glorot, he, one and zero", at)
	}
	shape, fixed := v.Type.Fixed()
	if !fixed || !v.DType.IsFloat() {
		p.fail(at, "a constant of type %s cannot be drawn: want floats of a fixed shape", v.Type)
	}
	n, err := tensor.CheckedSize(shape)
	p.check(at, err)
	if p.init += n; n > maxInit || p.init > maxInit {
		p.fail(at, "more than %d elements are left to rules", maxInit)
	}
	if v.Meta[MetaInit] != "" {
		p.fail(at, "%q has a rule already", v.Name)
	}
	v.Const = standIn(v.DType, shape, stand)
	meta := map[string]string{MetaInit: name}
	for k, s := range v.Meta {
		meta[k] = s
	}
	v.Meta = meta
}

// standIn fills a tensor with the value of a rule. Types that have no such value hold zeros.
func standIn(d tensor.DType, shape []int, x float32) *tensor.Tensor {
	t := tensor.New(d, shape...)
	if x == 0 || t.Len() == 0 {
		return t
	}
	one := tensor.New(d, 1)
	if err := tensor.SetFloats(one, []float32{x}); err != nil || d.Bits() < 8 {
		return t
	}
	copy(t.Data, bytes.Repeat(one.Data, t.Len()))
	return t
}

// Awaits reports whether a constant still has the value that stands in for one that its rule is to draw.
func (v *Value) Awaits() bool {
	name := v.Meta[MetaInit]
	stand, ok := rules[name]
	shape, fixed := v.Type.Fixed()
	return ok && v.IsConst() && fixed && v.DType.IsFloat() && v.Const.Equal(standIn(v.DType, shape, stand))
}

// ruleOf gives the rule of a constant whose value is still the rule's own, "" if it has another value or no rule.
func (p *printer) ruleOf(v *Value) string {
	name := v.Meta[MetaInit]
	stand, ok := rules[name]
	shape, fixed := v.Type.Fixed()
	if !ok || !fixed || !v.DType.IsFloat() || !v.Const.Equal(standIn(v.DType, shape, stand)) {
		return ""
	}
	if p.init += v.Const.Len(); p.init > maxInit {
		return "" // Parse would not take it
	}
	return name
}
