package engine_test

import (
	"fmt"
	"testing"
)

// TestPoolGradients pools with strides, overlaps, padding and dilation.
func TestPoolGradients(t *testing.T) {
	for _, c := range []struct{ x, y, attrs string }{
		{"2,5,8,6", "2,5,4,3", "kernel_shape=[2,2] strides=[2,2]"},
		{"2,17,9,7", "2,17,9,7", "kernel_shape=[3,3] pads=[1,1,1,1]"},
		{"3,4,9,8", "3,4,5,4", "kernel_shape=[3,3] strides=[2,2] pads=[1,1,1,0]"},
		{"1,20,11,11", "1,20,4,7", "kernel_shape=[3,2] strides=[2,1] dilations=[2,4]"},
		{"2,3,7,7", "2,3,1,1", "kernel_shape=[7,7]"},
		{"2,3,20", "2,3,10", "kernel_shape=[3] strides=[2] pads=[1,0]"},
		{"2,3,6,7", "2,3,3,4", "kernel_shape=[2,2] strides=[2,2] ceil_mode=1"},
	} {
		agree(t, fmt.Sprintf(`input x: f32[%[1]s]
		input dy: f32[%[2]s]
		dx: f32[%[1]s] = tfsopt.MaxPoolGrad(dy, x) {%[3]s}
		r: f32[%[1]s] = Relu(x)
		dr: f32[%[1]s] = tfsopt.MaxPoolGrad(dy, r) {%[3]s}
		gated: f32[%[1]s] = tfsopt.ReluGrad(dr, r)
		output dx
		output gated`, c.x, c.y, c.attrs), 1e-5)
		for _, pad := range []string{"", " count_include_pad=1"} {
			agree(t, fmt.Sprintf(`input dy: f32[%s]
			dx: f32[%s] = tfsopt.AveragePoolGrad(dy) {%s x_shape=[%s]%s}
			output dx`, c.y, c.x, c.attrs, c.x, pad), 1e-5)
		}
	}
}
