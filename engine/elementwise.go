package engine

import (
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/kernels"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// unaries are the functions of one float tensor that have a fast form.
var unaries = map[string]func(s *kernels.Set, dst, src []float32){
	"Relu":       func(s *kernels.Set, d, x []float32) { s.Clamp(d, x, 0, float32(math.Inf(1))) },
	"Sigmoid":    func(s *kernels.Set, d, x []float32) { s.Sigmoid(d, x) },
	"Tanh":       func(s *kernels.Set, d, x []float32) { s.Tanh(d, x) },
	"Exp":        func(s *kernels.Set, d, x []float32) { s.Exp(d, x) },
	"Erf":        func(s *kernels.Set, d, x []float32) { s.Erf(d, x) },
	"Log":        func(s *kernels.Set, d, x []float32) { s.Log(d, x) },
	"Gelu":       func(s *kernels.Set, d, x []float32) { s.Gelu(d, x) },
	"Sqrt":       func(s *kernels.Set, d, x []float32) { s.Sqrt(d, x) },
	"Neg":        func(s *kernels.Set, d, x []float32) { s.MulS(d, x, -1) },
	"Reciprocal": func(s *kernels.Set, d, x []float32) { s.RDivS(d, x, 1) },
	"Abs":        func(_ *kernels.Set, d, x []float32) { each(d, x, abs32) },
	"Sign":       func(_ *kernels.Set, d, x []float32) { each(d, x, sign32) },
	"Softsign": func(_ *kernels.Set, d, x []float32) {
		each(d, x, func(v float32) float32 { return v / (1 + abs32(v)) })
	},
	"HardSwish": func(s *kernels.Set, d, x []float32) {
		s.MulS(d, x, 1.0/6)
		s.AddS(d, d, 0.5)
		s.Clamp(d, d, 0, 1)
		s.Mul(d, d, x)
	},
}

func each(dst, src []float32, f func(float32) float32) {
	for i, v := range src {
		dst[i] = f(v)
	}
}

func sign32(v float32) float32 {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	case v == 0:
		return 0
	}
	return v
}

func abs32(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ (1 << 31)) }

// unary applies a function to float32 data and leaves other types to the operator's own kernel.
type unary struct {
	graph.Op
	f func(s *kernels.Set, dst, src []float32)
}

func (u unary) source() graph.Op { return u.Op }

func wrapUnary(op graph.Op) graph.Op {
	_, name := graph.NameOf(op)
	return unary{op, unaries[name]}
}

// approximate reports whether this is a function that has no fast form.
func (u unary) approximate() bool {
	g, ok := u.Op.(ops.Gelu)
	return ok && g.Approximate != "none"
}

// grain is how many elements one task of an elementwise step takes.
const grain = 16 << 10

func (u unary) exec(x *exec, in, out []*tensor.Tensor) error {
	if in[0].DType != tensor.Float32 || u.approximate() {
		return x.kernel(u.Op, in, out)
	}
	y := x.Make(out[0], tensor.Float32, in[0].Shape...)
	src, dst := tensor.View[float32](in[0]), tensor.View[float32](y)
	blocks(x, len(src), func(a, b int) { u.f(x.p.set, dst[a:b], src[a:b]) })
	return nil
}

// blocks runs f over [0,n) in tasks of grain elements.
func blocks(x *exec, n int, f func(a, b int)) {
	x.p.pool.run(x.scratch, (n+grain-1)/grain, func(_ *scratch, i int) { f(i*grain, min((i+1)*grain, n)) })
}

// clip is Clip with constant bounds on float32 or 8-bit data.
type clip struct {
	graph.Op
	lo, hi float32
}

func (c clip) source() graph.Op { return c.Op }

func lowerClip(l *lowering, n *graph.Node) bool {
	if isByte(n.In[0]) {
		return lowerLookup(l, n)
	}
	lo, hi, ok := clampOf(n)
	if !ok {
		return false
	}
	one := *n
	one.In = n.In[:1]
	return elementwise(func(op graph.Op) graph.Op { return clip{op, lo, hi} })(l, &one)
}

func (c clip) exec(x *exec, in, out []*tensor.Tensor) error {
	y := x.Make(out[0], tensor.Float32, in[0].Shape...)
	src, dst := tensor.View[float32](in[0]), tensor.View[float32](y)
	blocks(x, len(src), func(a, b int) { x.p.set.Clamp(dst[a:b], src[a:b], c.lo, c.hi) })
	return nil
}

// arithmetic is a binary function on float32 vectors and its forms with one number.
type arithmetic struct {
	both        func(s *kernels.Set, dst, a, b []float32)
	right, left func(s *kernels.Set, dst, a []float32, b float32) // a∘b and b∘a
}

