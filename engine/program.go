// Package engine compiles a graph into a program for this machine and runs it: fused and prepacked operators, channels
// last inside, one arena per call. What has no fast step runs its operator's own kernel.
package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/kernels"
	"github.com/tfsopt/tfsopt/tensor"
)

// Runner answers calls: this engine, or another runtime behind the same interface.
type Runner interface {
	Run(ctx context.Context, c *Call) error
	Close() error
}

// Call is one inference. Signature is "" or the name of the program's entry point: graph.Select makes a graph of each.
// In follows the graph's inputs. Out is filled: entries that are nil are allocated. State follows the graph's states and
// is overwritten when the call succeeds; nil means those that the program holds (Options.States). See, if not nil, is
// shown the watched values in step order; the tensor is valid only inside.
type Call struct {
	Signature      string
	In, Out, State []*tensor.Tensor
	Observe        func(v *graph.Value, t *tensor.Tensor)
	Seed           uint64 // of random operators without a seed of their own
	draws          *graph.Draws
}

// Options adjust compilation. The zero value uses all cores, the best kernels and keeps four plans.
type Options struct {
	States  *States        // shared by the programs of one model; nil: the program's own
	Threads int            // 0: all cores
	CPU     string         // generic, avx2, avx512, vnni; "": TFSOPT_CPU, else the best that the machine has
	Watch   []*graph.Value // values that See is shown
	Plans   int            // how many input shapes to keep plans for; 0: 4
	// PlanBytes bounds the bytes of the plans that are kept, constants that planning folded among them; the last plan
	// stays in any case. 0: 256 MiB
	PlanBytes int
}

// Program is a compiled graph. Run may be called concurrently.
type Program struct {
	g      *graph.Graph
	set    *kernels.Set
	pool   *pool
	watch  map[*graph.Value][]*graph.Value // value of the program -> values of the caller
	nout   int
	ports  ports
	bodies map[*graph.Graph]*Program
	blobs  map[*blob]bool // what it uses of the store; true: in packed
	packed int
	cache  cache
}

// Memory is what a program holds, in bytes where nothing else is said.
type Memory struct {
	Packed    int // weights and other constants
	Shared    int // of Packed, what other programs use too and is there once
	Arena     int // the largest plan's arena, needed once per concurrent call
	Idle      int // arenas and scratch that wait for the next calls
	Plans     int // how many plans there are, those of bodies included
	PlanBytes int // what the plans hold, with what they folded
}

