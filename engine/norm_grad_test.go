package engine_test

import (
	"fmt"
	"testing"
)

func TestRowGradients(t *testing.T) {
	for _, shape := range []string{"3,10", "2,5,37", "70,33", "2,3,4,5"} {
		agree(t, fmt.Sprintf(`input x: f32[%[1]s]
		input dy: f32[%[1]s]
		y: f32[%[1]s] = Softmax(x)
		l: f32[%[1]s] = LogSoftmax(x)
		dx: f32[%[1]s] = tfsopt.SoftmaxGrad(dy, y)
		dl: f32[%[1]s] = tfsopt.LogSoftmaxGrad(dy, l)
		output l
		output dx
		output dl`, shape), 1e-5)
	}
}

// TestSoftmaxOverChannels has its channels last.
func TestSoftmaxOverChannels(t *testing.T) {
	agree(t, `input x: f32[2,5,4,3]
		input dy: f32[2,5,4,3]
		p: f32[2,5,4,3] = MaxPool(x) {kernel_shape=[1,1]}
		y: f32[2,5,4,3] = Softmax(p) {axis=1}
		l: f32[2,5,4,3] = LogSoftmax(p) {axis=-3}
		n: f32[2,5,4,3] = Softmax(p) {axis=2}
		dx: f32[2,5,4,3] = tfsopt.SoftmaxGrad(dy, y) {axis=1}
		output y
		output l
		output n
		output dx`, 1e-5)
}

func TestLayerNormGradients(t *testing.T) {
	for _, c := range []struct {
		shape, scale string
		axis         int
	}{{"7,33", "33", -1}, {"2,50,64", "64", 2}, {"4,5,6", "5,6", 1}, {"3,700", "700", -1}} {
		agree(t, fmt.Sprintf(`input x: f32[%[1]s]
		input s: f32[%[2]s]
		input dy: f32[%[1]s]
		dx: f32[%[1]s], ds: f32[%[2]s], db: f32[%[2]s] = tfsopt.LayerNormalizationGrad(dy, x, s) {axis=%[3]d}
		output dx
		output ds
		output db`, c.shape, c.scale, c.axis), 1e-4)
	}
}

func TestBatchNormTraining(t *testing.T) {
	for _, c := range []struct {
		shape string
		n     int
	}{{"4,5,6,7", 5}, {"3,64,9,9", 64}, {"40,3", 3}, {"2,17,30", 17}} {
		agree(t, fmt.Sprintf(`input x: f32[%[1]s]
		input s: f32[%[2]d]
		input b: f32[%[2]d]
		input m: f32[%[2]d]
		input v: f32[%[2]d]
		input dy: f32[%[1]s]
		y: f32[%[1]s], rm: f32[%[2]d], rv: f32[%[2]d] = BatchNormalization(x, s, b, m, v) {training_mode=1 momentum=0.75}
		dx: f32[%[1]s], ds: f32[%[2]d], db: f32[%[2]d] = tfsopt.BatchNormalizationGrad(dy, x, s)
		output y
		output rm
		output rv
		output dx
		output ds
		output db`, c.shape, c.n), 1e-4)
		agree(t, fmt.Sprintf(`input x: f32[%[1]s]
		input s: f32[%[2]d]
		input r: f32[%[1]s]
		const six: f32[] = {0.5}
		y: f32[%[1]s], m: f32[%[2]d], _ = BatchNormalization(x, s, s, s, s) {training_mode=1}
		a: f32[%[1]s] = Add(r, y)
		z: f32[%[1]s] = Clip(a, _, six)
		dx: f32[%[1]s], ds: f32[%[2]d], _ = tfsopt.BatchNormalizationGrad(z, x, s)
		output z
		output m
		output dx
		output ds`, c.shape, c.n), 1e-4)
		agree(t, fmt.Sprintf(`input x: f32[%[1]s]
		input s: f32[%[2]d]
		input dy: f32[%[1]s]
		dx: f32[%[1]s], ds: f32[%[2]d], _ = tfsopt.BatchNormalizationGrad(dy, x, s) {epsilon=0.125}
		output dx
		output ds`, c.shape, c.n), 1e-4)
		agree(t, fmt.Sprintf(`input x: f32[%[1]s]
		input s: f32[%[2]d]
		input b: f32[%[2]d]
		input m: f32[%[2]d]
		input v0: f32[%[2]d]
		const one: f32[] = {1}
		v: f32[%[2]d] = Add(v0, one)
		y: f32[%[1]s] = BatchNormalization(x, s, b, m, v)
		output y`, c.shape, c.n), 1e-5)
	}
}
