package engine_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// gate is an operator whose inference waits for shapes of gated rows.
type gate struct{}

const gated = 777

var (
	gateOpen    chan struct{}
	gateReached chan struct{}
	gateCount   atomic.Int32
)

func init() { graph.Register("engine.test", 1, gate{}) }

func (gate) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if len(in[0].Shape) > 0 && in[0].Shape[0].Is(gated) {
		gateCount.Add(1)
		gateReached <- struct{}{}
		<-gateOpen
	}
	return []graph.Type{in[0].Type}, nil
}

func (gate) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	y := x.Make(out[0], in[0].DType, in[0].Shape...)
	copy(y.Data, in[0].Data)
	return nil
}

// TestKnownShapesDoNotWait: while a plan is made, calls with a planned shape go on, those with the new one share the plan, and
// one whose context ends leaves.
func TestKnownShapesDoNotWait(t *testing.T) {
	g := parse(t, `graph "g" {
  opset "" 17
  opset "engine.test" 1
  input x: float32[n]
  y: float32[n] = engine.test.gate(x)
  z: float32[n] = Relu(y)
  output z
}`)
	gateOpen, gateReached = make(chan struct{}), make(chan struct{}, 100)
	gateCount.Store(0)
	p := compile(t, g, engine.Options{Threads: 1})
	run(t, p, noise(1, 5))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := p.Run(context.Background(), &engine.Call{In: []*tensor.Tensor{noise(1, gated)}}); err != nil {
				t.Error(err)
			}
		})
	}
	<-gateReached
	for range 100 {
		run(t, p, noise(1, 5))
	}
	run(t, p, noise(1, 6)) // another new shape does not wait either
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := p.Run(ctx, &engine.Call{In: []*tensor.Tensor{noise(1, gated)}}); err != context.DeadlineExceeded {
		t.Errorf("a call that waits for a plan gave %v", err)
	}
	close(gateOpen)
	wg.Wait()
	if n := gateCount.Load(); n != 1 {
		t.Errorf("8 calls made the plan %d times", n)
	}
}

// TestManyShapes: whatever shapes arrive, a program keeps few plans and no more memory than calls ran at once.
func TestManyShapes(t *testing.T) {
	g := parse(t, `graph "g" {
  opset "" 17
  input x: float32[n,4]
  const w: float32[4,8] = random 1
  const one: float32[1] = {1}
  m: float32[n,8] = MatMul(x, w)
  s: int64[2] = Shape(m)
  c: float32[?,?] = ConstantOfShape(s) {value=tensor float32[1] {1}}
  y: float32[n,8] = Add(m, c)
  z: float32[n,8] = Softmax(y)
  output z
}`)
	const workers, shapes = 16, 1000
	p := compile(t, g, engine.Options{Threads: 1, Plans: 8, PlanBytes: 128 << 10})
	var next atomic.Int32
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= shapes; i = int(next.Add(1)) {
				c := &engine.Call{In: []*tensor.Tensor{noise(uint64(i), i, 4)}}
				if err := p.Run(context.Background(), c); err != nil {
					t.Error(err)
					return
				}
				if got := c.Out[0].Shape; got[0] != i || got[1] != 8 {
					t.Errorf("%d rows gave shape %v", i, got)
				}
				if m := p.Memory(); m.Plans > 8 || m.PlanBytes > 128<<10 && m.Plans > 1 {
					t.Errorf("after %d shapes: %+v", i, m)
				}
			}
		})
	}
	wg.Wait()
	if m := p.Memory(); m.Idle > workers*(shapes*2*8*4+64<<10) {
		t.Errorf("%d bytes wait for %d calls at a time", m.Idle, workers)
	}
	for range 600 { // memory of the busy hour goes, the large arena too
		run(t, p, noise(1, 1, 4))
	}
	if m := p.Memory(); m.Idle > 64<<10 || m.Plans == 0 {
		t.Errorf("one small call at a time: %+v", m)
	}
}

// TestWarmRunsAllocateTheSame: calls that alternate between planned shapes allocate no more than calls of one shape.
func TestWarmRunsAllocateTheSame(t *testing.T) {
	p := compile(t, cnn(t, "n"), engine.Options{Threads: 1})
	calls := []*engine.Call{{In: []*tensor.Tensor{noise(1, 1, 5, 13, 11)}}, {In: []*tensor.Tensor{noise(1, 3, 5, 13, 11)}}}
	once := func(c *engine.Call) {
		if err := p.Run(context.Background(), c); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range calls {
		once(c)
	}
	once(calls[0])
	pair := func(a, b *engine.Call) float64 { return testing.AllocsPerRun(100, func() { once(a); once(b) }) }
	alone, turns := pair(calls[0], calls[0])+pair(calls[1], calls[1]), 2*pair(calls[0], calls[1])
	if turns > alone {
		t.Errorf("%v allocations when shapes alternate, %v when they do not", turns, alone)
	}
}

// TestPlanPanicIsAnError: what panics during planning leaves no call waiting.
func TestPlanPanicIsAnError(t *testing.T) {
	g := parse(t, `graph "g" {
  opset "" 17
  opset "engine.test" 1
  input x: float32[...]
  y: float32[...] = engine.test.fragile(x)
  output y
}`)
	p := compile(t, g, engine.Options{Threads: 1})
	for range 2 {
		err := p.Run(context.Background(), &engine.Call{In: []*tensor.Tensor{tensor.New(tensor.Float32)}})
		if err == nil || !strings.Contains(err.Error(), "fragile") {
			t.Errorf("got %v", err)
		}
	}
	run(t, p, noise(1, 3))
}

// fragile panics on scalars.
type fragile struct{ gate }

func init() { graph.Register("engine.test", 1, fragile{}) }

func (fragile) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if !in[0].Unranked {
		_ = in[0].Shape[0]
	}
	return []graph.Type{in[0].Type}, nil
}
