package engine

import "github.com/tfsopt/tfsopt/kernels"

// axis is one dimension of a sweep: outputs first, first+step, …, count of them. Output q of it reads the inputs
// q·stride + offs, in ascending order, where tap t has kernel index taps[t].
type axis struct {
	first, count int
	class        int // which of the weights' classes
	taps, offs   []int
}

// sweep is a convolution or its transpose over channels-last data as lines of outputs that are read from padded copies
// of the input's rows. A transposed convolution with strides falls into phases, one for each position between two
// inputs, each an ordinary convolution with some of the taps: no inserted zero is ever multiplied.
type sweep struct {
	g              geom
	y, x           []axis // the phases of both dimensions
	sy, sx, ty, tx int    // steps of the input and of the output between neighbouring lines and pixels of a phase
	loY, loX       int    // the first input row and column of output 0, at most 0
	span           int    // input rows of one line
	wp             int    // width of a padded row
	inPlace        bool   // the input needs no padding
	lines          int    // most lines of a phase
	phases         []phase
}

// phase is one pair of axes with the element offsets of its taps in a band and how many elements each has.
type phase struct {
	y, x axis
	taps []int
	run  int
}

// newSweep plans a convolution, or its transpose, of groups of the given input channels.
func newSweep(g geom, transposed bool, channels int) sweep {
	s := sweep{g: g, sy: 1, sx: 1, ty: 1, tx: 1}
	if transposed {
		s.ty, s.tx = g.sh, g.sw
		s.y = transposedAxes(window{g.oh, g.kh, g.sh, g.dh, g.pt})
		s.x = transposedAxes(window{g.ow, g.kw, g.sw, g.dw, g.pl})
	} else {
		s.sy, s.sx = g.sh, g.sw
		s.y = []axis{forwardAxis(window{g.oh, g.kh, g.sh, g.dh, g.pt})}
		s.x = []axis{forwardAxis(window{g.ow, g.kw, g.sw, g.dw, g.pl})}
	}
	var hiX, hiY, last int
	s.loY, last, hiY = extent(s.y, s.sy)
	s.span = last - s.loY + 1
	s.loX, _, hiX = extent(s.x, s.sx)
	s.wp = hiX - s.loX + 1
	s.inPlace = s.loY == 0 && s.loX == 0 && hiX < g.w && hiY < g.h
	if s.inPlace {
		s.wp = g.w
	}
	for _, a := range s.y {
		s.lines = max(s.lines, a.count)
		for _, b := range s.x {
			p := phase{y: a, x: b}
			p.taps, p.run = s.runs(a, b, channels)
			s.phases = append(s.phases, p)
		}
	}
	return s
}

// window is one dimension of a convolution: size of the output, kernel, stride, dilation, padding in front.
type window struct{ out, kernel, stride, dilation, pad int }

func forwardAxis(w window) axis {
	a := axis{count: w.out}
	for k := range w.kernel {
		a.taps = append(a.taps, k)
		a.offs = append(a.offs, k*w.dilation-w.pad)
	}
	return a
}

// transposedAxes are the phases: input i adds to the outputs i·stride - pad + k·dilation.
func transposedAxes(w window) []axis {
	classes := tapClasses(w.kernel, w.stride, w.dilation)
	var list []axis
	for first := range min(w.stride, w.out) {
		c := ((first+w.pad)%w.stride + w.stride) % w.stride
		a := axis{first: first, count: (w.out - first + w.stride - 1) / w.stride, class: c, taps: classes[c]}
		for _, k := range a.taps {
			a.offs = append(a.offs, (first+w.pad-k*w.dilation)/w.stride)
		}
		list = append(list, a)
	}
	return list
}

// tapClasses sorts the taps of a transposed convolution by the phase that they serve, in the order of their inputs.
func tapClasses(kernel, stride, dilation int) [][]int {
	classes := make([][]int, stride)
	for k := kernel - 1; k >= 0; k-- {
		c := k * dilation % stride
		classes[c] = append(classes[c], k)
	}
	return classes
}

// extent gives the least offset, but at most 0, the greatest, and the last input that any output reads.
func extent(axes []axis, step int) (lo, hi, last int) {
	for _, a := range axes {
		for _, o := range a.offs {
			lo, hi = min(lo, o), max(hi, o)
			last = max(last, (a.count-1)*step+o)
		}
	}
	return lo, hi, last
}

