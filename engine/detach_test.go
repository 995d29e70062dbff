package engine_test

import (
	"testing"

	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// TestCompileLetsGo: once a program is compiled, nothing of the graph's tensors is read, in bodies and attributes neither.
func TestCompileLetsGo(t *testing.T) {
	g := parse(t, `graph "g" {
  opset "" 21
  input c: bool[]
  input x: float32[n,3,1]
  y: float32[n,3] = If(c, x) {then_branch=graph "then" {
    captures 1
    input v: float32[n,3,1]
    const axes: int64[1] = {2}
    const w: float32[3,3] = {1, 2, 3, 4, 5, 6, 7, 8, 10}
    s: float32[n,3] = Squeeze(v, axes)
    m: float32[n,3] = MatMul(s, w)
    output m
  } else_branch=graph "else" {
    captures 1
    input v: float32[n,3,1]
    const axes: int64[1] = {2}
    s: float32[n,3] = Squeeze(v, axes)
    h: int64[2] = Shape(s)
    f: float32[?,?] = ConstantOfShape(h) {value=tensor float32[1] {5}}
    output f
  }}
  output y
}`)
	feed := func(c bool) []*tensor.Tensor { return []*tensor.Tensor{tensor.Scalar(c), noise(3, 2, 3, 1)} }
	before := compile(t, g.Clone(), engine.Options{})
	want := map[bool]*tensor.Tensor{true: run(t, before, feed(true)...)[0], false: run(t, before, feed(false)...)[0]}
	p := compile(t, g, engine.Options{})
	var spoil func(g *graph.Graph)
	spoil = func(g *graph.Graph) {
		for _, v := range g.Values() {
			if v.Const != nil {
				for i := range v.Const.Data {
					v.Const.Data[i] = 0x55
				}
			}
		}
		for _, n := range g.Nodes {
			for _, a := range graph.AttrsOf(n.Op) {
				if c, ok := a.Value.(*tensor.Tensor); ok {
					clear(c.Data)
				}
			}
			for _, b := range graph.Bodies(n.Op) {
				spoil(b)
			}
		}
	}
	spoil(g)
	for c, want := range want {
		if got := run(t, p, feed(c)...)[0]; !got.Equal(want) {
			t.Errorf("with %v: the answer changed with the file", c)
		}
	}
}
