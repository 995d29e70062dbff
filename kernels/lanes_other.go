//go:build !amd64 || noasm

package kernels

// laneAsmArgs is empty where there is no assembly.
type laneAsmArgs struct{}
