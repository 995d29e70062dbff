package train_test

import (
	"strings"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/train"
)

// single is a case of one node; inputs are names with spaces between them, a dash for an omitted one.
func single(op, inputs string, outs int, pairs ...any) func(w *torchGraph) []*graph.Value {
	return func(w *torchGraph) []*graph.Value {
		return w.nodes(op, attrs(pairs...), outs, w.of(strings.Split(inputs, " ")...)...)
	}
}

// resized is a case of one Resize to sizes.
func resized(sizes []int64, pairs ...any) func(w *torchGraph) []*graph.Value {
	return func(w *torchGraph) []*graph.Value {
		return w.nodes("Resize", attrs(pairs...), 1, w.in["x"], nil, nil, w.ints(sizes...))
	}
}

// sampled is a case of one GridSample at 1.8 times the grid.
func sampled(pairs ...any) func(w *torchGraph) []*graph.Value {
	return func(w *torchGraph) []*graph.Value {
		return w.nodes("GridSample", attrs(pairs...), 1, w.in["x"], w.node("Mul", nil, w.in["grid"], w.num(1.8)))
	}
}

// torchCases builds the cases of testdata/interop/gradients.py.
var torchCases = map[string]func(w *torchGraph) []*graph.Value{
	"conv":                single("Conv", "x w b", 1, "strides", []int{2, 2}, "pads", []int{1, 1, 1, 1}, "dilations", []int{2, 2}, "group", 2),
	"conv_uncovered":      single("Conv", "x w", 1, "strides", []int{3, 2}),
	"conv_depthwise":      single("Conv", "x w b", 1, "pads", []int{1, 1, 1, 1}, "group", 5),
	"conv_line":           single("Conv", "x w b", 1, "pads", []int{2, 2}, "strides", []int{2}),
	"conv_volume":         single("Conv", "x w", 1, "strides", []int{1, 2, 1}),
	"conv_transpose":      single("ConvTranspose", "x w b", 1, "strides", []int{2, 2}, "pads", []int{1, 1, 1, 1}, "output_padding", []int{1, 1}, "group", 2),
	"max_pool":            single("MaxPool", "x", 1, "kernel_shape", []int{3, 3}, "strides", []int{2, 2}, "pads", []int{1, 1, 1, 1}),
	"max_pool_ceil":       single("MaxPool", "x", 1, "kernel_shape", []int{3, 3}, "strides", []int{2, 2}, "ceil_mode", 1),
	"average_pool":        single("AveragePool", "x", 1, "kernel_shape", []int{3, 3}, "strides", []int{2, 2}, "pads", []int{1, 1, 1, 1}),
	"average_pool_padded": single("AveragePool", "x", 1, "kernel_shape", []int{3, 2}, "strides", []int{2, 2}, "pads", []int{1, 0, 1, 0}, "count_include_pad", 1),
	"average_pool_ceil":   single("AveragePool", "x", 1, "kernel_shape", []int{3, 3}, "strides", []int{2, 2}, "pads", []int{1, 1, 1, 1}, "ceil_mode", 1, "count_include_pad", 1),
	"norm_pool":           torchNormPool,
	"batch_norm":          func(w *torchGraph) []*graph.Value { return []*graph.Value{w.norm(w.in["x"], "scale", "bias", 1e-3)} },
	"batch_norm_frozen":   single("BatchNormalization", "x scale bias mean var", 1, "epsilon", 1e-3),
	"layer_norm":          single("LayerNormalization", "x scale bias", 1),
	"group_norm":          single("GroupNormalization", "x scale bias", 1, "num_groups", 3),
	"instance_norm":       single("InstanceNormalization", "x scale bias", 1),
	"local_response_norm": single("LRN", "x", 1, "size", 5, "alpha", .3, "beta", .75, "bias", 1.5),
	"resize_linear":       resized([]int64{1, 2, 7, 6}, "mode", "linear"),
	"resize_corners":      resized([]int64{1, 2, 5, 9}, "mode", "linear", "coordinate_transformation_mode", "align_corners"),
	"resize_nearest":      resized([]int64{1, 2, 6, 8}, "coordinate_transformation_mode", "asymmetric", "nearest_mode", "floor"),
	"resize_cubic":        resized([]int64{1, 1, 8, 7}, "mode", "cubic"),
	"grid_sample":         sampled(),
	"grid_sample_cubic":   sampled("mode", "cubic", "padding_mode", "reflection", "align_corners", 1),
	"gelu":                single("Gelu", "x", 1),
	"gelu_tanh":           single("Gelu", "x", 1, "approximate", "tanh"),
	"activations":         torchActivations,
	"cross_entropy":       torchSmoothed,
	"class_weights":       single("SoftmaxCrossEntropyLoss", "z t weight", 1, "ignore_index", 3),
	"kl":                  torchKL,
	"lstm":                single("LSTM", "x w r b - h c", 3, "direction", "bidirectional", "hidden_size", 4),
	"gru":                 single("GRU", "x w r b - h", 2, "direction", "bidirectional", "hidden_size", 4, "linear_before_reset", 1),
	"rnn":                 single("RNN", "x w r b - h", 2, "hidden_size", 4),
	"attention":           single("Attention", "q k v mask", 1, "scale", .4),
	"attention_causal":    single("Attention", "q k v", 1, "is_causal", 1),
	"mlp":                 torchMLP,
	"lenet":               torchLeNet,
	"residual":            torchResidual,
	"depthwise":           torchDepthwise,
	"transformer":         torchTransformer,
}

