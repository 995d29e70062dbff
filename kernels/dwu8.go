package kernels

// DepthwiseU8S8 is one output row of a depthwise convolution over NHWC: with sums over the taps t,
//
//	Y[p·LDY+c] = clamp(roundeven(float32(Bias[c] + sum X[Taps[t]+p·Step+c]·w[t,c])·Scale[c]) + Zero, Lo, Hi)
//
// as its low byte. Padding, with the zero point, is already in X.
type DepthwiseU8S8 struct {
	N, C         int     // pixels and channels
	X            []byte  // uint8
	Step         int     // bytes from one output pixel's window to the next
	Taps         []int   // offsets in X of the first pixel's window, row by row for 3x3
	W            []int8  // from PackDepthwiseS8
	Bias         []int32 // C, or nil
	Scale        []float32
	Zero, Lo, Hi int32 // all within [0, 255], or all within [-128, 127]
	Y            []byte
	LDY          int // bytes between output pixels
}

// depthwiseSet is a set's layout of depthwise weights and the convolution that reads it.
type depthwiseSet struct {
	packedDepthwiseS8 func(taps, c int) int
	packDepthwiseS8   func(dst, src []int8, taps, c int)
	depthwiseU8S8     func(d *DepthwiseU8S8)
}

// PackedDepthwiseS8 returns the length of packed depthwise weights.
func (s *Set) PackedDepthwiseS8(taps, c int) int { return s.packedDepthwiseS8(taps, c) }

// PackDepthwiseS8 packs weights src[t·c+j] of tap t and channel j into dst of length PackedDepthwiseS8(taps, c).
func (s *Set) PackDepthwiseS8(dst, src []int8, taps, c int) {
	dst = dst[:s.PackedDepthwiseS8(taps, c)]
	clear(dst)
	s.packDepthwiseS8(dst, src[:taps*c], taps, c)
}

// DepthwiseU8S8 computes d on the calling goroutine. It panics if a tap, an output or a parameter lies outside its slice.
func (s *Set) DepthwiseU8S8(d *DepthwiseU8S8) {
	if d.N <= 0 || d.C <= 0 {
		return
	}
	for _, t := range d.Taps {
		_ = d.X[t : t+(d.N-1)*d.Step+d.C]
	}
	_, _, _ = d.Y[:(d.N-1)*d.LDY+d.C], d.Scale[:d.C], d.W[:s.PackedDepthwiseS8(len(d.Taps), d.C)]
	if d.Bias != nil {
		_ = d.Bias[:d.C]
	}
	s.depthwiseU8S8(d)
}

var depthwiseGeneric = depthwiseSet{
	packedDepthwiseS8: func(taps, c int) int { return taps * c },
	packDepthwiseS8:   func(dst, src []int8, _, _ int) { copy(dst, src) },
	depthwiseU8S8:     depthwiseU8S8Generic,
}

func depthwiseU8S8Generic(d *DepthwiseU8S8) {
	const block = 64
	var sums [block]int32
	for p := range d.N {
		for c := 0; c < d.C; c += block {
			w := min(block, d.C-c)
			clear(sums[:])
			if d.Bias != nil {
				copy(sums[:], d.Bias[c:c+w])
			}
			for t, at := range d.Taps {
				x, k := d.X[at+p*d.Step+c:][:w], d.W[t*d.C+c:][:w]
				for j, v := range x {
					sums[j] += int32(v) * int32(k[j])
				}
			}
			requantI32Generic(d.Y[p*d.LDY+c:][:w], sums[:w], d.Scale[c:c+w], output{d.Zero, d.Lo, d.Hi})
		}
	}
}
