//go:build amd64 && !noasm

package kernels

// machine is what the drivers of the assembly need of a set.
type machine struct {
	tiles gemmKernels
}

var (
	floatAVX2 = floatSet{
		gemm: gemmAsm, machine: machine{tiles: gemmAVX2}, vectorTable: vectorAVX2,
		rowTable: rowsAsm(depthwiseF32AVX2, nil, maxRowsF32AVX2, sumRowsF32AVX2), transposeTable: transposesAVX2,
		sparseTable: sparseAsm(&sparseAVX2),
		laneTable:   lanesAsm(lanesAVX2),
		convTable:   convsAVX2,
		gradTable:   gradsAsm(maxPoolGradsAVX2, addPoolGradsAVX2),
	}
	floatAVX512 = floatSet{
		gemm: gemmAsm, machine: machine{tiles: gemmAVX512}, vectorTable: vectorAVX512,
		rowTable: rowsAsm(depthwiseF32AVX512, depthwise9F32AVX512, maxRowsF32AVX512, sumRowsF32AVX512), transposeTable: transposesAVX2,
		sparseTable: sparseAsm(&sparseAVX512),
		laneTable:   lanesAsm(lanesAVX512),
		convTable:   convsAVX512,
		gradTable:   gradsAsm(maxPoolGradsAVX512, addPoolGradsAVX512),
	}
)
