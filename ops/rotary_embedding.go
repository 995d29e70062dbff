package ops

import (
	"errors"
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 23, RotaryEmbedding{}) }

// RotaryEmbedding rotates pairs of each head's elements by the angle of their position (arXiv 2104.09864):
// (a, b) becomes (a·cos - b·sin, a·sin + b·cos). Pairs are (2i, 2i+1) if Interleaved, else (i, i + RotaryEmbeddingDim/2);
// elements from RotaryEmbeddingDim on (0: all are before it) stay. Inputs are X [batch, heads, length, size] or
// [batch, length, heads·size], cos_cache and sin_cache [positions, dim/2], or [batch, length, dim/2] without
// position_ids [batch, length].
type RotaryEmbedding struct {
	Interleaved        bool `attr:"interleaved" default:"0"`
	NumHeads           int  `attr:"num_heads"`
	RotaryEmbeddingDim int  `attr:"rotary_embedding_dim" default:"0"`
}

// Infer gives the type of X.
func (o RotaryEmbedding) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 3, 4); err != nil {
		return nil, err
	}
	switch r := in[0].Rank(); {
	case r >= 0 && r != 3 && r != 4:
		return nil, fmt.Errorf("input 0: want rank 3 or 4, got %d", r)
	case r == 3 && o.NumHeads <= 0:
		return nil, errors.New("an input of rank 3 needs num_heads")
	}
	return []graph.Type{in[0].Type}, nil
}

func (o RotaryEmbedding) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	in = allInputs(in, 4)
	s := in[0].Shape
	if len(s) == 3 {
		if o.NumHeads <= 0 || s[2]%o.NumHeads != 0 {
			return fmt.Errorf("width %d does not divide into %d heads", s[2], o.NumHeads)
		}
		s = []int{s[0], o.NumHeads, s[1], s[2] / o.NumHeads}
	}
	batch, heads, length, size := s[0], s[1], s[2], s[3]
	dim := o.RotaryEmbeddingDim
	if dim == 0 {
		dim = size
	}
	if dim < 0 || dim > size || dim%2 != 0 {
		return fmt.Errorf("rotary dimension %d of heads of %d", dim, size)
	}
	half := dim / 2
	position, err := positions(in[1:], batch, length, half)
	if err != nil {
		return err
	}
	v, cos, sin := tensor.Float64s(in[0]), tensor.Float64s(in[1]), tensor.Float64s(in[2])
	y := append([]float64(nil), v...)
	for i := range batch * heads * length {
		b, h, t, at := i/(heads*length), i/length%heads, i%length, i*size
		if len(in[0].Shape) == 3 {
			at = ((b*length+t)*heads + h) * size
		}
		p := position[b*length+t] * half
		for j := range half {
			first, second := at+j, at+half+j
			if o.Interleaved {
				first, second = at+2*j, at+2*j+1
			}
			y[first] = v[first]*cos[p+j] - v[second]*sin[p+j]
			y[second] = v[first]*sin[p+j] + v[second]*cos[p+j]
		}
	}
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, in[0].Shape...), y)
}

// positions gives the row of the caches for each token; in are cos_cache, sin_cache and position_ids.
func positions(in []*tensor.Tensor, batch, length, half int) ([]int, error) {
	out := make([]int, batch*length)
	rows := batch * length
	if in[2] == nil {
		for i := range out {
			out[i] = i
		}
		return out, errors.Join(wantShape("cos_cache", in[0], batch, length, half), wantShape("sin_cache", in[1], batch, length, half))
	}
	if len(in[0].Shape) == 2 {
		rows = in[0].Shape[0]
	}
	err := errors.Join(wantShape("cos_cache", in[0], rows, half), wantShape("sin_cache", in[1], rows, half),
		wantShape("position_ids", in[2], batch, length))
	if err != nil {
		return nil, err
	}
	for i, p := range tensor.Ints(in[2]) {
		if p < 0 || p >= int64(rows) {
			return nil, fmt.Errorf("position %d is outside of a cache of %d rows", p, rows)
		}
		out[i] = int(p)
	}
	return out, nil
}
