package ops

import (
	"errors"
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 23, Attention{}) }

// Attention is ONNX's scaled dot-product attention (Vaswani et al., arXiv 1706.03762) with grouped heads (arXiv
// 2305.13245): Y = softmax(softcap(scale·Q·Kᵀ) + bias)·V. Inputs are Q, K, V, each [batch, heads, length, size] or
// [batch, length, heads·size] (then QNumHeads and KVNumHeads are needed), attn_mask, past_key, past_value (put before
// K and V) and nonpad_kv_seqlen [batch] (24); outputs are Y, shaped like Q, present_key, present_value and the scores
// [batch, heads, length, total] that QKMatmulOutputMode selects: 0 raw, 1 after softcap, 2 with bias, 3 after softmax.
// A row that may see no key is zero. The window sizes are of opset 25.
type Attention struct {
	IsCausal           bool     `attr:"is_causal" default:"0"`
	KVNumHeads         int      `attr:"kv_num_heads"`
	LeftWindowSize     int      `attr:"left_window_size" default:"-1"`
	QNumHeads          int      `attr:"q_num_heads"`
	QKMatmulOutputMode int      `attr:"qk_matmul_output_mode" default:"0"`
	RightWindowSize    int      `attr:"right_window_size" default:"-1"`
	Scale              *float32 `attr:"scale"`
	Softcap            float32  `attr:"softcap" default:"0"`
	SoftmaxPrecision   int      `attr:"softmax_precision"`
}

// heads are the dimensions of an attention, sizes before and after concatenation with the past.
type heads[D any] struct{ batch, qHeads, kvHeads, qLen, kvLen, past, size, vSize D }

// Infer gives the types of Y, present_key, present_value and the scores.
func (o Attention) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 3, 7); err != nil {
		return nil, err
	}
	if o.QKMatmulOutputMode < 0 || o.QKMatmulOutputMode > 3 {
		return nil, fmt.Errorf("qk_matmul_output_mode %d is not in 0..3", o.QKMatmulOutputMode)
	}
	d, v := in[0].DType, in[2].DType
	h, err := o.dims(in)
	if err != nil {
		return nil, err
	}
	total := h.kvLen
	if past := fact(in, 4); past.Given() {
		p := dimAt(past, 2)
		m, ok := p.Value()
		n, both := total.Value()
		switch {
		case ok && both:
			total = graph.Fixed(m + n)
		case p.Is(0):
		default:
			total = graph.Dim{}
		}
	}
	y := graph.AnyRank(d)
	switch in[0].Rank() {
	case 3:
		y = graph.Of(d, h.batch, h.qLen, h.qHeads.Mul(h.vSize))
	case 4:
		y = graph.Of(d, h.batch, h.qHeads, h.qLen, h.vSize)
	}
	return []graph.Type{
		y, graph.Of(d, h.batch, h.kvHeads, total, h.size), graph.Of(v, h.batch, h.kvHeads, total, h.vSize),
		graph.Of(d, h.batch, h.qHeads, h.qLen, total),
	}, nil
}

// fact is input i, the zero Fact if it is omitted.
func fact(in []graph.Fact, i int) graph.Fact {
	if i < len(in) {
		return in[i]
	}
	return graph.Fact{}
}

// dimAt is dimension i of a fact, unknown if there is none.
func dimAt(f graph.Fact, i int) graph.Dim {
	if f.Unranked || i >= len(f.Shape) {
		return graph.Dim{}
	}
	return f.Shape[i]
}

