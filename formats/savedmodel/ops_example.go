package savedmodel

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tfsopt/tfsopt/internal/tensorflow"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	convertOps(parseExample, "ParseExample", "ParseExampleV2", "ParseSingleExample")
	for _, name := range []string{"ParseExample", "ParseExampleV2", "ParseSingleExample"} {
		portWidths[name] = func(s *scope, n *tensorflow.NodeDef) ([]string, []int) {
			c := &call{s: s, n: n}
			sparse, dense, ragged := len(c.typesAttr("sparse_types")), len(c.typesAttr("Tdense")), len(c.typesAttr("ragged_value_types"))
			return []string{"sparse_indices", "sparse_values", "sparse_shapes", "dense_values", "ragged_values", "ragged_row_splits"},
				[]int{sparse, sparse, sparse, dense, ragged, ragged}
		}
	}
}

// typesAttr gives an attribute that is a list of types.
func (c *call) typesAttr(name string) []int {
	a := c.attr(name)
	if a == nil || a.List == nil {
		return nil
	}
	out := make([]int, len(a.List.Type))
	for i, t := range a.List.Type {
		if d, err := dtypeOf(t); err == nil {
			out[i] = int(d)
		}
	}
	return out
}

// keysAt gives the names of n features, which are inputs from `from` on: one each, or one list of all.
func (c *call) keysAt(from, n int, list bool) ([]string, error) {
	if list {
		t, err := c.constant(from)
		if err != nil {
			return nil, err
		}
		if len(t.Strings) != n {
			return nil, fmt.Errorf("input %d names %d features, want %d", from, len(t.Strings), n)
		}
		return t.Strings, nil
	}
	var out []string
	for i := range n {
		t, err := c.constant(from + i)
		if err != nil {
			return nil, err
		}
		if len(t.Strings) != 1 {
			return nil, fmt.Errorf("input %d is no name", from+i)
		}
		out = append(out, t.Strings[0])
	}
	return out, nil
}

// namesAttr gives an attribute that is a list of strings.
func (c *call) namesAttr(name string) (out []string) {
	if a := c.attr(name); a != nil && a.List != nil {
		for _, s := range a.List.S {
			out = append(out, string(s))
		}
	}
	return out
}

// parseExample gives the inputs of the three forms one order; their outputs have it already.
func parseExample(c *call) ([]value, error) {
	op := ops.ParseExample{
		SparseTypes: c.typesAttr("sparse_types"), DenseTypes: c.typesAttr("Tdense"), RaggedTypes: c.typesAttr("ragged_value_types"),
		SplitTypes: c.typesAttr("ragged_split_types"),
	}
	if a := c.attr("dense_shapes"); a != nil && a.List != nil {
		for _, s := range a.List.Shape {
			var sizes []string
			for _, d := range s.Dims {
				sizes = append(sizes, strconv.FormatInt(d.Size, 10))
			}
			op.DenseShapes = append(op.DenseShapes, strings.Join(sizes, ","))
		}
	}
	sparse, dense := len(op.SparseTypes), len(op.DenseTypes)
	var err error
	defaults := 1
	switch c.n.Op {
	case "ParseSingleExample":
		op.SparseKeys, op.DenseKeys = c.namesAttr("sparse_keys"), c.namesAttr("dense_keys")
	case "ParseExampleV2":
		lists := []*[]string{&op.SparseKeys, &op.DenseKeys, &op.RaggedKeys}
		for i, n := range []int{sparse, dense, len(op.RaggedTypes)} {
			if *lists[i], err = c.keysAt(2+i, n, true); err != nil {
				return nil, err
			}
		}
		defaults = 5
	default:
		if op.SparseKeys, err = c.keysAt(2, sparse, false); err != nil {
			return nil, err
		}
		if op.DenseKeys, err = c.keysAt(2+sparse, dense, false); err != nil {
			return nil, err
		}
		defaults = 2 + sparse + dense
	}
	in, err := c.values(0, 1)
	if err != nil {
		return nil, err
	}
	if len(c.in) != defaults+dense {
		return nil, fmt.Errorf("%d inputs, want %d", len(c.in), defaults+dense)
	}
	if in[0].Unranked && c.n.Op == "ParseExample" {
		in[0] = c.add(ops.Reshape{}, in[0], c.b.ints(-1))
	}
	for i := range dense {
		v, err := c.value(defaults + i)
		if err != nil {
			return nil, err
		}
		if shape, ok := v.Fixed(); ok && tensor.Size(shape) == 0 { // the feature is required
			v = nil
		}
		in = append(in, v)
	}
	outs := 3*sparse + dense + 2*len(op.RaggedTypes)
	if outs == 0 {
		return nil, errors.New("it names no features")
	}
	return several(c.addN(outs, op, in...)), nil
}
