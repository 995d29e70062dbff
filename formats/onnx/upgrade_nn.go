package onnx

import (
	"errors"
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func intP(c *call) error {
	if c.has("p") {
		c.set("p", int64(take(c, "p", float32(2))))
	}
	return nil
}

// fixDirection: opset 1 of GRU misspells its default.
func fixDirection(c *call) error {
	if d := take(c, "direction", "forward"); d != "foward" {
		c.set("direction", d)
	}
	return nil
}

// batchNorm9: with spatial = 0 every position has its own scale, bias, mean and variance.
func batchNorm9(c *call) error {
	if take(c, "spatial", int64(1)) != 0 {
		return nil
	}
	if r, known := c.rank(0); known && r <= 2 {
		return nil
	}
	if len(c.in) != 5 || len(c.out) != 1 {
		return fmt.Errorf("spatial = 0 needs 5 inputs and 1 output, got %d and %d", len(c.in), len(c.out))
	}
	eps, err := c.number("epsilon", take(c, "epsilon", float32(1e-5)), c.in[4])
	if err != nil {
		return err
	}
	v := c.in[0]
	for _, step := range []struct {
		op string
		in *graph.Value
	}{{"Sub", c.in[3]}, {"Div", nil}, {"Mul", c.in[1]}} {
		if step.op == "Div" {
			if step.in, err = c.add("Add", nil, c.in[4], eps); err != nil {
				return err
			}
			if step.in, err = c.add("Sqrt", nil, step.in); err != nil {
				return err
			}
		}
		if v, err = c.add(step.op, nil, v, step.in); err != nil {
			return err
		}
	}
	c.op, c.attrs, c.in = "Add", nil, []*graph.Value{v, c.in[2]}
	return nil
}

// batchNorm14: before, training was told by the number of outputs.
func batchNorm14(c *call) error {
	last := 0
	for i := range c.out {
		if c.isRead(i) {
			last = i
		}
	}
	if last > 2 {
		return fmt.Errorf("output %d, a statistic of the batch, has no place in the newer operator", last)
	}
	kept := 1
	if last > 0 {
		kept = min(len(c.out), 3)
		c.set("training_mode", int64(1))
	}
	for _, v := range c.out[kept:] {
		delete(c.l.pending, v)
	}
	c.out = c.out[:kept]
	return nil
}

// isRead reports whether some node or output reads output i.
func (c *call) isRead(i int) bool {
	return i < len(c.out) && c.out[i] != nil && i < len(c.at.out) && c.s.reads[c.at.out[i]]
}

// dropoutMask10: before opset 10 the mask had the type of the data.
func dropoutMask10(c *call) error {
	if !c.isRead(1) {
		return nil
	}
	x := c.input(0)
	if x.DType == tensor.Undefined {
		return errors.New("the mask has the type of the data, which is not known")
	}
	mask := c.out[1]
	c.out = []*graph.Value{c.out[0], c.fresh("mask")}
	c.after = append(c.after, func() error {
		n := &graph.Node{Name: c.l.freshNode(c.name + "_Cast"), In: []*graph.Value{c.out[1]}, Out: []*graph.Value{mask}}
		return c.emit(n, "", "Cast", []graph.Attr{{Name: "to", Value: int64(x.DType)}})
	})
	return nil
}

// dropout12 makes an input of the ratio. Without the input training_mode, Dropout passes its input on, as every
// runtime does with the old form.
func dropout12(c *call) error {
	if !c.has("ratio") {
		return nil
	}
	c.setInput(1, c.constOf("ratio", tensor.Scalar(take(c, "ratio", float32(0.5)))))
	return nil
}

// roiAlign16: opset 10 knows no offset of half a pixel.
func roiAlign16(c *call) error {
	c.set("coordinate_transformation_mode", "output_half_pixel")
	return nil
}

func gridSample20(c *call) error {
	mode := take(c, "mode", "bilinear")
	if short, ok := map[string]string{"bilinear": "linear", "bicubic": "cubic"}[mode]; ok {
		mode = short
	}
	c.set("mode", mode)
	return nil
}

// groupNorm21: in opset 18, scale and bias have one element for each group, from 21 on for each channel.
func groupNorm21(c *call) error {
	x := c.input(0)
	if len(c.in) < 3 {
		return errors.New("want 3 inputs")
	}
	if x.Unranked || len(x.Shape) < 2 {
		return errors.New("the number of channels is not known")
	}
	channels, known := x.Shape[1].Value()
	groups := take(c, "num_groups", int64(0))
	c.set("num_groups", groups)
	if !known || groups <= 0 || channels%int(groups) != 0 {
		return fmt.Errorf("%s channels in %d groups", x.Shape[1], groups)
	}
	for i := 1; i <= 2; i++ {
		v, err := c.unsqueeze(c.in[i], 1)
		if err != nil {
			return err
		}
		if v, err = c.add("Expand", nil, v, c.ints("repeat", []int64{groups, int64(channels) / groups})); err != nil {
			return err
		}
		if c.in[i], err = c.add("Reshape", nil, v, c.ints("channels", []int64{int64(channels)})); err != nil {
			return err
		}
	}
	return nil
}
