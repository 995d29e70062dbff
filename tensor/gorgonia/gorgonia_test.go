package gorgonia_test

import (
	"fmt"
	"math"
	"testing"

	gt "gorgonia.org/tensor"

	"github.com/tfsopt/tfsopt/tensor"
	"github.com/tfsopt/tfsopt/tensor/gorgonia"
)

func to(t *testing.T, x *tensor.Tensor) *gt.Dense {
	t.Helper()
	d, err := gorgonia.To(x)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func from(t *testing.T, d gt.Tensor, err error) *tensor.Tensor {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	x, err := gorgonia.From(d)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestRoundTrip(t *testing.T) {
	for _, x := range []*tensor.Tensor{
		tensor.From([]float32{1, -2, 3, 4, 5, float32(math.Inf(1))}, 2, 3),
		tensor.From([]float64{math.Pi}, 1, 1, 1),
		tensor.Scalar(float32(2.5)),
		tensor.Scalar(int64(-7)),
		tensor.From([]int8{-128, 127}, 2),
		tensor.From([]uint8{0, 255}, 2),
		tensor.From([]int16{-1, 1}, 2),
		tensor.From([]uint16{1, 65535}, 2),
		tensor.From([]int32{math.MinInt32, 1}, 1, 2),
		tensor.From([]uint32{math.MaxUint32}, 1),
		tensor.From([]uint64{math.MaxUint64}, 1),
		tensor.From([]int64{math.MinInt64, 2, 3}, 3, 1),
		tensor.From([]bool{true, false}, 2),
		tensor.From([]complex64{1 + 2i}, 1),
		tensor.From([]complex128{3 - 4i, 0}, 2),
		tensor.FromStrings([]string{"a", "", "ß"}, 3),
	} {
		t.Run(fmt.Sprint(x.DType, x.Shape), func(t *testing.T) {
			if got := from(t, to(t, x), nil); !got.Equal(x) {
				t.Errorf("got %v %v, want %v %v", got.DType, got, x.DType, x)
			}
		})
	}
}

func TestCopies(t *testing.T) {
	x := tensor.From([]float32{1, 2}, 2)
	d := to(t, x)
	tensor.View[float32](x)[0] = 9
	if got := d.Data().([]float32)[0]; got != 1 {
		t.Errorf("the Dense saw a write to the tensor: %v", got)
	}
}

func TestStrides(t *testing.T) {
	want := tensor.From([]float32{1, 4, 2, 5, 3, 6}, 3, 2)
	d := to(t, tensor.From([]float32{1, 2, 3, 4, 5, 6}, 2, 3))
	if err := d.T(); err != nil { // lazy: only the strides change
		t.Fatal(err)
	}
	if got := from(t, d, nil); !got.Equal(want) {
		t.Errorf("transposed: got %v, want %v", tensor.Floats(got), tensor.Floats(want))
	}
	column := to(t, tensor.From([]float32{1, 2, 3, 4, 5, 6}, 2, 3))
	view, err := column.Slice(nil, gt.S(1))
	if got := from(t, view, err); !got.Equal(tensor.From([]float32{2, 5}, 2)) {
		t.Errorf("column: got %v of shape %v, want [2 5]", tensor.Floats(got), got.Shape)
	}
	colMajor := gt.New(gt.WithShape(2, 3), gt.AsFortran([]float32{1, 2, 3, 4, 5, 6}))
	if kept := colMajor.Data().([]float32); kept[1] != 4 {
		t.Fatalf("the column-major tensor keeps %v", kept)
	}
	if got := from(t, colMajor, nil); !got.Equal(tensor.From([]float32{1, 2, 3, 4, 5, 6}, 2, 3)) {
		t.Errorf("column-major: got %v", tensor.Floats(got))
	}
}

func TestRefuses(t *testing.T) {
	for _, x := range []*tensor.Tensor{tensor.New(tensor.Float16, 2), tensor.New(tensor.Float32, 0, 3)} {
		if _, err := gorgonia.To(x); err == nil {
			t.Errorf("To(%v %v): no error", x.DType, x.Shape)
		}
	}
	masked := gt.New(gt.WithShape(2), gt.WithBacking([]float32{1, 2}, []bool{true, false}))
	if _, err := gorgonia.From(masked); err == nil {
		t.Error("From(masked): no error")
	}
	csr := gt.NewCSR([]int{0}, []int{0, 1}, []float32{1}, gt.WithShape(1, 1))
	if _, err := gorgonia.From(csr); err == nil {
		t.Error("From(sparse): no error")
	}
}
