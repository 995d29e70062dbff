package engine_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// counter has two variables that change together, an entry point that only reads, and one that is fed in the middle.
const counter = `graph "counter" {
  opset "" 17
  input by: int64[]
  state "count" c: int64[] = int64[] {5}
  state "twice" t: int64[] = int64[] {10}
  const two: int64[] = {2}
  next: int64[] = Add(c, by)
  double: int64[] = Mul(next, two)
  sum: int64[] = Add(c, t)
  output next
  signature "add" "m" {
    input "amount" = by
    output "total" = next
    next "count" = next
    next "twice" = double
  }
  signature "read" "m" {
    output "count" = c
    output "twice" = t
  }
  signature "middle" "m" {
    input "total" = next
    output "double" = double
  }
}`

// entries compiles entry points of the counter over one handle.
func entries(t *testing.T, s *engine.States, names ...string) []*engine.Program {
	t.Helper()
	var out []*engine.Program
	for _, name := range names {
		g, err := graph.Select(parse(t, counter), name)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, compile(t, g, engine.Options{Threads: 1, States: s}))
	}
	return out
}

func counterStates(t *testing.T) *engine.States {
	t.Helper()
	s, err := engine.NewStates(parse(t, counter))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func number(t *tensor.Tensor) int64 { return tensor.Ints(t)[0] }

// TestStatesChangeTogether: 200 concurrent increments are all counted, and readers never see half a change.
func TestStatesChangeTogether(t *testing.T) {
	s := counterStates(t)
	p := entries(t, s, "add", "add", "read")
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			c := &engine.Call{Signature: "add", In: []*tensor.Tensor{tensor.Scalar[int64](1)}}
			if err := p[i%2].Run(context.Background(), c); err != nil {
				t.Error(err)
			}
			r := &engine.Call{In: []*tensor.Tensor{}}
			if err := p[2].Run(context.Background(), r); err != nil {
				t.Error(err)
			} else if number(r.Out[1]) != 2*number(r.Out[0]) {
				t.Errorf("read %d and %d", number(r.Out[0]), number(r.Out[1]))
			}
		})
	}
	wg.Wait()
	if v := s.Values(); number(v[0]) != 205 || number(v[1]) != 410 {
		t.Errorf("200 increments of 5 gave %d and %d", number(v[0]), number(v[1]))
	}
}

// TestCallersStates: states that the caller gives are overwritten in place, and the program's own stay.
func TestCallersStates(t *testing.T) {
	s := counterStates(t)
	p := entries(t, s, "add")[0]
	mine := []*tensor.Tensor{tensor.Scalar[int64](100), tensor.Scalar[int64](0)}
	data := &mine[0].Data[0]
	in := []*tensor.Tensor{tensor.Scalar[int64](7)}
	for range 2 {
		if err := p.Run(context.Background(), &engine.Call{In: in, State: mine}); err != nil {
			t.Fatal(err)
		}
	}
	if number(mine[0]) != 114 || number(mine[1]) != 228 || &mine[0].Data[0] != data {
		t.Errorf("got %d and %d", number(mine[0]), number(mine[1]))
	}
	if v := s.Values(); number(v[0]) != 5 {
		t.Errorf("the handle's state became %d", number(v[0]))
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for want, err := range map[string]error{
		"canceled":                    p.Run(cancelled, &engine.Call{In: in}),
		"has 2 states, got 1":         p.Run(context.Background(), &engine.Call{In: in, State: mine[:1]}),
		`state "t" is missing`:        p.Run(context.Background(), &engine.Call{In: in, State: []*tensor.Tensor{mine[0], nil}}),
		`no signature "nonesuch"`:     p.Run(context.Background(), &engine.Call{Signature: "nonesuch", In: in}),
		`state "c": want int64, got`:  p.Run(context.Background(), &engine.Call{In: in, State: []*tensor.Tensor{noise(1), mine[1]}}),
		"the model has 1 inputs, got": p.Run(context.Background(), &engine.Call{}),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if v := s.Values(); number(v[0]) != 5 || number(mine[0]) != 114 {
		t.Error("a call that failed changed a state")
	}
}

// TestFeedInTheMiddle: a signature may feed what nodes make otherwise.
func TestFeedInTheMiddle(t *testing.T) {
	p := entries(t, nil, "middle")[0]
	if got := number(run(t, p, tensor.Scalar[int64](21))[0]); got != 42 {
		t.Errorf("got %d, want 42", got)
	}
}

// TestStatesOfNoValue: what has no initial value and states of another model are errors of Compile.
func TestStatesOfNoValue(t *testing.T) {
	g := parse(t, counter)
	g.States[1].Init = nil
	if _, err := engine.Compile(context.Background(), g, engine.Options{}); err == nil || !strings.Contains(err.Error(), `state "twice" has no initial value`) {
		t.Errorf("got %v", err)
	}
	p, err := engine.Compile(context.Background(), g, engine.Options{States: counterStates(t)})
	if err != nil {
		t.Fatal(err)
	}
	p.Close()
	g.States[1].Name = "other"
	if _, err := engine.Compile(context.Background(), g, engine.Options{States: counterStates(t)}); err == nil || !strings.Contains(err.Error(), "another model") {
		t.Errorf("got %v", err)
	}
}

// TestNextFits: what a state becomes must have its type.
func TestNextFits(t *testing.T) {
	g := parse(t, `graph "grow" {
  opset "" 17
  input x: float32[n]
  state "s" s: float32[2] = float32[2] {1, 2}
  y: float32[?] = Concat(s, x) {axis=0}
  output y
  signature "grow" "m" {
    input "x" = x
    output "y" = y
    next "s" = y
  }
}`)
	p := compile(t, g, engine.Options{Threads: 1})
	err := p.Run(context.Background(), &engine.Call{In: []*tensor.Tensor{noise(1, 3)}})
	if err == nil || !strings.Contains(err.Error(), `next value of state "s": want shape float32[2], got [5]`) {
		t.Errorf("got %v", err)
	}
}
