package onnx

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// broadcast7: before opset 7, B was broadcast only if asked for, its dimensions standing at `axis` of A's, by default
// the last ones.
func broadcast7(c *call) error {
	on, axis := take(c, "broadcast", int64(0)), take(c, "axis", int64(-1))
	if on == 0 || axis == -1 || c.input(1) == nil {
		return nil
	}
	a, known := c.rank(0)
	b, knownB := c.rank(1)
	if !known || !knownB {
		return fmt.Errorf("axis %d of a broadcast needs the inputs' ranks, which are not known", axis)
	}
	if axis < 0 {
		axis += int64(a)
	}
	if axis < 0 || int(axis)+b > a {
		return fmt.Errorf("axis %d does not fit ranks %d and %d", axis, a, b)
	}
	if int(axis)+b == a {
		return nil
	}
	v, err := c.unsqueeze(c.in[1], axesFrom(b, a-int(axis))...)
	c.in[1] = v
	return err
}

// prelu7: before opset 7, a slope with more than one element had one for each channel.
func prelu7(c *call) error {
	slope := c.input(1)
	x, known := c.rank(0)
	s, knownS := c.rank(1)
	if !known || !knownS || s != 1 || x <= 2 || slope.Shape[0].Is(1) {
		return nil
	}
	v, err := c.unsqueeze(slope, axesFrom(1, x-1)...)
	c.in[1] = v
	return err
}

func cast6(c *call) error {
	name := take(c, "to", "")
	for d := tensor.Float32; d <= tensor.Complex128; d++ {
		if protoNames[d] == name {
			c.set("to", int64(d))
			return nil
		}
	}
	return fmt.Errorf("attribute to: unknown element type %q", name)
}

// protoNames are the names of TensorProto.DataType in opset 1.
var protoNames = [...]string{
	"UNDEFINED", "FLOAT", "UINT8", "INT8", "UINT16", "INT16", "INT32", "INT64", "STRING", "BOOL", "FLOAT16", "DOUBLE",
	"UINT32", "UINT64", "COMPLEX64", "COMPLEX128",
}

// selu6: opset 1 has other defaults.
func selu6(c *call) error {
	for _, a := range []graph.Attr{{Name: "alpha", Value: float32(1.6732)}, {Name: "gamma", Value: float32(1.0507)}} {
		if !c.has(a.Name) {
			c.attrs = append(c.attrs, a)
		}
	}
	return nil
}

// clip11 makes inputs of the bounds.
func clip11(c *call) error {
	for i, name := range []string{"min", "max"} {
		if !c.has(name) {
			continue
		}
		v, err := c.number(name, take(c, name, float32(0)), c.input(0))
		if err != nil {
			return err
		}
		c.setInput(i+1, v)
	}
	return nil
}

// softmax13: before opset 13, these worked on the matrix that Flatten(axis) makes, axis being 1 by default.
func softmax13(c *call) error {
	axis := take(c, "axis", int64(1))
	x := c.input(0)
	if r, known := c.rank(0); known {
		a := axis
		if a < 0 {
			a += int64(r)
		}
		if a >= 0 && a < int64(r) && onlyOnes(x.Shape[a+1:]) {
			c.set("axis", axis)
			return nil
		}
	}
	flat, err := c.add("Flatten", []graph.Attr{{Name: "axis", Value: axis}}, x)
	if err != nil {
		return err
	}
	y := c.out[0]
	c.in[0], c.out = flat, []*graph.Value{c.fresh("flat")}
	c.set("axis", int64(-1))
	c.after = append(c.after, func() error { return c.reshapeLike(c.out[0], x, y) })
	return nil
}

func onlyOnes(dims []graph.Dim) bool {
	for _, d := range dims {
		if !d.Is(1) {
			return false
		}
	}
	return true
}

// reshapeLike emits y = flat in the shape of x.
func (c *call) reshapeLike(flat, x, y *graph.Value) error {
	var shape *graph.Value
	if fixed, ok := x.Fixed(); ok {
		dims := make([]int64, len(fixed))
		for i, d := range fixed {
			dims[i] = int64(d)
		}
		shape = c.ints("shape", dims)
	} else {
		var err error
		if shape, err = c.add("Shape", nil, x); err != nil {
			return err
		}
	}
	n := &graph.Node{Name: c.l.freshNode(c.name + "_Reshape"), In: []*graph.Value{flat, shape}, Out: []*graph.Value{y}}
	return c.emit(n, "", "Reshape", nil)
}

// dft20 makes an input of the axis.
func dft20(c *call) error {
	axis := take(c, "axis", int64(1))
	c.setInput(2, c.constOf("axis", tensor.Scalar(axis)))
	return nil
}
