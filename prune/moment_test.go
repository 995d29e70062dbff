package prune

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// weighted are operators with a weight w, of each geometry.
var weighted = []struct{ name, x, w, node string }{
	{"conv", "2,3,5,6", "4,3,2,3", `Conv(x, w) {pads=[1,0,0,2] strides=[2,1]}`},
	{"dilated", "1,2,7,7", "4,2,3,3", `Conv(x, w) {dilations=[2,1] auto_pad="SAME_UPPER"}`},
	{"grouped", "2,6,4,4", "4,3,2,2", `Conv(x, w) {group=2}`},
	{"depthwise", "1,5,4,4", "10,1,3,3", `Conv(x, w) {group=5 pads=[1,1,1,1]}`},
	{"line", "2,3,9", "4,3,4", `Conv(x, w) {strides=[2] pads=[1,1]}`},
	{"transposed", "2,4,3,4", "4,3,3,2", `ConvTranspose(x, w) {strides=[2,3] pads=[1,0,0,1] output_padding=[1,0]}`},
	{"transposed groups", "1,4,4,3", "4,2,2,3", `ConvTranspose(x, w) {group=2 dilations=[2,1] strides=[1,2]}`},
	{"gemm", "5,3", "3,4", `Gemm(x, w)`},
	{"gemm both", "3,5", "4,3", `Gemm(x, w) {transA=1 transB=1}`},
	{"matmul", "2,5,3", "3,4", `MatMul(x, w)`},
}

func uniform(rng *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(rng.NormFloat64())
	}
	return v
}

func graphOf(t *testing.T, x, w, node string, rng *rand.Rand) *graph.Graph {
	g := parse(t, fmt.Sprintf("graph \"g\" {\n opset \"\" 17\n input x: float32[%s]\n input w: float32[%s]\n y: float32[...] = %s \"node\"\n output y\n}", x, w, node))
	v := g.Inputs[1]
	shape, _ := v.Fixed()
	v.Const = tensor.From(uniform(rng, tensor.Size(shape)), shape...)
	g.Inputs = g.Inputs[:1]
	return g
}

// Each row of the matrix times the vectors that the moments take is what the operator computes, at every position.
func TestVectors(t *testing.T) {
	for _, c := range weighted {
		rng := rand.New(rand.NewPCG(5, 6))
		g := graphOf(t, c.x, c.w, c.node, rng)
		list, _ := matrices(g)
		if len(list) != 1 {
			t.Fatalf("%s: %d weights", c.name, len(list))
		}
		m := list[0]
		shape, _ := g.Inputs[0].Fixed()
		x := tensor.From(uniform(rng, tensor.Size(shape)), shape...)
		want, err := graph.Eval(context.Background(), g, []*tensor.Tensor{x})
		if err != nil {
			t.Fatal(err)
		}
		s := &session{ctx: context.Background()}
		o, err := s.newMoments(m, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer o.close()
		v, err := o.vectors(m.node, x)
		if err != nil {
			t.Fatal(err)
		}
		w, vectors := m.gather(tensor.Floats(m.value.Const)), tensor.Floats(v)
		n := v.Shape[2]
		y := tensor.Float64s(want[0])
		if len(y) != n*m.rows() {
			t.Errorf("%s: %d vectors of %d rows, the result is %v", c.name, n, m.rows(), want[0].Shape)
			continue
		}
		for r := range m.rows() {
			for j := range n {
				var sum float64
				for i := range m.k() {
					sum += w[r*m.k()+i] * float64(vectors[((r/m.run%o.groups)*m.k()+i)*n+j])
				}
				at := j*m.rows() + r // products: [position, row]
				if len(shape) > 2 && c.name != "matmul" {
					area := n / shape[0]
					at = (j/area*m.rows()+r)*area + j%area
				}
				if math.Abs(sum-y[at]) > 1e-5 {
					t.Fatalf("%s: row %d at position %d gives %v, the operator %v", c.name, r, j, sum, y[at])
				}
			}
		}
	}
}

// Sums of products and of vectors, of two different inputs.
func TestMoments(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	g := graphOf(t, "2,6,4,4", "4,3,2,2", `Conv(x, w) {group=2}`, rng)
	list, _ := matrices(g)
	s := &session{ctx: context.Background()}
	o, err := s.newMoments(list[0], 1)
	if err != nil {
		t.Fatal(err)
	}
	defer o.close()
	a, b := tensor.From(uniform(rng, 192), 2, 6, 4, 4), tensor.From(uniform(rng, 192), 2, 6, 4, 4)
	if err := o.add(context.Background(), list[0].node, a, b); err != nil {
		t.Fatal(err)
	}
	va, _ := o.vectors(list[0].node, a)
	vb, _ := o.vectors(list[0].node, b)
	x, y := tensor.Floats(vb), tensor.Floats(va)
	k, n := 12, va.Shape[2]
	for i := range 2 * k {
		var sum float64
		for _, v := range y[i*n : (i+1)*n] {
			sum += float64(v)
		}
		if math.Abs(sum-o.sy[i]) > 1e-6 {
			t.Errorf("sum %d is %v, want %v", i, o.sy[i], sum)
		}
		for j := i / k * k; j < (i/k+1)*k; j++ {
			var xx, yx float64
			for p := range n {
				xx += float64(x[i*n+p]) * float64(x[j*n+p])
				yx += float64(y[i*n+p]) * float64(x[j*n+p])
			}
			if at := i*k + j%k; math.Abs(xx-o.xx[at]) > 1e-4 || math.Abs(yx-o.yx[at]) > 1e-4 {
				t.Fatalf("products %d, %d are %v and %v, want %v and %v", i, j, o.xx[at], o.yx[at], xx, yx)
			}
		}
	}
	bad := tensor.From(uniform(rng, 192), 2, 6, 4, 4)
	tensor.View[float32](bad)[0] = float32(math.Inf(1))
	if err := o.add(context.Background(), list[0].node, bad, bad); err == nil {
		t.Error("an infinite input is no error")
	}
}

// samplesFor are normally distributed inputs.
func samplesFor(t *testing.T, g *graph.Graph, n int) *data.Set {
	t.Helper()
	var inputs []data.Input
	for _, v := range g.Inputs {
		in := data.Input{Name: v.Name, DType: v.DType}
		for _, d := range v.Shape {
			size, ok := d.Value()
			if !ok {
				size = -1
			}
			in.Shape = append(in.Shape, size)
		}
		inputs = append(inputs, in)
	}
	return data.Random(inputs, n, 9)
}
