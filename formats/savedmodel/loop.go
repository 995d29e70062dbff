package savedmodel

import (
	"errors"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/internal/tensorflow"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { convertOps(whileOp, "While", "StatelessWhile") }

// visible gives, inside a body, what an edge holds outside: what is computed there is captured, what is known and handles
// stay as they are.
func (b *builder) visible(x value) value {
	capture1 := func(v *graph.Value) *graph.Value {
		in := graph.NewInput(b.Fresh(v.Name), v.Type)
		b.captures = append(b.captures, capture{v, in})
		return in
	}
	switch {
	case x.v != nil:
		return value{v: capture1(x.v)}
	case x.list != nil && x.list.v != nil:
		return value{list: &tensorList{v: capture1(x.list.v)}}
	}
	return x
}

// whileOp becomes a Loop. Variables that come out of each round as they went in are captured, so that inference knows them.
func whileOp(c *call) ([]value, error) {
	cond, err := c.function("cond")
	if err != nil {
		return nil, err
	}
	step, err := c.function("body")
	if err != nil {
		return nil, err
	}
	if len(c.in) == 0 {
		return nil, &hardError{errors.New("a loop without variables")}
	}
	first, err := c.run(c.b, cond, c.in)
	if err != nil {
		return nil, err
	}
	if len(first) != 1 {
		return nil, &hardError{errors.New("the condition gives no single result")}
	}
	start, err := c.s.l.valueOf(c.b, first[0])
	if err != nil {
		return nil, err
	}
	l := &loop{call: c, fixed: c.invariant(step), inner: make([]value, len(c.in))}
	l.b = newBuilder(&graph.Graph{Name: c.n.Name, Opsets: c.b.G.Opsets}, c.b)
	return l.build(start, cond, step)
}

// loop is a While being converted.
type loop struct {
	*call
	b       *builder // of the body
	fixed   []bool   // variables that stay as they are
	inner   []value  // variables as the body sees them
	own     []*graph.Value
	initial []*graph.Value
	scanned []int // variables that are lists written in order: they leave as scan outputs
}

func (l *loop) build(start *graph.Value, cond, step *tensorflow.FunctionCall) ([]value, error) {
	l.own = []*graph.Value{
		graph.NewInput(l.b.Fresh("iteration"), graph.Of(tensor.Int64)), graph.NewInput(l.b.Fresh("condition"), graph.Of(tensor.Bool)),
	}
	if err := l.variables(); err != nil {
		return nil, err
	}
	next, err := l.run(l.b, step, l.inner)
	if err != nil {
		return nil, err
	}
	if len(next) != len(l.in) {
		return nil, &hardError{errors.New("the loop's body gives another number of variables than it takes")}
	}
	more, err := l.run(l.b, cond, next)
	if err != nil {
		return nil, err
	}
	outs := slices.Clone(more)
	var items []value
	for i, x := range next {
		switch {
		case l.fixed[i]:
		case l.in[i].reserved():
			item, err := l.item(i, next)
			if err != nil {
				return nil, err
			}
			l.scanned, items = append(l.scanned, i), append(items, item)
		default:
			outs = append(outs, x)
		}
	}
	if len(more) == 1 && more[0].v != nil {
		if out, ok := l.recurrence(more[0].v, next); ok {
			return out, nil
		}
	}
	made, err := l.leave(l.b, append(outs, items...), l.own)
	if err != nil {
		return nil, err
	}
	in := append(append([]*graph.Value{nil, start}, l.initial...), made.captured...)
	var values []*graph.Value
	if n := len(l.initial) + len(items); n > 0 {
		values = l.call.b.AddN(l.n.Name, n, ops.Loop{Body: made.g}, in...)
	}
	return l.results(values, next), nil
}

// variables decides how the body sees each variable.
func (l *loop) variables() error {
	for i, x := range l.in {
		switch {
		case l.fixed[i]:
			l.inner[i] = l.b.visible(x)
		case x.reserved():
			l.inner[i] = value{list: &tensorList{count: x.list.count}}
		default:
			v, err := l.s.l.valueOf(l.call.b, x)
			if err != nil {
				return err
			}
			in := graph.NewInput(l.b.Fresh(v.Name), v.Type)
			l.own, l.initial = append(l.own, in), append(l.initial, v)
			l.inner[i] = value{v: in}
			if x.list != nil {
				l.inner[i] = value{list: &tensorList{v: in}}
			}
		}
	}
	return nil
}

// item is what a round writes to the list that is variable i: it must be one element, in order or always the same.
func (l *loop) item(i int, next []value) (value, error) {
	made := next[i].list
	if made == nil || made.base != l.inner[i].list || made.base == nil {
		return value{}, errors.New("a list that is not written once in each round is not supported")
	}
	if made.always() || l.counts(made.index.v, next) {
		return made.item, nil
	}
	return value{}, errors.New("a list that is not written in order is not supported")
}

// counts reports whether v is a variable that begins at 0 and grows by 1 each round.
func (l *loop) counts(v *graph.Value, next []value) bool {
	for i, x := range l.inner {
		if x.v == nil || x.v != v || l.fixed[i] {
			continue
		}
		begin := l.in[i].t
		if begin == nil || begin.Len() != 1 || !begin.IsInt() || tensor.Ints(begin)[0] != 0 || next[i].v == nil {
			return false
		}
		return isAdd(next[i].v, v)
	}
	return false
}

// isAdd reports whether sum is v + 1.
func isAdd(sum, v *graph.Value) bool {
	n := sum.Def
	if n == nil || n.OpName() != "Add" {
		return false
	}
	for i := range 2 {
		if one := n.In[1-i]; n.In[i] == v && one.IsConst() && one.Const.Len() == 1 && one.Const.IsInt() && tensor.Ints(one.Const)[0] == 1 {
			return true
		}
	}
	return false
}

// results gives the variables after the last round.
func (l *loop) results(values []*graph.Value, next []value) []value {
	out := make([]value, len(l.in))
	at := 0
	for i, x := range l.in {
		switch {
		case l.fixed[i]:
			out[i] = x
		case x.reserved():
			v := values[len(l.initial)+slices.Index(l.scanned, i)]
			if next[i].list.always() { // what the last round wrote
				v = l.call.b.Add(l.n.Name+"/last", ops.Gather{}, v, l.call.b.ints(-1))
			}
			out[i] = value{list: &tensorList{v: v}}
		default:
			out[i] = value{v: values[at]}
			if x.list != nil {
				out[i] = value{list: &tensorList{v: values[at]}}
			}
			at++
		}
	}
	return out
}

// invariant tells which variables of a loop its body gives back as it took them.
func (c *call) invariant(step *tensorflow.FunctionCall) []bool {
	out := make([]bool, len(c.in))
	def := c.s.l.functions[step.Name]
	if def == nil || len(def.Signature.Inputs) != len(c.in) || len(def.Signature.Outputs) != len(c.in) {
		return out
	}
	nodes := map[string]*tensorflow.NodeDef{}
	for _, n := range def.Nodes {
		nodes[n.Name] = n
	}
	for i, o := range def.Signature.Outputs {
		e, _ := parseInput(def.Ret[o.Name])
		for hops := 0; hops < maxCalls && nodes[e.node] != nil && nodes[e.node].Op == "Identity" && len(nodes[e.node].Inputs) > 0; hops++ {
			e, _ = parseInput(nodes[e.node].Inputs[0])
		}
		out[i] = e.node == def.Signature.Inputs[i].Name
	}
	return out
}
