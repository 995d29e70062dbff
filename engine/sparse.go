package engine

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/kernels"
	"github.com/tfsopt/tfsopt/tensor"
)

// The cost of a product of one row with a K×N matrix, in multiply-adds of the dense kernels, which are measured on
// AVX-512 at full tiles. Every CPU decides alike, by the shape and the zeros alone, as the choice shows in the results:
// an infinity times a zero that was left out is no NaN.
const (
	sparseEntry  = 1.45 // a stored weight
	sparseEntry4 = 1.15 // the same in rows of four outputs
	sparseIn     = 4    // an input, which is turned
	sparseOut    = 12   // an output
	denseOut     = 2
	densePanel   = 16 // outputs are rounded up to this
	sparseTile   = kernels.SparsePixels
	unknownDim   = 32 // what an unknown dimension other than the first counts, which counts 1
)

// sparse packs the weights without their zeros if that makes products with so many rows faster; otherwise it returns
// nil. The shape's height is chosen here.
func (l *lowering) sparse(w []float32, d kernels.SparseShape, rows int) *kernels.SparseF32 {
	dense, height := denseCost(d, rows), 0
	for _, h := range []int{1, 4} {
		d.Height = h
		if h == 4 && d.N%4 != 0 {
			continue
		}
		if c := sparseCost(w, d, rows); c < dense {
			dense, height = c, h
		}
	}
	if height == 0 {
		return nil
	}
	d.Height = height
	p := kernels.PackSparseF32(w, d)
	l.p.packed += p.Bytes()
	return p
}

func denseCost(d kernels.SparseShape, rows int) float64 {
	n := (d.N + densePanel - 1) / densePanel * densePanel
	return float64(rows) * float64(n) * float64(d.K+denseOut)
}

// sparseCost counts rows up to whole vectors of pixels.
func sparseCost(w []float32, d kernels.SparseShape, rows int) float64 {
	each := sparseEntry
	if d.Height == 4 {
		each = sparseEntry4
	}
	cost := each*float64(d.Stored(w)) + sparseIn*float64(d.K) + sparseOut*float64(d.N)
	return cost * float64((rows+15)/16*16)
}

// rowsOf is the number of rows that a product gives, as far as its type tells: all dimensions but the one of the
// outputs.
func rowsOf(t graph.Type, outputs int) int {
	n := 1
	for i, d := range t.Shape {
		if i == outputs {
			continue
		}
		if v, ok := d.Value(); ok {
			n *= v
		} else if i > 0 {
			n *= unknownDim
		}
	}
	return n
}

// packSparse packs the weights of a convolution without their zeros, or tells that this would not be faster.
func (c *conv) packSparse(l *lowering, n *graph.Node, w []float32) bool {
	if c.Group != 1 || n.Out[0].Unranked {
		return false
	}
	cg, taps := c.wshape[1], tensor.Size(c.wshape[2:])
	d := kernels.SparseShape{K: cg * taps, N: c.wshape[0], RS: 1, CS: cg * taps}
	if taps > 1 {
		rows := l.temp(d.K * d.N)
		c.tapsFirst(rows, w)
		w, d.RS, d.CS = rows, d.N, 1
	}
	c.sparse = l.sparse(w, d, rowsOf(n.Out[0].Type, 1))
	return c.sparse != nil
}

// runSparse computes a convolution with sparse weights.
func (c conv) runSparse(x *exec, g geom, src, dst, res []float32) {
	n := c.wshape[0]
	job := kernels.SparseGemmF32{
		M: g.n * g.oh * g.ow, A: src, LDA: g.c, W: c.sparse, C: dst, LDC: n, Bias: c.bias, Res: res, LDR: n, Lo: c.lo, Hi: c.hi,
	}
	if g.pointwise() {
		sparseGemm(x, job, nil)
		return
	}
	spec := gatherSpec{g: g, run: g.c * 4, pixel: g.c * 4}
	sparseGemm(x, job, func(rows []float32, m0, m1 int) { gather(asBytes(rows), asBytes(src), spec, m0, m1) })
}

// runSparse computes a product of rows with a sparse matrix.
func (l linear) runSparse(x *exec, in []*tensor.Tensor, y []float32) {
	job := kernels.SparseGemmF32{
		M: tensor.Size(in[0].Shape[:len(in[0].Shape)-1]), A: tensor.View[float32](in[0]), LDA: l.k, W: l.sparse, C: y, LDC: l.n,
		Bias: l.bias, Lo: l.lo, Hi: l.hi,
	}
	if l.res {
		job.Res, job.LDR = tensor.View[float32](in[1]), l.n
	}
	sparseGemm(x, job, nil)
}

// sparseGemm runs a product with sparse weights, split over the threads. Rows that do not lie in memory are made by
// gather, tile by tile.
func sparseGemm(x *exec, j kernels.SparseGemmF32, gather func(rows []float32, m0, m1 int)) {
	if j.M <= 0 {
		return
	}
	tiles, cols, threads := (j.M+sparseTile-1)/sparseTile, 1, x.p.pool.threads
	parts := tiles
	if threads == 1 && gather == nil {
		parts = 1
	}
	chunks := (j.W.N + kernels.SparseChunk - 1) / kernels.SparseChunk
	if parts < 2*threads && threads > 1 {
		cols = min(chunks, (2*threads+parts-1)/parts)
	}
	x.p.pool.run(x.scratch, parts*cols, func(s *scratch, i int) {
		p, q := i/cols, i%cols
		m0, m1 := tiles*p/parts*sparseTile, min(tiles*(p+1)/parts*sparseTile, j.M)
		t := j
		t.M, t.N0, t.N1 = m1-m0, chunks*q/cols*kernels.SparseChunk, min(chunks*(q+1)/cols*kernels.SparseChunk, j.W.N)
		t.Work = s.floats(j.W.Work() + sparseTile*j.W.K)
		if gather == nil {
			t.A = j.A[m0*j.LDA:]
		} else {
			t.A, t.LDA = t.Work[j.W.Work():], j.W.K
			gather(t.A, m0, m1)
		}
		t.C = j.C[m0*j.LDC:]
		if j.Res != nil {
			t.Res = j.Res[m0*j.LDR:]
		}
		x.p.set.SparseGemm(&t)
	})
}
