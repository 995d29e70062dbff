package engine

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// gatherWords gives what gather gives, for parts that begin and end anywhere in a batch.
func TestGatherWords(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 2000 {
		g := geom{
			n: 1 + rng.IntN(3), h: 1 + rng.IntN(9), w: 1 + rng.IntN(9), c: 1 + rng.IntN(6), kh: 1 + rng.IntN(5), kw: 1 + rng.IntN(5),
			sh: 1 + rng.IntN(3), sw: 1 + rng.IntN(3), dh: 1 + rng.IntN(2), dw: 1, pt: rng.IntN(4), pl: rng.IntN(4),
		}
		g.oh = max(0, (g.h+2*g.pt-(g.kh-1)*g.dh-1))/g.sh + 1
		g.ow = max(0, (g.w+2*g.pl-g.kw))/g.sw + 1
		s := gatherSpec{g: g, run: g.c, pixel: g.c, pad: byte(rng.IntN(256)), row: (g.kh*g.kw*g.c + 3) &^ 3}
		src := make([]byte, g.n*g.h*g.w*g.c)
		for j := range src {
			src[j] = byte(rng.IntN(256))
		}
		if !s.short() {
			continue
		}
		all := g.n * g.oh * g.ow
		m0 := rng.IntN(all)
		m1 := m0 + 1 + rng.IntN(all-m0)
		want, got := make([]byte, (m1-m0)*s.row), make([]byte, (m1-m0)*s.row+32)
		gather(want, src, s, m0, m1)
		gatherWords(got, src, s, tile{m0: m0, m1: m1}, &scratch{})
		for m := range m1 - m0 {
			a, b := want[m*s.row:][:g.kh*g.kw*g.c], got[m*s.row:][:g.kh*g.kw*g.c]
			if !bytes.Equal(a, b) {
				t.Fatalf("case %d: %+v, rows %d to %d, row %d:\ngot  %v\nwant %v", i, s, m0, m1, m, b, a)
			}
		}
	}
}
