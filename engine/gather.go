package engine

import (
	"unsafe"

	"github.com/tfsopt/tfsopt/tensor"
)

func asBytes[T tensor.Native](v []T) []byte {
	if len(v) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&v[0])), len(v)*int(unsafe.Sizeof(v[0])))
}

// gatherSpec says what gather copies: run bytes of each pixel's pixel bytes; what lies outside becomes pad.
type gatherSpec struct {
	g          geom
	run, pixel int
	pad        byte
	row        int // bytes of one gathered row; 0: kh*kw*run
}

// gather writes the rows m0..m1 of the matrix of windows (im2col): one row an output pixel, taps in order ky, kx,
// channel.
func gather(dst, src []byte, s gatherSpec, m0, m1 int) {
	g := s.g
	row := s.row
	if row == 0 {
		row = g.kh * g.kw * s.run
	}
	oy, ox, n := m0/g.ow%g.oh, m0%g.ow, m0/(g.ow*g.oh)
	for m := m0; m < m1; m++ {
		d := dst[(m-m0)*row:]
		y0, x0 := oy*g.sh-g.pt, ox*g.sw-g.pl
		base := n * g.h * g.w * s.pixel
		for ky := range g.kh {
			iy := y0 + ky*g.dh
			line := d[ky*g.kw*s.run:][:g.kw*s.run]
			if iy < 0 || iy >= g.h {
				fillBytes(line, s.pad)
				continue
			}
			gatherLine(line, src[base+iy*g.w*s.pixel:], s, x0)
		}
		if ox++; ox == g.ow {
			ox = 0
			if oy++; oy == g.oh {
				oy = 0
				n++
			}
		}
	}
}

// short says that a kernel row is one piece of at most four words, for gatherWords.
func (s gatherSpec) short() bool { return s.g.dw == 1 && s.run == s.pixel && s.g.kw*s.run <= 32 }

// gatherWords is gather for kernel rows of a few words, where calls of copy would take most of the time. The image's rows
// are first copied to the scratch's image with padding, so that no window has an edge. Whole words are copied: what they
// write beyond a kernel row the next one overwrites, and dst must be 32 bytes longer than its rows.
func gatherWords(dst, src []byte, s gatherSpec, t tile, sc *scratch) {
	g, m0 := s.g, t.m0
	wp := max((g.ow-1)*g.sw+g.kw, g.pl+g.w)
	line := wp * s.pixel
	for m0 < t.m1 {
		n, y0, ox := m0/(g.ow*g.oh), m0/g.ow%g.oh, m0%g.ow
		end := min(t.m1, (n+1)*g.ow*g.oh)
		rows := ((end-1)/g.ow%g.oh-y0)*g.sh + (g.kh-1)*g.dh + 1
		image := grow(&sc.image, rows*line+32)
		padRows(image[:rows*line], src[n*g.h*g.w*s.pixel:], g, padSpec{pixel: s.pixel, wp: wp, y: y0*g.sh - g.pt, value: []byte{s.pad}})
		for at := 0; m0 < end; at, ox = at+g.sh*line, 0 {
			for ; ox < g.ow && m0 < end; ox, m0 = ox+1, m0+1 {
				copyWords(dst, image[at+ox*g.sw*s.pixel:], g.kh, g.kw*s.run, g.dh*line)
				dst = dst[s.row:]
			}
		}
	}
}

// copyWords copies one window: kh pieces of run bytes, stride bytes apart in src, in words.
func copyWords(dst, src []byte, kh, run, stride int) {
	words := (run + 7) / 8
	_, _ = dst[(kh-1)*run+8*words-1], src[(kh-1)*stride+8*words-1]
	to, from := unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0])
	for ky := range kh {
		d, s := unsafe.Add(to, ky*run), unsafe.Add(from, ky*stride)
		for i := range words {
			*(*uint64)(unsafe.Add(d, 8*i)) = *(*uint64)(unsafe.Add(s, 8*i))
		}
	}
}

