package codec

import "image"

// fromVP8 converts the YCbCr planes of lossy WebP, which are in the studio range and quarter-sized chroma, as libwebp
// does by default: chroma interpolated with the weights 9, 3, 3, 1 and BT.601 in 14-bit fixed point.
func fromVP8(m *image.YCbCr) *Image {
	r := m.Bounds()
	w, h := r.Dx(), r.Dy()
	im := NewRaster[uint8](w, h, 3)
	cw, ch := (w+1)/2, (h+1)/2
	at := func(plane []uint8, x, y int) int {
		return int(plane[min(max(y, 0), ch-1)*m.CStride+min(max(x, 0), cw-1)])
	}
	for y := range h {
		near, far := y/2, y/2-1+2*(y%2)
		for x := range w {
			nx, fx := x/2, x/2-1+2*(x%2)
			chroma := func(plane []uint8) int {
				a, b, c, d := at(plane, nx, near), at(plane, fx, near), at(plane, nx, far), at(plane, fx, far)
				return ((a+3*b+3*c+d+8)>>3 + a) >> 1
			}
			p := im.Pix[3*(y*w+x):]
			p[0], p[1], p[2] = studioRGB(int(m.Y[y*m.YStride+x]), chroma(m.Cb), chroma(m.Cr))
		}
	}
	return im
}

// studioRGB converts a pixel of 16..235 luma and 16..240 chroma.
func studioRGB(y, u, v int) (r, g, b uint8) {
	luma := y * 19077 >> 8
	clip := func(v int) uint8 { return uint8(min(max(v>>6, 0), 255)) }
	return clip(luma + v*26149>>8 - 14234), clip(luma - u*6419>>8 - v*13320>>8 + 8708), clip(luma + u*33050>>8 - 17685)
}