func torchNormPool(w *torchGraph) []*graph.Value {
	p := w.node("LpPool", attrs("kernel_shape", []int{3}, "strides", []int{2}, "p", 3), w.node("Abs", nil, w.in["x"]))
	return w.nodes("Add", nil, 1, p, w.node("GlobalMaxPool", nil, w.in["x"]))
}

func torchActivations(w *torchGraph) []*graph.Value {
	x := w.in["x"]
	sum := w.node("Mul", nil, x, w.node("Sigmoid", nil, x))
	for _, v := range []*graph.Value{
		w.node("Mul", nil, w.node("Elu", attrs("alpha", .7), x), w.node("Softplus", nil, x)),
		w.node("HardSwish", nil, w.node("Mul", nil, x, w.num(3))),
		w.node("Mish", nil, x),
		w.node("Erf", nil, x),
	} {
		sum = w.node("Add", nil, sum, v)
	}
	return []*graph.Value{sum}
}

func torchSmoothed(w *torchGraph) []*graph.Value {
	smooth := w.node("Add", nil, w.node("Mul", nil, w.in["t"], w.num(.9)), w.num(.1/5))
	return w.crossEntropy(w.in["z"], smooth)
}

func torchKL(w *torchGraph) []*graph.Value {
	return []*graph.Value{train.KL(&train.Task{Builder: w.Builder, Batch: 6}, w.in["teacher"], w.in["z"], 4)}
}

func torchMLP(w *torchGraph) []*graph.Value {
	h := w.node("Tanh", nil, w.dense(w.in["x"], "w1", "b1"))
	h = w.node("Relu", nil, w.node("Gemm", nil, w.of2(h, "w2", "b2")...))
	return w.crossEntropy(w.dense(h, "w3", "b3"), w.in["t"])
}

// of2 is a value and inputs by name.
func (w *torchGraph) of2(v *graph.Value, names ...string) []*graph.Value {
	return append([]*graph.Value{v}, w.of(names...)...)
}

