package quantize

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestClippedPair compares the choice for a pair that is too large with every pair on the border.
func TestClippedPair(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		p := clipped{
			a: 20 + 110*rng.Float64(), b: 100 + 30*rng.Float64(), ha: 0.1 + rng.Float64(), hb: 0.1 + rng.Float64(),
			carry: rng.Float64() - 0.5,
		}
		loss := func(a, b int) float64 {
			da := p.a - float64(a)
			db := p.b - p.carry*da - float64(b)
			return p.ha*da*da + p.hb*db*db
		}
		least := math.Inf(1)
		for a := 1; a < pairLimit; a++ {
			least = min(least, loss(a, pairLimit-a))
		}
		a, b := p.choose()
		if int(a)+int(b) != pairLimit || loss(int(a), int(b)) > least*(1+1e-9) {
			t.Fatalf("%+v: %d, %d loses %g, the best %g", p, a, b, loss(int(a), int(b)), least)
		}
		n := p
		n.a, n.b, n.negative = -p.a, -p.b, true
		if c, d := n.choose(); c != -a || d != -b {
			t.Fatalf("%+v: %d, %d, but %d, %d with the other sign", p, a, b, c, d)
		}
	}
}
