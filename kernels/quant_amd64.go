//go:build amd64 && !noasm

package kernels

import (
	"math"
	"sync"
	"unsafe"

	"golang.org/x/sys/cpu"
)

// quantArgs are the arguments of the assembly on vectors; kernels/gen/int8 knows their offsets.
type quantArgs struct {
	dst, a, b, c           unsafe.Pointer
	n                      int
	scaleA, scaleB, scaleC float32
	zeroA, zeroB           int32
	lo, hi                 float32
	zero, flip             int32
	lanes                  [2][16]float32 // where reductions leave what is still to be combined
}

var quantCalls = sync.Pool{New: func() any { return new(quantArgs) }}

// run calls a kernel on n elements and gives q back.
func (q *quantArgs) run(kernel func(*quantArgs), n int) {
	q.n = n
	kernel(q)
	q.free()
}

func (q *quantArgs) free() {
	q.dst, q.a, q.b, q.c = nil, nil, nil, nil
	quantCalls.Put(q)
}

// reduce calls a kernel that leaves one result for each lane; the caller frees q.
func (q *quantArgs) reduce(kernel func(*quantArgs), src unsafe.Pointer, n int) {
	q.a, q.dst, q.n = src, unsafe.Pointer(&q.lanes), n
	kernel(q)
}

// output sets what the kernels' common end needs: signed outputs are computed 128 higher and flipped back.
func (q *quantArgs) output(o output) {
	c := o.clamp()
	q.lo, q.hi, q.zero, q.flip = c.lo, c.hi, o.zero, 0
	if o.lo < 0 {
		q.zero, q.flip = o.zero+128, 128
	}
}

// quantKernels are an instruction set's assembly. Its kernels take whole blocks; the Go twins do the rest.
type quantKernels struct {
	vector                                     int // bytes
	block                                      int // elements
	quantizeF32, dequantizeU8, dequantizeS8    func(*quantArgs)
	dequantizeI32, requantI32                  func(*quantArgs)
	i32ToF32Scale, i32ToF32ScaleBias           func(*quantArgs)
	addU8, addS8, mulU8, mulS8                 func(*quantArgs)
	minMaxF32, rowSumU8                        func(*quantArgs)
	maxRowsU8, maxRowsS8, sumRowsU8, sumRowsS8 func(*poolArgs)
}

var kernelsAVX2 = &quantKernels{
	vector: 32, block: 32,
	quantizeF32: quantizeF32AVX2, dequantizeU8: dequantizeU8AVX2, dequantizeS8: dequantizeS8AVX2,
	dequantizeI32: dequantizeI32AVX2, requantI32: requantI32AVX2,
	i32ToF32Scale: i32ToF32ScaleAVX2, i32ToF32ScaleBias: i32ToF32ScaleBiasAVX2,
	addU8: addU8AVX2, addS8: addS8AVX2, mulU8: mulU8AVX2, mulS8: mulS8AVX2,
	minMaxF32: minMaxF32AVX2, rowSumU8: rowSumU8AVX2,
	maxRowsU8: maxRowsU8AVX2, maxRowsS8: maxRowsS8AVX2, sumRowsU8: sumRowsU8AVX2, sumRowsS8: sumRowsS8AVX2,
}

var kernelsAVX512 = &quantKernels{
	vector: 64, block: 1, // masks do the rest
	quantizeF32: quantizeF32AVX512, dequantizeU8: dequantizeU8AVX512, dequantizeS8: dequantizeS8AVX512,
	dequantizeI32: dequantizeI32AVX512, requantI32: requantI32AVX512,
	i32ToF32Scale: i32ToF32ScaleAVX512, i32ToF32ScaleBias: i32ToF32ScaleBiasAVX512,
	addU8: addU8AVX512, addS8: addS8AVX512, mulU8: mulU8AVX512, mulS8: mulS8AVX512,
	minMaxF32: minMaxF32AVX512, rowSumU8: rowSumU8AVX512,
	maxRowsU8: maxRowsU8AVX512, maxRowsS8: maxRowsS8AVX512, sumRowsU8: sumRowsU8AVX512, sumRowsS8: sumRowsS8AVX512,
}

// set returns the functions that call the kernels.
func (k *quantKernels) set() quantSet {
	s := quantSet{
		quantizeF32: k.quantize, dequantizeI32: k.dequantizeColumns, requantI32: k.requant, i32ToF32Scale: k.scaleColumns,
		dequantizeU8: k.dequantize(k.dequantizeU8, dequantizeU8Generic),
		dequantizeS8: k.dequantize(k.dequantizeS8, dequantizeS8Generic),
		addU8:        k.binary(k.addU8, k.addS8, addition),
		mulU8:        k.binary(k.mulU8, k.mulS8, multiplication),
		minMaxF32:    k.minMax, rowSumU8: k.rowSum, lookup: lookupGeneric,
	}
	if k == kernelsAVX512 && cpu.X86.HasAVX512VBMI {
		s.lookup = lookup512
	}
	return s
}

func (k *quantKernels) whole(n int) int { return n / k.block * k.block }

