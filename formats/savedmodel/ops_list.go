package savedmodel

import (
	"errors"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	for name, f := range map[string]converter{
		"TensorListReserve": listReserve, "TensorListFromTensor": listFromTensor, "TensorListGetItem": listGet,
		"TensorListSetItem": listSet, "TensorListStack": listStack, "TensorListLength": listLength,
	} {
		convertOps(f, name)
	}
}

// tensorList is a list of tensors of one shape, held as one tensor with a first axis more. A list that is only reserved has
// no tensor: the shape of its elements is not known before one is written.
type tensorList struct {
	v     *graph.Value
	count value // of a reserved list: its length
	// A reserved list on top of which one element was written.
	base        *tensorList
	index, item value
}

func (x value) reserved() bool { return x.list != nil && x.list.v == nil && x.list.base == nil }

// always reports whether each round of a loop writes the only element of the list.
func (l *tensorList) always() bool {
	is := func(x value, n int64) bool {
		return x.t != nil && x.t.IsInt() && x.t.Len() == 1 && tensor.Ints(x.t)[0] == n
	}
	return is(l.index, 0) && is(l.base.count, 1)
}

// list gives an input that is a list with a tensor.
func (c *call) list(i int) (*tensorList, error) {
	if i >= len(c.in) || c.in[i].list == nil {
		return nil, errors.New("an input is no list of tensors")
	}
	if c.in[i].list.v == nil {
		return nil, errors.New("a list is read before it is filled")
	}
	return c.in[i].list, nil
}

func listReserve(c *call) ([]value, error) {
	if len(c.in) < 2 {
		return nil, errors.New("the length of the list is missing")
	}
	n := c.in[1]
	if t, err := c.constant(1); err == nil {
		n = value{t: t}
	}
	return []value{{list: &tensorList{count: n}}}, nil
}

func listFromTensor(c *call) ([]value, error) {
	v, err := c.value(0)
	if err != nil {
		return nil, err
	}
	return []value{{list: &tensorList{v: v}}}, nil
}

func listGet(c *call) ([]value, error) {
	l, err := c.list(0)
	if err != nil {
		return nil, err
	}
	i, err := c.value(1)
	if err != nil {
		return nil, err
	}
	return one(c.add(ops.Gather{}, l.v, i)), nil
}

func listSet(c *call) ([]value, error) {
	if len(c.in) < 3 || c.in[0].list == nil {
		return nil, errors.New("input 0 is no list of tensors")
	}
	l := c.in[0].list
	if l.v == nil {
		if l.base != nil {
			return nil, errors.New("a list that is written twice in a round is not supported")
		}
		return []value{{list: &tensorList{base: l, index: c.in[1], item: c.in[2]}}}, nil
	}
	in, err := c.values(1, 3)
	if err != nil {
		return nil, err
	}
	at := c.add(ops.Reshape{}, c.cast(in[0], tensor.Int64), c.b.ints(1, 1))
	item := c.add(ops.Unsqueeze{}, in[1], c.b.ints(0))
	return []value{{list: &tensorList{v: c.add(ops.ScatterND{Reduction: "none"}, l.v, at, item)}}}, nil
}

func listStack(c *call) ([]value, error) {
	l, err := c.list(0)
	if err != nil {
		return nil, err
	}
	return one(l.v), nil
}

func listLength(c *call) ([]value, error) {
	l, err := c.list(0)
	if err != nil {
		return nil, err
	}
	end := 1
	n := c.add(ops.Shape{End: &end}, l.v)
	return one(c.cast(c.add(ops.Reshape{}, n, c.b.ints()), tensor.Int32)), nil
}
