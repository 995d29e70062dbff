package engine

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/kernels"
	"github.com/tfsopt/tfsopt/tensor"
)

// The cost of a product with a K×N matrix, in multiply-adds of the dense kernels, fitted to measurements of the AVX-512
// kernels on the layers of MobileNetV2 at 50 to 95 % zeros and on matrices of a few rows. Every CPU decides alike, by
// shape and zeros alone, as the choice can show in the results: an infinity times a weight that was left out is no NaN.
const (
	sparseEntry  = 1.5  // a stored weight
	sparseEntry4 = 1.05 // the same in rows of four outputs
	sparseIn     = 5.2  // an input, which is turned
	sparseGather = 10   // more for an input that is first copied from a window
	sparseOut    = 7.2  // an output
	sparsePart   = 0.02 // an element of the whole matrix: each block of inputs stores and reloads the sums
	sparseRows   = 8    // rows are rounded up to this
	lanesPass    = 60   // a step of 16 lanes, for each four rows begun; between AVX-512 and AVX2
	lanesRow     = 75   // the same for each row
	lanesEnds    = 2    // an input or output of a row
	denseOut     = 4.1
	densePanel   = 16  // outputs are rounded up to this
	denseRead    = 2.5 // rows that cost no more than reading the matrix
	denseLeast   = 0.7 // a larger share of weights than this stays dense
	unknownDim   = 32  // what an unknown dimension other than the first counts, which counts 1
)

const sparseTile = kernels.SparsePixels

// sparseProduct is a matrix that is to multiply rows.
type sparseProduct struct {
	w     []float32
	shape kernels.SparseShape // its height is still to be chosen
	rows  int
	in    float64 // cost of an input
}

// sparse packs a matrix without its zeros if that makes its product faster; otherwise it returns nil.
func (l *lowering) sparse(p sparseProduct) *kernels.SparseF32 {
	least := nonzero(p.w)
	if float64(least) > denseLeast*float64(len(p.w)) {
		return nil
	}
	best, height := p.dense(), 0
	for _, h := range []int{1, 4, kernels.SparseLanes} {
		if p.shape.Height = h; !p.shape.Valid() || p.cost(least) >= best {
			continue
		}
		if c := p.cost(p.shape.Stored(p.w)); c < best {
			best, height = c, h
		}
	}
	if height == 0 {
		return nil
	}
	p.shape.Height = height
	return share(l, fmt.Sprint("sparse ", p.shape), bytesOf(p.w), func() (*kernels.SparseF32, int) {
		packed := kernels.PackSparseF32(p.w, p.shape)
		return packed, packed.Bytes()
	})
}

func (p sparseProduct) dense() float64 {
	n := (p.shape.N + densePanel - 1) / densePanel * densePanel
	return max(float64(p.rows), denseRead)*float64(n)*float64(p.shape.K) + denseOut*float64(p.rows)*float64(p.shape.N)
}

// cost is that of the sparse form with so many stored weights.
func (p sparseProduct) cost(stored int) float64 {
	each := sparseEntry
	switch p.shape.Height {
	case 4:
		each = sparseEntry4
	case kernels.SparseLanes:
		steps := float64(stored) / kernels.SparseLanes
		return steps*float64(lanesPass*((p.rows+3)/4)+lanesRow*p.rows) + lanesEnds*float64(p.rows)*float64(p.shape.K+p.shape.N)
	}
	k, n := float64(p.shape.K), float64(p.shape.N)
	one := each*float64(stored) + p.in*k + sparseOut*n + sparsePart*k*n
	return one * float64((p.rows+sparseRows-1)/sparseRows*sparseRows)
}

func nonzero(w []float32) int {
	n := 0
	for _, v := range w {
		if v != 0 {
			n++
		}
	}
	return n
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
	cg, taps := c.shape[1], tensor.Size(c.shape[2:])
	p := sparseProduct{w: w, shape: kernels.SparseShape{K: cg * taps, N: c.shape[0], RS: 1, CS: cg * taps}, in: sparseIn}
	if taps > 1 {
		p.w = l.temp(len(w))
		c.tapsFirst(p.w, w)
		p.shape.RS, p.shape.CS = p.shape.N, 1
		p.in += sparseGather
	}
	p.rows = rowsOf(n.Out[0].Type, 1)
	c.sparse = l.sparse(p)
	return c.sparse != nil
}

// runSparse computes a convolution with sparse weights.
func (c conv) runSparse(x *exec, g geom, src, dst, res []float32) {
	n := c.shape[0]
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
