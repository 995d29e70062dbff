//go:build amd64 && !noasm

package kernels

var (
	int8AVX2 = Int8Set{gemmU8S8AVX2, depthwiseAVX2, quantGeneric, poolGeneric}
	int8VNNI = Int8Set{gemmU8S8VNNI, depthwiseVNNI, quantGeneric, poolGeneric}
)
