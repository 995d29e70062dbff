package onnx

import (
	"errors"

	"github.com/tfsopt/tfsopt/tensor"
)

// labelEncoder2: one list of strings stood for both directions, from a string to its index and from an index to its string.
func labelEncoder2(c *call) error {
	classes := take(c, "classes_strings", []string{})
	indices := axesFrom(0, len(classes))
	in := c.input(0)
	switch {
	case in != nil && in.DType == tensor.String:
		c.set("keys_strings", classes)
		c.set("values_int64s", indices)
	case in != nil && in.DType == tensor.Int64:
		c.set("keys_int64s", indices)
		c.set("values_strings", classes)
	default:
		return errors.New("input 0 is neither strings nor int64")
	}
	return nil
}
