package kernels

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync"
)

// SparseF32 is a K×N matrix packed without its zeros, in one form for all sets. Outputs are split into chunks and k
// into blocks, so that what one chunk and block read stays in the first-level cache. The entries of a chunk and block
// lie row by row (one row is Height adjacent outputs), rows of equal length side by side, which spares mispredicted
// branches. Rows are padded to pairs of entries; the padding is -0 times a row of zeros, -0, which changes no sum.
type SparseF32 struct {
	K, N    int
	Height  int // 1, or 4: the outputs of a row share the places of their entries; or SparseLanes
	Entries int // stored values, padding left out
	blocks  int // of k
	parts   []sparsePart
	rows    []sparseRow
	idx     []uint16  // k within the block times 32: a row of pixels in units of 8 bytes
	val     []float32 // Height values an entry
	lanes   *laneMatrix
}

// sparsePart is one chunk and block; parts lie as [chunk][block].
type sparsePart struct{ row, rows, entry int32 }

// sparseRow is known to kernels/gen/float/sparse.go.
type sparseRow struct {
	out   uint16 // first output, within the chunk
	pairs uint16 // of entries
}

const (
	sparseUnit = SparsePixels * 4 / 8
	sparseK    = 192 // most k of a block
)

// A product is computed in tiles of SparsePixels rows and chunks of SparseChunk columns, the step in which callers may
// split it.
const (
	SparsePixels = 64
	SparseChunk  = 64
)

// PackSparseF32 packs the matrix whose element (k, n) is src[k·RS + n·CS]. A height of 4 stores a k for four adjacent
// outputs as soon as one of them is not zero. It panics where the shape is not Valid.
func PackSparseF32(src []float32, d SparseShape) *SparseF32 {
	if !d.Valid() {
		panic(fmt.Sprintf("kernels: PackSparseF32: height %d for %d×%d", d.Height, d.K, d.N))
	}
	if d.Height == SparseLanes {
		l := d.lanes(src)
		return &SparseF32{K: d.K, N: d.N, Height: d.Height, Entries: len(l.val), lanes: l}
	}
	w := &SparseF32{K: d.K, N: d.N, Height: d.Height, blocks: max(1, (d.K+sparseK-1)/sparseK)}
	for n0 := 0; n0 < d.N; n0 += SparseChunk {
		for b := range w.blocks {
			w.pack(src, d, n0, b)
		}
	}
	w.rows, w.idx, w.val = slices.Clip(w.rows), slices.Clip(w.idx), slices.Clip(w.val)
	return w
}

// SparseShape says where the elements of a K×N matrix lie and how many outputs make a row of its packed form.
type SparseShape struct{ K, N, RS, CS, Height int }

// Valid reports whether the height is 1, 4 with a multiple of 4 outputs, or SparseLanes with at most a million inputs.
func (d SparseShape) Valid() bool {
	return d.Height == 1 || d.Height == 4 && d.N%4 == 0 || d.Height == SparseLanes && d.K <= maxLaneK
}

// Stored counts the values that the packed form of src holds.
func (d SparseShape) Stored(src []float32) int {
	n := 0
	if d.Height == SparseLanes {
		for j := 0; j < d.N; j += SparseLanes {
			d.laneSteps(src, j, func(*laneStep) { n += SparseLanes })
		}
		return n
	}
	for j := 0; j < d.N; j += d.Height {
		for k := range d.K {
			if d.entry(src, k, j) {
				n += d.Height
			}
		}
	}
	return n
}

// entry reports whether any output of the row that starts at n has a weight at k.
func (d SparseShape) entry(src []float32, k, n int) bool {
	for h := range d.Height {
		if src[k*d.RS+(n+h)*d.CS] != 0 {
			return true
		}
	}
	return false
}

// pack appends one chunk and block.
func (w *SparseF32) pack(src []float32, d SparseShape, n0, b int) {
	k0, k1 := w.block(b)
	part := sparsePart{row: int32(len(w.rows)), entry: int32(len(w.idx))}
	type found struct {
		n  int
		ks []int
	}
	var rows []found
	for n := n0; n < min(n0+SparseChunk, d.N); n += d.Height {
		f := found{n: n}
		for k := k0; k < k1; k++ {
			if d.entry(src, k, n) {
				f.ks = append(f.ks, k)
			}
		}
		if len(f.ks) > 0 || b == 0 || b == w.blocks-1 { // the ends start and finish every row
			rows = append(rows, f)
		}
	}
	slices.SortStableFunc(rows, func(x, y found) int { return cmp.Compare((len(x.ks)+1)/2, (len(y.ks)+1)/2) })
	for _, f := range rows {
		w.rows = append(w.rows, sparseRow{out: uint16(f.n - n0), pairs: uint16((len(f.ks) + 1) / 2)})
		for _, k := range f.ks {
			w.idx = append(w.idx, uint16((k-k0)*sparseUnit))
			for h := range d.Height {
				w.val = append(w.val, src[k*d.RS+(f.n+h)*d.CS])
			}
		}
		w.Entries += len(f.ks) * d.Height
		if len(f.ks)%2 != 0 {
			w.idx = append(w.idx, uint16((k1-k0)*sparseUnit))
			for range d.Height {
				w.val = append(w.val, negZero[0])
			}
		}
	}
	part.rows = int32(len(rows))
	w.parts = append(w.parts, part)
}

