package evaluate

import "math"

// bets are the shares of the boldest bet that the capital of a sequential test is spread over.
var bets = func() (b [12]float64) {
	share := 1.0
	for i := range b {
		share *= 0.75
		b[i] = share
	}
	return b
}()

// evidence is the logarithm of what a gambler owns who began with 1 and bet on the N samples, one after the other, that
// the drop is below m, a fraction above -1 and below 1 (I. Waudby-Smith and A. Ramdas, "Estimating means of bounded
// random variables by betting", JRSS B 86, 2024, arXiv 2010.09686). A sample's outcome x is 1 if only the reference is
// right, -1 if only the model is, else 0, so that its mean is the drop. It multiplies a stake by 1 + l (m - x); if the
// drop is m or more that is a supermartingale for every l from 0 to 1/(1-m), and by Ville's inequality it ever reaches
// 1/alpha with a probability of at most alpha. The capital is shared evenly among fixed l, so that it depends on the
// counts alone, and rises with m.
func (p Pairs) evidence(m float64) float64 {
	var logs [len(bets)]float64
	most := math.Inf(-1)
	for i, b := range bets {
		l := b / (1 - m)
		logs[i] = p.B*math.Log1p(l*(m-1)) + p.C*math.Log1p(l*(m+1)) + (p.N-p.B-p.C)*math.Log1p(l*m)
		most = max(most, logs[i])
	}
	sum := 0.0
	for _, v := range logs {
		sum += math.Exp(v - most)
	}
	return most + math.Log(sum/float64(len(logs)))
}

// Sequence gives an interval of drops, as fractions, that holds at every number of samples at once: the chance that the
// true drop is ever above hi, however often one looks while samples arrive, is at most alpha, and so is that of lo. The
// samples must come in random order.
func (p Pairs) Sequence(alpha float64) (lo, hi float64) {
	other := Pairs{B: p.C, C: p.B, N: p.N}
	return -other.above(alpha), p.above(alpha)
}

// above is the largest drop that the evidence leaves.
func (p Pairs) above(alpha float64) float64 {
	lo, hi := -1.0, 1.0
	for range 60 {
		if mid := (lo + hi) / 2; p.evidence(mid) < -math.Log(alpha) {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}

// DecideSequential is Decide by the bounds of Sequence. Needed is the number of samples at which the verdict would come
// if the discordant pairs kept exactly their observed rates.
func (p Pairs) DecideSequential(maxDrop, confidence float64) Gate {
	bounds := func(q Pairs) (lo, hi float64) { return q.Sequence(1 - confidence) }
	return p.decide(maxDrop, bounds, bounds)
}