func (o Attention) dims(in []graph.Fact) (h heads[graph.Dim], err error) {
	for i := range 3 {
		if r := in[i].Rank(); r >= 0 && r != 3 && r != 4 {
			return h, fmt.Errorf("input %d: want rank 3 or 4, got %d", i, r)
		}
	}
	h.batch = dimAt(in[0], 0)
	if in[0].Rank() == 4 {
		h.qHeads, h.qLen = in[0].Shape[1], in[0].Shape[2]
	}
	if in[1].Rank() == 4 {
		h.kvHeads, h.kvLen, h.size = in[1].Shape[1], in[1].Shape[2], in[1].Shape[3]
	}
	if in[2].Rank() == 4 {
		h.vSize = in[2].Shape[3]
	}
	if in[0].Rank() != 3 && in[1].Rank() != 3 && in[2].Rank() != 3 {
		return h, nil
	}
	if o.QNumHeads <= 0 || o.KVNumHeads <= 0 {
		return h, errors.New("inputs of rank 3 need q_num_heads and kv_num_heads")
	}
	h.qHeads, h.kvHeads = graph.Fixed(o.QNumHeads), graph.Fixed(o.KVNumHeads)
	if in[0].Rank() == 3 {
		h.qLen = in[0].Shape[1]
	}
	if in[1].Rank() == 3 {
		h.kvLen, h.size = in[1].Shape[1], in[1].Shape[2].Div(h.kvHeads)
	}
	if in[2].Rank() == 3 {
		h.vSize = in[2].Shape[2].Div(h.kvHeads)
	}
	return h, nil
}

// Cost counts Q·Kᵀ and the product with V.
func (o Attention) Cost(in, out []graph.Type) graph.Cost {
	facts := make([]graph.Fact, len(in))
	for i, t := range in {
		facts[i] = graph.Fact{Type: t}
	}
	types, err := o.Infer(facts, len(out))
	if err != nil || len(types[3].Shape) != 4 {
		return graph.Cost{}
	}
	scores, _ := graph.SizeOf(types[3].Shape).Value()
	k, _ := types[1].Shape[3].Value()
	v, _ := types[2].Shape[3].Value()
	return graph.Cost{MACs: int64(scores) * int64(k+v), Ops: 5 * int64(scores)}
}

func (o Attention) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	in = allInputs(in, 7)
	a, err := o.attend(in)
	if err != nil {
		return err
	}
	scores := make([]float64, a.batch*a.qHeads*a.qLen*a.total)
	y := make([]float64, a.batch*a.qHeads*a.qLen*a.vSize)
	bias := make([]float64, a.total)
	for b := range a.batch {
		for h := range a.qHeads {
			for i := range a.qLen {
				at := ((b*a.qHeads+h)*a.qLen + i) * a.total
				kept := scores[at : at+a.total]
				p := a.row(b, h, i, bias, kept)
				a.weigh(y[a.out(b, h, i):][:a.vSize], p, b, h)
			}
		}
	}
	yShape := []int{a.batch, a.qHeads, a.qLen, a.vSize}
	if len(in[0].Shape) == 3 {
		yShape = []int{a.batch, a.qLen, a.qHeads * a.vSize}
	}
	results := []struct {
		d     tensor.DType
		v     []float64
		shape []int
	}{
		{in[0].DType, y, yShape},
		{in[1].DType, a.k, []int{a.batch, a.kvHeads, a.total, a.size}},
		{in[2].DType, a.v, []int{a.batch, a.kvHeads, a.total, a.vSize}},
		{in[0].DType, scores, []int{a.batch, a.qHeads, a.qLen, a.total}},
	}
	for i, t := range out {
		if t == nil {
			continue
		}
		r := results[i]
		if err := tensor.SetFloat64s(x.Make(t, r.d, r.shape...), r.v); err != nil {
			return err
		}
	}
	return nil
}

// attending is one call of Attention: q, k and v are [batch, heads, length, size] in float64, k and v with the past.
type attending struct {
	Attention
	heads[int]
	q, k, v []float64
	rank3   bool
	total   int
	scale   float64
	bias    func(b, h, i, j int) float64 // attn_mask
	valid   []int64                      // nonpad_kv_seqlen
}

