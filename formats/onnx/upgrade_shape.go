package onnx

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func concat4(c *call) error {
	if !c.has("axis") {
		c.set("axis", int64(1))
	}
	return nil
}

// split2: opset 1 also takes the sizes as an input, which opset 13 does again.
func split2(c *call) error {
	if v := c.input(1); v != nil && v.DType != tensor.Int64 {
		w, err := c.add("Cast", []graph.Attr{{Name: "to", Value: int64(tensor.Int64)}}, v)
		c.in[1] = w
		return err
	}
	return nil
}

// split18 says the number of parts, which before followed from the outputs.
func split18(c *call) error {
	if c.input(1) == nil && !c.has("num_outputs") {
		c.set("num_outputs", int64(len(c.out)))
	}
	return nil
}

// tile6 makes one list of repeats from a number of tiles and an axis.
func tile6(c *call) error {
	r, known := c.rank(0)
	if len(c.in) != 3 || !known || !c.in[1].IsConst() || !c.in[2].IsConst() {
		return errors.New("opset 1 needs a known rank and constant tiles and axis")
	}
	tiles, axis := tensor.Ints(c.in[1].Const), tensor.Ints(c.in[2].Const)
	if len(tiles) != 1 || len(axis) != 1 || axis[0] < 0 || int(axis[0]) >= r {
		return fmt.Errorf("tiles %v and axis %v do not fit rank %d", tiles, axis, r)
	}
	repeats := make([]int64, r)
	for i := range repeats {
		repeats[i] = 1
	}
	repeats[axis[0]] = tiles[0]
	c.in = []*graph.Value{c.in[0], c.ints("repeats", repeats)}
	return nil
}

func slice10(c *call) error {
	for i, name := range []string{"starts", "ends", "axes"} {
		if c.has(name) {
			c.setInput(i+1, c.ints(name, take(c, name, []int64{})))
		}
	}
	return nil
}

func topK10(c *call) error {
	c.setInput(1, c.ints("k", []int64{take(c, "k", int64(0))}))
	return nil
}

// pad11 makes inputs of the widths and the value.
func pad11(c *call) error {
	c.setInput(1, c.ints("pads", take(c, "pads", []int64{})))
	if value := take(c, "value", float32(0)); value != 0 {
		v, err := c.number("value", value, c.input(0))
		c.setInput(2, v)
		return err
	}
	return nil
}

func upsample7(c *call) error {
	h, w := take(c, "height_scale", float32(1)), take(c, "width_scale", float32(1))
	c.set("scales", []float32{1, 1, h, w})
	if take(c, "mode", "nearest") != "nearest" {
		c.set("mode", "linear")
	}
	return nil
}

// resize11: opset 10 maps the corner of a pixel, not its centre, and takes the nearest pixel below when it enlarges,
// above when it shrinks (ONNX Runtime's NearestMode SIMPLE).
func resize11(c *call) error {
	scales := c.input(1)
	c.in = c.in[:min(len(c.in), 1)]
	c.setInput(2, scales)
	c.set("coordinate_transformation_mode", "asymmetric")
	if c.has("mode") && c.attr("mode") != "nearest" {
		return nil
	}
	nearest := "floor"
	if scales.IsConst() {
		for _, s := range tensor.Floats(scales.Const) {
			if s < 1 {
				nearest = "ceil"
			}
		}
	}
	c.set("nearest_mode", nearest)
	return nil
}

// attr gives an attribute's value, nil without one.
func (c *call) attr(name string) any {
	for _, a := range c.attrs {
		if a.Name == name {
			return a.Value
		}
	}
	return nil
}

// resize13 drops empty inputs, which stood for omitted ones, and the mode tf_half_pixel_for_nn: with nearest_mode
// floor it is floor((x+½)/s) = round_prefer_ceil((x+½)/s-½), half_pixel's way.
func resize13(c *call) error {
	for i := 1; i < len(c.in); i++ {
		if v := c.in[i]; v.IsConst() && v.Const.Len() == 0 {
			c.in[i] = nil
		}
	}
	if c.attr("coordinate_transformation_mode") != "tf_half_pixel_for_nn" {
		return nil
	}
	if c.attr("nearest_mode") != "floor" {
		return fmt.Errorf("coordinate_transformation_mode tf_half_pixel_for_nn has an equal in newer opsets only with nearest_mode floor")
	}
	take(c, "coordinate_transformation_mode", "")
	take(c, "nearest_mode", "")
	c.set("nearest_mode", "round_prefer_ceil")
	return nil
}

// scan9: opset 8 has a batch dimension in front of everything. That is a Scan over the batch whose body is the Scan
// of opset 9.
func scan9(c *call) error {
	if c.input(0) != nil {
		return errors.New("sequence_lens of opset 8 is not supported")
	}
	c.in = c.in[min(1, len(c.in)):]
	scanned := take(c, "num_scan_inputs", int64(0))
	directions := take(c, "directions", []int64{})
	body, ok := c.attr("body").(*graph.Graph)
	if !ok || slices.Contains(c.in, nil) || scanned < 1 || int(scanned) > len(c.in) {
		return errors.New("want a body, no omitted input and num_scan_inputs within the inputs")
	}
	inner := []graph.Attr{{Name: "body", Value: body}, {Name: "num_scan_inputs", Value: scanned}}
	if len(directions) > 0 {
		inner = append(inner, graph.Attr{Name: "scan_input_directions", Value: directions})
	}
	captured := shareCaptures(c.bodies)
	c.bodies = nil
	outer, err := c.batchBody(body, inner, captured)
	if err != nil {
		return err
	}
	c.attrs = []graph.Attr{{Name: "body", Value: outer}, {Name: "num_scan_inputs", Value: int64(len(c.in))}}
	c.in = append(c.in, captured...)
	return nil
}

// batchBody is the body of the outer Scan: it takes one element of the batch of each input.
func (c *call) batchBody(body *graph.Graph, inner []graph.Attr, captured []*graph.Value) (*graph.Graph, error) {
	outer := &graph.Graph{Name: body.Name + "_batch", Captures: len(captured)}
	n := &graph.Node{Name: c.l.freshNode(c.name + "_element")}
	for i, v := range append(append([]*graph.Value{}, c.in...), captured...) {
		t := v.Type
		if i < len(c.in) && !t.Unranked && len(t.Shape) > 0 {
			t.Shape = t.Shape[1:]
		}
		w := graph.NewInput(c.l.values.Fresh(v.Name+"_element"), t)
		outer.Inputs, n.In = append(outer.Inputs, w), append(n.In, w)
	}
	for _, v := range c.out {
		name := "unused"
		if v != nil {
			name = v.Name
		}
		w := graph.NewInput(c.l.values.Fresh(name+"_element"), graph.AnyRank(tensor.Undefined))
		outer.Outputs, n.Out = append(outer.Outputs, w), append(n.Out, w)
	}
	sub := *c
	sub.s = &scope{g: outer}
	return outer, sub.emit(n, "", "Scan", inner)
}
