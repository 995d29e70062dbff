//go:build amd64 && !noasm

package kernels

var (
	int8AVX2 = Int8Set{gemmU8S8AVX2, depthwiseAVX2, kernelsAVX2.set(), kernelsAVX2.pools()}
	int8VNNI = Int8Set{gemmU8S8VNNI, depthwiseVNNI, kernelsAVX512.set(), kernelsAVX512.pools()}
)
