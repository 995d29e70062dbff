package graph_test

import (
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	_ "github.com/tfsopt/tfsopt/ops"
)

const worked = `graph "g" {
  opset "" 21
  input x: float32[n,3]
  const w: float32[3,2] = {1, 2, 3, 4, 5, 6}
  y: float32[n,2] = MatMul(x, w)
  z: float32[n,2] = Relu(y)
  u: float32[n,2] = MatMul(x, w)
  c: float32[2] = Constant() {value_floats=[1.0,2.0]}
  s: float32[n,2] = Sum(z, u, c)
  output s
}`

func TestWork(t *testing.T) {
	g, err := graph.Parse(strings.NewReader(worked))
	if err != nil {
		t.Fatal(err)
	}
	if n := graph.Parameters(g); n != 8 { // w is read twice
		t.Errorf("%d parameters", n)
	}
	macs := func() (total int64, unknown int) {
		for _, n := range g.Nodes {
			c, known, err := graph.NodeCost(n)
			if err != nil {
				t.Fatal(err)
			}
			if !known {
				unknown++
			}
			total += c.MACs
		}
		return total, unknown
	}
	if _, unknown := macs(); unknown != 2 {
		t.Errorf("%d nodes of unknown cost", unknown)
	}
	if err := g.Bind(map[string]int{"n": 5}); err != nil {
		t.Fatal(err)
	}
	if n, unknown := macs(); n != 2*5*3*2 || unknown != 0 {
		t.Errorf("%d multiply-adds, %d unknown", n, unknown)
	}
}
