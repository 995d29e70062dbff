package engine

import (
	"errors"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/kernels"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// epilogue is what a matrix product does to its sums on the way out: bias, residual, clamp.
type epilogue struct {
	bias   []float32
	res    bool // the last input is added
	lo, hi float32
}

func plainEpilogue() epilogue { return epilogue{lo: float32(math.Inf(-1)), hi: float32(math.Inf(1))} }

// free reports whether nothing is done to the sums.
func (e epilogue) free() bool {
	return e.bias == nil && !e.res && math.IsInf(float64(e.lo), -1) && math.IsInf(float64(e.hi), 1)
}

// conv is a float convolution, channels last, over one or two spatial dimensions with packed weights. Inputs: x and,
// if the epilogue says so, the residual.
type conv struct {
	ops.Conv
	epilogue
	filters
	packed []float32
	sparse *kernels.SparseF32 // instead of packed
}

func (c conv) source() graph.Op { return c.Conv }

// Infer gives the channels-last output type.
func (c conv) Infer(in []graph.Fact, outs int) ([]graph.Type, error) {
	return inferLast(c.Conv, in, c.shape)
}

// inferLast infers a convolution whose activations are channels last.
func inferLast(op graph.Op, in []graph.Fact, wshape []int) ([]graph.Type, error) {
	x := in[0]
	if x.Unranked {
		return []graph.Type{x.Type}, nil
	}
	x.Type = channelsFirst(x.Type)
	t, err := op.Infer([]graph.Fact{x, {Type: graph.Of(tensor.Float32, graph.Dims(wshape...)...)}}, 1)
	if err != nil {
		return nil, err
	}
	return []graph.Type{channelsLast(t[0])}, nil
}

func channelsLast(t graph.Type) graph.Type {
	if t.Unranked || len(t.Shape) < 3 {
		return t
	}
	s := append([]graph.Dim{t.Shape[0]}, t.Shape[2:]...)
	t.Shape = append(s, t.Shape[1])
	return t
}

func channelsFirst(t graph.Type) graph.Type {
	if t.Unranked || len(t.Shape) < 3 {
		return t
	}
	r := len(t.Shape)
	s := append([]graph.Dim{t.Shape[0], t.Shape[r-1]}, t.Shape[1:r-1]...)
	t.Shape = s
	return t
}

// geom is a two-dimensional window over channels-last data; one-dimensional ones have height 1.
type geom struct {
	n, h, w, c     int // input
	oh, ow         int
	kh, kw, sh, sw int
	dh, dw, pt, pl int
}

// geometry resolves a window over a channels-last shape.
func geometry(x []int, window func(first []int) (ops.Window, error)) (geom, []int, error) {
	r := len(x)
	first := append([]int{x[0], x[r-1]}, x[1:r-1]...)
	w, err := window(first)
	if err != nil {
		return geom{}, nil, err
	}
	g := geom{n: x[0], c: x[r-1], h: 1, oh: 1, kh: 1, sh: 1, dh: 1}
	l := len(w.Kernel) - 1
	if l > 1 {
		return geom{}, nil, errors.New("more than two spatial dimensions")
	}
	g.w, g.ow, g.kw, g.sw, g.dw, g.pl = w.In[l], w.Out[l], w.Kernel[l], w.Strides[l], w.Dilations[l], w.Begin[l]
	if l == 1 {
		g.h, g.oh, g.kh, g.sh, g.dh, g.pt = w.In[0], w.Out[0], w.Kernel[0], w.Strides[0], w.Dilations[0], w.Begin[0]
	}
	return g, append([]int{x[0]}, w.Out...), nil
}

// pointwise reports whether the rows of the matrix product are the input's own rows.
func (g geom) pointwise() bool {
	return g.kh == 1 && g.kw == 1 && g.sh == 1 && g.sw == 1 && g.pt == 0 && g.pl == 0 && g.oh == g.h && g.ow == g.w
}

func (c conv) exec(x *exec, in, out []*tensor.Tensor) error {
	g, shape, err := geometry(in[0].Shape, func(first []int) (ops.Window, error) { return c.Window(first, c.shape) })
	if err != nil {
		return err
	}
	y := x.Make(out[0], tensor.Float32, append(shape, c.shape[0])...)
	src, dst := tensor.View[float32](in[0]), tensor.View[float32](y)
	var res []float32
	if c.res {
		res = tensor.View[float32](in[1])
	}
	if c.sparse != nil {
		c.runSparse(x, g, src, dst, res)
		return nil
	}
	if len(dst) > 0 {
		job := sweepJob{epilogue: c.epilogue, filters: c.filters, src: src, packed: c.packed, dst: dst, add: res}
		job.run(x, g)
	}
	return nil
}

// tile is a block of rows and columns.
type tile struct{ m0, m1, n0, n1 int }

const (
	rowBytes   = 192 << 10 // gathered rows next to a small B
	rowsStream = 1 << 20   // gathered rows when B has to be streamed past them
	smallB     = 384 << 10
)

// split cuts M×N into tiles whose gathered rows (k bytes each) fit the cache, at least as many as there are threads,
// and runs f on each. The cut changes no result: every element is one chain over k.
func split(x *exec, m, n, k, b int, f func(s *scratch, t tile)) {
	limit := rowBytes
	if b > smallB {
		limit = rowsStream
	}
	rows := max(limit/max(k, 1), 14)
	parts := (m + rows - 1) / rows
	threads := x.p.pool.threads
	cols := 1
	if threads > 1 {
		parts = min(max(parts, threads), max(1, m/4))
		parts = (parts + threads - 1) / threads * threads
		if m < 4*threads {
			parts, cols = 1, threads
		}
	}
	const panel = 64
	panels := (n + panel - 1) / panel
	cols = min(cols, panels)
	x.p.pool.run(x.scratch, parts*cols, func(s *scratch, i int) {
		p, q := i/cols, i%cols
		t := tile{m0: m * p / parts, m1: m * (p + 1) / parts, n0: panels * q / cols * panel, n1: min(panels*(q+1)/cols*panel, n)}
		if t.m0 < t.m1 && t.n0 < t.n1 {
			f(s, t)
		}
	})
}

// slice cuts a product to a tile; the caller sets A.
func slice(j kernels.GemmF32, t tile, nr int) kernels.GemmF32 {
	j.B = j.B[t.n0/nr*nr*j.K:]
	j.C = j.C[t.m0*j.LDC+t.n0:]
	if j.Bias != nil {
		j.Bias = j.Bias[t.n0:t.n1]
	}
	if j.Res != nil {
		j.Res = j.Res[t.m0*j.LDR+t.n0:]
	}
	j.Gate = j.Gate.From(t.m0*j.LDR + t.n0)
	j.M, j.N = t.m1-t.m0, t.n1-t.n0
	return j
}

// gemm runs a product whose rows lie in memory already.
func gemm(x *exec, j kernels.GemmF32) {
	if x.p.pool.threads == 1 {
		x.p.set.Gemm(&j)
		return
	}
	split(x, j.M, j.N, j.K*4, len(j.B)*4, func(_ *scratch, t tile) {
		sub := slice(j, t, x.p.set.NR)
		sub.A = j.A[t.m0*j.LDA:]
		x.p.set.Gemm(&sub)
	})
}
