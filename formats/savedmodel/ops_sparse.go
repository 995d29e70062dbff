package savedmodel

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	convertOps(sparseToDense, "SparseToDense")
	convertOps(sparseReshape, "SparseReshape")
	convertOps(fillEmptyRows, "SparseFillEmptyRows")
	for _, combiner := range []string{"Sum", "Mean", "SqrtN"} {
		convertOps(sparseSegment(strings.ToLower(combiner)), "SparseSegment"+combiner, "SparseSegment"+combiner+"WithNumSegments")
	}
	convertOps(raggedToDense, "RaggedTensorToTensor")
	convertOps(unique, "Unique", "UniqueV2", "UniqueWithCounts")
	convertOps(segmentSum, "UnsortedSegmentSum")
	for op, reduction := range map[string]string{"Update": "none", "Add": "add", "Max": "max", "Min": "min"} {
		convertOps(tensorScatter(reduction), "TensorScatter"+op)
	}
	convertOps(randomUniform, "RandomUniform")
	convertOps(randomNormal, "RandomStandardNormal")
}

// sparseToDense scatters values into what fills the rest.
func sparseToDense(c *call) ([]value, error) {
	index, err := c.wide(0)
	if err != nil {
		return nil, err
	}
	shape, err := c.wideList(1)
	if err != nil {
		return nil, err
	}
	in, err := c.values(2, 4)
	if err != nil {
		return nil, err
	}
	switch index.Rank() {
	case 0:
		index = c.add(ops.Reshape{}, index, c.b.ints(1, 1))
	case 1:
		index = c.add(ops.Unsqueeze{}, index, c.b.ints(-1))
	}
	values := in[0]
	if values.Rank() == 0 {
		values = c.add(ops.Expand{}, values, c.add(ops.Slice{}, c.add(ops.Shape{}, index), c.b.ints(0), c.b.ints(1)))
	}
	return one(c.add(ops.ScatterND{Reduction: "none"}, c.add(ops.Expand{}, in[1], shape), index, values)), nil
}

func sparseReshape(c *call) ([]value, error) {
	in, err := c.values(0, 3)
	if err != nil {
		return nil, err
	}
	return several(c.addN(2, ops.SparseReshape{}, in...)), nil
}

func fillEmptyRows(c *call) ([]value, error) {
	in, err := c.values(0, 4)
	if err != nil {
		return nil, err
	}
	return several(c.addN(4, ops.SparseFillEmptyRows{}, in...)), nil
}

func sparseSegment(combiner string) converter {
	return func(c *call) ([]value, error) {
		in, err := c.values(0, len(c.in))
		if err != nil {
			return nil, err
		}
		return one(c.add(ops.SparseSegment{Combiner: combiner}, in...)), nil
	}
}

func raggedToDense(c *call) ([]value, error) {
	in, err := c.values(0, len(c.in))
	if err != nil {
		return nil, err
	}
	return one(c.add(ops.RaggedToDense{Partitions: c.namesAttr("row_partition_types")}, in...)), nil
}

// unique gives the different elements, or slices along an axis, as they appear, where each input has its own, and how often they are.
func unique(c *call) ([]value, error) {
	v, err := c.value(0)
	if err != nil {
		return nil, err
	}
	var op ops.Unique
	if c.n.Op == "UniqueV2" {
		axis, err := c.ints(1)
		if err != nil || len(axis) > 1 {
			return nil, errors.Join(err, fmt.Errorf("axes %v", axis))
		}
		if len(axis) == 1 {
			op.Axis = &axis[0]
		}
	}
	out := c.addN(4, op, v)
	out[0].Def.Out[1] = nil // TensorFlow does not say where each is first
	d := c.typeAttr("out_idx")
	if d == tensor.Undefined {
		d = tensor.Int32
	}
	outs := several([]*graph.Value{out[0], c.cast(out[2], d)})
	if c.n.Op == "UniqueWithCounts" {
		outs = append(outs, one(c.cast(out[3], d))...)
	}
	return outs, nil
}

// segmentSum adds slices to zeros.
func segmentSum(c *call) ([]value, error) {
	v, err := c.value(0)
	if err != nil {
		return nil, err
	}
	index, err := c.wide(1)
	if err != nil {
		return nil, err
	}
	n, err := c.wideList(2)
	if err != nil {
		return nil, err
	}
	if index.Rank() != 1 {
		return nil, fmt.Errorf("segments of %s are not supported", index.Type)
	}
	inner := c.add(ops.Slice{}, c.add(ops.Shape{}, v), c.b.ints(1), c.b.ints(1<<31))
	zeros := c.add(ops.Expand{}, c.number(v, 0), c.add(ops.Concat{}, n, inner))
	return one(c.add(ops.ScatterND{Reduction: "add"}, zeros, c.add(ops.Unsqueeze{}, index, c.b.ints(-1)), v)), nil
}

// tensorScatter writes slices into a tensor.
func tensorScatter(reduction string) converter {
	return func(c *call) ([]value, error) {
		to, err := c.value(0)
		if err != nil {
			return nil, err
		}
		index, err := c.wide(1)
		if err != nil {
			return nil, err
		}
		from, err := c.value(2)
		if err != nil {
			return nil, err
		}
		return one(c.add(ops.ScatterND{Reduction: reduction}, to, index, from)), nil
	}
}

// drawn gives a tensor of the wanted shape and type, whose elements do not matter.
func (c *call) drawn() (*graph.Value, error) {
	shape, err := c.wideList(0)
	if err != nil {
		return nil, err
	}
	d := c.typeAttr("dtype")
	if !d.IsFloat() {
		return nil, fmt.Errorf("random %s is not supported", d)
	}
	return c.add(ops.ConstantOfShape{Value: tensor.New(d, 1)}, shape), nil
}

// randomUniform and randomNormal have their own stream, as ONNX's operators: TensorFlow's numbers differ anyway unless both seeds are set.
func randomUniform(c *call) ([]value, error) {
	v, err := c.drawn()
	if err != nil {
		return nil, err
	}
	return one(c.add(ops.RandomUniformLike{High: 1}, v)), nil
}

func randomNormal(c *call) ([]value, error) {
	v, err := c.drawn()
	if err != nil {
		return nil, err
	}
	return one(c.add(ops.RandomNormalLike{Scale: 1}, v)), nil
}
