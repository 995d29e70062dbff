package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 27, LinearAttention{}) }

// LinearAttention is attention with a recurrent state S [size, vSize] for each key head. At each step, with decay
// a = exp(gt) and rate βt where the rule has them (gated linear attention, arXiv 2312.06635; delta rule, arXiv
// 2406.06484; both, arXiv 2412.06464):
//
//	linear       S = S + k·vᵀ                  gated        S = a·S + k·vᵀ
//	delta        S = S + β·k·(v - Sᵀk)ᵀ        gated_delta  S = a·S + β·k·(v - (a·S)ᵀk)ᵀ
//	y = scale·Sᵀq
//
// Inputs are query [batch, length, QNumHeads·size], key and value [batch, length, KVNumHeads·size], past_state
// [batch, KVNumHeads, size, vSize], decay [batch, length, KVNumHeads or KVNumHeads·size] and beta
// [batch, length, KVNumHeads or 1]; outputs are Y [batch, length, QNumHeads·vSize] and the state. Scale 0 means
// 1/sqrt(size); ChunkSize is a hint.
type LinearAttention struct {
	ChunkSize  int     `attr:"chunk_size" default:"64"`
	KVNumHeads int     `attr:"kv_num_heads" required:"true"`
	QNumHeads  int     `attr:"q_num_heads" required:"true"`
	Scale      float32 `attr:"scale" default:"0"`
	UpdateRule string  `attr:"update_rule" default:"gated_delta"`
}

// linearRules tells which of decay and beta a rule needs.
var linearRules = map[string]struct{ gated, delta bool }{
	"linear": {}, "gated": {gated: true}, "delta": {delta: true}, "gated_delta": {true, true},
}

// Infer gives the types of Y and present_state.
func (o LinearAttention) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 3, 6); err != nil {
		return nil, err
	}
	rule, ok := linearRules[o.UpdateRule]
	switch {
	case !ok:
		return nil, fmt.Errorf("update_rule %q is none of linear, gated, delta, gated_delta", o.UpdateRule)
	case o.QNumHeads <= 0 || o.KVNumHeads <= 0 || o.QNumHeads%o.KVNumHeads != 0:
		return nil, fmt.Errorf("%d query heads are no multiple of %d key heads", o.QNumHeads, o.KVNumHeads)
	case rule.gated != fact(in, 4).Given():
		return nil, fmt.Errorf("input 4 (decay): present is %t, update_rule %q", !rule.gated, o.UpdateRule)
	case rule.delta != fact(in, 5).Given():
		return nil, fmt.Errorf("input 5 (beta): present is %t, update_rule %q", !rule.delta, o.UpdateRule)
	}
	for i := range 3 {
		if err := rank(in, i, 3); err != nil {
			return nil, err
		}
	}
	q, kv := graph.Fixed(o.QNumHeads), graph.Fixed(o.KVNumHeads)
	size, vSize := dimAt(in[1], 2).Div(kv), dimAt(in[2], 2).Div(kv)
	state := in[0].DType
	if past := fact(in, 3); past.Given() {
		state = past.DType
	}
	return []graph.Type{
		graph.Of(in[0].DType, dimAt(in[0], 0), dimAt(in[0], 1), q.Mul(vSize)),
		graph.Of(state, dimAt(in[0], 0), kv, size, vSize),
	}, nil
}

// Cost counts the update and the reading of the state.
func (o LinearAttention) Cost(in, _ []graph.Type) graph.Cost {
	n, ok := graph.SizeOf(in[1].Shape).Value()
	v, both := dimAt(graph.Fact{Type: in[2]}, 2).Value()
	if !ok || !both || o.KVNumHeads <= 0 {
		return graph.Cost{}
	}
	reads := 1 + o.QNumHeads/o.KVNumHeads
	if linearRules[o.UpdateRule].delta {
		reads++
	}
	return graph.Cost{MACs: int64(n) * int64(v/o.KVNumHeads) * int64(reads)}
}

