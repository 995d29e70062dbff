package engine

import "github.com/tfsopt/tfsopt/kernels"

const (
	tnRows, tnCols = 112, 256 // of a task's tile; multiples of what the kernels hold in registers
	tnDepth        = 512      // rows of both operands that stay in the cache while the tile's columns pass
)

// columnwise reports whether the product is a plain one whose left operand lies transposed, as in the gradient by a
// weight: both operands can be read in place.
func (j *multiplication) columnwise() bool {
	return j.a.rs == 1 && j.b.cs == 1 && j.a.cols > 1 && j.a.cs >= j.a.rows && j.b.rs >= j.b.cols &&
		j.bias == nil && j.res == nil && j.op.alpha == 1 && j.op.epilogue.free()
}

// byColumns multiplies as columnwise says, with the bits of one.
func (j *multiplication) byColumns() {
	m, n, k := j.a.rows, j.b.cols, j.a.cols
	per := (n + tnCols - 1) / tnCols
	j.x.p.pool.run(j.x.scratch, (m+tnRows-1)/tnRows*per, func(_ *scratch, i int) {
		m0, n0 := i/per*tnRows, i%per*tnCols
		g := kernels.GemmTNF32{
			M: min(tnRows, m-m0), N: min(tnCols, n-n0), Lines: 1, LDA: j.a.cs, LDB: j.b.rs, C: j.c[m0*n+n0:], LDC: n,
		}
		for k0 := 0; k0 < k; k0 += tnDepth {
			g.K, g.Add = min(tnDepth, k-k0), k0 > 0
			g.A, g.B = j.a.v[k0*j.a.cs+m0:], j.b.v[k0*j.b.rs+n0:]
			j.x.p.set.GemmTN(&g)
		}
	})
}
