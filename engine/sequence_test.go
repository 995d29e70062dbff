package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/tensor"
)

// list makes a sequence of float32 vectors of the given lengths.
func list(lengths ...int) *tensor.Tensor {
	s := &tensor.Tensor{DType: tensor.Sequence}
	for i, n := range lengths {
		s.Items = append(s.Items, noise(uint64(i+1), n))
	}
	return s
}

// TestSequencesOfOtherItems: a program answers for the items that it is given, not for those of an earlier call.
func TestSequencesOfOtherItems(t *testing.T) {
	nest := func(items ...*tensor.Tensor) *tensor.Tensor {
		return &tensor.Tensor{DType: tensor.Sequence, Items: items}
	}
	maybe := func(items ...*tensor.Tensor) *tensor.Tensor {
		return &tensor.Tensor{DType: tensor.Optional, Items: items}
	}
	words := func(s ...string) *tensor.Tensor {
		return nest(&tensor.Tensor{DType: tensor.String, Shape: []int{len(s)}, Strings: s})
	}
	last := `graph "g" {
  opset "" 21
  input s: %s
  const at: int64[] = {-1}
  e: %s[...] = SequenceAt(s, at)
  y: int64[?] = Shape(e)
  output y
}`
	for name, c := range map[string]struct {
		text string
		in   []*tensor.Tensor
	}{
		"lengths": {fmt.Sprintf(last, "sequence(float32[?])", "float32"), []*tensor.Tensor{list(2), list(3), list(2, 3, 4), list(4)}},
		"scalars": {fmt.Sprintf(last, "sequence(float32[...])", "float32"), []*tensor.Tensor{list(2), nest(tensor.Scalar[float32](1)), list(3)}},
		"types":   {fmt.Sprintf(last, "sequence(undefined[...])", "undefined"), []*tensor.Tensor{list(2), nest(tensor.New(tensor.Int64, 3)), list(4)}},
		"strings": {fmt.Sprintf(last, "sequence(string[?])", "string"), []*tensor.Tensor{words("a"), words("a", "b", "c"), words()}},
		"optional": {`graph "g" {
  opset "" 21
  input o: optional(float32[?])
  e: float32[?] = OptionalGetElement(o)
  y: int64[1] = Shape(e)
  output y
}`, []*tensor.Tensor{maybe(noise(1, 2)), maybe(noise(1, 3)), noise(1, 5)}},
		"present": {`graph "g" {
  opset "" 21
  input o: optional(float32[?])
  y: bool[] = OptionalHasElement(o)
  output y
}`, []*tensor.Tensor{maybe(noise(1, 2)), maybe(), maybe(noise(1, 2))}},
		"optional sequence": {`graph "g" {
  opset "" 21
  input o: optional(sequence(float32[?]))
  const at: int64[] = {-1}
  s: sequence(float32[?]) = OptionalGetElement(o)
  e: float32[?] = SequenceAt(s, at)
  y: int64[1] = Shape(e)
  output y
}`, []*tensor.Tensor{maybe(list(2)), maybe(list(3)), maybe(list(2, 3))}},
		"length": {`graph "g" {
  opset "" 21
  input s: sequence(float32[?])
  y: int64[] = SequenceLength(s)
  output y
}`, []*tensor.Tensor{list(2), list(2, 2), list(), list(2, 2, 2)}},
	} {
		g := parse(t, c.text)
		p := compile(t, g, engine.Options{Threads: 1})
		for i, in := range c.in {
			want := reference(t, g.Clone(), in)
			if got := run(t, p, in); !got[0].Equal(want[0]) {
				t.Errorf("%s, call %d: %v, want %v", name, i, got[0], want[0])
			}
		}
	}
}

// growing appends a longer vector to a sequence each round, and scans the length of the last.
const growing = `graph "grow" {
  opset "" 21
  input n: int64[]
  input x: float32[?]
  s: sequence(float32[?]) = SequenceConstruct(x)
  end: sequence(float32[...]), sizes: int64[?,1] = Loop(n, _, s) {
    body=graph "body" {
      input i: int64[]
      input c: bool[]
      input s: sequence(float32[...])
      const last: int64[] = {-1}
      const one: float32[1] = {1}
      go: bool[] = Identity(c)
      e: float32[?] = SequenceAt(s, last)
      size: int64[1] = Shape(e)
      more: float32[?] = Concat(e, one) {axis=0}
      next: sequence(float32[...]) = SequenceInsert(s, more)
      output go
      output next
      output size
    }
  }
  output sizes
}`

func TestLoopGrowsSequence(t *testing.T) {
	p := compile(t, parse(t, growing), engine.Options{Threads: 1})
	if got := tensor.Ints(run(t, p, tensor.Scalar[int64](3), noise(1, 2))[0]); fmt.Sprint(got) != "[2 3 4]" {
		t.Errorf("got %v, want [2 3 4]", got)
	}
}

// idle runs its body n times: a scan output of a body that never ran still has the shape that the inputs give it.
const idle = `graph "idle" {
  opset "" 21
  input n: int64[]
  input x: float32[r,3]
  end: float32[?,3], all: float32[?,?,3] = Loop(n, _, x) {
    body=graph "body" {
      input i: int64[]
      input c: bool[]
      input v: float32[?,3]
      go: bool[] = Identity(c)
      next: float32[?,3] = Relu(v)
      output go
      output next
      output next
    }
  }
  output all
}`

// TestNoTrips: planning for one shape changes nothing for calls with another, also at the same time.
func TestNoTrips(t *testing.T) {
	g := parse(t, idle)
	p := compile(t, g, engine.Options{Threads: 2, Plans: 2})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 20 {
				rows := 1 + (i+w)%5
				c := &engine.Call{In: []*tensor.Tensor{tensor.Scalar[int64](0), noise(1, rows, 3)}}
				if err := p.Run(context.Background(), c); err != nil {
					t.Error(err)
					return
				}
				if got, want := fmt.Sprint(c.Out[0].Shape), fmt.Sprint([]int{0, rows, 3}); got != want {
					t.Errorf("scan of %d rows: shape %s, want %s", rows, got, want)
				}
			}
		})
	}
	wg.Wait()
	for _, rows := range []int{2, 4} {
		in := []*tensor.Tensor{tensor.Scalar[int64](0), noise(1, rows, 3)}
		if got := reference(t, g, in...)[0]; fmt.Sprint(got.Shape) != fmt.Sprint([]int{0, rows, 3}) {
			t.Errorf("the reference gives %v", got.Shape)
		}
	}
}

// TestEndlessLoopStops: a body without steps of its own can be cancelled too.
func TestEndlessLoopStops(t *testing.T) {
	text := `graph "endless" {
  opset "" 21
  const yes: bool[] = {true}
  input x: float32[1]
  end: float32[1] = Loop(_, yes, x) {
    body=graph "body" {
      input i: int64[]
      input c: bool[]
      input v: float32[1]
      output c
      output v
    }
  }
  output end
}`
	p := compile(t, parse(t, text), engine.Options{Threads: 1})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := p.Run(ctx, &engine.Call{In: []*tensor.Tensor{noise(1, 1)}}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
