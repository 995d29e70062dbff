package tensor

// Zeros counts the elements that are zero, of either sign. Strings are not; complex numbers are if both parts are.
func (t *Tensor) Zeros() int {
	switch t.DType {
	case Float32:
		return zeros(View[float32](t))
	case Float64:
		return zeros(View[float64](t))
	case Int64:
		return zeros(View[int64](t))
	case Int8, Uint8, Bool:
		return zeros(t.Data)
	case String, Sequence, Optional:
		return 0
	case Complex64, Complex128:
		half := Float32
		if t.DType == Complex128 {
			half = Float64
		}
		return pairs(Float64s(&Tensor{DType: half, Shape: []int{2 * t.Len()}, Data: t.Data}))
	}
	return zeros(Float64s(t))
}

func zeros[T uint8 | int64 | float32 | float64](v []T) int {
	n := 0
	for _, x := range v {
		if x == 0 {
			n++
		}
	}
	return n
}

// pairs counts the pairs of zeros.
func pairs(v []float64) int {
	n := 0
	for i := 0; i+1 < len(v); i += 2 {
		if v[i] == 0 && v[i+1] == 0 {
			n++
		}
	}
	return n
}
