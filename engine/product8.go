package engine

import (
	"iter"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/kernels"
	"github.com/tfsopt/tfsopt/tensor"
)

// weights8 is constant 8-bit weights as the kernels read them. Element i of output channel c means w[i] - shift[c].
type weights8 struct {
	w     []int8  // valid until the next call
	shift []int32 // nil where every channel's weights less their zero point are int8
	sums  []int32 // of what the weights of each channel mean
}

func (w *weights8) value(channel, i int) int32 {
	if w.shift == nil {
		return int32(w.w[i])
	}
	return int32(w.w[i]) - w.shift[channel]
}

// parts is the number of int8 whose sum can be any of the weights, with per of them a channel.
func (w *weights8) parts(per int) int {
	most := int32(1)
	for i := range w.w {
		if v := w.value(i/per, i); v > 0 {
			most = max(most, (v+126)/127)
		} else {
			most = max(most, (127-v)/128)
		}
	}
	return int(most)
}

// convWeights8 is weights8 of a convolution, whose output channels are the first dimension.
func (l *lowering) convWeights8(w, zero *graph.Value) (weights8, bool) {
	if !w.IsConst() || w.Const.Len() == 0 {
		return weights8{}, false
	}
	n := w.Const.Shape[0]
	return l.weights8(w, zero, channels{n, w.Const.Len() / n})
}

// weights8 reads 8-bit weights with constant zero points: none, one, or one for each output channel.
func (l *lowering) weights8(w, zero *graph.Value, c channels) (weights8, bool) {
	if !w.IsConst() || !isByte(w) || w.Const.Len() == 0 {
		return weights8{}, false
	}
	zeros := []int64{0}
	if zero != nil {
		if !zero.IsConst() || zero.DType != w.DType || zero.Const.Len() != 1 && zero.Const.Len() != c.n {
			return weights8{}, false
		}
		zeros = tensor.Ints(zero.Const)
	}
	out := weights8{w: tensor.View[int8](w.Const)}
	if w.DType == tensor.Uint8 || slices.ContainsFunc(zeros, func(z int64) bool { return z != 0 }) {
		out.w = signed(l.raw.bytes(len(w.Const.Data)))
		copy(out.w, tensor.View[int8](w.Const))
		base := int64(0)
		if w.DType == tensor.Uint8 {
			base = 128
			for i := range out.w {
				out.w[i] ^= -128
			}
		}
		shift := make([]int32, c.n)
		for i := range shift {
			shift[i] = int32(zeros[i%len(zeros)] - base)
		}
		out.fold(c, shift)
	}
	out.sums = make([]int32, c.n)
	for i, row := range c.rows(out.w) {
		for _, v := range row {
			out.sums[i] += int32(v)
		}
	}
	for i, z := range out.shift {
		out.sums[i] -= int32(len(out.w)/c.n) * z
	}
	return out, true
}

// fold subtracts the shifts from the weights of those channels where all of them stay int8, and keeps the other shifts.
func (w *weights8) fold(c channels, shift []int32) {
	fits := make([]bool, c.n)
	for i := range fits {
		fits[i] = true
	}
	for i, row := range c.rows(w.w) {
		for _, v := range row {
			d := int32(v) - shift[i]
			fits[i] = fits[i] && d == int32(int8(d))
		}
	}
	for i, row := range c.rows(w.w) {
		if fits[i] {
			for j := range row {
				row[j] -= int8(shift[i])
			}
		}
	}
	for i := range shift {
		if fits[i] {
			shift[i] = 0
		}
	}
	if slices.ContainsFunc(shift, func(z int32) bool { return z != 0 }) {
		w.shift = shift
	}
}

// channels says how weights lie: element i belongs to output channel i/inner%n.
type channels struct{ n, inner int }

// rows gives the runs of weights that share an output channel, with that channel.
func (c channels) rows(w []int8) iter.Seq2[int, []int8] {
	return func(yield func(int, []int8) bool) {
		for len(w) > 0 {
			for i := range c.n {
				if !yield(i, w[i*c.inner:(i+1)*c.inner]) {
					return
				}
			}
			w = w[c.n*c.inner:]
		}
	}
}

// product8 is a product whose columns' weights may have shifts.
type product8 struct {
	kernels.GemmU8S8
	shift []int32 // nil, or N
}

// slice8 cuts a product to a tile; the caller sets A. Panels are multiples of 64 columns of ceil(K/4)·4 bytes.
func slice8(j product8, t tile) product8 {
	j.B = j.B[t.n0*((j.K+3)&^3):]
	if j.C != nil {
		j.C = j.C[t.m0*j.LDC+t.n0:]
		j.Scale = j.Scale[t.n0:t.n1]
	} else {
		j.C32 = j.C32[t.m0*j.LDC+t.n0:]
	}
	if j.Bias != nil {
		j.Bias = j.Bias[t.n0:t.n1]
	}
	if j.shift != nil {
		j.shift = j.shift[t.n0:t.n1]
	}
	j.M, j.N = t.m1-t.m0, t.n1-t.n0
	return j
}

func gemm8(x *exec, j product8) {
	if x.p.pool.threads == 1 {
		j.run(x.p.set, x.scratch)
		return
	}
	split(x, j.M, j.N, j.K, len(j.B), func(s *scratch, t tile) {
		sub := slice8(j, t)
		sub.A = j.A[t.m0*j.LDA:]
		sub.run(x.p.set, s)
	})
}

const sumBytes = 64 << 10 // of sums that should stay in the cache

// run computes the product. With shifts, sum_k a[k]·(w[k]-z) is the packed weights' sum less z·sum_k a[k], in int32 that wraps
// around. It uses the scratch's image, since A may lie in its other buffer.
func (j *product8) run(set *kernels.Set, s *scratch) {
	if j.shift == nil {
		set.GemmU8S8(&j.GemmU8S8)
		return
	}
	part, step := j.GemmU8S8, max(14, sumBytes/(4*j.N))
	for i := 0; i < j.M; i += step {
		part.M, part.A = min(step, j.M-i), j.A[i*j.LDA:]
		if j.C32 != nil {
			part.C32 = j.C32[i*j.LDC:]
		} else {
			part.C, part.LDC = nil, j.N
			part.C32 = i32(grow(&s.image, 4*part.M*j.N))
		}
		set.GemmU8S8(&part)
		for r := range part.M {
			sums, total := part.C32[r*part.LDC:][:j.N], set.RowSumU8(part.A[r*j.LDA:][:j.K])
			for c, z := range j.shift {
				sums[c] -= total * z
			}
			if j.C != nil {
				set.RequantI32(j.C[(i+r)*j.LDC:][:j.N], sums, j.Scale, j.Zero, j.Lo, j.Hi)
			}
		}
	}
}
