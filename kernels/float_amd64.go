//go:build amd64 && !noasm

package kernels

// machine is what the drivers of the assembly need of a set.
type machine struct {
	tiles gemmKernels
}

var (
	floatAVX2   = floatSet{gemm: gemmAsm, machine: machine{tiles: gemmAVX2}, vectorTable: vectorAVX2}
	floatAVX512 = floatSet{gemm: gemmAsm, machine: machine{tiles: gemmAVX512}, vectorTable: vectorAVX512}
)
