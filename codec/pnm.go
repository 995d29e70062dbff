package codec

import (
	"bytes"
	"errors"
	"fmt"
)

func isPNM(b []byte) bool {
	return len(b) > 2 && b[0] == 'P' && b[1] >= '1' && b[1] <= '6' && (b[2] == '#' || b[2] == ' ' || b[2] >= '\t' && b[2] <= '\r')
}

// decodePNM reads the six formats of Netpbm: P1 to P3 in text, P4 to P6 binary; bits, gray and colours. Samples are
// scaled to 0..255.
func decodePNM(b []byte, maxPixels int) (*Image, error) {
	kind := b[1] - '0'
	p := pnm{b: b[2:]}
	w, h, most := p.number(), p.number(), 1
	if kind%3 != 1 {
		most = p.number()
	}
	if err := checkPixels(w, h, maxPixels); err != nil {
		return nil, err
	}
	if most <= 0 || most > 65535 || len(p.b) == 0 {
		return nil, errors.New("malformed portable image")
	}
	channels := 1
	if kind%3 == 0 {
		channels = 3
	}
	if kind > 3 {
		p.b = p.b[1:] // one space after the header
	}
	if len(p.b) < w*h*channels/8 {
		return nil, errors.New("truncated portable image")
	}
	im := NewRaster[uint8](w, h, channels)
	p.w = w
	for i := range im.Pix {
		v := p.sample(kind, i%w, most)
		if v < 0 || v > most {
			return nil, fmt.Errorf("sample %d of %d", v, most)
		}
		if kind%3 == 1 {
			v = 1 - v // 1 is black
		}
		im.Pix[i] = uint8((v*255 + most/2) / most)
	}
	return im, nil
}

// pnm is what is left of a file whose rows have w pixels.
type pnm struct {
	b []byte
	w int
}

// number reads a decimal number after blanks and comments; -1 if there is none.
func (p *pnm) number() int {
	for len(p.b) > 0 && (p.b[0] <= ' ' || p.b[0] == '#') {
		if p.b[0] == '#' {
			n := bytes.IndexByte(p.b, '\n')
			if n < 0 {
				return -1
			}
			p.b = p.b[n:]
		}
		p.b = p.b[1:]
	}
	n, digits := 0, 0
	for len(p.b) > 0 && p.b[0] >= '0' && p.b[0] <= '9' && digits < 9 {
		n = 10*n + int(p.b[0]-'0')
		p.b, digits = p.b[1:], digits+1
	}
	if digits == 0 {
		return -1
	}
	return n
}

// sample reads the sample in column x; -1 at the end of the file.
func (p *pnm) sample(kind byte, x, most int) int {
	if kind <= 3 {
		return p.number()
	}
	if kind == 4 {
		if len(p.b) == 0 {
			return -1
		}
		v := int(p.b[0]>>(7-x%8)) & 1
		if x%8 == 7 || x == p.w-1 {
			p.b = p.b[1:]
		}
		return v
	}
	width := 1
	if most > 255 {
		width = 2
	}
	if len(p.b) < width {
		return -1
	}
	v := int(p.b[0])
	if width == 2 {
		v = v<<8 | int(p.b[1])
	}
	p.b = p.b[width:]
	return v
}