// block returns the k of a block.
func (w *SparseF32) block(b int) (k0, k1 int) { return w.K * b / w.blocks, w.K * (b + 1) / w.blocks }

// Bytes is the memory that the packed matrix holds.
func (w *SparseF32) Bytes() int {
	if w.lanes != nil {
		return w.lanes.bytes()
	}
	return 12*len(w.parts) + 4*len(w.rows) + 2*len(w.idx) + 4*len(w.val)
}

// SparseGemmF32 is C = clamp(A·W + Bias + Res, Lo, Hi) for a sparse W. Every element is one FMA chain from +0 over the
// entries of its column in order of k, then as in [GemmF32]. For finite A that is GemmF32's result but for the sign of
// a zero that underflowed; an infinity or NaN in A spreads only to the columns that have an entry for it.
type SparseGemmF32 struct {
	M      int
	A      []float32 // M×K, row stride LDA ≥ K
	LDA    int
	W      *SparseF32
	N0, N1 int       // the columns to compute: multiples of SparseChunk, or N1 = W.N
	C      []float32 // M×N, row stride LDC ≥ N; must not overlap A, W or Bias; may be Res
	LDC    int
	Bias   []float32 // nil or N
	Res    []float32 // nil or M×N, row stride LDR
	LDR    int
	Lo, Hi float32   // -Inf, +Inf: no clamp
	Work   []float32 // W.Work() elements for the call's use; aligned to 64 bytes is fastest
}

// Work is the number of elements that a product needs as working memory.
func (w *SparseF32) Work() int {
	if w.lanes != nil {
		return maxLaneRows * (w.laneInputs() + w.laneOutputs())
	}
	return (w.K + w.blocks + SparseChunk) * SparsePixels
}

// sparseTable is what the sets differ in.
type sparseTable struct {
	sparseRows func(r *sparseRun) // one chunk and block
	sparseOut  func(r *sparseRun, s sparseSpan)
}

// sparseRun is one call's state. It is pooled: parts of it escape through the kernel tables.
type sparseRun struct {
	g      *SparseGemmF32
	groups int       // of 8 pixels in the tile
	x      []float32 // [k][SparsePixels] of the block
	z      []float32 // [output][SparsePixels] of the chunk: the sums
	rows   []sparseRow
	idx    []uint16
	val    []float32
	bias   []float32
	lo, hi float32
	load   bool // start from z
	asm    sparseAsmArgs
}

var sparsePool = sync.Pool{New: func() any { return new(sparseRun) }}

// SparseGemm computes g on the calling goroutine. Callers split the work by rows or columns, which changes no bit. It
// panics when a slice is too short.
func (s *Set) SparseGemm(g *SparseGemmF32) {
	if g.M <= 0 || g.N0 >= g.N1 {
		return
	}
	g.check()
	if g.W.lanes != nil {
		s.laneGemm(g)
		return
	}
	w := g.W
	r := sparsePool.Get().(*sparseRun)
	r.g = g
	r.z = g.Work[(w.K+w.blocks)*SparsePixels:]
	for b := range w.blocks { // the rows of zeros for the padding
		_, k1 := w.block(b)
		clear(g.Work[(k1+b)*SparsePixels:][:SparsePixels])
	}
	for m0 := 0; m0 < g.M; m0 += SparsePixels {
		pixels := min(SparsePixels, g.M-m0)
		r.groups = (pixels + 7) / 8
		for b := range w.blocks {
			if k0, k1 := w.block(b); k1 > k0 {
				x := matrix{g.A[m0*g.LDA+k0:], g.LDA}
				s.turn(matrix{g.Work[(k0+b)*SparsePixels:], SparsePixels}, x, pixels, k1-k0)
			}
		}
		for n0 := g.N0; n0 < g.N1; n0 += SparseChunk {
			for b := range w.blocks {
				r.part(n0, b)
				s.sparseRows(r)
			}
			s.finish(r, sparseSpan{m0, pixels, n0, min(SparseChunk, g.N1-n0)})
		}
	}
	*r = sparseRun{}
	sparsePool.Put(r)
}

