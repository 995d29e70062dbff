package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Offsets in the Go structs dwRow and dwConst.
const (
	dX, dStep, dN, dTaps, dGroups, dW = 0, 8, 16, 24, 32, 40
	dBias, dScale, dY, dLDY, dMask    = 48, 56, 64, 72, 80
	dConst, dZero, dLow, dFlip, dMax  = 88, 96, 100, 104, 108
	cBias, cScale, cFlip              = 0, 256, 512
)

func depthwiseFile() {
	for _, w := range []int{16, 32, 64} {
		for _, masked := range []bool{false, true} {
			depthwiseTaps(w, masked)
			depthwise3x3(w, masked)
			depthwise3x3s2(w, masked)
		}
	}
	depthwiseAVX2()
}

// dwVNNI is what the kernels for w channels share. A vector holds w/4 dwords, each the bytes of one channel at four taps, so
// that one VPDPBUSD does w products; unpacking bytes, then words, makes four of them from four taps' bytes. Vector q holds
// in its 128-bit lane l the channels 16l+4q to 16l+4q+3, and two packs bring the sums back into order.
type dwVNNI struct {
	w              int
	masked         bool // fewer channels than w
	row, cn        reg.Register
	y, ldy         reg.GPVirtual
	max, zero, low reg.VecPhysical
}

// vec is register i in the width of w bytes.
func (d *dwVNNI) vec(i int) reg.VecPhysical {
	switch d.w {
	case 16:
		return zmm[i].AsX().(reg.VecPhysical)
	case 32:
		return zmm[i].AsY().(reg.VecPhysical)
	}
	return zmm[i]
}

func (d *dwVNNI) vecs(from, n int) []reg.VecPhysical {
	var v []reg.VecPhysical
	for i := range n {
		v = append(v, d.vec(from+i))
	}
	return v
}

// load reads the bytes of w channels, or fewer under the mask.
func (d *dwVNNI) load(m Mem, v reg.VecPhysical) {
	if d.masked {
		VMOVDQU8_Z(m, reg.K1, v)
		return
	}
	VMOVDQU64(m, v)
}

func (d *dwVNNI) store(v reg.VecPhysical, m Mem) {
	if d.masked {
		VMOVDQU8(v, reg.K1, m)
		return
	}
	VMOVDQU64(v, m)
}

func newDW(name string, w int, masked bool) *dwVNNI {
	name = fmt.Sprintf("%s%d", name, w)
	if masked {
		name += "Masked"
	}
	TEXT(name, NOSPLIT, "func(d *byte)")
	d := &dwVNNI{w: w, masked: masked}
	d.row = Load(Param("d"), GP64())
	cn := GP64()
	MOVQ(Mem{Base: d.row, Disp: dConst}, cn)
	d.cn = cn
	d.y, d.ldy = GP64(), GP64()
	MOVQ(Mem{Base: d.row, Disp: dY}, d.y)
	MOVQ(Mem{Base: d.row, Disp: dLDY}, d.ldy)
	KMOVQ(Mem{Base: d.row, Disp: dMask}, reg.K1)
	v := d.vec(0)
	VPBROADCASTB(Mem{Base: d.row, Disp: dFlip}, v)
	VMOVDQU64(v, Mem{Base: cn, Disp: cFlip})
	for i := range 4 {
		VPXORD(d.vec(i), d.vec(i), d.vec(i))
	}
	bias, scale := GP64(), GP64()
	MOVQ(Mem{Base: d.row, Disp: dBias}, bias)
	MOVQ(Mem{Base: d.row, Disp: dScale}, scale)
	TESTQ(bias, bias)
	JE(LabelRef("nobias"))
	d.param(bias)
	Label("nobias")
	for q := range 4 {
		VMOVDQU64(d.vec(q), Mem{Base: cn, Disp: cBias + d.w*q})
	}
	d.param(scale)
	for q := range 4 {
		VMOVDQU64(d.vec(q), Mem{Base: cn, Disp: cScale + d.w*q})
	}
	return d
}

