package kernels

import "fmt"

// DepthwiseF32 is one row or several rows of outputs of a depthwise convolution in NHWC. Each element is one FMA chain over the taps in
// order from +0, then the bias, then the clamp of GemmF32.
type DepthwiseF32 struct {
	N, C   int       // output pixels, channels
	X      []float32 // input, padding already in place
	Step   int       // elements of X between the inputs of neighbouring outputs: strideW·C
	Taps   []int     // element offset in X of each tap for output pixel 0; at least one
	W      []float32 // [tap][C]
	Bias   []float32 // nil or C
	Lo, Hi float32
	Y      []float32
	LDY    int // elements of Y between neighbouring outputs, at least C

	// Rows of outputs in one call (0 means 1) lie XRow and YRow elements apart in X (strideH·width·C) and Y. Measured on
	// Zen 4 with 3×3 windows: pixels of X that are 256, 512 or 1024 elements apart are slow (14×14×512: 54 µs, padded by
	// 16 elements 27 µs); two or four rows in one call save up to 12 % of some shapes, but cost up to 70 % where such
	// pixels are not padded.
	Rows, XRow, YRow int
}

// rowTable is the kernels that walk a row of pixels by taps.
type rowTable struct {
	depthwiseF32           func(d *DepthwiseF32)
	maxRowsF32, sumRowsF32 func(p *poolRow)
}

type poolRow struct {
	dst, x     []float32
	n, c, step int
	taps       []int
}

// Depthwise computes d on the calling goroutine. It panics when a slice is too short.
func (s *Set) Depthwise(d *DepthwiseF32) {
	if d.N <= 0 || d.C <= 0 {
		return
	}
	if len(d.Taps) == 0 {
		panic("kernels: Depthwise: no taps")
	}
	lastRow := max(0, d.Rows-1)
	if d.XRow < 0 || d.YRow < 0 || lastRow*d.XRow > len(d.X) {
		panic(fmt.Sprintf("kernels: Depthwise: %d rows of %d and %d leave X of %d", d.Rows, d.XRow, d.YRow, len(d.X)))
	}
	checkTaps("Depthwise", &poolRow{d.Y, d.X[lastRow*d.XRow:], d.N, d.C, d.Step, d.Taps})
	if len(d.W) < len(d.Taps)*d.C || len(d.Y) < lastRow*d.YRow+(d.N-1)*d.LDY+d.C || d.LDY < d.C || (d.Bias != nil && len(d.Bias) < d.C) {
		panic(fmt.Sprintf("kernels: Depthwise: W %d, Y %d (stride %d), Bias %d are too short for %d taps of %d×%d",
			len(d.W), len(d.Y), d.LDY, len(d.Bias), len(d.Taps), d.N, d.C))
	}
	s.depthwiseF32(d)
}

// MaxRows sets pixel i of dst (n×c) to the largest of the pixels x[i·step + tap:] for the given taps, at least one. A
// later tap replaces an earlier one only if it is greater, so that a first NaN stays and others are passed over.
func (s *Set) MaxRows(dst []float32, n, c int, x []float32, step int, taps []int) {
	if p := newPoolRow("MaxRows", poolRow{dst, x, n, c, step, taps}); p != nil {
		s.maxRowsF32(p)
	}
}

// SumRows is MaxRows with plain additions in tap order, starting from the first.
func (s *Set) SumRows(dst []float32, n, c int, x []float32, step int, taps []int) {
	if p := newPoolRow("SumRows", poolRow{dst, x, n, c, step, taps}); p != nil {
		s.sumRowsF32(p)
	}
}

func newPoolRow(name string, p poolRow) *poolRow {
	if p.n <= 0 || p.c <= 0 {
		return nil
	}
	if len(p.taps) == 0 || len(p.dst) < p.n*p.c {
		panic(fmt.Sprintf("kernels: %s: %d taps, dst %d, want at least 1 and %d×%d", name, len(p.taps), len(p.dst), p.n, p.c))
	}
	checkTaps(name, &p)
	return &p
}

func checkTaps(name string, p *poolRow) {
	for _, tap := range p.taps {
		if tap < 0 || p.step < 0 || tap+(p.n-1)*p.step+p.c > len(p.x) {
			panic(fmt.Sprintf("kernels: %s: tap %d of %d pixels, step %d, %d channels leaves X of %d", name, tap, p.n, p.step, p.c, len(p.x)))
		}
	}
}

var rowsGeneric = rowTable{
	depthwiseF32: depthwiseF32Generic,
	maxRowsF32:   func(p *poolRow) { poolGeneric32(p, maxF32) },
	sumRowsF32:   func(p *poolRow) { poolGeneric32(p, addF32) },
}

func depthwiseF32Generic(d *DepthwiseF32) {
	one := *d
	one.Rows = 1
	for r := range max(1, d.Rows) {
		one.X, one.Y = d.X[r*d.XRow:], d.Y[r*d.YRow:]
		depthwiseRowGeneric(&one)
	}
}

func depthwiseRowGeneric(d *DepthwiseF32) {
	for i := range d.N {
		for c := range d.C {
			acc := float32(0)
			for t, tap := range d.Taps {
				acc = FMA32(d.X[tap+i*d.Step+c], d.W[t*d.C+c], acc)
			}
			if d.Bias != nil {
				acc += d.Bias[c]
			}
			d.Y[i*d.LDY+c] = clampF32(acc, d.Lo, d.Hi)
		}
	}
}

func poolGeneric32(p *poolRow, fold func(a, b float32) float32) {
	for i := range p.n {
		for c := range p.c {
			x := p.x[i*p.step+c:]
			acc := x[p.taps[0]]
			for _, tap := range p.taps[1:] {
				acc = fold(acc, x[tap])
			}
			p.dst[i*p.c+c] = acc
		}
	}
}