// band is some lines of one image, of every phase: rows holds what they read.
type band struct {
	rows   []float32
	n      int // image
	q0, q1 int // lines
	cut    int // of cuts equal shares of the output channels
	cuts   int
}

// bands calls f for bands of lines that cover all images. Where these are fewer than the threads, each falls into
// shares of the output channels, at most cuts.
func (s *sweep) bands(x *exec, src []float32, cuts int, f func(b band)) {
	per := s.cut(x.p.pool.threads)
	cuts = max(1, min(cuts, x.p.pool.threads/(s.g.n*per)))
	x.p.pool.run(x.scratch, s.g.n*per*cuts, func(sc *scratch, t int) {
		i := t / cuts
		b := s.band(sc, src, i/per, [2]int{s.lines * (i % per) / per, s.lines * (i%per + 1) / per})
		b.cut, b.cuts = t%cuts, cuts
		f(b)
	})
}

// cut says into how many bands an image falls: they fit the cache, and there is one for each thread.
func (s *sweep) cut(threads int) int {
	row := 4 * s.wp * s.g.c
	lines := max(1, (stripBytes/max(row, 1)-s.span)/max(s.sy, 1))
	per := max(1, (s.lines+lines-1)/lines)
	if threads > 1 && s.g.n*per < 2*threads {
		per = max(per, min(s.lines, (2*threads+s.g.n-1)/s.g.n))
	}
	return per
}

// band makes the rows that the lines q[0] to q[1] of image n read.
func (s *sweep) band(sc *scratch, src []float32, n int, q [2]int) band {
	g := s.g
	b := band{n: n, q0: q[0], q1: q[1]}
	if s.inPlace {
		b.rows = src[(n*g.h+q[0]*s.sy)*g.w*g.c:]
		return b
	}
	b.rows = sc.floats(s.bandSize(q[1] - q[0]))
	s.pad(b.rows, src, n, q[0])
	return b
}

// bandSize is how many elements the padded rows of some lines have.
func (s *sweep) bandSize(lines int) int { return ((lines-1)*s.sy + s.span) * s.wp * s.g.c }

// pad fills dst with the padded rows of image n, from line q on.
func (s *sweep) pad(dst, src []float32, n, q int) {
	g := s.g
	g.pl = -s.loX
	image := src[n*g.h*g.w*g.c:][:g.h*g.w*g.c]
	padRows(asBytes(dst), asBytes(image), g, padSpec{pixel: 4 * g.c, wp: s.wp, y: q*s.sy + s.loY})
}

// padImages gives the padded rows of several images, and how far they lie apart.
func (s *sweep) padImages(sc *scratch, src []float32, first, n int) (rows []float32, apart int) {
	if s.inPlace {
		apart = s.g.h * s.g.w * s.g.c
		return src[first*apart:], apart
	}
	apart = s.bandSize(s.lines)
	rows = sc.floats(n * apart)
	for i := range n {
		s.pad(rows[i*apart:][:apart], src, first+i, 0)
	}
	return rows, apart
}

// runs lists the taps of a phase: where neighbouring ones are neighbours in memory, a whole row of the kernel is one
// run. each is the channels of a group.
func (s *sweep) runs(y, x axis, each int) (taps []int, run int) {
	joined := each == s.g.c
	for i, o := range x.offs {
		joined = joined && o == x.offs[0]+i
	}
	for _, oy := range y.offs {
		base := (oy - s.loY) * s.wp
		for i, ox := range x.offs {
			if i == 0 || !joined {
				taps = append(taps, (base+ox-s.loX)*s.g.c)
			}
		}
	}
	if joined {
		return taps, each * len(x.offs)
	}
	return taps, each
}

// place fills in where a phase's lines of a band read and write, for groups of the given output channels.
func (s *sweep) place(c *kernels.ConvF32, b band, p *phase, m int) (at int) {
	c.Lines, c.M = min(b.q1, p.y.count)-b.q0, p.x.count
	c.XLine, c.XPixel = s.sy*s.wp*s.g.c, s.sx*s.g.c
	c.YLine, c.YPixel = s.ty*s.g.ow*m, s.tx*m
	return ((b.n*s.g.oh+p.y.first+b.q0*s.ty)*s.g.ow + p.x.first) * m
}
