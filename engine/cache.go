package engine

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"unsafe"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// cache holds the plans of a program, one for each set of input types, and the memory of calls that are over.
type cache struct {
	keep, limit int // how many plans, and how many bytes of them

	mu    sync.Mutex
	plans map[string]*entry
	free  []*memory // least recently used first
	tick  uint64    // counts calls
}

// entry is a plan or the wait for one.
type entry struct {
	ready chan struct{} // closed once pl or err is there
	pl    *plan
	err   error
	used  uint64
}

// idleCalls is after how many calls unused memory goes, and how often an arena's size is looked at.
const idleCalls = 256

// keyOf appends what a plan depends on: types and shapes; of sequences and optionals the types of their items.
func keyOf(key []byte, in []*tensor.Tensor) []byte {
	for _, t := range in {
		key = strconv.AppendInt(key, int64(t.DType), 10)
		if t.DType == tensor.Sequence || t.DType == tensor.Optional {
			key = append(append(key, graph.TypeOf(t).String()...), ';')
			continue
		}
		for _, n := range t.Shape {
			key = strconv.AppendInt(append(key, ','), int64(n), 10)
		}
		key = append(key, ';')
	}
	return key
}

// plan finds the plan for these inputs, or makes it. One call makes it while others that want the same one wait; calls
// with other inputs do not.
func (p *Program) plan(ctx context.Context, in []*tensor.Tensor) (*plan, error) {
	var buf [256]byte
	key := keyOf(buf[:0], in)
	c := &p.cache
	c.mu.Lock()
	c.tick++
	e := c.plans[string(key)]
	if e != nil {
		e.used = c.tick
		c.mu.Unlock()
		select {
		case <-e.ready:
			return e.pl, e.err
		default:
		}
		select {
		case <-e.ready:
			return e.pl, e.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	e = &entry{ready: make(chan struct{}), used: c.tick}
	if c.plans == nil {
		c.plans = map[string]*entry{}
	}
	c.plans[string(key)] = e
	c.mu.Unlock()

	pl, err := newPlan(p, in)
	c.mu.Lock()
	defer c.mu.Unlock()
	e.pl, e.err = pl, err
	close(e.ready)
	if err != nil {
		delete(c.plans, string(key))
		return nil, err
	}
	pl.cached = true
	c.evict(e)
	return pl, nil
}

// evict drops the plans that were used least recently until the rest fits, but not last, which was just made.
func (c *cache) evict(last *entry) {
	for {
		var oldest string
		n, bytes := 0, 0
		for key, e := range c.plans {
			if e.pl == nil {
				continue
			}
			n++
			bytes += e.pl.bytes
			if e != last && (oldest == "" || e.used < c.plans[oldest].used) {
				oldest = key
			}
		}
		if n <= c.keep && bytes <= c.limit || oldest == "" {
			return
		}
		pl := c.plans[oldest].pl
		pl.cached, pl.free = false, nil
		delete(c.plans, oldest)
	}
}

// memory is what one running call writes to. It serves calls of any shape, one after the other.
type memory struct {
	arena   []byte
	scratch scratch
	shared  scratch

	used       uint64
	calls, top int // since the arena's size was looked at: calls, and the most that one needed
}

func (m *memory) bytes() int { return len(m.arena) + m.scratch.size() + m.shared.size() }

// frame is a running call's tensors, in the memory that they were last bound to.
type frame struct {
	*memory
	t []*tensor.Tensor
}

// take gives a call of pl its frame. Nothing is allocated when calls with these shapes ran before.
func (c *cache) take(pl *plan) *frame {
	c.mu.Lock()
	f := &frame{}
	if n := len(pl.free); n > 0 {
		f, pl.free = pl.free[n-1], pl.free[:n-1]
	}
	before := f.memory
	f.memory = c.pick(f.memory, pl.arena)
	m := f.memory
	grow := len(m.arena) < pl.arena
	if grow {
		c.forget(m)
	}
	c.mu.Unlock()
	if grow {
		m.arena = nil
		m.arena = tensor.Aligned(pl.arena)
	}
	if f.t == nil {
		f.t = make([]*tensor.Tensor, len(pl.vals))
		for i, s := range pl.vals {
			f.t[i] = pl.tensor(f, s)
		}
	} else if grow || before != m {
		for i, s := range pl.vals {
			if s.size >= 0 && s.fact.Const == nil {
				f.t[i].Data = m.arena[s.off : s.off+s.size : s.off+s.size]
			}
		}
	}
	return f
}

// pick takes memory from the free list: want if it is there, else the last that is large enough, else the last.
func (c *cache) pick(want *memory, size int) *memory {
	at := slices.Index(c.free, want)
	for i := len(c.free) - 1; i >= 0 && at < 0; i-- {
		if len(c.free[i].arena) >= size {
			at = i
		}
	}
	if at < 0 {
		at = len(c.free) - 1
	}
	if at < 0 {
		return &memory{}
	}
	m := c.free[at]
	c.free = slices.Delete(c.free, at, at+1)
	return m
}

// forget drops the idle frames that lie in m, so that nothing holds its arena.
func (c *cache) forget(m *memory) {
	for _, e := range c.plans {
		if e.pl != nil {
			e.pl.free = slices.DeleteFunc(e.pl.free, func(f *frame) bool { return f.memory == m })
		}
	}
}

// give takes a frame back. Memory that was idle for long goes, and an arena that was long too large.
func (c *cache) give(pl *plan, f *frame) {
	for i, s := range pl.vals {
		if s.size < 0 && s.fact.Const == nil {
			f.t[i] = &tensor.Tensor{DType: s.fact.DType, Shape: s.shape}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m := f.memory
	m.used, m.calls, m.top = c.tick, m.calls+1, max(m.top, pl.arena)
	keep := true
	if m.calls >= idleCalls {
		keep = len(m.arena) <= 2*m.top
		m.calls, m.top = 0, 0
	}
	if !keep {
		c.forget(m)
	} else {
		c.free = append(c.free, m)
		if pl.cached {
			pl.free = append(pl.free, f)
		}
	}
	for len(c.free) > 0 && c.free[0].used+idleCalls < c.tick {
		c.forget(c.free[0])
		c.free = slices.Delete(c.free, 0, 1)
	}
}

// measure is how many bytes a plan holds, folded constants among them, without its arena.
func (pl *plan) measure() int {
	n := len(pl.vals) * int(unsafe.Sizeof(slot{})+unsafe.Sizeof(tensor.Tensor{}))
	for _, s := range pl.vals {
		n += 8 * len(s.shape)
		if t := s.fact.Const; t != nil && t != s.value.Const {
			n += t.Bytes()
		}
	}
	for _, st := range pl.steps {
		n += int(unsafe.Sizeof(st)) + 8*(len(st.in)+len(st.out)+len(st.see))
	}
	return n
}
