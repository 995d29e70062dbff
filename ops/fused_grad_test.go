package ops

func init() {
	x, w := within(1, -1, 1, 2, 3, 5), within(2, -1, 1, 4, 3, 2)
	for name, params := range map[string][]float32{
		"": nil, "Relu": nil, "Tanh": nil, "Sigmoid": nil, "LeakyRelu": {.2}, "Clip": {-.7, .6}, "HardSigmoid": {.3, .4},
	} {
		gradCases(FusedConv{Activation: name, ActivationParams: params, AutoPad: "NOTSET", Group: 1, Strides: []int{2}},
			gradCase{name: "plain " + name, in: tensors(x, w)},
			gradCase{name: "sum " + name, in: tensors(x, w, within(3, -1, 1, 4), within(4, -1, 1, 2, 4, 2))},
			gradCase{name: "sum without bias " + name, in: tensors(x, w, nil, within(4, -1, 1, 2, 4, 2))})
	}
}
