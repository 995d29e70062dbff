//go:build amd64 && !noasm

package kernels

import (
	"sync"
	"unsafe"
)

// poolArgs are the arguments of the assembly on windows; kernels/gen/int8 knows their offsets.
type poolArgs struct {
	dst, x  unsafe.Pointer
	step, n int
	taps    unsafe.Pointer
	count   int
	mask    uint64 // channels
	ldy     int    // bytes of dst between pixels
}

var poolCalls = sync.Pool{New: func() any { return new(poolArgs) }}

// pools returns the functions that call the kernels.
func (k *quantKernels) pools() poolSet {
	return poolSet{
		maxRowsU8: poolRows(k, k.maxRowsU8, maxRowsU8Generic), maxRowsS8: poolRows(k, k.maxRowsS8, maxRowsS8Generic),
		sumRowsU8: poolRows(k, k.sumRowsU8, sumRowsU8Generic), sumRowsS8: poolRows(k, k.sumRowsS8, sumRowsS8Generic),
	}
}

// poolRows calls the kernel for blocks of as many channels as a vector has bytes. The last block may overlap the one before
// it: both write the same. Fewer channels than that need a masked kernel, or the twin.
func poolRows[T byte | int32](k *quantKernels, kernel func(*poolArgs), twin func([]T, *pool8)) func([]T, *pool8) {
	return func(dst []T, p *pool8) {
		if p.c < k.vector && k.block > 1 {
			twin(dst, p)
			return
		}
		q := poolCalls.Get().(*poolArgs)
		q.step, q.n, q.taps, q.count = p.step, p.n, unsafe.Pointer(&p.taps[0]), len(p.taps)
		q.mask = 1<<min(64, p.c) - 1
		q.ldy = p.c * int(unsafe.Sizeof(dst[0]))
		for at := 0; at < p.c; at += k.vector {
			c := max(0, min(at, p.c-k.vector))
			q.dst, q.x = unsafe.Pointer(&dst[c]), unsafe.Pointer(&p.x[c])
			kernel(q)
		}
		q.dst, q.x, q.taps = nil, nil, nil
		poolCalls.Put(q)
	}
}
