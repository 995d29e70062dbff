package kernels

import "sync"

// SparseLanes is the height that packs a sparse matrix for products of few rows: 16 outputs are lanes, and a step
// multiplies the next weight of each lane whose k lies in the step's window of 32 inputs. The window begins where the
// lane that is behind wants it, rounded down to a multiple of 16; lanes with nothing there have -0 for a weight.
const SparseLanes = 16

const (
	laneWindow  = 32
	maxLaneK    = SparseLanes << 16
	maxLaneRows = 4 // that are computed together
)

// laneMatrix is a matrix packed in lanes.
type laneMatrix struct {
	first []int32    // step of each panel of 16 outputs, and the end
	head  []laneHead // steps
	idx   []byte     // [step][16]: k within the window
	val   []float32  // [step][16]
}

// laneHead is known to kernels/gen/float/lanes.go.
type laneHead struct {
	lanes  uint16 // that take part
	window uint16 // in units of 16
}

// laneStep is one step of a panel.
type laneStep struct {
	laneHead
	idx [SparseLanes]byte
	val [SparseLanes]float32
}

func (d SparseShape) lanes(src []float32) *laneMatrix {
	w := &laneMatrix{first: []int32{0}}
	for n0 := 0; n0 < d.N; n0 += SparseLanes {
		d.laneSteps(src, n0, func(s *laneStep) {
			w.head, w.idx, w.val = append(w.head, s.laneHead), append(w.idx, s.idx[:]...), append(w.val, s.val[:]...)
		})
		w.first = append(w.first, int32(len(w.head)))
	}
	return w
}

// laneSteps calls do for the steps of the panel from output n0 on.
func (d SparseShape) laneSteps(src []float32, n0 int, do func(s *laneStep)) {
	var next [SparseLanes]int // k of each lane's next weight, d.K at the end
	for i := range next {
		next[i] = d.K
		if n0+i < d.N {
			next[i] = d.from(src, 0, n0+i)
		}
	}
	for {
		low := d.K
		for _, k := range next {
			low = min(low, k)
		}
		if low == d.K {
			return
		}
		k0 := low / SparseLanes * SparseLanes
		s := laneStep{laneHead: laneHead{window: uint16(low / SparseLanes)}, val: [SparseLanes]float32(negZero[:])}
		for i, k := range next {
			if k < d.K && k < k0+laneWindow {
				s.lanes |= 1 << i
				s.idx[i], s.val[i] = byte(k-k0), src[k*d.RS+(n0+i)*d.CS]
				next[i] = d.from(src, k+1, n0+i)
			}
		}
		do(&s)
	}
}

// from returns the first k from k on whose weight for output n is not zero, or K.
func (d SparseShape) from(src []float32, k, n int) int {
	for k < d.K && src[k*d.RS+n*d.CS] == 0 {
		k++
	}
	return k
}

func (w *laneMatrix) bytes() int { return 4*len(w.first) + 4*len(w.head) + len(w.idx) + 4*len(w.val) }

// laneInputs and laneOutputs are the lengths of a row in the working memory.
func (w *SparseF32) laneInputs() int {
	return (w.K+SparseLanes-1)/SparseLanes*SparseLanes + SparseLanes
}
func (w *SparseF32) laneOutputs() int { return (w.N + SparseLanes - 1) / SparseLanes * SparseLanes }

// laneTable is what the sets differ in.
type laneTable struct{ lanes func(r *laneRun) }

// laneRun is panels p0 to p1 of some rows.
type laneRun struct {
	w       *laneMatrix
	rows    int
	x, y    []float32 // rows, from ldx and ldy elements to the next
	ldx     int
	ldy     int
	p0, p1  int
	asmArgs laneAsmArgs
}

var lanePool = sync.Pool{New: func() any { return new(laneRun) }}

// laneGemm is SparseGemm for a matrix packed in lanes.
func (s *Set) laneGemm(g *SparseGemmF32) {
	w, r := g.W, lanePool.Get().(*laneRun)
	r.w, r.p0, r.p1 = w.lanes, g.N0/SparseLanes, (g.N1+SparseLanes-1)/SparseLanes
	r.ldx, r.ldy = w.laneInputs(), w.laneOutputs()
	r.x, r.y = g.Work[:maxLaneRows*r.ldx], g.Work[maxLaneRows*r.ldx:w.Work()]
	for m0 := 0; m0 < g.M; m0 += maxLaneRows {
		r.rows = min(maxLaneRows, g.M-m0)
		for i := range r.rows {
			if w.K > 0 {
				copy(r.x[i*r.ldx:], g.A[(m0+i)*g.LDA:][:w.K])
			}
		}
		s.lanes(r)
		for i := range r.rows {
			s.laneFinish(g, r.y[i*r.ldy:], m0+i)
		}
	}
	*r = laneRun{}
	lanePool.Put(r)
}

// laneFinish writes the columns of a row from its sums.
func (s *Set) laneFinish(g *SparseGemmF32, y []float32, m int) {
	y = y[g.N0:g.N1]
	c := g.C[m*g.LDC+g.N0:][:len(y)]
	if g.Bias != nil {
		s.Add(y, y, g.Bias[g.N0:])
	}
	if g.Res != nil {
		s.Add(y, y, g.Res[m*g.LDR+g.N0:])
	}
	s.Clamp(c, y, g.Lo, g.Hi)
}

// lanesOfGeneric is the definition of the sums.
func lanesOfGeneric(r *laneRun) {
	w := r.w
	for p := r.p0; p < r.p1; p++ {
		for i := range r.rows {
			x, y := r.x[i*r.ldx:], r.y[i*r.ldy+p*SparseLanes:][:SparseLanes]
			clear(y)
			for s := w.first[p]; s < w.first[p+1]; s++ {
				h := w.head[s]
				for lane := range SparseLanes {
					if h.lanes>>lane&1 != 0 {
						e := int(s)*SparseLanes + lane
						y[lane] = FMA32(w.val[e], x[int(h.window)*SparseLanes+int(w.idx[e])], y[lane])
					}
				}
			}
		}
	}
}

var lanesGeneric = laneTable{lanes: lanesOfGeneric}