func (o LinearAttention) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	in = allInputs(in, 6)
	q, k, v := in[0], in[1], in[2]
	batch, length, hq, hkv := q.Shape[0], q.Shape[1], o.QNumHeads, o.KVNumHeads
	if hq <= 0 || hkv <= 0 || hq%hkv != 0 || q.Shape[2]%hq != 0 || k.Shape[2]%hkv != 0 || v.Shape[2]%hkv != 0 ||
		q.Shape[2]/hq != k.Shape[2]/hkv {
		return fmt.Errorf("query %v, key %v and value %v do not divide into %d and %d heads", q.Shape, k.Shape, v.Shape, hq, hkv)
	}
	size, vSize := k.Shape[2]/hkv, v.Shape[2]/hkv
	if err := checkSize(tensor.Float64, []int{batch, hq, max(length, size), vSize}); err != nil {
		return err
	}
	s := linearState{size: size, vSize: vSize, state: make([]float64, batch*hkv*size*vSize)}
	stateType := q.DType
	if in[3] != nil {
		if err := wantShape("past_state", in[3], batch, hkv, size, vSize); err != nil {
			return err
		}
		copy(s.state, tensor.Float64s(in[3]))
		stateType = in[3].DType
	}
	decay, beta := gateOf(in[4]), gateOf(in[5])
	qs, ks, vs := tensor.Float64s(q), tensor.Float64s(k), tensor.Float64s(v)
	scale := float64(o.Scale)
	if scale == 0 {
		scale = 1 / math.Sqrt(float64(size))
	}
	y := make([]float64, batch*length*hq*vSize)
	for i := range batch * length {
		for h := range hkv {
			at := s.state[(i/length*hkv+h)*size*vSize:][:size*vSize]
			key := ks[(i*hkv+h)*size:][:size]
			s.decay(at, decay.of(i, h, hkv))
			s.write(at, key, vs[(i*hkv+h)*vSize:][:vSize], beta.of(i, h, hkv))
			for g := h * hq / hkv; g < (h+1)*hq/hkv; g++ {
				s.read(y[(i*hq+g)*vSize:][:vSize], at, qs[(i*hq+g)*size:][:size], scale)
			}
		}
	}
	if out[0] != nil {
		if err := tensor.SetFloat64s(x.Make(out[0], q.DType, batch, length, hq*vSize), y); err != nil {
			return err
		}
	}
	if len(out) < 2 || out[1] == nil {
		return nil
	}
	return tensor.SetFloat64s(x.Make(out[1], stateType, batch, hkv, size, vSize), s.state)
}

// gate is decay or beta: [batch, length, width], where width is 1, the heads or heads·size.
type gate struct {
	v     []float64
	width int
}

func gateOf(t *tensor.Tensor) gate {
	if t == nil {
		return gate{}
	}
	return gate{tensor.Float64s(t), t.Shape[2]}
}

// of gives what a head has at step i: nothing, one number or one for each key dimension.
func (g gate) of(i, h, heads int) []float64 {
	if g.v == nil {
		return nil
	}
	if g.width == 1 {
		return g.v[i : i+1]
	}
	n := g.width / heads
	return g.v[i*g.width+h*n:][:n]
}

type linearState struct {
	size, vSize int
	state       []float64
}

func (s linearState) decay(at, g []float64) {
	for d := 0; d < s.size && g != nil; d++ {
		e := math.Exp(g[d%len(g)])
		for m := range s.vSize {
			at[d*s.vSize+m] *= e
		}
	}
}

func (s linearState) write(at, key, value, beta []float64) {
	for m, v := range value {
		if beta != nil {
			var old float64
			for d, k := range key {
				old += at[d*s.vSize+m] * k
			}
			v = beta[0] * (v - old)
		}
		for d, k := range key {
			at[d*s.vSize+m] += k * v
		}
	}
}

func (s linearState) read(y, at, query []float64, scale float64) {
	for m := range y {
		var sum float64
		for d, q := range query {
			sum += q * at[d*s.vSize+m]
		}
		y[m] = scale * sum
	}
}
