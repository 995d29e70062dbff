package quantize

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/optimize"
	"github.com/tfsopt/tfsopt/train"
)

// trainedPairs are a layer whose weights are trained, and the names of its weight and scales as parameters.
type trainedPairs struct {
	*layer
	name, scales string
}

// keepPairs moves trained weights to where rounding leaves every pair safe: the magnitudes of two of one sign add up to
// at most pairLimit-1 steps.
func (s *simulation) keepPairs(params []*train.Param) {
	by := map[string]*train.Param{}
	for _, p := range params {
		by[p.Name] = p
	}
	for _, t := range s.pairs {
		w := by[t.name]
		if w == nil {
			continue
		}
		v, unit := w.Values(), w.Unit()
		scale := t.scale
		if p := by[t.scales]; p != nil {
			scale = p.Values()
			unit /= p.Unit()
		}
		row, next := t.k, 1 // from one row, and from one factor, to the next
		if t.axis != 0 {
			row, next = 1, t.rows
		}
		for r := range t.rows {
			most := float64(scale[r*len(scale)/t.rows]) * float64(unit) * (pairLimit - 1)
			for i := 0; i+1 < t.k; i += 2 {
				a, b := &v[r*row+t.order[i]*next], &v[r*row+t.order[i+1]*next]
				if over := math.Abs(float64(*a)+float64(*b)) - most; over > 0 && *a**b > 0 {
					shrink(a, b, over)
				}
			}
		}
	}
}

// shrink brings two numbers of one sign nearer to zero, by over in all: as near to what they were as zero allows.
func shrink(a, b *float32, over float64) {
	if math.Abs(float64(*a)) < math.Abs(float64(*b)) {
		a, b = b, a
	}
	small := min(over/2, math.Abs(float64(*b)))
	*a -= float32(math.Copysign(over-small, float64(*a)))
	*b -= float32(math.Copysign(small, float64(*b)))
}

// warn says where a finished graph is not exact.
func (r *Result) warn() {
	s := optimize.CheckSaturation(r.Graph)
	if s.Unsafe == 0 {
		return
	}
	var worst optimize.SaturatingLayer
	for _, l := range s.Layers {
		if l.Unsafe > worst.Unsafe {
			worst = l
		}
	}
	r.Warnings = append(r.Warnings, fmt.Sprintf("%d of %d pairs of 8-bit products (most in %s) can overflow 16 bits: ONNX Runtime "+
		"then gives other answers on x86 CPUs without VNNI (AVX2 alone: Intel before Cascade Lake and Ice Lake, AMD before Zen 4)",
		s.Unsafe, s.Pairs, worst.Name))
}
