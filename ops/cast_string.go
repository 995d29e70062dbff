package ops

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/tfsopt/tfsopt/tensor"
)

// parse converts strings: numbers in plain or scientific form, INF and NaN in any case, a fraction cut off for integers.
func (c conversion) parse(dst, src *tensor.Tensor) error {
	if dst.IsInt() {
		v := make([]uint64, len(src.Strings))
		for i, s := range src.Strings {
			n, err := parseInt(s)
			if err != nil {
				return err
			}
			v[i] = n
		}
		return setUints(dst, v)
	}
	v := make([]float64, len(src.Strings))
	bits := 64
	if dst.DType == tensor.Float32 {
		bits = 32
	}
	for i, s := range src.Strings {
		f, err := strconv.ParseFloat(strings.TrimSpace(s), bits)
		if err != nil && !math.IsInf(f, 0) {
			return fmt.Errorf("%q is not a number", s)
		}
		v[i] = f
	}
	return c.fromFloats(dst, v)
}

// parseInt gives the 64 bits of a signed or unsigned number.
func parseInt(s string) (uint64, error) {
	s = strings.TrimSpace(s)
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return uint64(n), nil
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return n, nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != f || math.Abs(f) >= 1<<63 {
		return 0, fmt.Errorf("%q is not an integer", s)
	}
	return uint64(int64(f)), nil
}

// printNumbers writes numbers as strings: integers in full, Bool as 0 and 1, floats of every width with 8 digits, as ONNX
// Runtime does.
func printNumbers(dst, src *tensor.Tensor) error {
	switch {
	case src.DType == tensor.Uint64:
		for i, v := range tensor.View[uint64](src) {
			dst.Strings[i] = strconv.FormatUint(v, 10)
		}
	case src.IsInt() || src.DType == tensor.Bool:
		for i, v := range tensor.Ints(src) {
			dst.Strings[i] = strconv.FormatInt(v, 10)
		}
	case src.IsFloat():
		for i, v := range tensor.Float64s(src) {
			dst.Strings[i] = printFloat(v)
		}
	default:
		return fmt.Errorf("no conversion from %s to %s", src.DType, dst.DType)
	}
	return nil
}

func printFloat(v float64) string {
	switch {
	case v != v:
		return "NaN"
	case math.IsInf(v, 1):
		return "INF"
	case math.IsInf(v, -1):
		return "-INF"
	}
	return strconv.FormatFloat(v, 'g', 8, 64)
}
