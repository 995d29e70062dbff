//go:build amd64 && !noasm

package kernels

import "unsafe"

// sparseKernels holds the kernel for rows of one output and 8·p pixels at [0][p], of four outputs at [1][p].
type sparseKernels [2][]func(*sparseArgs)

// sparseArgs is the argument of a kernel; kernels/gen/float/sparse.go knows its offsets.
type sparseArgs struct {
	x, z   *float32
	rows   *sparseRow
	n      uintptr // rows
	val    *float32
	idx    *uint16
	bias   *float32
	lo, hi float32
	load   uint64
	clamp  uint64 // 0: lo and hi are infinite
}

// sparseOut is the argument of the kernels that write the transpose of sums, which count its offsets up.
type sparseOut struct {
	z      *float32
	_      uintptr // the assembly's offset in z, in bytes like the strides
	c      *float32
	_      uintptr // in c
	res    *float32
	_      uintptr // in res
	ldc    uintptr
	ldr    uintptr
	blocks uintptr // of 8 outputs
	groups uintptr // of 8 pixels
	lo, hi float32
}

type sparseAsmArgs struct {
	rows sparseArgs
	out  sparseOut
}

// sparseAsm drives the kernels of one instruction set.
func sparseAsm(kernels *sparseKernels) sparseTable {
	run := func(r *sparseRun) { sparseRowsAsm(kernels, r) }
	return sparseTable{sparseRows: run, sparseOut: sparseOutAsm}
}

func sparseRowsAsm(kernels *sparseKernels, r *sparseRun) {
	if len(r.rows) == 0 {
		return
	}
	a := &r.asm.rows
	*a = sparseArgs{
		x: &r.x[0], z: &r.z[0], rows: &r.rows[0], n: uintptr(len(r.rows)), val: unsafe.SliceData(r.val),
		idx: unsafe.SliceData(r.idx), bias: &r.bias[0], lo: r.lo, hi: r.hi,
	}
	if r.load {
		a.load = 1
	}
	if r.lo != negInf32 || r.hi != inf32 {
		a.clamp = 1
	}
	k := kernels[r.g.W.Height/4]
	for p := 0; p < r.groups; p += len(k) - 1 {
		a.x, a.z = &r.x[8*p], &r.z[8*p]
		k[min(r.groups-p, len(k)-1)](a)
	}
}

func sparseOutAsm(r *sparseRun, s sparseSpan) {
	g, o := r.g, &r.asm.out
	*o = sparseOut{
		z: &r.z[0], c: &g.C[s.m0*g.LDC+s.n0], ldc: 4 * uintptr(g.LDC), ldr: 4 * uintptr(g.LDR),
		blocks: uintptr(s.cols / 8), groups: uintptr(s.pixels / 8), lo: g.Lo, hi: g.Hi,
	}
	if g.Res == nil {
		sparseOutAVX2(o)
		return
	}
	o.res = &g.Res[s.m0*g.LDR+s.n0]
	sparseOutAddAVX2(o)
}

var _ = [1]int{}[unsafe.Sizeof(sparseArgs{})-80+unsafe.Sizeof(sparseOut{})-88] // offsets are fixed in gen/float/sparse.go