// Compile makes a program. It lists every operator that cannot run (graph.UnsupportedError). Constants are copied or
// packed, so that the file behind g may be closed afterwards; g itself is not changed.
func Compile(ctx context.Context, g *graph.Graph, o Options) (*Program, error) {
	if missing := graph.Unsupported(g); len(missing) > 0 {
		return nil, &graph.UnsupportedError{Ops: missing}
	}
	name := o.CPU
	if name == "" {
		name = os.Getenv("TFSOPT_CPU")
	}
	set, err := kernels.Select(name)
	if err != nil {
		return nil, err
	}
	threads := o.Threads
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	p := &Program{set: set, pool: newPool(threads), bodies: map[*graph.Graph]*Program{}, blobs: map[*blob]bool{}}
	p.cache.keep, p.cache.limit = 4, 256<<20
	if o.Plans > 0 {
		p.cache.keep = o.Plans
	}
	if o.PlanBytes > 0 {
		p.cache.limit = o.PlanBytes
	}
	if err := p.compile(ctx, g, o); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (p *Program) compile(ctx context.Context, g *graph.Graph, o Options) error {
	c, values := g.CloneMap()
	p.nout = len(c.Outputs)
	if err := p.enter(c, o.States); err != nil {
		return err
	}
	p.watch = map[*graph.Value][]*graph.Value{}
	index := map[int]*graph.Value{}
	for _, v := range o.Watch {
		w := values[v]
		if w == nil {
			return fmt.Errorf("watched value %q is not in the graph", v.Name)
		}
		if w.IsConst() {
			continue
		}
		index[len(c.Outputs)] = v
		c.Outputs = append(c.Outputs, w) // passes keep outputs
	}
	graph.NameDraws(c)
	if err := prepare(ctx, c); err != nil {
		return err
	}
	for _, n := range c.Nodes {
		if len(graph.Bodies(n.Op)) == 0 {
			n.Op = graph.Own(n.Op)
		}
	}
	if err := p.lower(c); err != nil {
		return err
	}
	for i, v := range index { // several may lie in one value of the program
		p.watch[p.g.Outputs[i]] = append(p.watch[p.g.Outputs[i]], v)
	}
	return p.compileBodies(ctx)
}

// inferredBytes is the largest constant of a body that is kept for inference, which needs shapes, axes and the like.
const inferredBytes = 4 << 10

// detach keeps of a compiled body what plans infer types from, so that the file behind it may be closed.
func detach(b *graph.Graph) {
	for _, v := range b.Values() {
		switch {
		case v.Const == nil:
		case v.Const.Bytes() > inferredBytes:
			v.Const = nil
		default:
			v.Const = v.Const.Clone()
		}
	}
	for _, n := range b.Nodes {
		bodies := graph.Bodies(n.Op)
		if len(bodies) == 0 {
			n.Op = graph.Own(n.Op)
		}
		for _, inner := range bodies {
			detach(inner)
		}
	}
}

// compileBodies makes a program of every subgraph; they share the pool and the kernels.
func (p *Program) compileBodies(ctx context.Context) error {
	for _, n := range p.g.Nodes {
		for _, b := range graph.Bodies(n.Op) {
			if len(b.States) > 0 {
				return graph.NodeError(n, errors.New("a body has states: only the whole graph can"))
			}
			q := &Program{set: p.set, pool: p.pool, bodies: map[*graph.Graph]*Program{}, blobs: map[*blob]bool{}}
			q.cache.keep, q.cache.limit = p.cache.keep, p.cache.limit
			p.bodies[b] = q
			if err := q.compile(ctx, b, Options{}); err != nil {
				return graph.NodeError(n, err)
			}
			detach(b)
		}
	}
	return nil
}

// returned is from how many bytes on Close gives memory back to the system at once, which costs a garbage collection.
const returned = 32 << 20

// Close stops the workers and lets weights and memory go. Calls that run must have returned; later ones fail.
func (p *Program) Close() error {
	m := p.Memory()
	p.pool.close()
	p.drop()
	if m.Packed-m.Shared+m.Idle >= returned {
		debug.FreeOSMemory()
	}
	return nil
}

// drop lets go of all that the program holds, so that it may stay reachable.
func (p *Program) drop() {
	for _, b := range p.bodies {
		b.drop()
	}
	packings.release(p)
	p.cache.mu.Lock()
	defer p.cache.mu.Unlock()
	p.g, p.watch, p.bodies, p.packed = nil, nil, nil, 0
	p.cache.plans, p.cache.free = nil, nil
}

// CPU is the name of the kernel set in use.
func (p *Program) CPU() string { return p.set.Name }

// Memory reports what the program holds now.
func (p *Program) Memory() Memory {
	var m Memory
	p.hold(&m)
	return m
}

// hold adds what the program and its bodies hold.
func (p *Program) hold(m *Memory) {
	m.Packed += p.packed
	m.Shared += packings.common(p)
	p.cache.mu.Lock()
	for _, e := range p.cache.plans {
		if e.pl != nil {
			m.Plans++
			m.PlanBytes += e.pl.bytes
			m.Arena = max(m.Arena, e.pl.arena)
		}
	}
	for _, f := range p.cache.free {
		m.Idle += f.bytes()
	}
	p.cache.mu.Unlock()
	for _, b := range p.bodies {
		b.hold(m)
	}
}

// Run answers one call. Inputs must have the types of the graph's inputs; a shape that does not fit is an error that
// names the input or the node.
func (p *Program) Run(ctx context.Context, c *Call) error {
	if err := ctx.Err(); err != nil { // a body may have no steps
		return err
	}
	if p.g == nil {
		return errors.New("the program is closed")
	}
	if c.Signature != "" && c.Signature != p.ports.signature {
		return p.noEntry(c.Signature)
	}
	if len(c.In) != p.ports.inputs {
		return fmt.Errorf("the model has %d inputs, got %d", p.ports.inputs, len(c.In))
	}
	if len(p.g.Inputs) > p.ports.inputs || c.State != nil {
		return p.runStates(c, func(in, next []*tensor.Tensor) error { return p.answer(ctx, c, in, next) })
	}
	return p.answer(ctx, c, c.In, nil)
}

func (p *Program) noEntry(name string) error {
	if p.ports.signature == "" {
		return fmt.Errorf("no signature %q: the program was made of the graph's own inputs and outputs", name)
	}
	return fmt.Errorf("no signature %q: the program is %q", name, p.ports.signature)
}

// answer runs one call; in are the inputs and then the states.
func (p *Program) answer(ctx context.Context, c *Call, in, next []*tensor.Tensor) error {
	if err := p.checkInputs(in); err != nil {
		return err
	}
	pl, err := p.plan(ctx, in)
	if err != nil {
		return err
	}
	f := p.cache.take(pl)
	err = pl.run(ctx, f, c, in, next)
	p.cache.give(pl, f)
	return err
}

func (p *Program) checkInputs(in []*tensor.Tensor) error {
	for i, v := range p.g.Inputs {
		if err := fitsType(in[i], v.Type); err != nil {
			kind := "input"
			if i >= p.ports.inputs {
				kind = "state"
			}
			return fmt.Errorf("%s %q%w", kind, v.Name, err)
		}
	}
	return nil
}

// fitsType says how a tensor differs from what a type allows.
func fitsType(t *tensor.Tensor, want graph.Type) error {
	switch {
	case t == nil:
		return errors.New(" is missing")
	case want.DType == tensor.Optional || t.DType == tensor.Optional: // a present optional may come as its element
		return nil
	case want.DType != tensor.Undefined && t.DType != want.DType:
		return fmt.Errorf(": want %s, got %s", want.DType, t.DType)
	case want.Unranked || t.DType == tensor.Sequence:
		return nil
	case len(t.Shape) != len(want.Shape):
		return fmt.Errorf(": want shape %s, got %v", want, t.Shape)
	}
	for d, dim := range want.Shape {
		if n, ok := dim.Value(); ok && n != t.Shape[d] {
			return fmt.Errorf(": want shape %s, got %v", want, t.Shape)
		}
	}
	if t.DType != tensor.String && len(t.Data) < t.DType.Bytes(t.Len()) {
		return fmt.Errorf(": %d bytes for shape %v", len(t.Data), t.Shape)
	}
	return nil
}
