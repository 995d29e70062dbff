package engine

import (
	"context"
	"fmt"
	"sort"
	"unsafe"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func isAligned(b []byte) bool {
	return len(b) == 0 || uintptr(unsafe.Pointer(&b[0]))%16 == 0
}

// builder makes a plan: bind the input shapes, infer and fold in one walk, then lay out the arena.
type builder struct {
	pl    *plan
	index map[*graph.Value]int
	nodes []*graph.Node // those that remain
}

func newPlan(p *Program, in []*tensor.Tensor) (*plan, error) {
	b := &builder{pl: &plan{p: p}, index: map[*graph.Value]int{}}
	for i, v := range p.g.Inputs {
		b.pl.inputs = append(b.pl.inputs, b.add(v, graph.Fact{Type: graph.TypeOf(in[i])}))
	}
	for _, n := range p.g.Nodes {
		if err := b.node(n); err != nil {
			return nil, graph.NodeError(original(n), err)
		}
	}
	for _, v := range p.g.Outputs {
		b.pl.outputs = append(b.pl.outputs, b.slot(v))
	}
	b.trim()
	b.unmade()
	b.layout()
	if b.pl.arena > maxArena {
		return nil, fmt.Errorf("these input shapes need %d GiB of memory for intermediate values, more than %d", b.pl.arena>>30, maxArena>>30)
	}
	b.pl.bytes = b.pl.measure()
	return b.pl, nil
}

// maxValue and maxArena bound what the shapes of a model or of its inputs can make a call allocate, in bytes.
const (
	maxValue = 16 << 30
	maxArena = 64 << 30
)

// fits refuses shapes that no machine should be asked for.
func fits(t graph.Type) error {
	shape, ok := t.Fixed()
	if !ok {
		return nil
	}
	n, err := tensor.CheckedSize(shape)
	if err == nil && n > maxValue/max(1, t.DType.Bits())*8 {
		err = fmt.Errorf("shape %v is too large", shape)
	}
	return err
}

func (b *builder) add(v *graph.Value, f graph.Fact) int {
	i := len(b.pl.vals)
	s := slot{value: v, fact: f, root: i, size: -1}
	if shape, ok := f.Fixed(); ok && f.DType != tensor.String && f.Elem == nil && f.DType != tensor.Undefined {
		s.shape = shape
	}
	b.pl.vals = append(b.pl.vals, s)
	b.index[v] = i
	return i
}

func (b *builder) slot(v *graph.Value) int {
	if v == nil {
		return -1
	}
	if i, ok := b.index[v]; ok {
		return i
	}
	return b.add(v, v.Fact) // a constant
}

// node infers a node's outputs; those that come out constant need no step. A panic in the operator becomes an error.
func (b *builder) node(n *graph.Node) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("inputs do not fit the operator: %v", p)
		}
	}()
	in := make([]graph.Fact, len(n.In))
	allConst := true
	for i, v := range n.In {
		if v != nil {
			in[i] = b.pl.vals[b.slot(v)].fact
			allConst = allConst && in[i].Const != nil
		}
	}
	op := n.Op
	if len(graph.Bodies(op)) > 0 {
		op = graph.CloneOp(op) // inference writes to bodies, which other plans and running calls read
	}
	types, err := op.Infer(in, len(n.Out))
	if err != nil {
		return err
	}
	if allConst && foldable(n) {
		if done, err := b.fold(n, in); done || err != nil {
			return err
		}
	}
	for i, v := range n.Out {
		if v == nil {
			continue
		}
		f := graph.Fact{Type: types[i]}
		if err := fits(f.Type); err != nil {
			return fmt.Errorf("output %d: %w", i, err)
		}
		if s, ok := n.Op.(graph.Shaper); ok && i == 0 {
			f.Ints = s.Ints(in)
			f.Const = constOf(f)
		}
		b.add(v, f)
	}
	b.nodes = append(b.nodes, n)
	return nil
}

// constOf makes the constant if all the elements that inference followed are numbers.
func constOf(f graph.Fact) *tensor.Tensor {
	shape, ok := f.Fixed()
	if !ok || f.Ints == nil || tensor.Size(shape) != len(f.Ints) || !f.DType.IsInt() {
		return nil
	}
	v := make([]int64, len(f.Ints))
	for i, d := range f.Ints {
		n, ok := d.Value()
		if !ok {
			return nil
		}
		v[i] = int64(n)
	}
	t := tensor.New(f.DType, shape...)
	if tensor.SetInts(t, v) != nil {
		return nil
	}
	return t
}

// foldable excludes what must run each time.
func foldable(n *graph.Node) bool {
	_, fast := n.Op.(fastOp)
	_, kernel := n.Op.(graph.Kernel)
	return (fast || kernel) && !graph.TraitsOf(original(n).Op).Random && len(graph.Bodies(n.Op)) == 0
}

