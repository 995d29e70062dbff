//go:build amd64 && !noasm

package kernels

// transposesAVX2 serves the AVX-512 sets too; there is no wider version.
var transposesAVX2 = transposeTable{
	transposeF32: func(dst []float32, ldd int, src []float32, lds, rows, cols int) {
		for c := 0; c < cols; c += 8 {
			transposeF32AVX2(&dst[c*ldd], 4*ldd, &src[c], 4*lds, rows/8)
		}
	},
	transposeU8: func(dst []byte, ldd int, src []byte, lds, rows, cols int) {
		for c := 0; c < cols; c += 8 {
			transposeU8AVX2(&dst[c*ldd], ldd, &src[c], lds, rows/16)
		}
	},
}
