package ops

import (
	"fmt"
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// RequantFixed is the Requant of TensorFlow Lite.
const RequantFixed = "fixed"

// Requantized is an attribute of operators that turn exact sums into the integers of a result: how. Empty, it is ONNX
// Runtime's arithmetic in float32, which each operator's comment states. "fixed" is TensorFlow Lite's: the ratio of scales as a 31-bit
// multiplier and a shift (Jacob et al., arXiv 1712.05877, section 2.2), rounded twice, as its reference kernels do. The two
// differ by one step in some results. A QuantizeLinear passes it on to the operator that it closes; ONNX files hold the
// first alone.
type Requantized struct {
	Requant string `attr:"requant"`
}

// RequantOf gives the attribute of an operator, "" if it has none.
func RequantOf(op graph.Op) string {
	if r, ok := op.(interface{ requantized() string }); ok {
		return r.requantized()
	}
	return ""
}

// WithRequant gives an operator another Requant, if it has one.
func WithRequant(op graph.Op, requant string) graph.Op {
	if RequantOf(op) == requant {
		return op
	}
	domain, name := graph.NameOf(op)
	attrs := slices.DeleteFunc(graph.AttrsOf(op), func(a graph.Attr) bool { return a.Name == "requant" })
	if requant != "" {
		attrs = append(attrs, graph.Attr{Name: "requant", Value: requant})
	}
	if other, err := graph.NewOp(domain, name, attrs); err == nil {
		return other
	}
	return op // it has none
}

func (r Requantized) requantized() string { return r.Requant }

func (r Requantized) fixed() bool { return r.Requant == RequantFixed }

// checkRequant looks at the attribute.
func (r Requantized) checkRequant() error {
	if r.Requant != "" && !r.fixed() {
		return fmt.Errorf("requant %q: want %q or nothing", r.Requant, RequantFixed)
	}
	return nil
}

// FixedScale is a positive factor as Multiplier·2^(Shift-31), Multiplier from 2^30 to 2^31-1.
type FixedScale struct {
	Multiplier int32
	Shift      int
}

// NewFixedScale rounds a factor to the nearest; below 2^-32 it is 0.
func NewFixedScale(factor float64) FixedScale {
	if factor == 0 {
		return FixedScale{}
	}
	m, shift := math.Frexp(factor)
	q := int64(math.Round(m * (1 << 31)))
	if q == 1<<31 {
		q, shift = q/2, shift+1
	}
	if shift < -31 {
		return FixedScale{}
	}
	return FixedScale{int32(q), shift}
}

// ProductScale is the factor of a sum: x_scale·w_scale/y_scale in float64. TensorFlow Lite multiplies the first two in float32
// where weights are uint8.
func ProductScale(sx, sw, sy float32, w tensor.DType) FixedScale {
	if w == tensor.Uint8 {
		return NewFixedScale(float64(float32(sx*sw)) / float64(sy))
	}
	return NewFixedScale(float64(sx) * float64(sw) / float64(sy))
}

// Apply multiplies an int32: the upper half of the doubled product, half rounded up, then a shift, half rounded away from zero.
func (f FixedScale) Apply(x int32) int32 {
	left, right := max(f.Shift, 0), max(-f.Shift, 0)
	x <<= left
	var high int32
	if x == math.MinInt32 && f.Multiplier == math.MinInt32 {
		high = math.MaxInt32
	} else {
		ab, nudge := int64(x)*int64(f.Multiplier), int64(1)<<30
		if ab < 0 {
			nudge = 1 - nudge
		}
		high = int32((ab + nudge) / (1 << 31))
	}
	mask := int32(1)<<right - 1
	threshold := mask >> 1
	if high < 0 {
		threshold++
	}
	out := high >> right
	if high&mask > threshold {
		out++
	}
	return out
}

// ApplyWide multiplies the int64 sum of 16-bit activations, by a multiplier of 15 bits.
func (f FixedScale) ApplyWide(x int64) int64 {
	reduced := int64(0x7fff)
	if f.Multiplier < 0x7fff0000 {
		reduced = (int64(f.Multiplier) + 1<<15) >> 16
	}
	shift := 15 - f.Shift
	return (x*reduced + 1<<(shift-1)) >> shift
}

// requant turns sums into the result's integers.
type requant struct {
	scale  []float32    // one, or one for each output channel
	fixed  []FixedScale // instead of scale
	wide   bool         // sums are int64
	zero   int64
	lo, hi int64
}

// requantParams are the tensors that a requant is made of: the scales of the operands and of the result, its zero
// point.
type requantParams struct{ x, w, y, zero *tensor.Tensor }

// newRequant reads parameters for operands of the given types.
func (r Requantized) newRequant(p requantParams, x, w tensor.DType) (requant, error) {
	q := requant{wide: x.Bits() > 8}
	var ok bool
	if q.lo, q.hi, ok = intRange(p.zero.DType); !ok || p.x.Len() != 1 || p.y.Len() != 1 || p.zero.Len() != 1 || p.w.Len() < 1 {
		return q, fmt.Errorf("want one scale and integer zero point for input and result, got %s%v", p.zero.DType, p.zero.Shape)
	}
	q.zero = tensor.Ints(p.zero)[0]
	sx, sy := tensor.Floats(p.x)[0], tensor.Floats(p.y)[0]
	for _, sw := range tensor.Floats(p.w) {
		if r.fixed() {
			q.fixed = append(q.fixed, ProductScale(sx, sw, sy, w))
		} else {
			q.scale = append(q.scale, float32(sx*sw)/sy)
		}
	}
	return q, nil
}

// apply requantises one sum of output channel c.
func (q requant) apply(sum int64, c int) int64 {
	if len(q.scale)+len(q.fixed) == 1 {
		c = 0
	}
	if q.fixed == nil {
		return saturate(float32(float32(sum)*q.scale[c]), q.zero, q.lo, q.hi)
	}
	return min(max(q.fixed[c].sum(sum, q.wide)+q.zero, q.lo), q.hi)
}

func (f FixedScale) sum(sum int64, wide bool) int64 {
	if wide {
		return f.ApplyWide(sum)
	}
	return int64(f.Apply(int32(sum)))
}

// accumulated is a sum as its accumulator holds it: in int32, which wraps around, or in int64 for wider x.
func accumulated(sum int64, x tensor.DType) int64 {
	if x.Bits() > 8 {
		return sum
	}
	return int64(int32(sum))
}
