package graph

import "slices"

// MetaDefault marks, in Value.Meta, a constant that is the default of an input: callers may feed another value. Everywhere
// it counts as a constant, but where OpenDefaults makes inputs of them.
const MetaDefault = "graph.default"

// Defaults lists the constants that are defaults of inputs, in the order of Values.
func (g *Graph) Defaults() []*Value {
	return slices.DeleteFunc(g.Values(), func(v *Value) bool { return !v.IsConst() || v.Meta[MetaDefault] == "" })
}

// OpenDefaults makes inputs of defaults, after the other inputs: what passes then cannot fold. restore makes them defaults again.
func (g *Graph) OpenDefaults(defaults ...*Value) (restore func()) {
	facts := make([]Fact, len(defaults))
	for i, v := range defaults {
		facts[i] = v.Fact
		v.Fact = Fact{Type: v.Type}
	}
	g.Inputs = append(g.Inputs, defaults...)
	return func() {
		for i, v := range defaults {
			v.Fact = facts[i]
		}
		g.Inputs = slices.DeleteFunc(g.Inputs, func(v *Value) bool { return slices.Contains(defaults, v) })
	}
}