// binaries are the binary operators that have a fast form.
var binaries = map[string]arithmetic{
	"Add": {
		both:  func(s *kernels.Set, d, a, b []float32) { s.Add(d, a, b) },
		right: func(s *kernels.Set, d, a []float32, b float32) { s.AddS(d, a, b) },
		left:  func(s *kernels.Set, d, a []float32, b float32) { s.AddS(d, a, b) },
	},
	"Sub": {
		both:  func(s *kernels.Set, d, a, b []float32) { s.Sub(d, a, b) },
		right: func(s *kernels.Set, d, a []float32, b float32) { s.SubS(d, a, b) },
		left:  func(s *kernels.Set, d, a []float32, b float32) { s.RSubS(d, a, b) },
	},
	"Mul": {
		both:  func(s *kernels.Set, d, a, b []float32) { s.Mul(d, a, b) },
		right: func(s *kernels.Set, d, a []float32, b float32) { s.MulS(d, a, b) },
		left:  func(s *kernels.Set, d, a []float32, b float32) { s.MulS(d, a, b) },
	},
	"Div": {
		both:  func(s *kernels.Set, d, a, b []float32) { s.Div(d, a, b) },
		right: func(s *kernels.Set, d, a []float32, b float32) { s.DivS(d, a, b) },
		left:  func(s *kernels.Set, d, a []float32, b float32) { s.RDivS(d, a, b) },
	},
	"Min":   eachPair(func(a, b float32) float32 { return min(a, b) }),
	"Max":   eachPair(func(a, b float32) float32 { return max(a, b) }),
	"PRelu": eachPair(leak32),
}

// broadcastOp applies an arithmetic operator with broadcasting.
type broadcastOp struct {
	standIn
	arithmetic
}

// standIn is an operator of the engine's with the same inputs as the graph's.
type standIn struct{ graph.Op }

func (s standIn) source() graph.Op { return s.Op }

// Ints passes shape arithmetic through.
func (s standIn) Ints(in []graph.Fact) []graph.Dim {
	if op, ok := s.Op.(graph.Shaper); ok {
		return op.Ints(in)
	}
	return nil
}

// lowerBinary leaves Min and Max of more or fewer than two to their kernels.
func lowerBinary(l *lowering, n *graph.Node) bool {
	return len(n.In) == 2 && elementwise(wrapBinary)(l, n)
}

func wrapBinary(op graph.Op) graph.Op {
	_, name := graph.NameOf(op)
	return broadcastOp{standIn{op}, binaries[name]}
}

// eachPair makes vector forms of a function of two numbers.
func eachPair(f func(a, b float32) float32) arithmetic {
	return arithmetic{
		both: func(_ *kernels.Set, d, a, b []float32) {
			for i, v := range a[:len(d)] {
				d[i] = f(v, b[i])
			}
		},
		right: func(_ *kernels.Set, d, a []float32, b float32) {
			each(d, a, func(v float32) float32 { return f(v, b) })
		},
		left: func(_ *kernels.Set, d, a []float32, b float32) {
			each(d, a, func(v float32) float32 { return f(b, v) })
		},
	}
}

// leak32 is PRelu of one number.
func leak32(v, slope float32) float32 {
	if v < 0 {
		return v * slope
	}
	return v
}

func (b broadcastOp) exec(x *exec, in, out []*tensor.Tensor) error {
	if in[0].DType != tensor.Float32 || in[1].DType != tensor.Float32 {
		return x.kernel(b.Op, in, out)
	}
	shape, err := broadcast(in[0].Shape, in[1].Shape)
	if err != nil {
		return err
	}
	y := x.Make(out[0], tensor.Float32, shape...)
	va, vb, d := tensor.View[float32](in[0]), tensor.View[float32](in[1]), tensor.View[float32](y)
	switch {
	case len(va) == len(d) && len(vb) == len(d):
		blocks(x, len(d), func(i, j int) { b.both(x.p.set, d[i:j], va[i:j], vb[i:j]) })
	case len(vb) == 1:
		blocks(x, len(d), func(i, j int) { b.right(x.p.set, d[i:j], va[i:j], vb[0]) })
	case len(va) == 1:
		blocks(x, len(d), func(i, j int) { b.left(x.p.set, d[i:j], vb[i:j], va[0]) })
	default:
		b.rows(x, shape, operand{in[0].Shape, va}, operand{in[1].Shape, vb}, d)
	}
	return nil
}

func dimFromEnd(shape []int, i int) int {
	if i >= len(shape) {
		return 1
	}
	return shape[len(shape)-1-i]
}

// lowerDropout makes inference Dropout a view; a computed training mode keeps the operator.
func lowerDropout(l *lowering, n *graph.Node) bool {
	if len(n.In) > 2 && n.In[2] != nil {
		if !n.In[2].IsConst() || len(n.In[2].Const.Data) == 0 || n.In[2].Const.Data[0] != 0 {
			return false
		}
	}
	for _, v := range n.Out[1:] {
		if v != nil {
			return false
		}
	}
	one := *n
	one.In = n.In[:1]
	return lowerView(l, &one)
}
