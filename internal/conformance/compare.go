package conformance

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/tensor"
)

// Tolerance bounds |got - want| by Abs + Rel * |want|, as numpy.testing.assert_allclose does.
type Tolerance struct{ Rel, Abs float64 }

// standard is what ONNX's own backend test runner uses; bfloat16 gets two units in the last place there.
var standard = Tolerance{1e-3, 1e-7}

const bfloat16Rel = 1. / 64

// tolerances holds the cases for which the standard does not do, with the reason.
var tolerances = map[string]struct {
	Tolerance
	reason string
}{
	"node/test_dft_inverse":         {Tolerance{1e-3, 1e-6}, dftNoise},
	"node/test_dft_inverse_opset19": {Tolerance{1e-3, 1e-6}, dftNoise},
}

const dftNoise = "the expected imaginary parts are float32 rounding noise around zero, up to 2e-7"

func toleranceOf(c Case) Tolerance {
	if o, ok := tolerances[c.String()]; ok {
		return o.Tolerance
	}
	return standard
}

// Compare is nil if got has want's type and shape and its elements are close enough; integers, booleans and strings
// must be equal.
func Compare(got, want *tensor.Tensor, tol Tolerance) error {
	if got.DType != want.DType || len(got.Items) != len(want.Items) {
		return fmt.Errorf("got %s with %d items, want %s with %d", got.DType, len(got.Items), want.DType, len(want.Items))
	}
	for i := range got.Items {
		if err := Compare(got.Items[i], want.Items[i], tol); err != nil {
			return fmt.Errorf("item %d: %w", i, err)
		}
	}
	if got.DType == tensor.Sequence || got.DType == tensor.Optional {
		return nil
	}
	if fmt.Sprint(got.Shape) != fmt.Sprint(want.Shape) {
		return fmt.Errorf("got shape %v, want %v", got.Shape, want.Shape)
	}
	g, w := numbers(got), numbers(want)
	if !got.IsFloat() && len(g) == 0 {
		if !got.Equal(want) {
			return fmt.Errorf("got %v %v, want %v %v", clip(tensor.Ints(got)), clip(got.Strings), clip(tensor.Ints(want)), clip(want.Strings))
		}
		return nil
	}
	if got.DType == tensor.BFloat16 {
		tol.Rel = max(tol.Rel, bfloat16Rel)
	}
	return compareNumbers(g, w, tol)
}

func clip[T any](s []T) []T { return s[:min(len(s), 16)] }

// numbers gives float and complex elements as float64; nil for other types.
func numbers(t *tensor.Tensor) []float64 {
	switch t.DType {
	case tensor.Complex64:
		var out []float64
		for _, v := range tensor.View[complex64](t) {
			out = append(out, float64(real(v)), float64(imag(v)))
		}
		return out
	case tensor.Complex128:
		var out []float64
		for _, v := range tensor.View[complex128](t) {
			out = append(out, real(v), imag(v))
		}
		return out
	}
	if !t.IsFloat() {
		return nil
	}
	return tensor.Float64s(t)
}

func compareNumbers(got, want []float64, tol Tolerance) error {
	bad, worst, at := 0, -1.0, 0
	for i, w := range want {
		g := got[i]
		if g == w || math.IsNaN(g) && math.IsNaN(w) {
			continue
		}
		d := math.Abs(g - w)
		if d <= tol.Abs+tol.Rel*math.Abs(w) && !math.IsInf(w, 0) {
			continue
		}
		if bad++; d > worst || math.IsNaN(d) {
			worst, at = d, i
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d elements differ, the most at %d: got %v, want %v", bad, len(want), at, got[at], want[at])
	}
	return nil
}
