package kernels

// poolSet is pooling over windows of quantised NHWC rows. A window is a list of taps: offsets in x of its positions
// for the first output pixel; the windows of further pixels lie step bytes further each.
type poolSet struct {
	maxRowsU8, maxRowsS8 func(dst []byte, p *pool8)
	sumRowsU8, sumRowsS8 func(dst []int32, p *pool8)
}

// pool8 is one output row of n pixels with c channels.
type pool8 struct {
	n, c, step int
	x          []byte
	taps       []int
}

// check panics if a tap of any pixel lies outside x, or dst is too short.
func (p *pool8) check(dst int) bool {
	if p.n <= 0 || p.c <= 0 || len(p.taps) == 0 {
		return false
	}
	for _, t := range p.taps {
		_ = p.x[t : t+(p.n-1)*p.step+p.c]
	}
	if dst < p.n*p.c {
		panic("kernels: the output row is too short")
	}
	return true
}

// MaxRowsU8 writes dst[p·c+j] = the largest x[taps[t]+p·step+j] over all t, for n pixels of c channels.
func (s *Set) MaxRowsU8(dst []byte, n, c int, x []byte, step int, taps []int) {
	if p := (pool8{n, c, step, x, taps}); p.check(len(dst)) {
		s.maxRowsU8(dst, &p)
	}
}

// MaxRowsS8 is MaxRowsU8 for bytes that hold int8.
func (s *Set) MaxRowsS8(dst []byte, n, c int, x []byte, step int, taps []int) {
	if p := (pool8{n, c, step, x, taps}); p.check(len(dst)) {
		s.maxRowsS8(dst, &p)
	}
}

// SumRowsU8 writes dst[p·c+j] = the sum of x[taps[t]+p·step+j] over all t, for n pixels of c channels.
func (s *Set) SumRowsU8(dst []int32, n, c int, x []byte, step int, taps []int) {
	if p := (pool8{n, c, step, x, taps}); p.check(len(dst)) {
		s.sumRowsU8(dst, &p)
	}
}

// SumRowsS8 is SumRowsU8 for bytes that hold int8.
func (s *Set) SumRowsS8(dst []int32, n, c int, x []byte, step int, taps []int) {
	if p := (pool8{n, c, step, x, taps}); p.check(len(dst)) {
		s.sumRowsS8(dst, &p)
	}
}

var poolGeneric = poolSet{
	maxRowsU8: maxRowsU8Generic, maxRowsS8: maxRowsS8Generic, sumRowsU8: sumRowsU8Generic, sumRowsS8: sumRowsS8Generic,
}

// each calls f for every window position of every pixel, a pixel's first tap first: dst begins at do, its bytes are x.
func (p *pool8) each(f func(first bool, do int, x []byte)) {
	for i := range p.n {
		for k, t := range p.taps {
			f(k == 0, i*p.c, p.x[t+i*p.step:][:p.c])
		}
	}
}

func maxRowsU8Generic(dst []byte, p *pool8) {
	p.each(func(first bool, do int, x []byte) {
		for j, v := range x {
			if first || v > dst[do+j] {
				dst[do+j] = v
			}
		}
	})
}

func maxRowsS8Generic(dst []byte, p *pool8) {
	p.each(func(first bool, do int, x []byte) {
		for j, v := range x {
			if first || int8(v) > int8(dst[do+j]) {
				dst[do+j] = v
			}
		}
	})
}

func sumRowsU8Generic(dst []int32, p *pool8) {
	clear(dst[:p.n*p.c])
	p.each(func(_ bool, do int, x []byte) {
		for j, v := range x {
			dst[do+j] += int32(v)
		}
	})
}

func sumRowsS8Generic(dst []int32, p *pool8) {
	clear(dst[:p.n*p.c])
	p.each(func(_ bool, do int, x []byte) {
		for j, v := range x {
			dst[do+j] += int32(int8(v))
		}
	})
}
