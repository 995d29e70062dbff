//go:build !amd64 || noasm

package kernels

func setTable() []setInfo { return []setInfo{{set: genericSet}} }