// attend checks and lays out the inputs.
func (o Attention) attend(in []*tensor.Tensor) (*attending, error) {
	a := &attending{Attention: o, rank3: len(in[0].Shape) == 3}
	facts := make([]graph.Fact, len(in))
	for i, t := range in {
		if t != nil {
			facts[i] = graph.Fact{Type: graph.TypeOf(t)}
		}
	}
	if _, err := o.Infer(facts, 4); err != nil {
		return nil, err
	}
	q, err := splitHeads("Q", in[0], o.QNumHeads)
	if err != nil {
		return nil, err
	}
	k, err := splitHeads("K", in[1], o.KVNumHeads)
	if err != nil {
		return nil, err
	}
	v, err := splitHeads("V", in[2], o.KVNumHeads)
	if err != nil {
		return nil, err
	}
	if (in[4] == nil) != (in[5] == nil) {
		return nil, errors.New("past_key and past_value go together")
	}
	if k, err = k.behind("past_key", in[4]); err != nil {
		return nil, err
	}
	if v, err = v.behind("past_value", in[5]); err != nil {
		return nil, err
	}
	a.batch, a.qHeads, a.kvHeads, a.qLen, a.total = q.shape[0], q.shape[1], k.shape[1], q.shape[2], k.shape[2]
	a.size, a.vSize = q.shape[3], v.shape[3]
	if in[4] != nil {
		a.past = in[4].Shape[2]
	}
	if k.shape[0] != a.batch || v.shape[0] != a.batch || k.shape[3] != a.size || v.shape[1] != a.kvHeads || v.shape[2] != a.total ||
		a.kvHeads == 0 || a.qHeads%a.kvHeads != 0 {
		return nil, fmt.Errorf("heads of Q %v, K %v and V %v do not fit", q.shape, k.shape, v.shape)
	}
	if err := checkSize(tensor.Float64, []int{a.batch, a.qHeads, a.qLen, max(a.total, a.vSize)}); err != nil {
		return nil, err
	}
	a.q, a.k, a.v = q.data, k.data, v.data
	a.scale = 1 / math.Sqrt(float64(a.size))
	if o.Scale != nil {
		a.scale = float64(*o.Scale)
	}
	if in[6] != nil {
		if err := wantShape("nonpad_kv_seqlen", in[6], a.batch); err != nil {
			return nil, err
		}
		a.valid = tensor.Ints(in[6])
	}
	a.bias, err = maskOf(in[3], a.batch, a.qHeads, a.qLen, a.total)
	return a, err
}

// block is an array of rank 4, [batch, heads, length, size].
type block struct {
	shape [4]int
	data  []float64
}

// splitHeads lays out a tensor of rank 4, or of rank 3 with n heads, as [batch, heads, length, size].
func splitHeads(name string, t *tensor.Tensor, n int) (block, error) {
	v := tensor.Float64s(t)
	if len(t.Shape) == 4 {
		return block{[4]int(t.Shape), v}, nil
	}
	if n <= 0 || t.Shape[2]%n != 0 {
		return block{}, fmt.Errorf("%s of width %d does not divide into %d heads", name, t.Shape[2], n)
	}
	batch, length, size := t.Shape[0], t.Shape[1], t.Shape[2]/n
	out := make([]float64, len(v))
	for i := range batch * length * n {
		b, l, h := i/(length*n), i/n%length, i%n
		copy(out[((b*n+h)*length+l)*size:], v[i*size:(i+1)*size])
	}
	return block{[4]int{batch, n, length, size}, out}, nil
}

// behind puts a block behind the past.
func (k block) behind(name string, past *tensor.Tensor) (block, error) {
	if past == nil {
		return k, nil
	}
	s := k.shape
	if len(past.Shape) != 4 || past.Shape[0] != s[0] || past.Shape[1] != s[1] || past.Shape[3] != s[3] {
		return k, fmt.Errorf("%s has shape %v, want [%d %d * %d]", name, past.Shape, s[0], s[1], s[3])
	}
	before, now := past.Shape[2]*s[3], s[2]*s[3]
	v := tensor.Float64s(past)
	var out []float64
	for i := range s[0] * s[1] {
		out = append(out, v[i*before:(i+1)*before]...)
		out = append(out, k.data[i*now:(i+1)*now]...)
	}
	s[2] += past.Shape[2]
	return block{s, out}, nil
}

