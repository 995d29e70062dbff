package onnx

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

type functionKey struct{ domain, name, overload string }

// functionCall is what the body of an inlined function sees of its caller.
type functionCall struct {
	prefix string // of names inside
	attrs  map[string]*attrProto
	caller *scope
	outs   map[string]*graph.Value // formal outputs that are the caller's values
}

// attr finds an attribute of the call and the scope that it was written in.
func (f *functionCall) attr(name string) (*attrProto, *scope) { return f.attrs[name], f.caller }

// inline converts the nodes of f in place of the call c (ONNX IR, "Functions"). Names inside get the call's name as
// prefix; each function brings its own operator sets.
func (l *loader) inline(c *call, f *functionProto) error {
	key := functionKey{c.domain, f.name, f.overload}
	if len(l.calls) >= maxDepth {
		return c.errorf("functions call each other more than %d deep", maxDepth)
	}
	for _, k := range l.calls {
		if k == key {
			return c.errorf("the function calls itself")
		}
	}
	l.calls = append(l.calls, key)
	defer func() { l.calls = l.calls[:len(l.calls)-1] }()
	l.note("function %s is inlined", c.opName())
	l.called[key] = true
	if len(c.in) > len(f.in) || len(c.out) > len(f.out) {
		return c.errorf("%d inputs and %d outputs, the function has %d and %d", len(c.in), len(c.out), len(f.in), len(f.out))
	}
	s, err := l.functionScope(c, f)
	if err != nil {
		return err
	}
	if err := l.outputsOf(f.nodes, s); err != nil {
		return err
	}
	if err := l.declared(&graphProto{infos: f.infos}, s); err != nil {
		return err
	}
	s.reads = map[string]bool{}
	for _, name := range f.out {
		s.reads[name] = true
	}
	readNames(f.nodes, s.reads)
	for _, n := range f.nodes {
		if err := l.node(n, s); err != nil {
			return fmt.Errorf("function %s: %w", c.opName(), err)
		}
	}
	return c.bindOutputs(f, s)
}

func (l *loader) functionScope(c *call, f *functionProto) (*scope, error) {
	fc := &functionCall{prefix: c.name + "/", attrs: map[string]*attrProto{}, caller: c.s, outs: map[string]*graph.Value{}}
	for _, a := range f.defaults {
		fc.attrs[a.name] = a
	}
	for _, a := range c.at.attrs {
		if a.ref == "" {
			fc.attrs[a.name] = a
		} else if outer := c.s.call; outer == nil {
			return nil, a.fail("attribute %q refers to %q outside of a function", a.name, a.ref)
		} else if b, _ := outer.attr(a.ref); b != nil {
			fc.attrs[a.name] = b
		}
	}
	s := &scope{g: c.s.g, values: map[string]*graph.Value{}, opsets: l.functionOpsets(f), call: fc, omitted: map[string]bool{}}
	for i, name := range f.in {
		if i < len(c.in) && c.in[i] != nil {
			s.values[name] = c.in[i]
		} else {
			s.omitted[name] = true
		}
	}
	for i, name := range f.out {
		if i < len(c.out) && c.out[i] != nil && s.values[name] == nil && fc.outs[name] == nil {
			fc.outs[name] = c.out[i]
		}
	}
	return s, nil
}

// functionOpsets are the model's, overruled by the function's own. Domains that only the function imports become the
// model's, where its nodes end up.
func (l *loader) functionOpsets(f *functionProto) map[string]int {
	own := opsetMap(f.opsets)
	for d, v := range l.opsets {
		if own[d] == 0 {
			own[d] = v
		}
	}
	for d, v := range own {
		if l.opsets[d] == 0 {
			l.opsets[d] = v
		}
	}
	return own
}

// dropped notes the functions that nothing called.
func (l *loader) dropped() {
	for key := range l.functions {
		if !l.called[key] {
			l.note("function %s.%s is called by no node and dropped", key.domain, key.name)
		}
	}
}

// bindOutputs copies formal outputs that no node of the function makes as the caller's value: inputs passed through.
func (c *call) bindOutputs(f *functionProto, s *scope) error {
	for i, v := range c.out {
		if v == nil || !c.l.pending[v] {
			continue
		}
		from := s.values[f.out[i]]
		if from == nil {
			return c.errorf("the function does not make its output %q", f.out[i])
		}
		n := &graph.Node{Name: c.l.freshNode(c.name + "_Identity"), In: []*graph.Value{from}, Out: []*graph.Value{v}}
		if err := c.emit(n, "", "Identity", nil); err != nil {
			return err
		}
	}
	return nil
}

// valueName is what a value that the file calls name is called in the graph.
func (s *scope) valueName(l *loader, name string) string {
	if s.call == nil {
		return name
	}
	return l.values.Fresh(s.call.prefix + name)
}

// newValue makes the value of a node's output.
func (l *loader) newValue(s *scope, name string) *graph.Value {
	if s.call != nil && s.call.outs[name] != nil && s.outer == nil {
		return s.call.outs[name]
	}
	v := graph.NewInput(s.valueName(l, name), graph.AnyRank(tensor.Undefined))
	l.pending[v] = true
	return v
}
