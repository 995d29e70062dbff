//go:build amd64 && !noasm

package kernels

import "unsafe"

// sparseKernels holds the kernel for rows of one output and 16·p pixels at [0][p], of four outputs at [1][p].
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
}

// sparseOut is the argument of the kernel that writes the transpose of 8 rows of sums.
type sparseOut struct {
	z      *float32
	c      *float32
	ldc    uintptr // bytes
	res    *float32
	ldr    uintptr
	blocks uintptr // of 8 outputs
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
	k := kernels[r.g.W.Height/4]
	for p := 0; p < r.vecs; p += len(k) - 1 {
		a.x, a.z = &r.x[16*p], &r.z[16*p]
		k[min(r.vecs-p, len(k)-1)](a)
	}
}

func sparseOutAsm(r *sparseRun, s sparseSpan) {
	g, o := r.g, &r.asm.out
	*o = sparseOut{ldc: 4 * uintptr(g.LDC), ldr: 4 * uintptr(g.LDR), blocks: uintptr(s.cols / 8), lo: g.Lo, hi: g.Hi}
	for i := 0; i < s.pixels; i += 8 {
		m := s.m0 + i
		o.z, o.c = &r.z[i], &g.C[m*g.LDC+s.n0]
		if g.Res != nil {
			o.res = &g.Res[m*g.LDR+s.n0]
		}
		sparseOutAVX2(o)
	}
}

var _ = [1]int{}[unsafe.Sizeof(sparseArgs{})-72] // offsets are fixed in kernels/gen/float/sparse.go
