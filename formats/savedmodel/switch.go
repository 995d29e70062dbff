package savedmodel

import (
	"errors"
	"slices"

	"github.com/tfsopt/tfsopt/ops"
)

func init() {
	convertOps(switchOp, "Switch", "RefSwitch")
	convertOps(mergeOp, "Merge", "RefMerge")
}

// side is one of the two ways that TensorFlow 1 goes at a condition: what comes after a Switch runs only if the condition is
// so.
type side struct {
	cond edge
	yes  bool
}

// sides gives the conditions under which an edge has a value, the outermost first.
func (s *scope) sides(e edge) []side {
	n := s.nodes[e.node]
	if _, ok := s.fed[e]; ok || n == nil {
		return nil
	}
	if n.Op == "Switch" || n.Op == "RefSwitch" {
		if len(n.Inputs) < 2 {
			return nil
		}
		cond, _ := parseInput(n.Inputs[1])
		return append(slices.Clone(s.inputSides(e.node)), side{s.origin(cond), e.index == 1 || e.port == "output_true"})
	}
	out := s.inputSides(e.node)
	if len(out) > 0 && (n.Op == "Merge" || n.Op == "RefMerge") {
		out = out[:len(out)-1]
	}
	return out
}

// inputSides is the longest of the lists of a node's inputs; each node is looked at once.
func (s *scope) inputSides(name string) []side {
	if out, ok := s.sidesOf[name]; ok {
		return out
	}
	var out []side
	for _, in := range s.nodes[name].Inputs {
		e, _ := parseInput(in)
		if list := s.sides(e); len(list) > len(out) {
			out = list
		}
	}
	s.sidesOf[name] = out
	return out
}

// origin follows a condition through nodes that pass it on.
func (s *scope) origin(e edge) edge {
	for n := s.nodes[e.node]; n != nil && n.Op == "Identity" && len(n.Inputs) > 0; n = s.nodes[e.node] {
		if _, ok := s.fed[e]; ok {
			break
		}
		e, _ = parseInput(n.Inputs[0])
	}
	return e
}

// switchOp gives its input on both ways: both branches are computed, and Merge chooses.
func switchOp(c *call) ([]value, error) {
	if len(c.in) < 1 {
		return nil, errors.New("its input is missing")
	}
	return []value{c.in[0], c.in[0]}, nil
}

// mergeOp chooses by the condition of the Switch that its inputs come from.
func mergeOp(c *call) ([]value, error) {
	if len(c.in) != 2 {
		return nil, errors.New("only two branches are supported")
	}
	var ways [2]side
	for i := range ways {
		e, _ := parseInput(c.n.Inputs[i])
		list := c.s.sides(e)
		if len(list) == 0 {
			return nil, errors.New("its inputs come from no Switch")
		}
		ways[i] = list[len(list)-1]
	}
	if ways[0].cond != ways[1].cond || ways[0].yes == ways[1].yes {
		return nil, errors.New("its inputs come from different conditions")
	}
	yes, no := c.in[0], c.in[1]
	if ways[1].yes {
		yes, no = no, yes
	}
	cond, err := c.s.at(ways[0].cond)
	if err != nil {
		return nil, err
	}
	choice := &call{s: c.s, b: c.b, n: c.n, in: []value{cond, yes, no}}
	if truth, ok := choice.known(0); ok {
		if truth {
			return []value{yes}, nil
		}
		return []value{no}, nil
	}
	in, err := choice.values(0, 3)
	if err != nil {
		return nil, err
	}
	return one(c.add(ops.Where{}, in...)), nil
}
