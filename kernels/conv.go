package kernels

import "fmt"

// ConvF32 is lines of a convolution over channels-last data whose padding is in place: a matrix product whose rows are
// read where they lie, without a copy of the windows. Each element is one FMA chain from +0 over the taps in order and
// the Run elements of each, then bias, residual, clamp and gate as in GemmF32; so it has the bits of Gemm on copied windows.
type ConvF32 struct {
	Lines, M, N   int       // lines of outputs, outputs (pixels) a line, output channels
	Taps          []int     // element offset in X of each tap for pixel 0 of line 0; at least one
	Run           int       // consecutive elements of X at each tap, such as those of all channels and of a kernel row
	X             []float32 // input, padding already in place
	XLine, XPixel int       // elements of X between neighbouring lines and pixels
	W             []float32 // len(Taps)·Run × N, packed by the same set's PackF32
	Y             []float32
	YLine, YPixel int       // elements of Y between neighbouring lines and pixels, of which the latter is at least N
	Bias          []float32 // nil or N
	Res           []float32 // nil, or what is added, laid out as Y; may be Y
	Gate          Gate      // laid out as Y
	Lo, Hi        float32
}

// Conv computes c on the calling goroutine. Callers split the work by lines, by pixels or by multiples of NR channels;
// neither changes a bit. It panics when a slice is too short.
func (s *Set) Conv(c *ConvF32) {
	if c.Lines <= 0 || c.M <= 0 || c.N <= 0 {
		return
	}
	c.check(s)
	s.conv(s, c)
}

func (c *ConvF32) check(s *Set) {
	k := len(c.Taps) * c.Run
	y := (c.Lines-1)*c.YLine + (c.M-1)*c.YPixel + c.N
	bad := len(c.Taps) == 0 || c.Run <= 0 || c.XLine < 0 || c.XPixel < 0 || c.YLine < 0 || c.YPixel < c.N && c.M > 1
	if bad || len(c.W) < s.PackedF32(k, c.N) || len(c.Y) < y || c.Bias != nil && len(c.Bias) < c.N || c.Res != nil && len(c.Res) < y || c.Gate.Of != nil && len(c.Gate.Of) < y {
		panic(fmt.Sprintf("kernels: Conv: W %d, Y %d, Bias %d, Res %d, Gate %d do not fit %d×%d×%d outputs (%d, %d apart) of %d taps of %d",
			len(c.W), len(c.Y), len(c.Bias), len(c.Res), len(c.Gate.Of), c.Lines, c.M, c.N, c.YLine, c.YPixel, len(c.Taps), c.Run))
	}
	last := (c.Lines-1)*c.XLine + (c.M-1)*c.XPixel + c.Run
	for _, tap := range c.Taps {
		if tap < 0 || tap+last > len(c.X) {
			panic(fmt.Sprintf("kernels: Conv: tap %d, %d×%d pixels (%d, %d apart) leave X of %d", tap, c.Lines, c.M, c.XLine, c.XPixel, len(c.X)))
		}
	}
}

// convGeneric is the definition of Conv.
func convGeneric(_ *Set, c *ConvF32) {
	for line := range c.Lines {
		for i := range c.M {
			x, at := c.X[line*c.XLine+i*c.XPixel:], line*c.YLine+i*c.YPixel
			for j := 0; j < c.N; j += genericNR {
				acc := c.sum(x, c.W[j*len(c.Taps)*c.Run:])
				for v := range min(genericNR, c.N-j) {
					sum := acc[v]
					if c.Bias != nil {
						sum += c.Bias[j+v]
					}
					if c.Res != nil {
						sum += c.Res[at+j+v]
					}
					c.Y[at+j+v] = c.Gate.pass(clampF32(sum, c.Lo, c.Hi), at+j+v)
				}
			}
		}
	}
}

const genericNR = 16

// sum is one pixel's chains for a panel of channels.
func (c *ConvF32) sum(x, panel []float32) (acc [genericNR]float32) {
	for _, tap := range c.Taps {
		for _, a := range x[tap : tap+c.Run] {
			b := (*[genericNR]float32)(panel)
			for v := range acc {
				acc[v] = FMA32(a, b[v], acc[v])
			}
			panel = panel[genericNR:]
		}
	}
	return acc
}

// convTable is the kernels of convolutions and of their gradients by the weights.
type convTable struct {
	conv      func(s *Set, c *ConvF32)
	gemmTN    func(s *Set, g *GemmTNF32)
	depthGrad func(d *DepthwiseGradF32)
}

var convsGeneric = convTable{conv: convGeneric, gemmTN: gemmTNGeneric, depthGrad: depthGradGeneric}
