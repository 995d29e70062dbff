package ops

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	q, k, v := small(1, 2, 4, 3, 2), small(2, 2, 2, 5, 2), small(3, 2, 2, 5, 3)
	flat := tensors(small(1, 2, 3, 8), small(2, 2, 5, 4), small(3, 2, 5, 6))
	plain := []any{"scale", float32(.9)}
	for name, list := range map[string][]any{
		"plain": nil, "causal": {"is_causal", int64(1)}, "softcap": {"softcap", float32(1.5), "scale", float32(1.2)},
		"window": {"left_window_size", int64(1), "right_window_size", int64(0)},
	} {
		gradCases(mustOp("", "Attention", list...), gradCase{name: name, in: tensors(q, k, v)})
		gradCases(mustOp("", "Attention", append(list, "q_num_heads", int64(4), "kv_num_heads", int64(2))...), gradCase{name: name + ", rank 3", in: flat})
	}
	see := make([]bool, 15)
	for i := range see {
		see[i] = i%3 != 0 && i/5 != 1 // the second query sees nothing
	}
	hidden := small(4, 2, 1, 3, 5)
	for i := range 6 {
		tensor.View[float64](hidden)[5*(i%2)+i/2] = math.Inf(-1)
	}
	gradCases(mustOp("", "Attention", plain...),
		gradCase{name: "mask", in: tensors(q, k, v, tensor.From(see, 3, 5))},
		gradCase{name: "bias", in: tensors(q, k, v, small(4, 2, 1, 3, 5))},
		gradCase{name: "bias for all", in: tensors(q, k, v, small(4, 5))},
		gradCase{name: "hiding bias", in: tensors(q, k, v, hidden), fixed: []int{3}},
		gradCase{name: "past", in: tensors(q, k, v, nil, small(5, 2, 2, 1, 2), small(6, 2, 2, 1, 3)), outs: 3})
	gradCases(mustOp("", "Attention", "is_causal", int64(1)),
		gradCase{name: "causal behind the past", in: tensors(q, k, v, nil, small(5, 2, 2, 1, 2), small(6, 2, 2, 1, 3))},
		gradCase{name: "causal bias", in: tensors(q, k, v, small(4, 4, 3, 5))})
	gradCases(mustOp("", "Attention", "left_window_size", int64(0)),
		gradCase{name: "nothing in the window", in: tensors(small(1, 1, 2, 4, 2), small(2, 1, 2, 2, 2), small(3, 1, 2, 2, 2))})
}

func TestAttentionGradientRefuses(t *testing.T) {
	q := small(1, 1, 1, 2, 2)
	for want, in := range map[string][]*tensor.Tensor{
		"nonpad_kv_seqlen": {q, q, q, nil, nil, nil, vec[int64](1)},
		"with a mask":      {q, q, q, shaped([]int{2, 1}, 1., 2)},
		"scores":           {q, q, q},
	} {
		b := graph.NewBuilder(&graph.Graph{})
		var values []*graph.Value
		for i, x := range in {
			if values = append(values, nil); x != nil {
				values[i] = graph.NewInput(fmt.Sprintf("in%d", i), graph.TypeOf(x))
			}
		}
		out := b.AddN("attention", 4, mustOp("", "Attention"), values...)
		dOut := []*graph.Value{out[0], nil, nil, nil}
		if want == "scores" {
			dOut[3] = out[3]
		}
		out[0].Def.Op.(graph.Differentiable).Grad(b, out[0].Def, dOut)
		if b.Err == nil || !strings.Contains(b.Err.Error(), want) {
			t.Errorf("error %v, want one on %s", b.Err, want)
		}
	}
}
