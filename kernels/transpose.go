package kernels

import "fmt"

// transposeTable turns blocks whose rows and columns are multiples of the kernel's; strides are in elements.
type transposeTable struct {
	transposeF32 func(dst []float32, ldd int, src []float32, lds, rows, cols int)
	transposeU8  func(dst []byte, ldd int, src []byte, lds, rows, cols int)
}

const transposeRows = 128 // of a strip, so that its lines stay in the first-level cache while the next columns pass

// Transpose2D writes the transpose of src (rows×cols) to dst (cols×rows); they must not overlap.
func (s *Set) Transpose2D(dst, src []float32, rows, cols int) {
	checkTranspose(len(dst), len(src), rows, cols)
	transpose(dst, src, transposeShape{rows, cols, 8, 8}, s.transposeF32)
}

// Transpose2DU8 is Transpose2D for bytes.
func (s *Set) Transpose2DU8(dst, src []byte, rows, cols int) {
	checkTranspose(len(dst), len(src), rows, cols)
	transpose(dst, src, transposeShape{rows, cols, 16, 8}, s.transposeU8)
}

func checkTranspose(dst, src, rows, cols int) {
	if rows < 0 || cols < 0 || dst < rows*cols || src < rows*cols {
		panic(fmt.Sprintf("kernels: Transpose2D: dst %d, src %d, want %d×%d", dst, src, rows, cols))
	}
}

type transposeShape struct{ rows, cols, blockRows, blockCols int }

// transpose gives whole blocks to kernel, strip by strip, and does the edges itself.
func transpose[T any](dst, src []T, p transposeShape, kernel func(dst []T, ldd int, src []T, lds, rows, cols int)) {
	for r0 := 0; r0 < p.rows; r0 += transposeRows {
		r1 := min(r0+transposeRows, p.rows)
		whole := r0 + (r1-r0)/p.blockRows*p.blockRows
		wholeCols := p.cols / p.blockCols * p.blockCols
		if whole > r0 && wholeCols > 0 {
			kernel(dst[r0:], p.rows, src[r0*p.cols:], p.cols, whole-r0, wholeCols)
			transposePart(dst, src, p, span{r0, whole, wholeCols, p.cols})
		} else {
			whole = r0
		}
		transposePart(dst, src, p, span{whole, r1, 0, p.cols})
	}
}

type span struct{ r0, r1, c0, c1 int }

// transposePart runs along the longer side, by blocks whose lines stay in the first-level cache.
func transposePart[T any](dst, src []T, p transposeShape, s span) {
	const block = 512
	if s.r1-s.r0 >= s.c1-s.c0 {
		for r0 := s.r0; r0 < s.r1; r0 += block {
			n := min(block, s.r1-r0)
			for c := s.c0; c < s.c1; c++ {
				from, to := src[r0*p.cols+c:], dst[c*p.rows+r0:][:n]
				for i := range to {
					to[i] = from[i*p.cols]
				}
			}
		}
		return
	}
	for c0 := s.c0; c0 < s.c1; c0 += block {
		n := min(block, s.c1-c0)
		for r := s.r0; r < s.r1; r++ {
			to := dst[c0*p.rows+r:]
			for i, v := range src[r*p.cols+c0:][:n] {
				to[i*p.rows] = v
			}
		}
	}
}

// transposeGeneric blocks the columns too, so that the lines read stay in the cache.
func transposeGeneric[T any](dst []T, ldd int, src []T, lds, rows, cols int) {
	for c0 := 0; c0 < cols; c0 += 8 {
		for r := range rows {
			row := src[r*lds+c0 : r*lds+c0+8]
			for c, v := range row {
				dst[(c0+c)*ldd+r] = v
			}
		}
	}
}

var transposesGeneric = transposeTable{transposeF32: transposeGeneric[float32], transposeU8: transposeGeneric[byte]}

// Strided is a matrix whose rows begin Stride elements apart.
type Strided struct {
	V                  []float32
	Stride, Rows, Cols int
}

// TransposeF32 writes the transpose of m to dst, of which each of m.Cols rows begins ldd elements after the last; they
// must not overlap.
func (s *Set) TransposeF32(dst []float32, ldd int, m Strided) {
	if m.Rows <= 0 || m.Cols <= 0 {
		return
	}
	if len(m.V) < (m.Rows-1)*m.Stride+m.Cols || len(dst) < (m.Cols-1)*ldd+m.Rows || m.Stride < m.Cols || ldd < m.Rows {
		panic(fmt.Sprintf("kernels: TransposeF32: dst %d by %d, src %d by %d, want %d×%d", len(dst), ldd, len(m.V), m.Stride, m.Rows, m.Cols))
	}
	cols := m.Cols / 8 * 8
	for r0 := 0; r0 < m.Rows; r0 += transposeRows {
		r1 := min(r0+transposeRows, m.Rows)
		whole := r0 + (r1-r0)/8*8
		if whole > r0 && cols > 0 {
			s.transposeF32(dst[r0:], ldd, m.V[r0*m.Stride:], m.Stride, whole-r0, cols)
		}
		for r := r0; r < r1; r++ {
			c := cols
			if r >= whole {
				c = 0
			}
			for ; c < m.Cols; c++ {
				dst[c*ldd+r] = m.V[r*m.Stride+c]
			}
		}
	}
}
