//go:build amd64 && !noasm

package kernels

var (
	floatAVX2   = floatSet{gemm: gemmAsm, tiles: gemmAVX2}
	floatAVX512 = floatSet{gemm: gemmAsm, tiles: gemmAVX512}
)