// param loads w dwords from p, under the mask, into vectors 0 to 3, in their order: a transposition of 128-bit lanes.
func (d *dwVNNI) param(p reg.GPVirtual) {
	n, t := d.vecs(4, 4), d.vecs(8, 4)
	if d.w == 16 {
		n = d.vecs(0, 4)
	}
	for i := range 4 {
		if !d.masked {
			VMOVDQU64(Mem{Base: p, Disp: d.w * i}, n[i])
			continue
		}
		KSHIFTRQ(Imm(uint64(d.w/4*i)), reg.K1, reg.K2)
		VMOVDQU32_Z(Mem{Base: p, Disp: d.w * i}, reg.K2, n[i])
	}
	switch d.w {
	case 32:
		for i := range 2 {
			VSHUFI32X4(Imm(0), n[2+i], n[i], d.vec(2*i))
			VSHUFI32X4(Imm(3), n[2+i], n[i], d.vec(2*i+1))
		}
	case 64:
		for i := range 2 {
			VSHUFI32X4(U8(0x44), n[2*i+1], n[2*i], t[2*i])
			VSHUFI32X4(U8(0xee), n[2*i+1], n[2*i], t[2*i+1])
		}
		for i := range 2 {
			VSHUFI32X4(U8(0x88), t[2+i], t[i], d.vec(2*i))
			VSHUFI32X4(U8(0xdd), t[2+i], t[i], d.vec(2*i+1))
		}
	}
}

// interleave makes col[q], dwords of four taps, from the taps' bytes in t, which it overwrites.
func (d *dwVNNI) interleave(t, col []reg.VecPhysical, extra reg.VecPhysical) {
	VPUNPCKLBW(t[1], t[0], extra)
	VPUNPCKHBW(t[1], t[0], t[0])
	VPUNPCKLBW(t[3], t[2], t[1])
	VPUNPCKHBW(t[3], t[2], t[2])
	VPUNPCKLWD(t[1], extra, col[0])
	VPUNPCKHWD(t[1], extra, col[1])
	VPUNPCKLWD(t[2], t[0], col[2])
	VPUNPCKHWD(t[2], t[0], col[3])
}

func (d *dwVNNI) bias(acc []reg.VecPhysical) {
	for q := range 4 {
		VMOVDQU64(Mem{Base: d.cn, Disp: cBias + d.w*q}, acc[q])
	}
}

// keep loads the constants of finishSteps into three vectors from i on.
func (d *dwVNNI) keep(i int) {
	d.max, d.zero, d.low = d.vec(i), d.vec(i+1), d.vec(i+2)
	VBROADCASTSS(Mem{Base: d.row, Disp: dMax}, d.max)
	VPBROADCASTW(Mem{Base: d.row, Disp: dZero}, d.zero)
	VPBROADCASTB(Mem{Base: d.row, Disp: dLow}, d.low)
}

// finishSteps requantises a pixel's sums and stores its bytes; then y is the next pixel.
func (d *dwVNNI) finishSteps(acc []reg.VecPhysical) []func() {
	steps := make([]func(), 0, 24)
	each := func(f func(q int, z reg.VecPhysical)) {
		for q, z := range acc {
			steps = append(steps, func() { f(q, z) })
		}
	}
	each(func(_ int, z reg.VecPhysical) { VCVTDQ2PS(z, z) })
	each(func(q int, z reg.VecPhysical) { VMULPS(Mem{Base: d.cn, Disp: cScale + d.w*q}, z, z) })
	each(func(_ int, z reg.VecPhysical) { VMINPS(d.max, z, z) })
	each(func(_ int, z reg.VecPhysical) { VCVTPS2DQ(z, z) })
	return append(steps,
		func() { VPACKSSDW(acc[1], acc[0], acc[0]) },
		func() { VPACKSSDW(acc[3], acc[2], acc[2]) },
		func() { VPADDSW(d.zero, acc[0], acc[0]) },
		func() { VPADDSW(d.zero, acc[2], acc[2]) },
		func() { VPACKUSWB(acc[2], acc[0], acc[0]) },
		func() { VPMAXUB(d.low, acc[0], acc[0]) },
		func() { VPXORD(Mem{Base: d.cn, Disp: cFlip}, acc[0], acc[0]) },
		func() {
			d.store(acc[0], Mem{Base: d.y})
			ADDQ(d.ldy, d.y)
		})
}

