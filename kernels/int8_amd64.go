//go:build amd64 && !noasm

package kernels

var (
	int8AVX2 = Int8Set{}
	int8VNNI = Int8Set{}
)
