//go:build amd64 && !noasm

package kernels

var floatAVX2, floatAVX512 floatSet
