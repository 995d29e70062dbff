//go:build amd64 && !noasm

package kernels

import "unsafe"

// laneKernels holds the kernel for r rows at [r].
type laneKernels []func(*laneArgs)

// laneArgs is the argument of a kernel: one panel. kernels/gen/float/lanes.go knows its offsets.
type laneArgs struct {
	x       *float32
	stride  uintptr // bytes
	y       *float32
	yStride uintptr
	head    *laneHead
	idx     *byte
	val     *float32
	steps   uintptr
}

type laneAsmArgs = laneArgs

// lanesAsm drives the kernels of one instruction set.
func lanesAsm(kernels laneKernels) laneTable {
	return laneTable{lanes: func(r *laneRun) { r.asm(kernels[r.rows]) }}
}

func (r *laneRun) asm(kernel func(*laneArgs)) {
	w, a := r.w, &r.asmArgs
	*a = laneArgs{x: &r.x[0], stride: 4 * uintptr(r.ldx), yStride: 4 * uintptr(r.ldy)}
	for p := r.p0; p < r.p1; p++ {
		s0, s1 := int(w.first[p]), int(w.first[p+1])
		y := r.y[p*SparseLanes:]
		if s0 == s1 {
			for i := range r.rows {
				clear(y[i*r.ldy:][:SparseLanes])
			}
			continue
		}
		a.y, a.head, a.idx, a.val = &y[0], &w.head[s0], &w.idx[s0*SparseLanes], &w.val[s0*SparseLanes]
		a.steps = uintptr(s1 - s0)
		kernel(a)
	}
}

var _ = [1]int{}[unsafe.Sizeof(laneArgs{})-64] // offsets are fixed in kernels/gen/float/lanes.go
