package graph

import (
	"errors"
	"fmt"
	"strings"
)

// Select gives a clone that is the named entry point alone: its inputs, also where they feed a value that nodes make, are
// the graph's inputs, its outputs the graph's outputs, all named as the signature names them. All states stay, in their
// order, and what the entry point makes of them. "" gives a plain clone. An unknown name is an error that lists the names.
func Select(g *Graph, name string) (*Graph, error) {
	c := g.Clone()
	if name == "" {
		return c, nil
	}
	var s *Signature
	var known []string
	for i := range c.Signatures {
		known = append(known, fmt.Sprintf("%q", c.Signatures[i].Name))
		if c.Signatures[i].Name == name {
			s = &c.Signatures[i]
		}
	}
	switch {
	case known == nil:
		return nil, fmt.Errorf("no signature %q: the model has one entry point without a name", name)
	case s == nil:
		return nil, fmt.Errorf("no signature %q: the model has %s", name, strings.Join(known, ", "))
	}
	if err := errors.Join(c.checkSignature(s)...); err != nil {
		return nil, err
	}
	c.cut(s)
	if err := c.reached(s); err != nil {
		return nil, fmt.Errorf("signature %q: %w", name, err)
	}
	c.publish(s)
	return c, c.Infer()
}

// cut makes the signature's ports those of the graph.
func (g *Graph) cut(s *Signature) {
	g.Inputs, g.Outputs, g.Unused = nil, nil, nil
	for _, p := range s.Inputs {
		v := p.Value
		if v.Def != nil {
			for i, out := range v.Def.Out {
				if out == v {
					v.Def.Out[i] = nil
				}
			}
		}
		v.Fact, v.Def = Fact{Type: v.Type}, nil
		g.Inputs = append(g.Inputs, v)
	}
	for _, p := range s.Outputs {
		g.Outputs = append(g.Outputs, p.Value)
	}
	g.Signatures = []Signature{*s}
}

// reached drops what the entry point does not need. It fails if something that it needs is not fed.
func (g *Graph) reached(s *Signature) error {
	given := map[*Value]bool{}
	for _, v := range g.Inputs {
		given[v] = true
	}
	for _, st := range g.States {
		given[st.Value] = true
	}
	seen, need := map[*Value]bool{}, map[*Node]bool{}
	var todo []*Value
	g.ports(func(p **Value) { todo = append(todo, *p) })
	for len(todo) > 0 {
		v := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if v == nil || seen[v] || given[v] || v.IsConst() {
			continue
		}
		seen[v] = true
		if v.Def == nil {
			return fmt.Errorf("its outputs need %q, which it does not feed", v.Name)
		}
		if !need[v.Def] {
			need[v.Def] = true
			todo = append(todo, v.Def.In...)
		}
	}
	g.Remove(func(n *Node) bool { return !need[n] })
	return nil
}

// publish names the graph's inputs and outputs as the signature does. A value keeps the first of its names.
func (g *Graph) publish(s *Signature) {
	names, byName := g.Names(), map[string]*Value{}
	for _, v := range g.Values() {
		byName[v.Name] = v
	}
	done := map[*Value]bool{}
	for _, p := range append(append([]Port{}, s.Inputs...), s.Outputs...) {
		if done[p.Value] {
			continue
		}
		done[p.Value] = true
		if other := byName[p.Name]; other != nil && other != p.Value {
			if done[other] {
				continue // an output that is called like an input
			}
			other.Name = names.Fresh(p.Name)
			byName[other.Name] = other
		}
		delete(byName, p.Value.Name)
		p.Value.Name, names[p.Name], byName[p.Name] = p.Name, true, p.Value
	}
}

// checkSignature lists what is wrong with the ports of an entry point.
func (g *Graph) checkSignature(s *Signature) (errs []error) {
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("signature %q: "+format, append([]any{s.Name}, args...)...))
	}
	states, isState := map[string]*Value{}, map[*Value]bool{}
	for _, st := range g.States {
		states[st.Name], isState[st.Value] = st.Value, true
	}
	fed := map[*Value]bool{}
	for _, part := range []struct {
		word  string
		ports []Port
	}{{"input", s.Inputs}, {"output", s.Outputs}, {"next", s.Next}} {
		seen := map[string]bool{}
		for _, p := range part.ports {
			if seen[p.Name] {
				fail("%s %q is there twice", part.word, p.Name)
			}
			seen[p.Name] = true
			switch {
			case p.Value == nil:
				fail("%s %q has no value", part.word, p.Name)
			case part.word == "input" && isState[p.Value]:
				fail("input %q feeds a state", p.Name)
			case part.word == "input" && fed[p.Value]:
				fail("input %q feeds %q, as another does", p.Name, p.Value.Name)
			case part.word == "input":
				fed[p.Value] = true
			case part.word == "next" && states[p.Name] == nil:
				fail("next %q: there is no such state", p.Name)
			case part.word == "next" && states[p.Name].DType != p.Value.DType:
				fail("next %q: %s for a state of %s", p.Name, p.Value.Type, states[p.Name].Type)
			}
		}
	}
	return errs
}

// checkEntries lists what is wrong with signatures and states; has says whether a value is in the graph.
func (g *Graph) checkEntries(has func(v *Value) bool) (errs []error) {
	names := map[string]bool{}
	for i := range g.Signatures {
		s := &g.Signatures[i]
		if names[s.Name] {
			errs = append(errs, fmt.Errorf("two signatures are named %q", s.Name))
		}
		names[s.Name] = true
		errs = append(errs, g.checkSignature(s)...)
		for _, p := range s.Inputs {
			if p.Value != nil && !has(p.Value) {
				errs = append(errs, fmt.Errorf("signature %q: input %q (%q) is not in this graph", s.Name, p.Name, p.Value.Name))
			}
		}
	}
	states := map[string]bool{}
	for _, s := range g.States {
		if states[s.Name] {
			errs = append(errs, fmt.Errorf("two states are named %q", s.Name))
		}
		states[s.Name] = true
		if s.Init != nil && s.Init.DType != s.Value.DType {
			errs = append(errs, fmt.Errorf("state %q of %s begins as %s", s.Name, s.Value.Type, TypeOf(s.Init)))
		}
	}
	return errs
}
