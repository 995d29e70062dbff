//go:build !amd64 || noasm

package kernels

// sparseAsmArgs is empty where there is no assembly.
type sparseAsmArgs struct{}
