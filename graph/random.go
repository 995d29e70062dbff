package graph

import (
	"hash/fnv"
	"math/rand/v2"
)

// Draws holds the generators of one run: each node that draws numbers has its own, which depends on the seed and the
// node's name alone. Passes and the order of execution therefore do not change what a node draws, and a body that runs
// several times goes on drawing. It is not safe for concurrent use.
type Draws struct {
	seed    uint64
	streams map[string]*rand.Rand
}

// NewDraws makes the generators of a run; equal seeds give equal numbers.
func NewDraws(seed uint64) *Draws { return &Draws{seed: seed} }

// Rand is the generator of the running node, for operators that have no seed of their own.
func (x *Exec) Rand() *rand.Rand {
	if x.Draws == nil {
		x.Draws = NewDraws(0)
	}
	name := ""
	if x.Node != nil {
		name = x.Node.drawName()
	}
	d := x.Draws
	if d.streams == nil {
		d.streams = map[string]*rand.Rand{}
	}
	if d.streams[name] == nil {
		h := fnv.New64a()
		h.Write([]byte(name))
		d.streams[name] = rand.New(rand.NewPCG(d.seed, h.Sum64()))
	}
	return d.streams[name]
}

// drawName is what a node's generator depends on.
func (n *Node) drawName() string {
	if n.Name == "" && len(n.Out) > 0 && n.Out[0] != nil {
		return n.Out[0].Name
	}
	return n.Name
}

// NameDraws names the random nodes of g, but not of its bodies, that have no name, so that they draw the same numbers
// whatever their outputs are called later.
func NameDraws(g *Graph) {
	for _, n := range g.Nodes {
		if TraitsOf(n.Op).Random {
			n.Name = n.drawName()
		}
	}
}