func (k *quantKernels) quantize(dst []byte, src []float32, scale float32, o output) {
	n := k.whole(len(src))
	if n > 0 {
		q := quantCalls.Get().(*quantArgs)
		q.dst, q.a, q.scaleA = unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), scale
		q.output(o)
		q.run(k.quantizeF32, n)
	}
	quantizeF32Generic(dst[n:], src[n:], scale, o)
}

type dequantizer = func(dst []float32, src []byte, scale float32, zero int32)

func (k *quantKernels) dequantize(kernel func(*quantArgs), twin dequantizer) dequantizer {
	return func(dst []float32, src []byte, scale float32, zero int32) {
		n := k.whole(len(src))
		if n > 0 {
			q := quantCalls.Get().(*quantArgs)
			q.dst, q.a, q.scaleA, q.zeroA = unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), scale, zero
			q.run(kernel, n)
		}
		twin(dst[n:], src[n:], scale, zero)
	}
}

func (k *quantKernels) dequantizeColumns(dst []float32, src []int32, scale []float32, zero int32) {
	n := k.whole(len(src))
	if n > 0 {
		q := quantCalls.Get().(*quantArgs)
		q.dst, q.a, q.b, q.zeroA = unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), unsafe.Pointer(&scale[0]), zero
		q.run(k.dequantizeI32, n)
	}
	dequantizeI32Generic(dst[n:], src[n:], scale[n:], zero)
}

func (k *quantKernels) requant(dst []byte, src []int32, scale []float32, o output) {
	n := k.whole(len(src))
	if n > 0 {
		q := quantCalls.Get().(*quantArgs)
		q.dst, q.a, q.b = unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), unsafe.Pointer(&scale[0])
		q.output(o)
		q.run(k.requantI32, n)
	}
	requantI32Generic(dst[n:], src[n:], scale[n:], o)
}

func (k *quantKernels) scaleColumns(dst []float32, src []int32, rowScale float32, colScale, bias []float32) {
	n := k.whole(len(src))
	if n > 0 {
		q := quantCalls.Get().(*quantArgs)
		q.dst, q.a, q.b = unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), unsafe.Pointer(&colScale[0])
		q.scaleA = rowScale
		if bias == nil {
			q.run(k.i32ToF32Scale, n)
		} else {
			q.c = unsafe.Pointer(&bias[0])
			q.run(k.i32ToF32ScaleBias, n)
		}
	}
	if bias != nil {
		bias = bias[n:]
	}
	i32ToF32ScaleGeneric(dst[n:], src[n:], rowScale, colScale[n:], bias)
}

func (k *quantKernels) binary(u8, s8 func(*quantArgs), kind pairwise) func(*AddQ) {
	return func(d *AddQ) {
		n := k.whole(len(d.A))
		if n > 0 {
			q := quantCalls.Get().(*quantArgs)
			q.dst, q.a, q.b = unsafe.Pointer(&d.C[0]), unsafe.Pointer(&d.A[0]), unsafe.Pointer(&d.B[0])
			q.scaleA, q.scaleB, q.scaleC = kind.factors(d)
			q.zeroA, q.zeroB = d.ZeroA, d.ZeroB
			q.output(output{0, d.Lo, d.Hi}) // the zero point is added before rounding
			if d.Signed {
				q.run(s8, n)
			} else {
				q.run(u8, n)
			}
		}
		if n < len(d.A) {
			rest := *d
			rest.A, rest.B, rest.C = d.A[n:], d.B[n:], d.C[n:]
			kind.twin(&rest)
		}
	}
}

func (k *quantKernels) minMax(src []float32) (lo, hi float32) {
	n := k.whole(len(src))
	lo, hi = minMaxF32Generic(src[n:])
	if n == 0 {
		return lo, hi
	}
	q := quantCalls.Get().(*quantArgs)
	defer q.free()
	q.lo, q.hi = float32(math.Inf(1)), float32(math.Inf(-1))
	q.reduce(k.minMaxF32, unsafe.Pointer(&src[0]), n)
	lanes := k.vector / 4
	all := unsafe.Slice(&q.lanes[0][0], 2*lanes)
	for i := range lanes {
		lo, hi = min(lo, all[i]), max(hi, all[lanes+i])
	}
	return lo, hi
}

func (k *quantKernels) rowSum(src []byte) int32 {
	n := k.whole(len(src))
	sum := rowSumU8Generic(src[n:])
	if n == 0 {
		return sum
	}
	q := quantCalls.Get().(*quantArgs)
	defer q.free()
	q.reduce(k.rowSumU8, unsafe.Pointer(&src[0]), n)
	for _, s := range unsafe.Slice((*int64)(unsafe.Pointer(&q.lanes)), k.vector/8) {
		sum += int32(s)
	}
	return sum
}

func lookup512(dst, src []byte, table *[256]byte) {
	if len(src) == 0 {
		return
	}
	q := quantCalls.Get().(*quantArgs)
	q.dst, q.a, q.b = unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), unsafe.Pointer(table)
	q.run(lookupVBMI, len(src))
}
