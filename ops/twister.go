package ops

import (
	"math/rand/v2"

	"github.com/tfsopt/tfsopt/graph"
)

// twister is MT19937 (Matsumoto and Nishimura, ACM TOMACS 8, 1998). Seeded like numpy's RandomState it gives the stream
// that ONNX's conformance cases were made with.
type twister struct {
	state [624]uint32
	next  int
}

// randomFor is the generator of an operator with a seed attribute; without one it is the run's own.
func randomFor(x *graph.Exec, seed *float32) *rand.Rand {
	if seed == nil {
		return x.Rand()
	}
	return rand.New(newTwister(uint32(truncate(float64(*seed), -1<<63))))
}

func newTwister(seed uint32) *twister {
	t := &twister{next: len(twister{}.state)}
	t.state[0] = seed
	for i := 1; i < len(t.state); i++ {
		prev := t.state[i-1]
		t.state[i] = 1812433253*(prev^prev>>30) + uint32(i)
	}
	return t
}

func (t *twister) refill() {
	const shift = 397
	n := len(t.state)
	for i := range t.state {
		y := t.state[i]&0x80000000 | t.state[(i+1)%n]&0x7fffffff
		t.state[i] = t.state[(i+shift)%n] ^ y>>1 ^ y&1*0x9908b0df
	}
	t.next = 0
}

// word is the next 32 bits of the stream.
func (t *twister) word() uint32 {
	if t.next == len(t.state) {
		t.refill()
	}
	y := t.state[t.next]
	t.next++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

// Uint64 puts 27 bits of one word before 26 of the next in its low 53 bits, of which rand.Rand makes its Float64, so
// that this is genrand_res53; the bits above them come from the first word's low end.
func (t *twister) Uint64() uint64 {
	a, b := t.word(), t.word()
	return uint64(a&31)<<59 | uint64(b&63)<<53 | uint64(a>>5)<<26 | uint64(b>>6)
}
