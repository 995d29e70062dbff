package graph

import (
	"strconv"
)

// Namer gives names that are not yet taken in a graph.
type Namer map[string]bool

// Names collects the names of g's values and nodes.
func (g *Graph) Names() Namer {
	names := Namer{}
	for _, v := range g.Values() {
		names[v.Name] = true
	}
	for _, n := range g.Nodes {
		names[n.Name] = true
	}
	return names
}

// Fresh gives base or, if it is taken, base_1, base_2, …, and takes it.
func (names Namer) Fresh(base string) string {
	name := base
	for i := 1; names[name]; i++ {
		name = base + "_" + strconv.Itoa(i)
	}
	names[name] = true
	return name
}
