package engine_test

import (
	"testing"

	"github.com/tfsopt/tfsopt/tensor"
)

// TestMoves slices, pads and splits in both layouts.
func TestMoves(t *testing.T) {
	for _, head := range []string{
		"input p: f32[2,6,5,7]",
		"input x: f32[2,6,5,7]\n p: f32[2,6,5,7] = MaxPool(x) {kernel_shape=[1,1]}",
	} {
		agree(t, head+`
		const start: int64[2] = {1,-2}
		const end: int64[2] = {4,-9}
		const axes: int64[2] = {1,3}
		const steps: int64[2] = {2,-3}
		const from: int64[1] = {2}
		const to: int64[1] = {9223372036854775807}
		const first: int64[1] = {0}
		const pads: int64[8] = {0,1,-1,2,1,0,2,-3}
		const some: int64[4] = {1,2,0,3}
		const value: f32[] = {2.5}
		const parts: int64[3] = {1,3,2}
		a: f32[2,2,5,2] = Slice(p, start, end, axes, steps)
		b: f32[0,6,5,7] = Slice(p, from, to, first)
		c: f32[3,7,6,6] = Pad(p, pads)
		d: f32[2,7,5,12] = Pad(p, some, value, axes)
		e: f32[2,1,5,7], f: f32[2,3,5,7], _ = Split(p, parts) {axis=1}
		g: f32[2,6,5,3], h: f32[2,6,5,3], i: f32[2,6,5,1] = Split(p) {axis=-1 num_outputs=3}
		j: f32[2,6,5,7] = Relu(p)
		output a
		output b
		output c
		output d
		output e
		output f
		output g
		output h
		output i
		output j`, 1e-6)
	}
}

func TestRowsByIndex(t *testing.T) {
	g := parse(t, `graph "rows" {
		opset "" 21
		input table: float32[9,70]
		input rows: int64[2,3]
		input tuples: int64[4,2]
		input updates: float32[2,3,70]
		input slices: float32[4]
		const zero: float32[9,70] = random 5
		index: int64[2,3,1] = Unsqueeze(rows, last)
		const last: int64[1] = {-1}
		a: float32[2,3,70] = Gather(table, rows)
		b: float32[9,2,3] = Gather(table, rows) {axis=1}
		c: float32[9,70] = ScatterND(zero, index, updates) {reduction="add"}
		d: float32[9,70] = ScatterND(table, tuples, slices) {reduction="add"}
		output a
		output b
		output c
		output d
	}`)
	in := []*tensor.Tensor{
		noise(1, 9, 70), tensor.From([]int64{3, 8, 3, -9, -1, 3}, 2, 3), tensor.From([]int64{0, 1, 8, 69, 0, 1, -1, -1}, 4, 2),
		noise(2, 2, 3, 70), noise(3, 4),
	}
	agreeOn(t, g, in, 1e-6)
	in[1] = tensor.From([]int64{3, 8, 3, 9, -1, 3}, 2, 3)
	fails(t, g, in, "index 9 is outside")
}