func (b *builder) fold(n *graph.Node, in []graph.Fact) (bool, error) {
	args, out := make([]*tensor.Tensor, len(in)), make([]*tensor.Tensor, len(n.Out))
	for i, f := range in {
		args[i] = f.Const
	}
	for i, v := range n.Out {
		if v != nil {
			out[i] = &tensor.Tensor{}
		}
	}
	var err error
	ex := &graph.Exec{Ctx: context.Background()}
	if op, ok := n.Op.(fastOp); ok {
		err = runFast(op, &exec{Exec: ex, p: b.pl.p, scratch: &scratch{}, shared: &scratch{}}, args, out)
	} else {
		err = graph.RunKernel(ex, n.Op, args, out)
	}
	if err != nil {
		return false, err
	}
	for i, v := range n.Out {
		if v != nil {
			b.add(v, graph.FactOf(out[i]))
		}
	}
	return true, nil
}

// trim keeps the nodes that outputs need and whose outputs are not all constant, and makes steps of them.
func (b *builder) trim() {
	need := map[*graph.Value]bool{}
	for _, v := range b.pl.p.g.Outputs {
		need[v] = true
	}
	var kept []*graph.Node
	for i := len(b.nodes) - 1; i >= 0; i-- {
		n, live := b.nodes[i], false
		for _, v := range n.Out {
			live = live || v != nil && need[v] && b.pl.vals[b.index[v]].fact.Const == nil
		}
		if !live {
			continue
		}
		kept = append(kept, n)
		for _, v := range n.In {
			if v != nil {
				need[v] = true
			}
		}
	}
	for i := len(kept) - 1; i >= 0; i-- {
		n := kept[i]
		st := step{node: n}
		for _, v := range n.In {
			st.in = append(st.in, b.slot(v))
		}
		for _, v := range n.Out {
			s := -1
			if v != nil && need[v] {
				s = b.index[v]
			}
			st.out = append(st.out, s)
			if _, ok := b.pl.p.watch[v]; ok && s >= 0 {
				st.see = append(st.see, s)
			}
		}
		b.pl.steps = append(b.pl.steps, st)
	}
}

// unmade finds the watched values that no step makes.
func (b *builder) unmade() {
	made := map[int]bool{}
	for _, st := range b.pl.steps {
		for _, s := range st.out {
			made[s] = true
		}
	}
	for i, s := range b.pl.vals {
		if _, ok := b.pl.p.watch[s.value]; ok && !made[i] {
			b.pl.seeFirst = append(b.pl.seeFirst, i)
		}
	}
}

// layout finds how long each value lives and packs them into the arena: largest first, each at the lowest offset that
// is free for its whole life.
func (b *builder) layout() {
	pl := b.pl
	first, last := make([]int, len(pl.vals)), make([]int, len(pl.vals))
	for i := range first {
		first[i], last[i] = -1, -1
	}
	for i, st := range pl.steps {
		if _, ok := st.node.Op.(viewOp); ok && st.out[0] >= 0 {
			o, in := &pl.vals[st.out[0]], pl.vals[st.in[0]]
			o.view = true
			if root := pl.vals[in.root]; o.shape != nil && first[in.root] >= 0 && root.shape != nil {
				o.root = in.root
			}
		}
		for _, s := range st.out {
			if s >= 0 && first[pl.vals[s].root] < 0 {
				first[pl.vals[s].root] = i
			}
			if s >= 0 {
				last[pl.vals[s].root] = i
			}
		}
		for _, s := range st.in {
			if s >= 0 {
				last[pl.vals[s].root] = i
			}
		}
	}
	for _, s := range pl.outputs[:pl.p.nout+len(pl.p.ports.next)] {
		last[pl.vals[s].root] = len(pl.steps)
	}
	var owners []int
	for i, s := range pl.vals {
		if first[i] >= 0 && s.root == i && s.shape != nil && s.fact.Const == nil {
			owners = append(owners, i)
			pl.vals[i].size = s.fact.DType.Bytes(tensor.Size(s.shape))
		}
	}
	pl.arena = pack(pl.vals, owners, first, last)
	for i, s := range pl.vals {
		if s.root != i {
			r := pl.vals[s.root]
			pl.vals[i].off, pl.vals[i].size = r.off, r.size
		}
	}
}

// pack assigns offsets and returns the arena's size (greedy by size, Pisarchyk and Lee, arXiv 2001.03288).
func pack(vals []slot, owners, first, last []int) int {
	sort.SliceStable(owners, func(i, j int) bool { return vals[owners[i]].size > vals[owners[j]].size })
	total := 0
	var placed []int // by offset
	for _, o := range owners {
		off, size := 0, (vals[o].size+63)&^63
		for _, q := range placed {
			if last[q] < first[o] || last[o] < first[q] {
				continue
			}
			if off+size <= vals[q].off {
				break
			}
			off = max(off, vals[q].off+(vals[q].size+63)&^63)
		}
		vals[o].off = off
		total = max(total, off+size)
		at := sort.Search(len(placed), func(i int) bool { return vals[placed[i]].off > off })
		placed = append(placed, 0)
		copy(placed[at+1:], placed[at:])
		placed[at] = o
	}
	return total
}
