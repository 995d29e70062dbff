package engine

// row says how an operator becomes steps.
type row struct {
	lower  lowerer
	images bool // its steps take images, and what belongs to them, with their channels last
	head   int  // its steps take an epilogue: the number of its inputs, of which a product's last is its bias; 0: they do not
}

// lowerers has a row for each operator with fast steps; what is not here runs its own kernel.
var lowerers map[string]row

func init() {
	lowerers = map[string]row{
		"Conv":              {lower: lowerConv, images: true, head: 3},
		"ConvTranspose":     {lower: lowerSweep, images: true, head: 3},
		"Gemm":              {lower: lowerGemm, head: 3},
		"MatMul":            {lower: lowerMatMul, head: 3},
		"MaxPool":           {lower: lowerPool, images: true},
		"AveragePool":       {lower: lowerPool, images: true},
		"GlobalAveragePool": {lower: lowerGlobalAverage, images: true},
		"Transpose":         {lower: lowerTranspose},
		"Reshape":           {lower: lowerView},
		"Flatten":           {lower: lowerView},
		"Squeeze":           {lower: lowerView},
		"Unsqueeze":         {lower: lowerView},
		"Identity":          {lower: lowerView},
		"Dropout":           {lower: lowerDropout},
		"Cast":              {lower: elementwise(wrapCast)},
		"Clip":              {lower: lowerClip},
		"Concat":            {lower: lowerConcat},
		"Softmax":           {lower: lowerRows},

		"LayerNormalization":            {lower: lowerLayerNorm},
		"ReduceSum":                     {lower: lowerReduce},
		"ReduceMean":                    {lower: lowerReduce},
		"ReduceMax":                     {lower: lowerReduce},
		"Expand":                        {lower: lowerExpand},
		"Where":                         {lower: elementwise(wrapWhere)},
		"Pow":                           {lower: lowerPow},
		"Sum":                           {lower: lowerSum},
		"LeakyRelu":                     {lower: elementwise(wrapActivation)},
		"ThresholdedRelu":               {lower: elementwise(wrapActivation)},
		"HardSigmoid":                   {lower: elementwise(wrapActivation)},
		"Elu":                           {lower: elementwise(wrapActivation)},
		"Selu":                          {lower: elementwise(wrapActivation)},
		"Celu":                          {lower: elementwise(wrapActivation)},
		"Swish":                         {lower: elementwise(wrapActivation)},
		"Softplus":                      {lower: elementwise(wrapActivation)},
		"Mish":                          {lower: elementwise(wrapActivation)},
		"GroupNormalization":            {lower: lowerGroupNorm},
		"InstanceNormalization":         {lower: lowerGroupNorm},
		"LogSoftmax":                    {lower: lowerRows},
		"BatchNormalization":            {lower: lowerBatchNorm, images: true, head: 5},
		"Slice":                         {lower: lowerMove},
		"Pad":                           {lower: lowerMove},
		"Split":                         {lower: lowerMove},
		"ScatterND":                     {lower: lowerScatter},
		"Gather":                        {lower: lowerGather},
		"tfsopt.ReluGrad":               {lower: lowerReluGrad},
		"tfsopt.SoftmaxGrad":            {lower: lowerRows},
		"tfsopt.LogSoftmaxGrad":         {lower: lowerRows},
		"tfsopt.LayerNormalizationGrad": {lower: lowerLayerNormGrad},
		"tfsopt.BatchNormalizationGrad": {lower: lowerBatchNormGrad, images: true},
		"tfsopt.MaxPoolGrad":            {lower: lowerPoolGrad, images: true},
		"tfsopt.AveragePoolGrad":        {lower: lowerPoolGrad, images: true},
		"tfsopt.ClipGrad":               {lower: elementwise(wrapGate)},

		"QuantizeLinear":             {lower: lowerQuantize},
		"DequantizeLinear":           {lower: lowerQuantize},
		"DynamicQuantizeLinear":      {lower: lowerDynamicQuantize},
		"tfsopt.DynamicQuantizeRows": {lower: lowerDynamicQuantize},
		"QLinearConv":                {lower: lowerQConv, images: true},
		"QLinearMatMul":              {lower: lowerQMatMul},
		"MatMulInteger":              {lower: lowerMatMulInteger},
		"ConvInteger":                {lower: lowerConvInteger, images: true},

		"tfsopt.ConvWeightGrad":   {lower: lowerWeightGrad, images: true},
		"tfsopt.FakeQuantize":     {lower: lowerFakeQuantize},
		"tfsopt.FakeQuantizeGrad": {lower: lowerFakeQuantize},

		"com.microsoft.QGemm":                    {lower: lowerQGemm},
		"com.microsoft.QLinearAdd":               {lower: lowerQBinary},
		"com.microsoft.QLinearMul":               {lower: lowerQBinary},
		"com.microsoft.QLinearGlobalAveragePool": {lower: lowerQGlobalAverage, images: true},
		"com.microsoft.QLinearSigmoid":           {lower: lowerLookup},
		"com.microsoft.QLinearLeakyRelu":         {lower: lowerLookup},
	}
	for name := range unaries {
		lowerers[name] = row{lower: elementwise(wrapUnary)}
	}
	for name := range relations {
		lowerers[name] = row{lower: elementwise(wrapRelation)}
	}
	for name := range binaries {
		lowerers[name] = row{lower: lowerBinary}
	}
}