func torchLeNet(w *torchGraph) []*graph.Value {
	pads := []int{2, 2, 2, 2}
	x := w.node("Tanh", nil, w.node("Conv", attrs("pads", pads), w.of("x", "c1", "d1")...))
	x = w.node("AveragePool", attrs("kernel_shape", []int{2, 2}, "strides", []int{2, 2}), x)
	x = w.node("Relu", nil, w.node("Conv", attrs("pads", pads), w.of2(x, "c2", "d2")...))
	x = w.node("Flatten", nil, w.node("MaxPool", attrs("kernel_shape", []int{3, 3}, "strides", []int{2, 2}), x))
	x = w.node("Relu", nil, w.dense(x, "w1", "b1"))
	return w.crossEntropy(w.dense(x, "w2", "b2"), w.in["t"])
}

func torchResidual(w *torchGraph) []*graph.Value {
	pads, strides := []int{1, 1, 1, 1}, []int{2, 2}
	y := w.node("Conv", attrs("pads", pads, "strides", strides), w.of("x", "w1")...)
	y = w.node("Conv", attrs("pads", pads), w.of2(w.node("Relu", nil, w.norm(y, "s1", "b1", 1e-5)), "w2")...)
	skip := w.norm(w.node("Conv", attrs("strides", strides), w.of("x", "skip")...), "s3", "b3", 1e-5)
	y = w.node("Relu", nil, w.node("Add", nil, w.norm(y, "s2", "b2", 1e-5), skip))
	return w.nodes("ReduceMean", attrs("keepdims", 0), 1, y, w.ints(2, 3))
}

func torchDepthwise(w *torchGraph) []*graph.Value {
	y := w.norm(w.node("Conv", nil, w.of("x", "up")...), "s1", "b1", 1e-5)
	y = w.node("Clip", nil, w.node("Mul", nil, y, w.num(4)), w.num(0), w.num(6))
	y = w.node("Conv", attrs("pads", []int{1, 1, 1, 1}, "group", 8), w.of2(y, "deep")...)
	y = w.node("HardSwish", nil, w.norm(y, "s2", "b2", 1e-5))
	gate := w.node("Flatten", nil, w.node("GlobalAveragePool", nil, y))
	gate = w.dense(w.node("Relu", nil, w.dense(gate, "squeeze", "sb")), "excite", "eb")
	gate = w.node("HardSigmoid", attrs("alpha", 1./6), gate)
	y = w.node("Mul", nil, y, w.node("Unsqueeze", nil, gate, w.ints(2, 3)))
	y = w.norm(w.node("Conv", nil, w.of2(y, "down")...), "s3", "b3", 1e-5)
	return w.nodes("Add", nil, 1, w.in["x"], y)
}

func torchTransformer(w *torchGraph) []*graph.Value {
	x := w.node("Gather", nil, w.of("table", "ids")...)
	y := w.dense(w.node("LayerNormalization", nil, w.of2(x, "g1", "h1")...), "qkv", "qkv_bias")
	var parts []*graph.Value
	for _, p := range w.nodes("Split", attrs("axis", -1, "num_outputs", 3), 3, y) {
		p = w.node("Reshape", nil, p, w.ints(2, 5, 2, 4))
		parts = append(parts, w.node("Transpose", attrs("perm", []int{0, 2, 1, 3}), p))
	}
	scores := w.node("MatMul", nil, parts[0], w.node("Transpose", attrs("perm", []int{0, 1, 3, 2}), parts[1]))
	p := w.node("Softmax", nil, w.node("Div", nil, scores, w.num(2)))
	y = w.node("Transpose", attrs("perm", []int{0, 2, 1, 3}), w.node("MatMul", nil, p, parts[2]))
	x = w.node("Add", nil, x, w.dense(w.node("Reshape", nil, y, w.ints(2, 5, 8)), "proj", "proj_bias"))
	y = w.dense(w.node("LayerNormalization", nil, w.of2(x, "g2", "h2")...), "w1", "b1")
	return w.nodes("Add", nil, 1, x, w.dense(w.node("Gelu", nil, y), "w2", "b2"))
}
