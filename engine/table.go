package engine

// lowerers says how each operator becomes steps; what is not here runs its own kernel.
var lowerers map[string]lowerer

// imageOps are the operators whose steps take images, and what belongs to them, with their channels last.
var imageOps = map[string]bool{
	"Conv": true, "ConvTranspose": true, "QLinearConv": true, "ConvInteger": true, "tfsopt.ConvWeightGrad": true,
	"MaxPool": true, "AveragePool": true, "GlobalAveragePool": true, "com.microsoft.QLinearGlobalAveragePool": true,
	"tfsopt.MaxPoolGrad": true, "tfsopt.AveragePoolGrad": true,
	"BatchNormalization": true, "tfsopt.BatchNormalizationGrad": true,
}

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
		"Cast":              elementwise(wrapCast),
		"Clip":              lowerClip,
		"Concat":            lowerConcat,
		"Softmax":           lowerRows,

		"LayerNormalization":            lowerLayerNorm,
		"ReduceSum":                     lowerReduce,
		"ReduceMean":                    lowerReduce,
		"ReduceMax":                     lowerReduce,
		"Expand":                        lowerExpand,
		"Where":                         elementwise(wrapWhere),
		"Pow":                           lowerPow,
		"Sum":                           lowerSum,
		"LeakyRelu":                     elementwise(wrapActivation),
		"ThresholdedRelu":               elementwise(wrapActivation),
		"HardSigmoid":                   elementwise(wrapActivation),
		"Elu":                           elementwise(wrapActivation),
		"Selu":                          elementwise(wrapActivation),
		"Celu":                          elementwise(wrapActivation),
		"Swish":                         elementwise(wrapActivation),
		"Softplus":                      elementwise(wrapActivation),
		"Mish":                          elementwise(wrapActivation),
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
		"tfsopt.ClipGrad":               elementwise(wrapGate),

		"QuantizeLinear":             lowerQuantize,
		"DequantizeLinear":           lowerQuantize,
		"DynamicQuantizeLinear":      lowerDynamicQuantize,
		"tfsopt.DynamicQuantizeRows": lowerDynamicQuantize,
		"QLinearConv":                lowerQConv,
		"QLinearMatMul":              lowerQMatMul,
		"MatMulInteger":              lowerMatMulInteger,
		"ConvInteger":                lowerConvInteger,

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
		lowerers[name] = elementwise(wrapUnary)
	}
	for name := range relations {
		lowerers[name] = elementwise(wrapRelation)
	}
	for name := range binaries {
		lowerers[name] = lowerBinary
	}
}
