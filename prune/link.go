package prune

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
)

// joint is a node's link with its operands.
type joint struct {
	node *graph.Node
	link graph.Link
}

// end gives the place that an end of the joint names; an error if the operator names what its operands do not have.
func (p *positions) end(j joint, e graph.End) (*place, error) {
	list := j.node.In
	if e.Out {
		list = j.node.Out
	}
	if e.Index < 0 || e.Index >= len(list) {
		return nil, graph.NodeError(j.node, fmt.Errorf("links operand %d, which it does not have", e.Index))
	}
	q := p.place(list[e.Index], e.Axis)
	if q == nil || e.From < 0 || e.From+e.Size(j.link.N) > q.size {
		return nil, graph.NodeError(j.node, fmt.Errorf("links %d positions of axis %d of operand %d, which has not as many", e.Size(j.link.N), e.Axis, e.Index))
	}
	return q, nil
}

// join makes one class of each channel of a link.
func (p *positions) join(j joint) error {
	for c := range j.link.N {
		first := int32(-1)
		for _, e := range j.link.Ends {
			q, err := p.end(j, e)
			if err != nil {
				return err
			}
			for _, at := range e.Positions(j.link.N, c) {
				id := q.base + int32(at)
				if first < 0 {
					first = id
				}
				p.unite(first, id)
			}
		}
		if j.link.MustStay != "" && first >= 0 {
			p.hold(first, p.reason("%s: %s", describe(j.node), j.link.MustStay))
		}
	}
	return nil
}

// describe names a node in a reason.
func describe(n *graph.Node) string { return fmt.Sprintf("node %q (%s)", n.Name, n.OpName()) }

// follow links all nodes of the graph: first what is certain, then the choices.
func (p *positions) follow() error {
	for _, v := range p.g.Inputs {
		p.holdAll(v, "input %q of the model has them", v.Name)
	}
	for _, s := range p.g.States {
		p.holdAll(s.Value, "state %q of the model has them", s.Value.Name)
	}
	for _, v := range leaving(p.g) {
		p.holdAll(v, "output %q of the model has them", v.Name)
	}
	var choices [][]joint
	for _, n := range p.g.Nodes {
		c, err := p.followNode(n)
		if err != nil {
			return err
		}
		choices = append(choices, c...)
	}
	return p.choose(choices)
}

// leaving lists the values that leave the graph.
func leaving(g *graph.Graph) []*graph.Value {
	out := append([]*graph.Value{}, g.Outputs...)
	for _, s := range g.Signatures {
		for _, ports := range [][]graph.Port{s.Outputs, s.Next} {
			for _, port := range ports {
				out = append(out, port.Value)
			}
		}
	}
	return out
}

// facts lists what is known of values.
func facts(list []*graph.Value) []graph.Fact {
	out := make([]graph.Fact, len(list))
	for i, v := range list {
		if v != nil {
			out[i] = v.Fact
		}
	}
	return out
}

// followNode applies a node's certain links and gives its choices, the alternatives of each together. What no link
// names stays.
func (p *positions) followNode(n *graph.Node) ([][]joint, error) {
	links, err := linksOf(n)
	if err != nil {
		return nil, err
	}
	named := map[int32]bool{}
	var choices [][]joint
	for _, l := range links {
		j := joint{n, l}
		for _, e := range l.Ends {
			q, err := p.end(j, e)
			if err != nil {
				return nil, err
			}
			for at := e.From; at < e.From+e.Size(l.N); at++ {
				named[q.base+int32(at)] = true
			}
		}
		switch last := len(choices) - 1; {
		case l.Alternative == 0:
			if err := p.join(j); err != nil {
				return nil, err
			}
		case last >= 0 && choices[last][0].link.Alternative == l.Alternative:
			choices[last] = append(choices[last], j)
		default:
			choices = append(choices, []joint{j})
		}
	}
	p.holdUnnamed(n, named)
	return choices, nil
}

// linksOf asks the operator; a panic in it becomes an error, as in graph.InferNode.
func linksOf(n *graph.Node) (links []graph.Link, err error) {
	m, ok := n.Op.(graph.Mapped)
	if !ok {
		return nil, nil
	}
	defer func() {
		if r := recover(); r != nil {
			err = graph.NodeError(n, fmt.Errorf("inputs do not fit the operator: %v", r))
		}
	}()
	return m.Links(facts(n.In), facts(n.Out)), nil
}

func (p *positions) holdUnnamed(n *graph.Node, named map[int32]bool) {
	text := "needs all of them in their places"
	if _, ok := n.Op.(graph.Mapped); !ok {
		text = "does not say which channels it keeps apart"
	}
	why := int32(0)
	for _, list := range [][]*graph.Value{n.In, n.Out} {
		for _, v := range list {
			if v == nil {
				continue
			}
			for a := range p.at[v] {
				q := p.place(v, a)
				if q == nil {
					continue
				}
				for i := range q.size {
					if id := q.base + int32(i); !named[id] {
						if why == 0 {
							why = p.reason("%s %s", describe(n), text)
						}
						p.hold(id, why)
					}
				}
			}
		}
	}
}

// choose settles the choices: first those that have one alternative whose channels need not stay, then, outermost axis
// first, what is still open. The axes of the other alternatives stay.
func (p *positions) choose(choices [][]joint) error {
	for len(choices) > 0 {
		pick, best := 0, joint{}
		for i, c := range choices {
			free, err := p.free(c)
			if err != nil {
				return err
			}
			if len(free) <= 1 {
				pick, best = i, append(free, joint{})[0]
				break
			}
			if i == 0 {
				best = free[0]
			}
		}
		if err := p.settle(choices[pick], best); err != nil {
			return err
		}
		choices = append(choices[:pick], choices[pick+1:]...)
	}
	return nil
}

// free lists the alternatives none of whose axes must stay as a whole.
func (p *positions) free(c []joint) ([]joint, error) {
	var out []joint
	for _, j := range c {
		held := false
		for _, e := range j.link.Ends {
			q, err := p.end(j, e)
			if err != nil {
				return nil, err
			}
			held = held || p.allStay(q)
		}
		if !held {
			out = append(out, j)
		}
	}
	return out, nil
}

// settle applies the chosen alternative, if there is one, and holds the axes that only the others name.
func (p *positions) settle(c []joint, best joint) error {
	used := map[*place]bool{}
	for _, e := range best.link.Ends {
		q, err := p.end(best, e)
		if err != nil {
			return err
		}
		used[q] = true
	}
	why := p.reason("%s merges or splits them", describe(c[0].node))
	for _, j := range c {
		for _, e := range j.link.Ends {
			q, err := p.end(j, e)
			if err != nil {
				return err
			}
			if !used[q] {
				p.holdPlace(q, why)
			}
		}
	}
	return p.join(best)
}