// part sets r to one chunk and block.
func (r *sparseRun) part(n0, b int) {
	g, w := r.g, r.g.W
	p := w.parts[n0/SparseChunk*w.blocks+b]
	k0, _ := w.block(b)
	r.x = g.Work[(k0+b)*SparsePixels:]
	r.rows = w.rows[p.row : p.row+p.rows]
	r.idx, r.val = w.idx[p.entry:], w.val[int(p.entry)*w.Height:]
	r.load = b > 0
	r.bias, r.lo, r.hi = negZero[:], negInf32, inf32
	if b == w.blocks-1 {
		if g.Bias != nil {
			r.bias = g.Bias[n0:]
		}
		if g.Res == nil {
			r.lo, r.hi = g.Lo, g.Hi
		}
	}
}

// sparseRowsGeneric is the definition of the sums.
func sparseRowsGeneric(r *sparseRun) {
	e, height := 0, r.g.W.Height
	for _, row := range r.rows {
		for h := range height {
			z := r.z[(int(row.out)+h)*SparsePixels:][:8*r.groups]
			if !r.load {
				clear(z)
			}
			for j := e; j < e+2*int(row.pairs); j++ {
				w, x := r.val[j*height+h], r.x[int(r.idx[j])*2:]
				for i := range z {
					z[i] = FMA32(w, x[i], z[i])
				}
			}
			for i := range z {
				z[i] = clampF32(z[i]+r.bias[int(row.out)+h], r.lo, r.hi)
			}
		}
		e += 2 * int(row.pairs)
	}
}

// finish writes the sums of a chunk to C, with the residual: whole blocks by the set's kernel, the edges here.
func (s *Set) finish(r *sparseRun, p sparseSpan) {
	m8, n8 := p.pixels/8*8, p.cols/8*8
	if m8 > 0 && n8 > 0 {
		s.sparseOut(r, sparseSpan{p.m0, m8, p.n0, n8})
	} else {
		m8 = 0
	}
	if n8 < p.cols {
		r.edge(p, sparseSpan{p.m0, m8, p.n0 + n8, p.cols - n8})
	}
	r.edge(p, sparseSpan{p.m0 + m8, p.pixels - m8, p.n0, p.cols})
}

// edge writes a part of the chunk of p.
func (r *sparseRun) edge(p, part sparseSpan) {
	g := r.g
	for m := part.m0; m < part.m0+part.pixels; m++ {
		for n := part.n0; n < part.n0+part.cols; n++ {
			v := r.z[(n-p.n0)*SparsePixels+m-p.m0]
			if g.Res != nil {
				v = clampF32(v+g.Res[m*g.LDR+n], g.Lo, g.Hi)
			}
			g.C[m*g.LDC+n] = v
		}
	}
}

var sparseGeneric = sparseTable{
	sparseRows: sparseRowsGeneric,
	sparseOut:  func(r *sparseRun, s sparseSpan) { r.edge(s, s) },
}

func (g *SparseGemmF32) check() {
	w := g.W
	need := func(name string, have, rows, cols, stride int) {
		if want := (rows-1)*stride + cols; have < want || stride < cols {
			panic(fmt.Sprintf("kernels: SparseGemm: %s holds %d elements with stride %d, want %d×%d", name, have, stride, rows, cols))
		}
	}
	if w.K > 0 {
		need("A", len(g.A), g.M, w.K, g.LDA)
	}
	need("C", len(g.C), g.M, w.N, g.LDC)
	need("Work", len(g.Work), 1, w.Work(), w.Work())
	if g.Bias != nil {
		need("Bias", len(g.Bias), 1, w.N, w.N)
	}
	if g.Res != nil {
		need("Res", len(g.Res), g.M, w.N, g.LDR)
	}
	if g.N0 < 0 || g.N0%SparseChunk != 0 || g.N1 > w.N || g.N1%SparseChunk != 0 && g.N1 != w.N {
		panic(fmt.Sprintf("kernels: SparseGemm: columns %d to %d of %d", g.N0, g.N1, w.N))
	}
}

type matrix struct {
	at     []float32
	stride int
}

// turn writes the transpose of src (rows×cols) to dst, whole blocks by the fast transpose.
func (s *Set) turn(dst, src matrix, rows, cols int) {
	r8, c8 := rows/8*8, cols/8*8
	if r8 > 0 && c8 > 0 {
		s.transposeF32(dst.at, dst.stride, src.at, src.stride, r8, c8)
	} else {
		r8 = 0
	}
	for c := c8; c < cols; c++ {
		for r := range r8 {
			dst.at[c*dst.stride+r] = src.at[r*src.stride+c]
		}
	}
	for r := r8; r < rows; r++ {
		for c, v := range src.at[r*src.stride : r*src.stride+cols] {
			dst.at[c*dst.stride+r] = v
		}
	}
}

type sparseSpan struct{ m0, pixels, n0, cols int }

// negZero is the bias that changes nothing.
var negZero = func() (z [SparseChunk]float32) {
	for i := range z {
		z[i] = float32(math.Copysign(0, -1))
	}
	return z
}()
