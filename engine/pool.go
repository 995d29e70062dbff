package engine

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/tfsopt/tfsopt/tensor"
)

// pool runs loops on a few goroutines. The caller takes part; workers that are idle join it, and nobody waits for a
// worker that has not begun.
type pool struct {
	threads int
	jobs    chan *job
	stop    sync.Once
}

// job is one loop. Participants claim indices from next; state counts the workers inside and is negative once closed.
type job struct {
	f     func(s *scratch, i int)
	n     int64
	next  atomic.Int64
	state atomic.Int64
	left  chan struct{}
	fault atomic.Pointer[string]
}

const closed = int64(-1) << 40

func newPool(threads int) *pool {
	p := &pool{threads: threads, jobs: make(chan *job, threads)}
	for range threads - 1 {
		go p.work()
	}
	return p
}

func (p *pool) close() { p.stop.Do(func() { close(p.jobs) }) }

func (p *pool) work() {
	var s scratch
	for j := range p.jobs {
		if j.enter() {
			j.loop(&s)
			j.leave()
		}
	}
}

func (j *job) enter() bool {
	for {
		v := j.state.Load()
		if v < 0 {
			return false
		}
		if j.state.CompareAndSwap(v, v+1) {
			return true
		}
	}
}

func (j *job) leave() {
	if j.state.Add(-1) == closed {
		j.left <- struct{}{}
	}
}

func (j *job) loop(s *scratch) {
	defer func() {
		if p := recover(); p != nil {
			text := fmt.Sprint(p)
			j.fault.Store(&text)
			j.next.Store(j.n)
		}
	}()
	for {
		i := j.next.Add(1) - 1
		if i >= j.n {
			return
		}
		j.f(s, int(i))
	}
}

// run calls f for 0 ≤ i < n, on the caller and on idle workers. A panic in f becomes one in the caller.
func (p *pool) run(s *scratch, n int, f func(s *scratch, i int)) {
	if n <= 1 || p.threads <= 1 {
		for i := range n {
			f(s, i)
		}
		return
	}
	j := &job{f: f, n: int64(n), left: make(chan struct{}, 1)}
	for range min(p.threads-1, n-1) {
		select {
		case p.jobs <- j:
		default:
		}
	}
	j.loop(s)
	if j.state.Add(closed) != closed { // workers are still inside
		for range 200 {
			if j.state.Load() == closed {
				break
			}
			runtime.Gosched()
		}
		<-j.left
	}
	if text := j.fault.Load(); text != nil {
		panic(*text)
	}
}

// scratch is memory that one goroutine reuses from step to step.
type scratch struct{ buf, image []byte }

// size is how many bytes it holds.
func (s *scratch) size() int { return cap(s.buf) + cap(s.image) }

// bytes gives n bytes, aligned to 64, with any contents. They are valid until the next call.
func (s *scratch) bytes(n int) []byte { return grow(&s.buf, n) }

func grow(buf *[]byte, n int) []byte {
	if cap(*buf) < n {
		*buf = tensor.Aligned(n)
	}
	return (*buf)[:n]
}

func (s *scratch) floats(n int) []float32 { return f32(s.bytes(4 * n)) }

// f32 shows aligned bytes as float32.
func f32(b []byte) []float32 {
	return tensor.View[float32](&tensor.Tensor{DType: tensor.Float32, Data: b})
}

// i32 shows aligned bytes as int32.
func i32(b []byte) []int32 {
	return tensor.View[int32](&tensor.Tensor{DType: tensor.Int32, Data: b})
}
