package ops

import (
	"math"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// of4 is a float32 tensor of rank 4.
func of4(a, b, c, d int, v ...float32) *tensor.Tensor { return shaped([]int{a, b, c, d}, v...) }

func init() {
	q, k, v := of4(1, 1, 2, 1, 0, 0), of4(1, 1, 2, 1, 5, 7), of4(1, 1, 2, 1, 1, 3)
	capped := float32(2 * math.Tanh(.5))
	register(mustOp("", "Attention"),
		opCase{name: "mean", in: tensors(q, k, v), out: tensors(of4(1, 1, 2, 1, 2, 2))},
		opCase{
			name: "mask", in: tensors(q, k, v, shaped([]int{2, 2}, true, true, false, true)),
			out: tensors(of4(1, 1, 2, 1, 2, 3)),
		},
		opCase{
			name: "nothing to see", in: tensors(q, k, v, shaped([]int{2, 2}, false, false, false, true)),
			out: tensors(of4(1, 1, 2, 1, 0, 3)),
		},
		opCase{
			name: "short mask", in: tensors(q, k, v, shaped([]int{2, 1}, float32(4), 5)),
			out: tensors(of4(1, 1, 2, 1, 1, 1)),
		},
		opCase{name: "valid keys", in: tensors(q, k, v, nil, nil, nil, vec[int64](1)), out: tensors(of4(1, 1, 2, 1, 1, 1))},
		opCase{
			name: "past", in: tensors(q, k, v, nil, of4(1, 1, 1, 1, 9), of4(1, 1, 1, 1, 8)),
			out: tensors(of4(1, 1, 2, 1, 4, 4), of4(1, 1, 3, 1, 9, 5, 7), of4(1, 1, 3, 1, 8, 1, 3), of4(1, 1, 2, 3, 0, 0, 0, 0, 0, 0)),
		},
		opCase{
			name: "grouped heads", in: tensors(of4(1, 4, 1, 1, 0, 0, 0, 0), of4(1, 2, 1, 1, 1, 1), of4(1, 2, 1, 1, 3, 4)),
			out: tensors(of4(1, 4, 1, 1, 3, 3, 4, 4)),
		},
		opCase{name: "float16", in: tensors(typed(tensor.Float16, 0).Reshape(1, 1, 1, 1), typed(tensor.Float16, 1).Reshape(1, 1, 1, 1),
			typed(tensor.Float16, 1.5).Reshape(1, 1, 1, 1)), out: tensors(typed(tensor.Float16, 1.5).Reshape(1, 1, 1, 1))})
	register(mustOp("", "Attention", "is_causal", int64(1)),
		opCase{name: "causal", in: tensors(q, k, v), out: tensors(of4(1, 1, 2, 1, 1, 2))},
		opCase{name: "causal behind the past", in: tensors(of4(1, 1, 1, 1, 0), of4(1, 1, 1, 1, 5), of4(1, 1, 1, 1, 1), nil,
			of4(1, 1, 1, 1, 9), of4(1, 1, 1, 1, 3)), out: tensors(of4(1, 1, 1, 1, 2))},
		opCase{name: "causal, too few keys", in: tensors(q, k, v, nil, nil, nil, vec[int64](1)), out: tensors(of4(1, 1, 2, 1, 0, 1))})
	register(mustOp("", "Attention", "left_window_size", int64(0)),
		opCase{name: "window", in: tensors(q, k, v), out: tensors(of4(1, 1, 2, 1, 2, 3))})
	register(mustOp("", "Attention", "softcap", float32(2), "qk_matmul_output_mode", int64(1), "scale", float32(1)),
		opCase{
			name: "softcap", tol: 1e-7, in: tensors(of4(1, 1, 1, 1, 1), of4(1, 1, 1, 1, 1), of4(1, 1, 1, 1, 6)),
			out: tensors(of4(1, 1, 1, 1, 6), nil, nil, of4(1, 1, 1, 1, capped)),
		})
	register(mustOp("", "Attention", "q_num_heads", int64(2), "kv_num_heads", int64(2), "qk_matmul_output_mode", int64(3)),
		opCase{
			name: "rank 3", in: tensors(of3(1, 1, 2, 0, 0), of3(1, 2, 2, 1, 1, 1, 1), of3(1, 2, 2, 1, 2, 3, 6)),
			out: tensors(of3(1, 1, 2, 2, 4), of4(1, 2, 2, 1, 1, 1, 1, 1), of4(1, 2, 2, 1, 1, 3, 2, 6),
				of4(1, 2, 1, 2, .5, .5, .5, .5)),
		})
}

func init() {
	q, k, v := of4(1, 1, 2, 1, 0, 0), of4(1, 1, 2, 1, 5, 7), of4(1, 1, 2, 1, 1, 3)
	body := &graph.Graph{Name: "mod", Inputs: []*graph.Value{graph.NewInput("s", graph.AnyRank(tensor.Float32))}}
	body.Outputs = []*graph.Value{graph.NewBuilder(body).Add("relu", Relu{}, body.Inputs...)}
	register(mustOp("ai.onnx.preview", "FlexAttention", "score_mod", body, "scale", float32(1)),
		opCase{in: tensors(of4(1, 1, 1, 1, -1), of4(1, 1, 2, 1, 5, 7), of4(1, 1, 2, 1, 1, 3)), out: tensors(of4(1, 1, 1, 1, 2))})
	register(mustOp("ai.onnx.preview", "FlexAttention"), opCase{in: tensors(q, k, v), out: tensors(of4(1, 1, 2, 1, 2, 2))})
}

func init() {
	linear := tensors(of3(1, 2, 1, 1, 1), of3(1, 2, 1, 2, 2), of3(1, 2, 1, 3, 4))
	half := of3(1, 2, 1, -math.Ln2, -math.Ln2)
	rule := func(name string) graph.Op {
		return mustOp("", "LinearAttention", "q_num_heads", int64(1), "kv_num_heads", int64(1), "update_rule", name)
	}
	register(rule("linear"), opCase{in: linear, out: tensors(of3(1, 2, 1, 6, 14), of4(1, 1, 1, 1, 14))})
	register(rule("gated"), opCase{
		tol: 1e-7, in: append(linear[:3:3], of4(1, 1, 1, 1, 2), half),
		out: tensors(of3(1, 2, 1, 7, 11.5), of4(1, 1, 1, 1, 11.5)),
	})
	// S: 0 -> .5·2·(3-0) = 3, then 3 + .5·2·(4 - 6) = 1
	register(rule("delta"), opCase{
		in:  append(linear[:3:3], nil, nil, of3(1, 2, 1, .5, .5)),
		out: tensors(of3(1, 2, 1, 3, 1), of4(1, 1, 1, 1, 1)),
	})
	// S: 3, then 1.5 + .5·2·(4 - 3) = 2.5
	register(rule("gated_delta"), opCase{
		tol: 1e-7, in: append(linear[:3:3], nil, half, of3(1, 2, 1, .5, .5)),
		out: tensors(of3(1, 2, 1, 3, 2.5), of4(1, 1, 1, 1, 2.5)),
	})

	register(mustOp("", "CausalConvWithState"),
		opCase{
			in:  tensors(of3(1, 2, 2, 1, 2, 3, 4), of3(2, 1, 2, 10, 1, 0, 1), vec[float32](0, 100)),
			out: tensors(of3(1, 2, 2, 1, 12, 103, 104), of3(1, 2, 1, 2, 4)),
		},
		opCase{
			name: "short input", in: tensors(of3(1, 1, 1, 3), of3(1, 1, 3, 100, 10, 1), nil, of3(1, 1, 2, 1, 2)),
			out: tensors(of3(1, 1, 1, 123), of3(1, 1, 2, 2, 3)),
		})
	register(mustOp("", "CausalConvWithState", "activation", "silu"),
		opCase{in: tensors(of3(1, 1, 1, 0), of3(1, 1, 1, 1)), out: tensors(of3(1, 1, 1, 0), of3(1, 1, 0))})

	// position 1 turns by 90 degrees: (a, b) becomes (-b, a)
	cos, sin := shaped([]int{2, 1}, float32(1), 0), shaped([]int{2, 1}, float32(0), 1)
	register(mustOp("", "RotaryEmbedding"),
		opCase{
			in:  tensors(of4(1, 1, 2, 2, 1, 2, 3, 4), cos, sin, shaped([]int{1, 2}, int64(0), 1)),
			out: tensors(of4(1, 1, 2, 2, 1, 2, -4, 3)),
		})
	register(mustOp("", "RotaryEmbedding", "num_heads", int64(2), "interleaved", int64(1), "rotary_embedding_dim", int64(2)),
		opCase{
			name: "part of a head", in: tensors(of3(1, 1, 6, 1, 2, 3, 4, 5, 6), of3(1, 1, 1, 0), of3(1, 1, 1, 1)),
			out: tensors(of3(1, 1, 6, -2, 1, 3, -5, 4, 6)),
		})
}

func TestAttentionCost(t *testing.T) {
	ty := func(n int) graph.Type { return graph.Of(tensor.Float32, graph.Dims(2, 3, n, 8)...) }
	c := mustOp("", "Attention").(graph.Costed).Cost([]graph.Type{ty(4), ty(5), ty(5)}, make([]graph.Type, 1))
	if want := int64(2 * 3 * 4 * 5 * (8 + 8)); c.MACs != want {
		t.Errorf("Attention costs %d multiply-adds, want %d", c.MACs, want)
	}
}

func TestAttentionKeepsSymbols(t *testing.T) {
	b, n := graph.Named("batch"), graph.Named("length")
	f := graph.Fact{Type: graph.Of(tensor.Float32, b, n, graph.Fixed(12))}
	types, err := mustOp("", "Attention", "q_num_heads", int64(3), "kv_num_heads", int64(3)).Infer([]graph.Fact{f, f, f}, 4)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		"float32[batch,length,12]", "float32[batch,3,length,4]", "float32[batch,3,length,4]",
		"float32[batch,3,length,length]",
	} {
		if got := types[i].String(); got != want {
			t.Errorf("output %d: %s, want %s", i, got, want)
		}
	}
}
