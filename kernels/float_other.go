//go:build !amd64 || noasm

package kernels

// machine is empty where there is no assembly.
type machine struct{}
