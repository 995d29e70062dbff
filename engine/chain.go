package engine

import (
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/kernels"
	"github.com/tfsopt/tfsopt/tensor"
)

// chain is several elementwise steps of which each but the last had one reader: they run block by block in the cache,
// so that what lies between them never reaches memory. Every element goes through the same operations as alone.
type chain struct {
	links     []link
	registers int
	like      int // an input of the result's shape
	dtype     tensor.DType
}

// link is one step. in counts registers from 0 and inputs of the chain from -1 down.
type link struct {
	op  graph.Op
	in  []int
	out int // register
}

func (c chain) source() graph.Op { return c.links[len(c.links)-1].op }

// Infer gives the shape that all share.
func (c chain) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	t := in[c.like].Type
	t.DType = c.dtype
	return []graph.Type{t}, nil
}

// chainBlock is the elements of a register.
const chainBlock = 1024

func (c chain) exec(x *exec, in, out []*tensor.Tensor) error {
	y := x.Make(out[0], c.dtype, in[c.like].Shape...)
	n, size := y.Len(), y.DType.Bits()/8
	x.p.pool.run(x.scratch, (n+grain-1)/grain, func(s *scratch, t int) {
		regs := s.bytes(c.registers * chainBlock * 4)
		args := make([]lane, 3)
		for a := t * grain; a < min((t+1)*grain, n); a += chainBlock {
			b := min(a+chainBlock, n)
			for i, l := range c.links {
				for j, r := range l.in {
					args[j] = laneOf(in, regs, r, a, b)
				}
				dst := register(regs, l.out, b-a)
				if i == len(c.links)-1 {
					dst = lane{y.Data[a*size : b*size], false}
				}
				l.run(x.p.set, dst, args[:len(l.in)])
			}
		}
	})
	return nil
}

// lane is a block of elements, of 4 bytes or 1, or one number for all of them.
type lane struct {
	data []byte
	one  bool
}

func (l lane) floats() []float32 { return f32(l.data) }

// register shows n elements; whoever reads them knows how many bytes they have.
func register(regs []byte, r, n int) lane { return lane{regs[r*chainBlock*4:][:n*4], false} }

func laneOf(in []*tensor.Tensor, regs []byte, r, a, b int) lane {
	if r >= 0 {
		return register(regs, r, b-a)
	}
	t := in[-1-r]
	if t.Len() == 1 {
		return lane{t.Data, true}
	}
	size := t.DType.Bits() / 8
	return lane{t.Data[a*size : b*size], false}
}

func (l link) run(set *kernels.Set, dst lane, in []lane) {
	switch op := l.op.(type) {
	case unary:
		op.f(set, dst.floats(), in[0].floats())
	case unaryOf:
		op.f(set, dst.floats(), in[0].floats())
	case clip:
		set.Clamp(dst.floats(), in[0].floats(), op.lo, op.hi)
	case gate:
		set.ReluGrad(dst.floats(), in[0].floats(), in[1].floats())
	case broadcastOp:
		switch {
		case in[1].one:
			op.right(set, dst.floats(), in[0].floats(), in[1].floats()[0])
		case in[0].one:
			op.left(set, dst.floats(), in[1].floats(), in[0].floats()[0])
		default:
			op.both(set, dst.floats(), in[0].floats(), in[1].floats())
		}
	case relation:
		op.f(dst.data, in[0].floats(), in[1].floats())
	case where:
		choose(words(dst.data), in)
	}
}

// choose is Where: in are the condition, yes and no.
func choose(dst []uint32, in []lane) {
	cond, yes, no := in[0].data[:len(dst)], words(in[1].data), words(in[2].data)
	for i := range dst {
		from, one := no, in[2].one
		if cond[i] != 0 {
			from, one = yes, in[1].one
		}
		if one {
			dst[i] = from[0]
		} else {
			dst[i] = from[i]
		}
	}
}

