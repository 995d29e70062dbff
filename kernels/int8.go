package kernels

import "unsafe"

//go:generate go -C gen run ./int8 -out ../int8gemm_amd64.s gemm
//go:generate go -C gen run ./int8 -out ../int8dw_amd64.s dw
//go:generate go -C gen run ./int8 -out ../quant_amd64.s quant

// Int8Set is the integer part of a Set. Its results are exact sums and fixed sequences of float32 steps, so that every
// implementation gives the same bits.
type Int8Set struct {
	gemmU8S8 func(g *GemmU8S8)
	depthwiseSet
	quantSet
	poolSet
}

// panelS8 is the number of columns in one panel of packed int8 weights.
const panelS8 = 32

// GemmU8S8 is C[i,j] = sum over k of A[i,k]·B[k,j] (+ Bias[j]) with uint8 rows and packed int8 weights. Exactly one of
// C32 and C is set.
type GemmU8S8 struct {
	M, N, K  int
	A        []byte // row-major, M rows of K, LDA apart
	LDA      int
	B        []int8    // from PackS8, K×N
	PairsFit bool      // what PackS8 said of B; false is always right, but slower on some machines
	Bias     []int32   // nil, or N: usually the layer's bias minus the zero point's share, zx·sum_k B[k,j]
	C32      []int32   // the sums, M rows of N, LDC apart; they wrap around at 32 bits
	C        []byte    // requantised: clamp(roundeven(float32(sum)·Scale[j]) + Zero, Lo, Hi), its low byte
	LDC      int       // in elements
	Scale    []float32 // N; finite; with C
	Zero     int32     // zero point of C
	Lo, Hi   int32     // clamp of C, within [0, 255] or within [-128, 127], as is Zero
}

// PackedS8 returns the length of a packed k×n int8 matrix.
func (s *Set) PackedS8(k, n int) int {
	return (n + panelS8 - 1) / panelS8 * panelS8 * ((k + 3) / 4 * 4)
}

// PackS8 packs the k×n matrix src[k·rs+n·cs] into dst of length PackedS8(k, n): panels of 32 columns, each
// [ceil(k/4)][32][4], with zeros beyond k and n. It reports whether pairs fit: for every uint8 x and y and every pair of
// weights v, w of a column at k = 2i and 2i+1, x·v + y·w is an int16. That is so where the positive ones of v and w sum to
// at most 128 and the negative ones to at least -128.
func (s *Set) PackS8(dst []int8, src []int8, k, n, rs, cs int) (pairsFit bool) {
	dst = dst[:s.PackedS8(k, n)]
	clear(dst)
	k4 := (k + 3) / 4
	for j := range n {
		panel := dst[j/panelS8*panelS8*4*k4:]
		col := j % panelS8 * 4
		for p := range k {
			panel[p/4*panelS8*4+col+p%4] = src[p*rs+j*cs]
		}
	}
	return pairsFit8(dst)
}

// pairsFit8 looks at eight weights at a time; the length of packed weights is a multiple of that.
func pairsFit8(packed []int8) bool {
	const ones, low = 0x0101010101010101, 0x00ff00ff00ff00ff
	for ; len(packed) > 0; packed = packed[8:] {
		w := *(*uint64)(unsafe.Pointer(&packed[:8][0]))
		negative := w >> 7 & ones
		mask := negative * 255
		above, below := w&^mask, ^w&mask // below is -1-w of the negative ones
		both := negative & (negative >> 8)
		high := above&low + above>>8&low + 127*(low/255)
		deep := below&low + below>>8&low + both&low + 128*(low/255)
		if (high|deep)&^low != 0 {
			return false
		}
	}
	return true
}

// GemmU8S8 computes g on the calling goroutine. Callers split M freely and N by multiples of 32.
func (s *Set) GemmU8S8(g *GemmU8S8) {
	if g.M > 0 && g.N > 0 {
		s.gemmU8S8(g)
	}
}

func gemmU8S8Generic(g *GemmU8S8) {
	k4 := (g.K + 3) / 4
	var sums [panelS8]int32
	for j := 0; j < g.N; j += panelS8 {
		w := min(panelS8, g.N-j)
		panel := g.B[j*k4*4:][:panelS8*k4*4]
		for i := range g.M {
			clear(sums[:])
			if g.Bias != nil {
				copy(sums[:], g.Bias[j:j+w])
			}
			row := g.A[i*g.LDA:][:g.K]
			addDots(&sums, row, panel)
			if g.C32 != nil {
				copy(g.C32[i*g.LDC+j:][:w], sums[:w])
				continue
			}
			requantI32Generic(g.C[i*g.LDC+j:][:w], sums[:w], g.Scale[j:j+w], output{g.Zero, g.Lo, g.Hi})
		}
	}
}

// addDots adds row·panel to the sums of one panel's columns.
func addDots(sums *[panelS8]int32, row []byte, panel []int8) {
	for p, a := range row {
		x := int32(a)
		w := panel[p/4*panelS8*4+p%4:]
		w = w[:panelS8*4-3]
		for c := range sums {
			sums[c] += x * int32(w[4*c])
		}
	}
}
