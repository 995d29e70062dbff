package kernels

// floatSet is the float kernels of a set.
type floatSet struct {
	gemm func(s *Set, g *GemmF32)
	machine
	vectorTable
	rowTable
	convTable
	gradTable
	transposeTable
	sparseTable
	laneTable
}

var floatGeneric = floatSet{
	gemm: gemmGeneric, vectorTable: vectorGeneric, rowTable: rowsGeneric, convTable: convsGeneric, gradTable: gradGeneric,
	transposeTable: transposesGeneric, sparseTable: sparseGeneric, laneTable: lanesGeneric,
}
