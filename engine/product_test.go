package engine_test

import (
	"fmt"
	"testing"
)

// TestProducts multiplies computed matrices in every form.
func TestProducts(t *testing.T) {
	for _, c := range []string{
		`input a: f32[7,19]
		input b: f32[19,37]
		input c: f32[37]
		y: f32[7,37] = Gemm(a, b, c)
		output y`,
		`input a: f32[19,300]
		input b: f32[37,19]
		input c: f32[300,1]
		y: f32[300,37] = Gemm(a, b, c) {transA=1 transB=1 alpha=0.5 beta=2.0}
		z: f32[300,37] = Relu(y)
		output z`,
		`input a: f32[19,300]
		input b: f32[19,150]
		input c: f32[1]
		y: f32[300,150] = Gemm(a, b, c) {transA=1 beta=0.25}
		output y`,
		`input a: f32[33,65]
		input b: f32[290,65]
		input c: f32[33,290]
		y: f32[33,290] = Gemm(a, b, c) {transB=1}
		output y`,
		`input a: f32[3,5,8]
		input b: f32[8,40]
		input c: f32[40]
		input r: f32[3,5,40]
		m: f32[3,5,40] = MatMul(a, b)
		s: f32[3,5,40] = Add(c, m)
		y: f32[3,5,40] = Add(s, r)
		output y`,
		`input a: f32[3,5,8]
		input b: f32[3,5,9]
		t: f32[3,8,5] = Transpose(a) {perm=[0,2,1]}
		y: f32[3,8,9] = MatMul(t, b)
		output y`,
		`input q: f32[2,6,3,8]
		input k: f32[2,5,3,8]
		input v: f32[2,5,3,8]
		qt: f32[2,3,6,8] = Transpose(q) {perm=[0,2,1,3]}
		kt: f32[2,3,8,5] = Transpose(k) {perm=[0,2,3,1]}
		vt: f32[2,3,5,8] = Transpose(v) {perm=[0,2,1,3]}
		s: f32[2,3,6,5] = MatMul(qt, kt)
		y: f32[2,3,6,8] = MatMul(s, vt)
		output y`,
		`input a: f32[4,1,3,6]
		input b: f32[5,6,2]
		y: f32[4,5,3,2] = MatMul(a, b)
		output y`,
		`input a: f32[6,4,5]
		input b: f32[7,6,5]
		t: f32[5,4,6] = Transpose(a) {perm=[2,1,0]}
		y: f32[5,4,6] = Relu(t)
		u: f32[6,5,7] = Transpose(b) {perm=[1,2,0]}
		z: f32[6,4,7] = MatMul(a, u)
		output y
		output z`,
	} {
		agree(t, c, 1e-5)
	}
}

// TestLongProducts cuts in every way that split and the columns know.
func TestLongProducts(t *testing.T) {
	for _, d := range [][3]int{{70, 300, 130}, {16, 1000, 40}, {300, 64, 200}, {1, 130, 520}, {260, 33, 1}} {
		m, k, n := d[0], d[1], d[2]
		agree(t, fmt.Sprintf(`input a: f32[%d,%d]
		input b: f32[%d,%d]
		input d: f32[%d,%d]
		y: f32[%d,%d] = MatMul(a, b)
		da: f32[%d,%d] = Gemm(d, b) {transB=1}
		db: f32[%d,%d] = Gemm(a, d) {transA=1}
		output y
		output da
		output db`, m, k, k, n, m, n, m, n, m, k, k, n), 1e-5)
	}
}
