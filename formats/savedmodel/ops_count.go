package savedmodel

import (
	"errors"
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	convertOps(bandPart, "MatrixBandPart")
	convertOps(bucketize, "Bucketize")
	convertOps(bincount, "DenseBincount")
}

// bandPart keeps so many diagonals below and above the main one; a number below 0 keeps all.
func bandPart(c *call) ([]value, error) {
	v, err := c.value(0)
	if err != nil {
		return nil, err
	}
	lower, err := c.axis(1)
	if err != nil {
		return nil, err
	}
	upper, err := c.axis(2)
	if err != nil {
		return nil, err
	}
	if lower >= 0 {
		v = c.add(ops.Trilu{Upper: true}, v, c.b.constant(tensor.Scalar(int64(-lower)), ""))
	}
	if upper >= 0 {
		v = c.add(ops.Trilu{Upper: false}, v, c.b.constant(tensor.Scalar(int64(upper)), ""))
	}
	return one(v), nil
}

// bucketize counts the boundaries that an element reaches.
func bucketize(c *call) ([]value, error) {
	v, err := c.value(0)
	if err != nil {
		return nil, err
	}
	a := c.attr("boundaries")
	if a == nil || a.List == nil {
		return nil, errors.New("there are no boundaries")
	}
	bounds := c.cast(c.b.constant(tensor.From(append([]float32{}, a.List.F...), len(a.List.F)), ""), tensor.Float32)
	reached := c.add(ops.GreaterOrEqual{}, c.cast(c.add(ops.Unsqueeze{}, v, c.b.ints(-1)), tensor.Float32), bounds)
	return one(c.add(ops.ReduceSum{}, c.cast(reached, tensor.Int32), c.b.ints(-1))), nil
}

// bincount counts, in each row, how often each number below size occurs, or whether it does.
func bincount(c *call) ([]value, error) {
	v, size, err := c.valueAndList(0, 1)
	if err != nil {
		return nil, err
	}
	weights, err := c.value(2)
	if err != nil {
		return nil, err
	}
	if n, ok := weights.Fixed(); !ok || tensor.Size(n) != 0 {
		return nil, errors.New("weights of what is counted are not supported")
	}
	if v.Rank() != 1 && v.Rank() != 2 {
		return nil, fmt.Errorf("counting in %s", v.Type)
	}
	d := weights.DType
	zero, oneT := tensor.New(d), tensor.New(d)
	if err := tensor.SetFloat64s(oneT, []float64{1}); err != nil {
		return nil, err
	}
	// Numbers below 0 count for nothing here, in ONNX from the end.
	index := c.cast(v, tensor.Int64)
	index = c.add(ops.Where{}, c.add(ops.Less{}, index, c.number(index, 0)), size, index)
	both := c.add(ops.Concat{}, c.b.constant(zero.Reshape(1), ""), c.b.constant(oneT.Reshape(1), ""))
	hot := c.add(ops.OneHot{Axis: -1}, index, size, both)
	var out *graph.Value
	axis := c.b.ints(int64(v.Rank() - 1))
	if c.boolAttr("binary_output", false) {
		out = c.add(ops.ReduceMax{}, hot, axis)
	} else {
		out = c.add(ops.ReduceSum{}, hot, axis)
	}
	return one(out), nil
}
