package quantize

import (
	"fmt"

	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// blockSide is the length of the stretches of long rows that are rounded together, largeSide that of models with largeModel
// weights or more, where time and memory count; spreadRows is how many vectors of each sample their moments take.
const (
	blockSide   = 256
	largeSide   = 32
	largeModel  = 1 << 25
	spreadRows  = 48
	unknownSide = 32 // where nobody saw the inputs
)

// spread holds second moments of a layer's input channels with those that follow: a band, the same for every tap.
type spread struct {
	channels, per int // of the input, and of one group
	block         int // length of the stretches
	side          int // of the band
	conv          bool
	sum           []float64 // [channels]
	band          []float64 // [channels][side]: of channel c with c+d
	count         int64
	rows          []float32 // scratch: [channels][positions]
}

func newSpread(l *layer, block int) *spread {
	s := &spread{block: block}
	s.channels, s.per = inputChannels(l)
	_, s.conv = l.node.Op.(ops.Conv)
	s.side = min(block, s.per)
	s.sum, s.band = make([]float64, s.channels), make([]float64, s.channels*s.side)
	return s
}

// inputChannels counts the channels of a layer's input, and those of one group.
func inputChannels(l *layer) (all, per int) {
	if op, ok := l.node.Op.(ops.Conv); ok {
		per = l.weight.Const.Shape[1]
		return per * max(op.Group, 1), per
	}
	return l.k, l.k
}

// spreadBytes is the size of a layer's spread.
func spreadBytes(l *layer, block int) int64 { return int64(l.k) * int64(block+1) * 8 }

// blockOf is how long the stretches of a model's rows are.
func blockOf(layers []*layer) int {
	total := 0
	for _, l := range layers {
		total += l.rows * l.k
	}
	if total >= largeModel {
		return largeSide
	}
	return blockSide
}

// add takes the layer's input of one run.
func (s *spread) add(t *tensor.Tensor) error {
	v := tensor.Floats(t)
	vectors, area := 1, len(v)/s.channels // areas lie after each channel
	if !s.conv {
		vectors, area = area, 1
	} else if len(t.Shape) > 1 && t.Shape[1] == s.channels {
		vectors = t.Shape[0]
		area /= max(vectors, 1)
	} else {
		return fmt.Errorf("input %v does not have %d channels", t.Shape, s.channels)
	}
	area = max(area, 1)
	at := pick(vectors*area, (vectors*area+spreadRows-1)/spreadRows)
	n := len(at)
	if cap(s.rows) < s.channels*n {
		s.rows = make([]float32, s.channels*n)
	}
	rows := s.rows[:s.channels*n]
	for c := range s.channels {
		for j, p := range at {
			rows[c*n+j] = v[(p/area*s.channels+c)*area+p%area]
		}
	}
	for c := range s.channels {
		x := rows[c*n : (c+1)*n]
		s.sum[c] += total(x)
		last := min(s.side, s.per-c%s.per)
		band := s.band[c*s.side:]
		d := 0
		for ; d+1 < last; d += 2 {
			at := (c + d) * n
			y, z := dots(x, rows[at:at+n], rows[at+n:at+2*n])
			band[d] += float64(y)
			band[d+1] += float64(z)
		}
		if d < last {
			band[d] += float64(dot(x, rows[(c+d)*n:(c+d+1)*n]))
		}
	}
	s.count += int64(n)
	return nil
}

func (s *spread) groups() int { return s.channels / s.per }

// between is the moment of two channels of a group that stand less than a block apart, about the mean if centred.
func (s *spread) between(group, a, b int, centred bool) float64 {
	if a > b {
		a, b = b, a
	}
	a, b = group*s.per+a, group*s.per+b
	n := float64(max(s.count, 1))
	m := s.band[a*s.side+b-a] / n
	if centred {
		m -= s.sum[a] / n * (s.sum[b] / n)
	}
	return m
}

// blocks cuts the rows of one group at every tap; channels of different taps, which only an odd number of channels brings
// into one block, count as independent.
func (s *spread) blocks(l *layer, group int, centred bool) []block {
	var out []block
	for from := 0; from < l.k; {
		n := min(s.block, l.k-from)
		if left := s.per - from%s.per; s.per%2 == 0 {
			n = min(n, left)
		}
		if s.per%2 == 0 && from >= s.per { // as in the first tap
			b := out[from%s.per/s.block]
			b.from = from
			out = append(out, b)
			from += n
			continue
		}
		h := make([]float64, n*n)
		for i := range n {
			for j := range n {
				a, b := from+i, from+j
				if a/s.per == b/s.per {
					h[i*n+j] = s.between(group, a%s.per, b%s.per, centred)
				}
			}
		}
		b := newBlock(from, n, h)
		b.quick = s.block == largeSide
		out = append(out, b)
		from += n
	}
	return out
}

// newBlock damps the moments and factors their inverse.
func newBlock(from, n int, h []float64) block {
	damp(h, n)
	return block{from: from, n: n, h: h, u: inverseFactor(h, n)}
}

func damp(h []float64, n int) {
	var trace float64
	for i := range n {
		trace += h[i*n+i]
	}
	for i := range n {
		h[i*n+i] += damping*trace/float64(n) + 1e-12
	}
}

// ordered is the whole row as one block, its moments in the order of the products.
func (g *gram) ordered(l *layer, group int, centred bool) []block {
	m, k := g.moment(group), g.k
	mean := g.sum[group*k : (group+1)*k]
	n := float64(max(g.count, 1))
	for i := range m {
		if centred {
			m[i] -= mean[i/k] / n * (mean[i%k] / n)
		}
	}
	h := make([]float64, k*k)
	for i, a := range l.order {
		for j, b := range l.order {
			h[i*k+j] = m[a*k+b]
		}
	}
	return []block{{n: k, h: h, u: inverseFactor(h, k)}}
}

// unknown are the blocks of a row whose inputs nobody saw: equal variances, and a common mean of which nothing is known
// but that it may be there. Without knowledge only what a clipped pair loses is worth passing on.
func unknown(k int) []block {
	var out []block
	for from := 0; from < k; from += unknownSide {
		n := min(unknownSide, k-from)
		if len(out) > 0 && n == unknownSide {
			b := out[0]
			b.from = from
			out = append(out, b)
			continue
		}
		h := make([]float64, n*n)
		for i := range h {
			h[i] = 0.5
		}
		for i := range n {
			h[i*n+i]++
		}
		out = append(out, newBlock(from, n, h))
	}
	for i := range out {
		out[i].clippedOnly = true
	}
	return out
}
