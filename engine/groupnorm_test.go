package engine_test

import "testing"

func TestGroupNorms(t *testing.T) {
	agree(t, `input x: f32[2,6,5,7]
		input v: f32[3,4,90]
		input s: f32[6]
		input b: f32[6]
		input p: f32[4]
		g: f32[2,6,5,7] = GroupNormalization(x, s, b) {num_groups=3 epsilon=0.001}
		h: f32[2,6,5,7] = GroupNormalization(x, s, b) {num_groups=1}
		i: f32[2,6,5,7] = InstanceNormalization(x, s, b)
		j: f32[3,4,90] = InstanceNormalization(v, p, p)
		output g
		output h
		output i
		output j`, 1e-5)
}
