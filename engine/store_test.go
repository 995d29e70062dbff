package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"

	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// heavy has weights of each kind of packing; %d is the seed of its products'.
const heavy = `graph "heavy" {
  opset "" 17
  input x: float32[n,16,8,8]
  input at: int64[n]
  const w1: float32[32,16,3,3] = random 1
  const w2: float32[32,1,5,5] = random 2
  const w3: float32[32,64] = random %d
  const words: float32[50,64] = random 4
  c: float32[n,32,6,6] = Conv(x, w1)
  d: float32[n,32,6,6] = Conv(c, w2, _) {group=32 pads=[2,2,2,2]}
  g: float32[n,32,1,1] = GlobalAveragePool(d)
  f: float32[n,32] = Flatten(g)
  y: float32[n,64] = MatMul(f, w3)
  e: float32[n,64] = Gather(words, at)
  z: float32[n,64] = Add(y, e)
  output z
}`

func heavyGraph(t testing.TB, seed int) *graph.Graph {
	return parse(t, strings.ReplaceAll(heavy, "%d", fmt.Sprint(seed)))
}

// TestWeightsAreThereOnce: programs of equal weights share them, those of others do not, and the last Close lets them go.
func TestWeightsAreThereOnce(t *testing.T) {
	before := engine.StoreBytes()
	open := func(seed int) *engine.Program {
		p, err := engine.Compile(context.Background(), heavyGraph(t, seed), engine.Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	a := open(3)
	alone := engine.StoreBytes() - before
	if m := a.Memory(); m.Shared != 0 || alone < m.Packed*9/10 || alone > m.Packed {
		t.Errorf("alone: %+v, the store grew by %d", m, alone)
	}
	b := open(3)
	if n := engine.StoreBytes() - before; n != alone {
		t.Errorf("the store holds %d bytes for two programs, %d for one", n, alone)
	}
	if m := b.Memory(); m.Shared != alone {
		t.Errorf("two programs: %+v, want %d shared", m, alone)
	}
	c := open(7) // other weights in one layer
	if n := engine.StoreBytes() - before - alone; n < 32*64*4 || n > alone/2 {
		t.Errorf("another product's weights took %d bytes", n)
	}
	in := []*tensor.Tensor{noise(5, 2, 16, 8, 8), tensor.From([]int64{4, 9}, 2)}
	want := reference(t, heavyGraph(t, 7), in...)
	near(t, run(t, a, in...), reference(t, heavyGraph(t, 3), in...), 1e-5)
	a.Close()
	b.Close()
	near(t, run(t, c, in...), want, 1e-5)
	c.Close()
	c.Close()
	if n := engine.StoreBytes(); n != before {
		t.Errorf("%d bytes are left after Close", n-before)
	}
	if err := c.Run(context.Background(), &engine.Call{In: in}); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("a call after Close gave %v", err)
	}
}

// TestStoreAtOnce: programs may be compiled and closed concurrently.
func TestStoreAtOnce(t *testing.T) {
	before := engine.StoreBytes()
	in := []*tensor.Tensor{noise(5, 2, 16, 8, 8), tensor.From([]int64{4, 9}, 2)}
	want := reference(t, heavyGraph(t, 3), in...)
	var wg sync.WaitGroup
	for range 8 {
		g := heavyGraph(t, 3)
		wg.Go(func() {
			for range 3 {
				p, err := engine.Compile(context.Background(), g, engine.Options{Threads: 2})
				if err != nil {
					t.Error(err)
					return
				}
				c := &engine.Call{In: in}
				if err := p.Run(context.Background(), c); err != nil {
					t.Error(err)
				} else {
					near(t, c.Out, want, 1e-5)
				}
				p.Close()
			}
		})
	}
	wg.Wait()
	if n := engine.StoreBytes(); n != before {
		t.Errorf("%d bytes are left after Close", n-before)
	}
}

// resident is the process's resident memory in bytes.
func resident(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("this system does not say how much memory is resident")
	}
	var all, pages int
	if _, err := fmt.Fscan(bytes.NewReader(b), &all, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

var underRace bool // the race detector keeps memory of its own for each byte of the heap

// TestCloseReturnsMemory: the system gets the weights back although somebody still holds the program.
func TestCloseReturnsMemory(t *testing.T) {
	if underRace {
		t.Skip("the race detector's own memory stays resident")
	}
	const k, n = 4096, 4096 // 64 MiB
	w := tensor.New(tensor.Float32, k, n)
	for i, v := 0, tensor.View[float32](w); i < len(v); i++ {
		v[i] = float32(i%251) - 125
	}
	g := parse(t, fmt.Sprintf(`graph "wide" {
  opset "" 17
  input x: float32[n,%d]
  input w: float32[%[1]d,%d]
  y: float32[n,%[2]d] = MatMul(x, w)
  output y
}`, k, n))
	g.Inputs[1].Fact = graph.FactOf(w)
	g.Inputs = g.Inputs[:1]
	debug.FreeOSMemory()
	before := resident(t)
	p := compile(t, g, engine.Options{Threads: 1})
	run(t, p, noise(1, 1, k))
	held := resident(t) - before
	p.Close()
	left := resident(t) - before
	if held < 50<<20 || left > held/3 {
		t.Errorf("%d MiB more when open, %d MiB after Close", held>>20, left>>20)
	}
	runtime.KeepAlive(w)
	runtime.KeepAlive(p)
}
