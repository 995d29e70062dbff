package engine

import (
	"maps"
	"slices"
)

// Lowered lists the operators that have fast steps, by name, those outside ONNX's own domain as domain.Name. The
// others run their own kernels.
func Lowered() []string { return slices.Sorted(maps.Keys(lowerers)) }
