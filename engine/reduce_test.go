package engine_test

import (
	"fmt"
	"testing"
)

// TestReductions sums over every kind of axes, short and long, in both layouts.
func TestReductions(t *testing.T) {
	for _, c := range []struct{ shape, axes, kept, gone string }{
		{"3,5,7,6", "0,2,3", "1,5,1,1", "5"},
		{"3,5,7,6", "0", "1,5,7,6", "5,7,6"},
		{"3,5,7,6", "-1", "3,5,7,1", "3,5,7"},
		{"3,5,7,6", "2,3", "3,5,1,1", "3,5"},
		{"3,5,7,6", "1,3", "3,1,7,1", "3,7"},
		{"3,5,7,6", "0,1,2,3", "1,1,1,1", ""},
		{"3,5,7,6", "0,2", "1,5,1,6", "5,6"},
		{"70,33", "0", "1,33", "33"},
		{"700,331", "0", "1,331", "331"},
		{"2,40000", "1", "2,1", "2"},
		{"40000", "0", "1", ""},
		{"2,70000,3", "1", "2,1,3", "2,3"},
		{"4,1,6", "1", "4,1,6", "4,6"},
	} {
		agree(t, fmt.Sprintf(`input x: f32[%[1]s]
		input z: f32[%[1]s]
		const axes: int64[%[2]d] = {%[3]s}
		s: f32[%[4]s] = ReduceSum(x, axes)
		m: f32[%[5]s] = ReduceMean(z, axes) {keepdims=0}
		output s
		output m`, c.shape, 1+count(c.axes), c.axes, c.kept, c.gone), 1e-4)
	}
	agree(t, `input x: f32[2,3,40]
		const axes: int64[2] = {1,2}
		const last: int64[1] = {2}
		a: f32[2] = ReduceMax(x, axes) {keepdims=0}
		b: f32[2,3,1] = ReduceMax(x, last)
		c: f32[] = ReduceSum(x) {keepdims=0}
		output a
		output b
		output c`, 1e-5)
}

func count(list string) int {
	n := 0
	for _, r := range list {
		if r == ',' {
			n++
		}
	}
	return n
}

// TestReductionsLast sums what a pool left with its channels last.
func TestReductionsLast(t *testing.T) {
	for _, c := range []struct{ axes, kept, gone string }{
		{"0,2,3", "1,5,1,1", "5"},
		{"2,3", "3,5,1,1", "3,5"},
		{"0", "1,5,7,6", "5,7,6"},
		{"1", "3,1,7,6", "3,7,6"},
		{"1,2", "3,1,1,6", "3,6"},
	} {
		agree(t, fmt.Sprintf(`input x: f32[3,5,7,6]
		const axes: int64[%[1]d] = {%[2]s}
		p: f32[3,5,7,6] = MaxPool(x) {kernel_shape=[1,1]}
		s: f32[%[3]s] = ReduceSum(p, axes)
		m: f32[%[4]s] = ReduceMean(p, axes) {keepdims=0}
		b: f32[3,5,7,6] = Sub(p, s)
		output s
		output m
		output b`, 1+count(c.axes), c.axes, c.kept, c.gone), 1e-4)
	}
}
