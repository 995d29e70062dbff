package codec

import "image"

// fromYCbCr interpolates the chroma planes to full size and converts to RGB, both with libjpeg's integer arithmetic
// ("fancy upsampling", its default, and the full-range BT.601 of JFIF). image/jpeg by itself repeats chroma samples.
func fromYCbCr(m *image.YCbCr) *Image {
	b := m.Bounds()
	w, h := b.Dx(), b.Dy()
	out := NewRaster[uint8](w, h, 3)
	up := newUpsampler(m.SubsampleRatio, w, h)
	cb, cr := make([]uint8, w+1), make([]uint8, w+1)
	for y := range h {
		up.row(cb, m.Cb, m.CStride, y)
		up.row(cr, m.Cr, m.CStride, y)
		toRGB(out.Pix[y*w*3:(y+1)*w*3], m.Y[y*m.YStride:], cb, cr)
	}
	return out
}

// chroma says how many luma columns and rows share a chroma sample.
var chroma = map[image.YCbCrSubsampleRatio][2]int{
	image.YCbCrSubsampleRatio444: {1, 1}, image.YCbCrSubsampleRatio422: {2, 1}, image.YCbCrSubsampleRatio420: {2, 2},
	image.YCbCrSubsampleRatio440: {1, 2}, image.YCbCrSubsampleRatio411: {4, 1}, image.YCbCrSubsampleRatio410: {4, 2},
}

// upsampler brings rows of a chroma plane to the luma plane's width w.
type upsampler struct {
	w, cw, ch int // luma width, chroma width and height
	sx, sy    int // luma samples per chroma sample, across and down
	sum       []int32
}

func newUpsampler(ratio image.YCbCrSubsampleRatio, w, h int) *upsampler {
	s := chroma[ratio]
	u := &upsampler{w: w, sx: s[0], sy: s[1], cw: (w + s[0] - 1) / s[0], ch: (h + s[1] - 1) / s[1]}
	u.sum = make([]int32, u.cw)
	return u
}

// row writes the chroma samples of luma row y to dst[:w]; an odd width may also set dst[w]. As in libjpeg (jdsample.c)
// halved columns are interpolated if the plane is wider than two samples, halved rows always unless the columns are
// not, and quartered ones are repeated.
func (u *upsampler) row(dst, plane []uint8, stride, y int) {
	near := y / u.sy
	line := plane[near*stride : near*stride+u.cw]
	far := near - 1 + 2*(y%2)
	other := plane[min(max(far, 0), u.ch-1)*stride:][:u.cw]
	switch {
	case u.sx == 2 && u.cw > 2 && u.sy == 2:
		for i, v := range line {
			u.sum[i] = 3*int32(v) + int32(other[i])
		}
		u.triangle(dst, 8, 7, 4)
	case u.sx == 2 && u.cw > 2:
		for i, v := range line {
			u.sum[i] = int32(v)
		}
		u.triangle(dst, 1, 2, 2)
	case u.sx == 1 && u.sy == 2:
		bias := int32(1 + y%2)
		for i, v := range line {
			dst[i] = uint8((3*int32(v) + int32(other[i]) + bias) >> 2)
		}
	default:
		for x := range u.w {
			dst[x] = line[x/u.sx]
		}
	}
}

// triangle doubles u.sum: each output is 3/4 of the nearer and 1/4 of the farther input, rounded with the bias even or
// odd by its column, then shifted right; the first and the last are the outermost inputs.
func (u *upsampler) triangle(dst []uint8, even, odd int32, shift uint) {
	s, last := u.sum, u.cw-1
	edgeEven, edgeOdd := even, odd
	if shift == 2 {
		edgeEven, edgeOdd = 0, 0
	}
	for i, v := range s {
		left, right := s[max(i-1, 0)], s[min(i+1, last)]
		l, r := (3*v+left+even)>>shift, (3*v+right+odd)>>shift
		if i == 0 {
			l = (4*v + edgeEven) >> shift
		}
		if i == last {
			r = (4*v + edgeOdd) >> shift
		}
		dst[2*i], dst[2*i+1] = uint8(l), uint8(r)
	}
}

// The YCbCr to RGB conversion of JFIF with 16 fractional bits, as jdcolor.c tabulates it.
const (
	fixCrR = 91881  // 1.40200
	fixCbB = 116130 // 1.77200
	fixCrG = 46802  // 0.71414
	fixCbG = 22554  // 0.34414
	half   = 1 << 15
)

func toRGB(dst, luma, cb, cr []uint8) {
	for x := range len(dst) / 3 {
		y, b, r := int32(luma[x]), int32(cb[x])-128, int32(cr[x])-128
		p := dst[3*x : 3*x+3]
		p[0] = clamp8(y + (fixCrR*r+half)>>16)
		p[1] = clamp8(y + (-fixCbG*b-fixCrG*r+half)>>16)
		p[2] = clamp8(y + (fixCbB*b+half)>>16)
	}
}

func clamp8(v int32) uint8 { return uint8(min(max(v, 0), 255)) }
