package graph

import (
	"fmt"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/graph/encoding"
	"gonum.org/v1/gonum/graph/encoding/dot"
	"gonum.org/v1/gonum/graph/multi"
)

// DOT draws g for Graphviz: a box for each node with its operator, name and constants, ovals for the graph's inputs,
// outputs and states, edges labelled with the value's name and type. Of a body the box tells the name and size.
func DOT(g *Graph) ([]byte, error) {
	d := drawing{DirectedGraph: multi.NewDirectedGraph(), at: map[*Value]*dotNode{}}
	for _, v := range g.Inputs {
		d.at[v] = d.oval(v.Name)
	}
	for _, s := range g.States {
		d.at[s.Value] = d.oval(s.Name)
	}
	boxes := make([]*dotNode, len(g.Nodes))
	for i, n := range g.Nodes {
		boxes[i] = d.add(label(n), "box")
		for _, v := range n.Out {
			if v != nil {
				d.at[v] = boxes[i]
			}
		}
	}
	for i, n := range g.Nodes {
		for _, v := range n.In {
			d.edge(v, boxes[i])
		}
	}
	for _, v := range g.Outputs {
		d.edge(v, d.oval(v.Name))
	}
	return dot.MarshalMulti(d, strconv.Quote(g.Name), "", "  ")
}

// label is a node's text: operator, name, then the constants that it reads and the bodies that it holds.
func label(n *Node) string {
	lines := []string{n.OpName()}
	if n.Name != "" {
		lines = append(lines, n.Name)
	}
	for _, v := range n.In {
		if v.IsConst() {
			lines = append(lines, v.Name+": "+v.Type.String())
		}
	}
	for _, b := range Bodies(n.Op) {
		lines = append(lines, fmt.Sprintf("graph %s: %d nodes", b.Name, len(b.Nodes)))
	}
	return strings.Join(lines, "\n")
}

type drawing struct {
	*multi.DirectedGraph
	at map[*Value]*dotNode // where a value comes from
}

// dotNode is a node of the drawing; its identity is its place in the order of drawing.
type dotNode struct {
	id           int64
	label, shape string
}

func (n *dotNode) ID() int64     { return n.id }
func (n *dotNode) DOTID() string { return "n" + strconv.FormatInt(n.id, 10) }

// Attributes are label and shape.
func (n *dotNode) Attributes() []encoding.Attribute {
	return []encoding.Attribute{{Key: "label", Value: strconv.Quote(n.label)}, {Key: "shape", Value: n.shape}}
}

type dotLine struct {
	multi.Line
	label string
}

// Attributes is the label.
func (l dotLine) Attributes() []encoding.Attribute {
	return []encoding.Attribute{{Key: "label", Value: strconv.Quote(l.label)}}
}

func (d drawing) add(label, shape string) *dotNode {
	n := &dotNode{int64(d.Nodes().Len()), label, shape}
	d.AddNode(n)
	return n
}

func (d drawing) oval(label string) *dotNode { return d.add(label, "oval") }

// edge draws v into a node unless it is a constant, which is part of the node's label.
func (d drawing) edge(v *Value, to *dotNode) {
	if from := d.at[v]; v != nil && from != nil {
		line := d.NewLine(from, to).(multi.Line)
		d.SetLine(dotLine{line, v.Name + ": " + v.Type.String()})
	}
}