// links finds the chains of a lowered graph, whose nodes are sorted.
func links(g *graph.Graph) {
	readers := map[*graph.Value]int{}
	for _, n := range g.Nodes {
		for i, v := range n.In {
			if v != nil && !slices.Contains(n.In[:i], v) {
				readers[v]++
			}
		}
	}
	for _, v := range g.Outputs {
		readers[v] += 2
	}
	groups := map[*graph.Node][]*graph.Node{}
	gone := map[*graph.Node]bool{}
	for _, n := range g.Nodes {
		if !linkable(n) {
			continue
		}
		var group []*graph.Node
		for i, v := range n.In {
			if v == nil || v.Def == nil || readers[v] != 1 || slices.Contains(n.In[:i], v) {
				continue
			}
			if before := groups[v.Def]; before != nil && sameShape(v, n.Out[0]) {
				group = append(group, before...)
				gone[v.Def] = true
			}
		}
		groups[n] = append(group, n)
	}
	for _, n := range g.Nodes {
		if group := groups[n]; len(group) > 1 && !gone[n] {
			join(n, group)
		}
	}
	g.Remove(func(n *graph.Node) bool { return gone[n] })
}

// linkable reports whether n is a step on elements alone, with operands of the result's shape or of one element.
func linkable(n *graph.Node) bool {
	out := n.Out[0]
	switch op := n.Op.(type) {
	case unary:
		if op.approximate() {
			return false
		}
	case gate:
		if !op.relu {
			return false
		}
	case relation:
		if !sameShape(n.In[0], out) {
			return false
		}
	case where:
		if n.In[0].DType != tensor.Bool || !sameShape(n.In[0], out) {
			return false
		}
	case unaryOf, clip, broadcastOp:
	default:
		return false
	}
	full := false
	for i, v := range n.In {
		_, choice := n.Op.(where)
		if v == nil || v.DType != tensor.Float32 && !(choice && i == 0) {
			return false
		}
		if sameShape(v, out) {
			full = true
		} else if !oneElement(v) {
			return false
		}
	}
	return full && !oneElement(out)
}

// sameShape reports whether two values surely have the same shape.
func sameShape(a, b *graph.Value) bool {
	if a.Unranked || b.Unranked || len(a.Shape) != len(b.Shape) {
		return false
	}
	for i, d := range a.Shape {
		if !d.Known() || d != b.Shape[i] {
			return false
		}
	}
	return true
}

func oneElement(v *graph.Value) bool {
	shape, ok := v.Fixed()
	return ok && tensor.Size(shape) == 1
}

// join makes n the chain of a group that ends with it.
func join(n *graph.Node, group []*graph.Node) {
	c := chain{dtype: n.Out[0].DType, like: -1}
	if _, ok := n.Op.(relation); ok {
		c.dtype = tensor.Bool
	}
	var in []*graph.Value
	at := map[*graph.Value]int{}   // where a value is
	last := map[*graph.Value]int{} // the link that reads it last
	for i, m := range group {
		for _, v := range m.In {
			last[v] = i
		}
	}
	var free []int
	for i, m := range group {
		l := link{op: m.Op}
		for _, v := range m.In {
			r, ok := at[v]
			if !ok {
				in = append(in, v)
				r = -len(in)
				at[v] = r
				if c.like < 0 && sameShape(v, n.Out[0]) {
					c.like = len(in) - 1
				}
			}
			l.in = append(l.in, r)
		}
		if len(free) == 0 {
			free = append(free, c.registers)
			c.registers++
		}
		l.out, free = free[0], free[1:] // none of its operands', which are freed after it
		at[m.Out[0]] = l.out
		for j, v := range m.In {
			if l.in[j] >= 0 && last[v] == i && !slices.Contains(m.In[:j], v) {
				free = append(free, l.in[j])
			}
		}
		c.links = append(c.links, l)
	}
	n.Op, n.In = c, in
}