// depthwise3x3 is 3x3 with stride 1: a dword holds a column of three taps and a zero weight, and each interleaved column
// serves three pixels.
func depthwise3x3(w int, masked bool) {
	d := newDW("depthwise3x3VNNI", w, masked)
	c := d.columns()
	sums := d.vecs(12, 12)
	set := func(i int) []reg.VecPhysical { return sums[i%3*4 : i%3*4+4] }
	// column reads column i while it finishes pixel i-3, whose sums it then reuses for pixel i, and adds the column to the
	// pixels that it is the first, middle and last column of.
	column := func(i int) {
		var finish []func()
		if i >= 3 {
			finish = d.finishSteps(set(i))
		}
		weave(c.interleave(c.even, c.step), finish)
		d.bias(set(i))
		for kx := min(i, 2); kx >= 0; kx-- {
			c.add(kx, set(i+3-kx))
		}
	}
	for i := range 3 {
		column(i)
	}
	Label("pixel")
	for i := range 3 {
		DECQ(c.n)
		JE(LabelRef(fmt.Sprintf("done%d", i)))
		column(3 + i)
	}
	JMP(LabelRef("pixel"))
	for i := range 3 {
		Label(fmt.Sprintf("done%d", i))
		weave(d.finishSteps(set(i)), nil)
		VZEROUPPER()
		RET()
	}
}

// weave emits a and b by turns, in proportion.
func weave(a, b []func()) {
	done := 0
	for i, f := range a {
		f()
		for ; done < len(b)*(i+1)/len(a); done++ {
			b[done]()
		}
	}
}

// dwColumns reads columns of three taps.
type dwColumns struct {
	d       *dwVNNI
	n, step reg.GPVirtual
	rows    [3]reg.GPVirtual
	weights []reg.VecPhysical // 3 columns × 4
	t       []reg.VecPhysical // five
	dwords  []reg.VecPhysical // of the column read last
}

// columns sets up the kernels of 3x3: weights in vectors 0 to 11, a column in 24 to 28, constants above.
func (d *dwVNNI) columns() *dwColumns {
	c := &dwColumns{d: d, n: GP64(), step: GP64(), weights: d.vecs(0, 12), t: d.vecs(24, 5)}
	taps, x, wp := GP64(), GP64(), GP64()
	MOVQ(Mem{Base: d.row, Disp: dN}, c.n)
	MOVQ(Mem{Base: d.row, Disp: dStep}, c.step)
	MOVQ(Mem{Base: d.row, Disp: dTaps}, taps)
	MOVQ(Mem{Base: d.row, Disp: dX}, x)
	for i := range c.rows { // taps in groups of four, whose first three are a column
		c.rows[i] = GP64()
		MOVQ(Mem{Base: taps, Disp: 8 * i}, c.rows[i])
		ADDQ(x, c.rows[i])
	}
	d.keep(29)
	MOVQ(Mem{Base: d.row, Disp: dW}, wp)
	for i, v := range c.weights {
		VMOVDQU64(Mem{Base: wp, Disp: d.w * i}, v)
	}
	c.dwords = []reg.VecPhysical{c.t[4], c.t[3], c.t[1], c.t[0]}
	return c
}

// even is where the row points.
func (c *dwColumns) even(r int) Mem { return Mem{Base: c.rows[r]} }

// interleave makes dwords of three taps, the last one twice, through all five vectors of t. If step is not nil, the rows then
// advance by it.
func (c *dwColumns) interleave(at func(r int) Mem, step reg.Register) []func() {
	var steps []func()
	t := c.t
	for r := range c.rows {
		steps = append(steps, func() {
			c.d.load(at(r), t[r])
			if step != nil {
				ADDQ(step, c.rows[r])
			}
		})
	}
	return append(steps,
		func() { VPUNPCKLBW(t[1], t[0], t[3]) },
		func() { VPUNPCKHBW(t[1], t[0], t[0]) },
		func() { VPUNPCKLBW(t[2], t[2], t[1]) },
		func() { VPUNPCKHBW(t[2], t[2], t[2]) },
		func() { VPUNPCKLWD(t[1], t[3], t[4]) },
		func() { VPUNPCKHWD(t[1], t[3], t[3]) },
		func() { VPUNPCKLWD(t[2], t[0], t[1]) },
		func() { VPUNPCKHWD(t[2], t[0], t[0]) })
}

// add adds column kx's products to the sums.
func (c *dwColumns) add(kx int, sums []reg.VecPhysical) {
	for q, acc := range sums {
		vpdpbusd(c.weights[4*kx+q], c.dwords[q], acc)
	}
}

