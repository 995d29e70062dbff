package graph

import (
	"errors"
	"fmt"
)

// Check verifies the structure: unique names, definitions that match, outputs that exist, closed bodies.
func (g *Graph) Check() error {
	known := map[*Value]bool{}
	names := map[string]*Value{}
	var errs []error
	name := func(v *Value) {
		if other := names[v.Name]; other != nil && other != v {
			errs = append(errs, fmt.Errorf("two values are named %q", v.Name))
		}
		names[v.Name] = v
		known[v] = true
	}
	for _, v := range g.Inputs {
		name(v)
	}
	for _, s := range g.States {
		name(s.Value)
	}
	for _, n := range g.Nodes {
		for i, v := range n.Out {
			if v == nil {
				continue
			}
			name(v)
			if v.Def != n {
				errs = append(errs, NodeError(n, fmt.Errorf("output %d is defined elsewhere", i)))
			}
		}
	}
	reach := func(v *Value) bool {
		if v.IsConst() {
			name(v)
		}
		return known[v]
	}
	for _, n := range g.Nodes {
		for i, v := range n.In {
			if v != nil && !reach(v) {
				errs = append(errs, NodeError(n, fmt.Errorf("input %d (%q) is not in this graph", i, v.Name)))
			}
		}
		for _, b := range Bodies(n.Op) {
			errs = append(errs, NodeError(n, b.Check()))
		}
	}
	g.ports(func(p **Value) {
		if *p == nil || !reach(*p) {
			errs = append(errs, errors.New("an output is made by no node of this graph"))
		}
	})
	errs = append(errs, g.checkEntries(reach)...)
	return errors.Join(errs...)
}
