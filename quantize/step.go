package quantize

import "math"

// Value is one number under an explicit step: q = round(x/step), half to even, and what it reads back as.
type Value struct {
	X     float32 // the number
	Q     int64   // its integer
	Back  float32 // Q * step
	Error float32 // |Back - X|
}

// StepValues quantizes numbers with step q_s and zero point 0, without a range: q = round(x / q_s), x̂ = q · q_s.
func StepValues(step float32, values []float32) []Value {
	out := make([]Value, len(values))
	for i, x := range values {
		q := math.RoundToEven(float64(x / step))
		back := float32(q) * step
		out[i] = Value{X: x, Q: int64(q), Back: back, Error: float32(math.Abs(float64(back) - float64(x)))}
	}
	return out
}