// depthwise3x3s2 is 3x3 with stride 2: each even column is one pixel's last and the next one's first.
func depthwise3x3s2(w int, masked bool) {
	d := newDW("depthwise3x3s2VNNI", w, masked)
	c := d.columns()
	sums := [][]reg.VecPhysical{d.vecs(12, 4), d.vecs(16, 4)}
	odd, taps := GP64(), GP64() // distance of the odd columns
	MOVQ(Mem{Base: d.row, Disp: dTaps}, taps)
	MOVQ(Mem{Base: taps, Disp: 8 * 4}, odd)
	SUBQ(Mem{Base: taps}, odd)
	// begin starts a pixel with its first two columns, the first of which has been read, while it finishes another.
	begin := func(acc []reg.VecPhysical, finish []func()) {
		d.bias(acc)
		c.add(0, acc)
		weave(c.interleave(func(r int) Mem { return Mem{Base: c.rows[r], Index: odd, Scale: 1} }, c.step), finish)
		c.add(1, acc)
	}
	weave(c.interleave(c.even, nil), nil)
	begin(sums[0], nil)
	Label("pixel")
	for i := range 2 {
		weave(c.interleave(c.even, nil), nil)
		c.add(2, sums[i])
		DECQ(c.n)
		JE(LabelRef(fmt.Sprintf("done%d", i)))
		begin(sums[1-i], d.finishSteps(sums[i]))
	}
	JMP(LabelRef("pixel"))
	for i := range 2 {
		Label(fmt.Sprintf("done%d", i))
		weave(d.finishSteps(sums[i]), nil)
		VZEROUPPER()
		RET()
	}
}

// depthwiseTaps takes any taps, four at a time, and two pixels at once as long as there are two.
func depthwiseTaps(w int, masked bool) {
	d := newDW("depthwiseVNNI", w, masked)
	n, step, x := GP64(), GP64(), GP64()
	MOVQ(Mem{Base: d.row, Disp: dN}, n)
	MOVQ(Mem{Base: d.row, Disp: dStep}, step)
	MOVQ(Mem{Base: d.row, Disp: dX}, x)
	d.keep(29)
	Label("pair")
	CMPQ(n, Imm(2))
	JL(LabelRef("last"))
	d.pixels(2, x, step)
	SUBQ(Imm(2), n)
	JMP(LabelRef("pair"))
	Label("last")
	TESTQ(n, n)
	JE(LabelRef("done"))
	d.pixels(1, x, step)
	Label("done")
	VZEROUPPER()
	RET()
}

// pixels computes p pixels at x and moves x after them.
func (d *dwVNNI) pixels(p int, x, step reg.GPVirtual) {
	group := fmt.Sprintf("group%d", p)
	taps, wp, g, next, at := GP64(), GP64(), GP64(), GP64(), GP64()
	MOVQ(Mem{Base: d.row, Disp: dTaps}, taps)
	MOVQ(Mem{Base: d.row, Disp: dW}, wp)
	MOVQ(Mem{Base: d.row, Disp: dGroups}, g)
	LEAQ(Mem{Base: x, Index: step, Scale: 1}, next)
	acc := [][]reg.VecPhysical{d.vecs(0, 4), d.vecs(4, 4)}
	t := [][]reg.VecPhysical{d.vecs(8, 5), d.vecs(13, 5)}
	col := d.vecs(18, 4)
	weights := d.vecs(22, 4)
	base := []reg.GPVirtual{x, next}
	for i := range p {
		d.bias(acc[i])
	}
	Label(group)
	for j := range 4 {
		MOVQ(Mem{Base: taps, Disp: 8 * j}, at)
		for i := range p {
			d.load(Mem{Base: base[i], Index: at, Scale: 1}, t[i][j])
		}
		VMOVDQU64(Mem{Base: wp, Disp: d.w * j}, weights[j])
	}
	for i := range p {
		d.interleave(t[i], col, t[i][4])
		for q := range 4 {
			vpdpbusd(weights[q], col[q], acc[i][q])
		}
	}
	ADDQ(Imm(32), taps)
	ADDQ(U32(uint32(4*d.w)), wp)
	DECQ(g)
	JNE(LabelRef(group))
	for i := range p {
		weave(d.finishSteps(acc[i]), nil)
		ADDQ(step, x)
	}
}