// maskOf gives attn_mask as a bias; what the mask's last dimension lacks is masked.
func maskOf(mask *tensor.Tensor, shape ...int) (func(b, h, i, j int) float64, error) {
	if mask == nil {
		return func(_, _, _, _ int) float64 { return 0 }, nil
	}
	s := append([]int{1, 1, 1, 1}[:max(4-len(mask.Shape), 0)], mask.Shape...)
	if len(s) != 4 || len(mask.Shape) == 0 || s[3] > shape[3] {
		return nil, fmt.Errorf("attn_mask %v does not broadcast to %v", mask.Shape, shape)
	}
	for i := range 3 {
		if s[i] != 1 && s[i] != shape[i] {
			return nil, fmt.Errorf("attn_mask %v does not broadcast to %v", mask.Shape, shape)
		}
	}
	v := tensor.Float64s(mask)
	step := strides(s, shape)
	if s[3] == 1 { // not repeated: padded
		step[3] = 1
	}
	boolean := mask.DType == tensor.Bool
	return func(b, h, i, j int) float64 {
		if j >= s[3] {
			return math.Inf(-1)
		}
		e := v[b*step[0]+h*step[1]+i*step[2]+j*step[3]]
		if boolean {
			return math.Log(e) // 1: 0, 0: -Inf
		}
		return e
	}, nil
}

// row gives the probabilities of query i, nil if it may see no key, and fills the scores that are kept.
func (a *attending) row(b, h, i int, bias, kept []float64) []float64 {
	offset := a.past
	if a.valid != nil {
		offset = int(a.valid[b]) - a.qLen
	}
	q := a.q[((b*a.qHeads+h)*a.qLen+i)*a.size:][:a.size]
	k := a.k[(b*a.kvHeads+h/(a.qHeads/a.kvHeads))*a.total*a.size:]
	most := math.Inf(-1)
	p := make([]float64, a.total)
	for j := range a.total {
		bias[j] = a.bias(b, h, i, j)
		if !a.sees(i+offset, j) || a.valid != nil && int64(j) >= a.valid[b] {
			bias[j] = math.Inf(-1)
		}
		most = max(most, bias[j])
		var sum float64
		for d, e := range q {
			sum += e * k[j*a.size+d]
		}
		p[j] = sum * a.scale
	}
	a.keep(kept, p, 0)
	if cap := float64(a.Softcap); cap > 0 {
		for j := range p {
			p[j] = cap * math.Tanh(p[j]/cap)
		}
	}
	a.keep(kept, p, 1)
	for j, v := range bias {
		if p[j] += v; math.IsInf(v, -1) {
			p[j] = v // whatever the score was
		}
	}
	a.keep(kept, p, 2)
	if math.IsInf(most, -1) {
		return nil
	}
	softmaxRow(p)
	a.keep(kept, p, 3)
	return p
}

func (a *attending) keep(kept, p []float64, mode int) {
	if a.QKMatmulOutputMode == mode {
		copy(kept, p)
	}
}

// sees reports whether a query at absolute position p may attend key j as far as causality and window go.
func (a *attending) sees(p, j int) bool {
	return !(a.IsCausal && j > p || a.LeftWindowSize >= 0 && p-j > a.LeftWindowSize ||
		a.RightWindowSize >= 0 && j-p > a.RightWindowSize)
}

// softmaxRow replaces scores by exp(s - max) / sum; a row of -Inf alone becomes zero.
func softmaxRow(p []float64) {
	most := math.Inf(-1)
	for _, v := range p {
		most = max(most, v)
	}
	if math.IsInf(most, -1) {
		clear(p)
		return
	}
	var sum float64
	for j, v := range p {
		p[j] = math.Exp(v - most)
		sum += p[j]
	}
	for j := range p {
		p[j] /= sum
	}
}

// weigh adds up the values by their probabilities.
func (a *attending) weigh(y, p []float64, b, h int) {
	v := a.v[(b*a.kvHeads+h/(a.qHeads/a.kvHeads))*a.total*a.vSize:]
	for j, w := range p {
		if w == 0 {
			continue
		}
		for d := range y {
			y[d] += w * v[j*a.vSize+d]
		}
	}
}

// out is where query i's result starts.
func (a *attending) out(b, h, i int) int {
	if a.rank3 {
		return ((b*a.qLen+i)*a.qHeads + h) * a.vSize
	}
	return ((b*a.qHeads+h)*a.qLen + i) * a.vSize
}
