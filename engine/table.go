package engine

// lowerers says how each operator becomes steps; what is not here runs its own kernel.
var lowerers map[string]lowerer

func init() {
	lowerers = map[string]lowerer{
		"Conv":              lowerConv,
		"ConvTranspose":     lowerSweep,
		"Gemm":              lowerGemm,
		"MatMul":            lowerMatMul,
		"MaxPool":           lowerPool,
		"AveragePool":       lowerPool,
		"GlobalAveragePool": lowerGlobalAverage,
		"Transpose":         lowerTranspose,
		"Reshape":           lowerView,
		"Flatten":           lowerView,
		"Squeeze":           lowerView,
		"Unsqueeze":         lowerView,
		"Identity":          lowerView,
		"Dropout":           lowerDropout,
		"Cast":              agnostic(wrapCast),
		"Clip":              lowerClip,
		"Concat":            lowerConcat,
		"Softmax":           lowerRows,

		"LayerNormalization":            lowerLayerNorm,
		"ReduceSum":                     lowerReduce,
		"ReduceMean":                    lowerReduce,
		"ReduceMax":                     lowerReduce,
		"Expand":                        lowerExpand,
		"Where":                         agnostic(wrapWhere),
		"Pow":                           lowerPow,
		"Sum":                           lowerSum,
		"LeakyRelu":                     agnostic(wrapActivation),
		"ThresholdedRelu":               agnostic(wrapActivation),
		"HardSigmoid":                   agnostic(wrapActivation),
		"Elu":                           agnostic(wrapActivation),
		"Selu":                          agnostic(wrapActivation),
		"Celu":                          agnostic(wrapActivation),
		"Swish":                         agnostic(wrapActivation),
		"Softplus":                      agnostic(wrapActivation),
		"Mish":                          agnostic(wrapActivation),
		"GroupNormalization":            lowerGroupNorm,
		"InstanceNormalization":         lowerGroupNorm,
		"LogSoftmax":                    lowerRows,
		"BatchNormalization":            lowerBatchNorm,
		"Slice":                         lowerMove,
		"Pad":                           lowerMove,
		"Split":                         lowerMove,
		"ScatterND":                     lowerScatter,
		"Gather":                        lowerGather,
		"tfsopt.ReluGrad":               lowerReluGrad,
		"tfsopt.SoftmaxGrad":            lowerRows,
		"tfsopt.LogSoftmaxGrad":         lowerRows,
		"tfsopt.LayerNormalizationGrad": lowerLayerNormGrad,
		"tfsopt.BatchNormalizationGrad": lowerBatchNormGrad,
		"tfsopt.MaxPoolGrad":            lowerPoolGrad,
		"tfsopt.AveragePoolGrad":        lowerPoolGrad,
		"tfsopt.ClipGrad":               agnostic(wrapGate),

		"QuantizeLinear":        lowerQuantize,
		"DequantizeLinear":      lowerQuantize,
		"DynamicQuantizeLinear": lowerDynamicQuantize,
		"QLinearConv":           lowerQConv,
		"QLinearMatMul":         lowerQMatMul,
		"MatMulInteger":         lowerMatMulInteger,
		"ConvInteger":           lowerConvInteger,

		"tfsopt.ConvWeightGrad":   lowerWeightGrad,
		"tfsopt.FakeQuantize":     lowerFakeQuantize,
		"tfsopt.FakeQuantizeGrad": lowerFakeQuantize,

		"com.microsoft.QGemm":                    lowerQGemm,
		"com.microsoft.QLinearAdd":               lowerQBinary,
		"com.microsoft.QLinearMul":               lowerQBinary,
		"com.microsoft.QLinearGlobalAveragePool": lowerQGlobalAverage,
		"com.microsoft.QLinearSigmoid":           lowerLookup,
		"com.microsoft.QLinearLeakyRelu":         lowerLookup,
	}
	for name := range unaries {
		lowerers[name] = agnostic(wrapUnary)
	}
	for name := range relations {
		lowerers[name] = agnostic(wrapRelation)
	}
	for name := range binaries {
		lowerers[name] = lowerBinary
	}
}