// gatherLine copies the taps of one kernel row that starts at input column x0.
func gatherLine(dst, src []byte, s gatherSpec, x0 int) {
	g := s.g
	if g.dw == 1 && s.run == s.pixel { // taps are neighbours in memory
		a, b := max(0, -x0), min(g.kw, g.w-x0)
		if a >= b {
			fillBytes(dst, s.pad)
			return
		}
		if a > 0 {
			fillBytes(dst[:a*s.run], s.pad)
		}
		copy(dst[a*s.run:b*s.run], src[(x0+a)*s.pixel:])
		if b < g.kw {
			fillBytes(dst[b*s.run:], s.pad)
		}
		return
	}
	for kx := range g.kw {
		ix := x0 + kx*g.dw
		if ix < 0 || ix >= g.w {
			fillBytes(dst[kx*s.run:(kx+1)*s.run], s.pad)
			continue
		}
		copy(dst[kx*s.run:(kx+1)*s.run], src[ix*s.pixel:])
	}
}

func fillBytes(b []byte, v byte) {
	if v == 0 {
		clear(b)
		return
	}
	for i := range b {
		b[i] = v
	}
}

// stripSpec says how strips pads: the element size in bytes and the bytes of one padding element.
type stripSpec struct {
	size  int
	pad   []byte // nil: zeros
	parts int    // how often to list the taps, 0 means once
}

// strip is one output row's view of its input: x holds the rows, taps are element offsets in it, y is the index of the
// row's first output pixel.
type strip struct {
	x       []byte
	taps    []int
	y       int
	scratch *scratch
}

const stripBytes = 256 << 10

// strips calls f for every output row of a window over channels-last data. Where there is padding, a strip of rows is
// first copied with its borders filled, so that f sees no edge.
func strips(x *exec, g geom, src []byte, s stripSpec, f func(st strip)) {
	pixel := g.c * s.size
	wp := max((g.ow-1)*g.sw+(g.kw-1)*g.dw+1, g.pl+g.w)
	inside := g.pt == 0 && g.pl == 0 && wp <= g.w && (g.oh-1)*g.sh+(g.kh-1)*g.dh < g.h
	if inside {
		wp = g.w
	}
	var taps []int
	for range max(1, s.parts) {
		for ky := range g.kh {
			for kx := range g.kw {
				taps = append(taps, (ky*g.dh*wp+kx*g.dw)*g.c)
			}
		}
	}
	span := (g.kh-1)*g.dh + 1
	rows := max(1, min(g.oh, stripBytes/max(wp*pixel, 1)-span)/max(g.sh, 1))
	if t := x.p.pool.threads; t > 1 {
		rows = max(1, min(rows, g.oh/(2*t)))
	}
	per := (g.oh + rows - 1) / rows
	x.p.pool.run(x.scratch, g.n*per, func(sc *scratch, i int) {
		n, y0 := i/per, i%per*rows
		y1 := min(y0+rows, g.oh)
		image := src[n*g.h*g.w*pixel:]
		buf, top := image, y0*g.sh
		if !inside {
			buf = sc.bytes(((y1-1-y0)*g.sh + span) * wp * pixel)
			padRows(buf, image, g, padSpec{pixel: pixel, wp: wp, y: y0*g.sh - g.pt, value: s.pad})
			top = 0
		}
		for y := y0; y < y1; y++ {
			f(strip{x: buf[(top+(y-y0)*g.sh)*wp*pixel:], taps: taps, y: (n*g.oh + y) * g.ow, scratch: sc})
		}
	})
}

type padSpec struct {
	pixel, wp, y int // bytes a pixel, padded width in pixels, input row of the first padded one
	value        []byte
}

// padRows fills dst with whole padded rows.
func padRows(dst, src []byte, g geom, s padSpec) {
	line := s.wp * s.pixel
	for y := s.y; len(dst) >= line; y++ {
		d := dst[:line]
		dst = dst[line:]
		if y < 0 || y >= g.h {
			fillPattern(d, s.value)
			continue
		}
		n := min(g.w, s.wp-g.pl)
		fillPattern(d[:g.pl*s.pixel], s.value)
		copy(d[g.pl*s.pixel:], src[y*g.w*s.pixel:][:n*s.pixel])
		fillPattern(d[(g.pl+n)*s.pixel:], s.value)
	}
}

func fillPattern(b, p []byte) {
	switch len(p) {
	case 0:
		clear(b)
	case 1:
		fillBytes(b, p[0])
	default:
		for i := 0; i+len(p) <= len(b); i += len(p) {
			copy(b[i:], p)
		}
	}
}
