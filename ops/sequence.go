package ops

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("", 11, SequenceConstruct{}, SequenceEmpty{}, SequenceAt{}, SequenceInsert{}, SequenceErase{},
		SequenceLength{}, ConcatFromSequence{}, SplitToSequence{})
}

// eitherType is what is true of both types.
func eitherType(a, b graph.Type) graph.Type {
	switch {
	case a.DType == tensor.Undefined || b.DType == tensor.Undefined:
		return anyRank(graph.Type{DType: max(a.DType, b.DType), Elem: cmp.Or(a.Elem, b.Elem)})
	case a.DType != b.DType:
		return graph.AnyRank(tensor.Undefined)
	case a.Elem != nil && b.Elem != nil:
		e := eitherType(*a.Elem, *b.Elem)
		a.Elem = &e
		return a
	case a.Unranked || b.Unranked || len(a.Shape) != len(b.Shape):
		return graph.Type{DType: a.DType, Unranked: true, Elem: a.Elem}
	}
	a = graph.Of(a.DType, a.Shape...)
	for i, d := range b.Shape {
		if a.Shape[i] != d {
			a.Shape[i] = graph.Dim{}
		}
	}
	return a
}

// elemType is the type of a sequence's items.
func elemType(in []graph.Fact, i int) (graph.Type, error) {
	if i >= len(in) || in[i].DType != tensor.Sequence {
		return graph.Type{}, fmt.Errorf("input %d: want a sequence, got %s", i, fact(in, i).DType)
	}
	if in[i].Elem == nil {
		return graph.AnyRank(tensor.Undefined), nil
	}
	return *in[i].Elem, nil
}

// setItems makes out a sequence.
func setItems(out *tensor.Tensor, items []*tensor.Tensor) {
	*out = tensor.Tensor{DType: tensor.Sequence, Items: items}
}

// position reads an optional index into a sequence; negative ones count from the end.
func position(t *tensor.Tensor, missing, n int) (int, error) {
	if t == nil {
		if missing < 0 || missing >= n {
			return 0, errors.New("the sequence is empty")
		}
		return missing, nil
	}
	if t.Len() != 1 {
		return 0, fmt.Errorf("a position of %d elements", t.Len())
	}
	return indexInto(tensor.Ints(t)[0], n)
}

// SequenceConstruct makes a sequence of its inputs.
type SequenceConstruct struct{}

// Infer gives what the inputs have in common.
func (SequenceConstruct) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if len(in) == 0 {
		return nil, errors.New("want at least 1 input")
	}
	if err := want(in, len(in), -1); err != nil {
		return nil, err
	}
	t := in[0].Type
	for i, f := range in {
		if f.DType != t.DType {
			return nil, fmt.Errorf("input %d is %s, input 0 %s", i, f.DType, t.DType)
		}
		t = eitherType(t, f.Type)
	}
	return []graph.Type{graph.SequenceOf(t)}, nil
}

// Run copies the inputs.
func (SequenceConstruct) Run(_ *graph.Exec, in, out []*tensor.Tensor) error {
	items := make([]*tensor.Tensor, len(in))
	for i, t := range in {
		items[i] = t.Clone()
	}
	setItems(out[0], items)
	return nil
}

// SequenceEmpty makes a sequence without items, of tensors of type DType (0: float32).
type SequenceEmpty struct {
	DType int `attr:"dtype"`
}

// Infer gives the type of the items.
func (o SequenceEmpty) Infer([]graph.Fact, int) ([]graph.Type, error) {
	d := tensor.DType(o.DType)
	if o.DType == 0 {
		d = tensor.Float32
	}
	if !d.Valid() || int(d) != o.DType && o.DType != 0 {
		return nil, fmt.Errorf("unknown element type %d", o.DType)
	}
	return []graph.Type{graph.SequenceOf(graph.AnyRank(d))}, nil
}

// Run makes no items.
func (SequenceEmpty) Run(_ *graph.Exec, _, out []*tensor.Tensor) error {
	setItems(out[0], nil)
	return nil
}

// SequenceAt gives one item of a sequence.
type SequenceAt struct{}

// Infer gives the type of the items.
func (SequenceAt) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 2); err != nil {
		return nil, err
	}
	return only(elemType(in, 0))
}

// Run copies the item.
func (SequenceAt) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	i, err := position(in[1], 0, len(in[0].Items))
	if err != nil {
		return err
	}
	t := in[0].Items[i]
	copyTo(x, out[0], t, t.Shape)
	return nil
}

// SequenceInsert puts a tensor before a position (third input; default: the end).
type SequenceInsert struct{}

// Infer gives what items and tensor have in common.
func (SequenceInsert) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 3); err != nil {
		return nil, err
	}
	e, err := elemType(in, 0)
	if err != nil {
		return nil, err
	}
	if e.DType == tensor.Undefined {
		return []graph.Type{graph.SequenceOf(graph.AnyRank(in[1].DType))}, nil
	}
	if e.DType != in[1].DType {
		return nil, fmt.Errorf("a %s among %s", in[1].DType, e.DType)
	}
	return []graph.Type{graph.SequenceOf(eitherType(e, in[1].Type))}, nil
}

// Run shares the items.
func (SequenceInsert) Run(_ *graph.Exec, in, out []*tensor.Tensor) error {
	n := len(in[0].Items)
	i := n
	if t := optional(in, 2); t != nil && !(t.Len() == 1 && tensor.Ints(t)[0] == int64(n)) {
		var err error
		if i, err = position(t, 0, n); err != nil {
			return err
		}
	}
	setItems(out[0], inserted(in[0].Items, i, in[1].Clone()))
	return nil
}

// SequenceErase drops the item at a position (second input; default: the last).
type SequenceErase struct{}

// Infer gives the type of the sequence.
func (SequenceErase) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 2); err != nil {
		return nil, err
	}
	e, err := elemType(in, 0)
	return only(graph.SequenceOf(e), err)
}

// Run shares the items.
func (SequenceErase) Run(_ *graph.Exec, in, out []*tensor.Tensor) error {
	i, err := position(optional(in, 1), len(in[0].Items)-1, len(in[0].Items))
	if err != nil {
		return err
	}
	setItems(out[0], removed(in[0].Items, i))
	return nil
}

// SequenceLength gives the number of items as an int64 scalar.
type SequenceLength struct{}

// Infer gives a scalar.
func (SequenceLength) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	_, err := elemType(in, 0)
	return only(graph.Of(tensor.Int64), err)
}

// Run counts.
func (SequenceLength) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return tensor.SetInts(x.Make(out[0], tensor.Int64), []int64{int64(len(in[0].Items))})
}

// ConcatFromSequence joins the items along Axis or, with NewAxis, stacks them along a new one.
type ConcatFromSequence struct {
	Axis    int  `attr:"axis" required:"true"`
	NewAxis bool `attr:"new_axis"`
}

// Infer knows the shape but for Axis if the items have one.
func (o ConcatFromSequence) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	e, err := elemType(in, 0)
	if err != nil || e.Unranked {
		return only(graph.AnyRank(e.DType), err)
	}
	shape := append([]graph.Dim{}, e.Shape...)
	if o.NewAxis {
		shape = append(shape, graph.Dim{})
	}
	if len(shape) == 0 {
		return nil, errors.New("scalars cannot be joined")
	}
	a, err := axis(o.Axis, len(shape))
	if err != nil {
		return nil, err
	}
	if o.NewAxis {
		shape = inserted(e.Shape, a, graph.Dim{})
	}
	shape[a] = graph.Dim{}
	return []graph.Type{graph.Of(e.DType, shape...)}, nil
}

// Run joins.
func (o ConcatFromSequence) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	items := in[0].Items
	if len(items) == 0 {
		return errors.New("the sequence is empty")
	}
	r := len(items[0].Shape)
	if !o.NewAxis {
		a, err := axis(o.Axis, r)
		if err != nil || r == 0 {
			return errors.Join(err, checkItems(items))
		}
		return concat(x, items, out[0], a)
	}
	a, err := axis(o.Axis, r+1)
	if err != nil {
		return err
	}
	return stack(x, items, out[0], a)
}

func checkItems(items []*tensor.Tensor) error {
	return fmt.Errorf("items of rank %d cannot be joined", len(items[0].Shape))
}

// stack joins tensors of one shape along a new axis.
func stack(x *graph.Exec, items []*tensor.Tensor, out *tensor.Tensor, a int) error {
	rows := make([]*tensor.Tensor, len(items))
	for i, t := range items {
		if !sameInts(t.Shape, items[0].Shape) {
			return fmt.Errorf("shapes %v and %v cannot be stacked", items[0].Shape, t.Shape)
		}
		rows[i] = t.Reshape(inserted(t.Shape, a, 1)...)
	}
	return concat(x, rows, out, a)
}

// SplitToSequence cuts a tensor along Axis into a sequence: into pieces of the given sizes (a vector) or of one size (a
// scalar, the last piece may be smaller), or into slices, which lose the axis unless KeepDims is set.
type SplitToSequence struct {
	Axis     int  `attr:"axis"`
	KeepDims bool `attr:"keepdims" default:"1"`
}

// Infer knows the shape of pieces of one size.
func (o SplitToSequence) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 2); err != nil {
		return nil, err
	}
	if in[0].Unranked {
		return []graph.Type{graph.SequenceOf(graph.AnyRank(in[0].DType))}, nil
	}
	if len(in[0].Shape) == 0 {
		return nil, errors.New("a scalar cannot be split")
	}
	a, err := axis(o.Axis, len(in[0].Shape))
	if err != nil {
		return nil, err
	}
	t := graph.Of(in[0].DType, in[0].Shape...)
	switch {
	case fact(in, 1).Given():
		t.Shape[a] = graph.Dim{}
	case o.KeepDims:
		t.Shape[a] = graph.Fixed(1)
	default:
		t.Shape = removed(t.Shape, a)
	}
	return []graph.Type{graph.SequenceOf(t)}, nil
}

// Run copies the pieces.
func (o SplitToSequence) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	if len(in[0].Shape) == 0 {
		return errors.New("a scalar cannot be split")
	}
	a, err := axis(o.Axis, len(in[0].Shape))
	if err != nil {
		return err
	}
	n, split := in[0].Shape[a], optional(in, 1)
	sizes, err := pieces(split, n)
	if err != nil {
		return err
	}
	items, at := make([]*tensor.Tensor, len(sizes)), 0
	for i, size := range sizes {
		list := make([]int, size)
		for j := range list {
			list[j] = at + j
		}
		items[i] = &tensor.Tensor{}
		if err := take(x, items[i], selection{in[0], a, list}); err != nil {
			return err
		}
		if split == nil && !o.KeepDims {
			items[i].Shape = removed(items[i].Shape, a)
		}
		at += size
	}
	setItems(out[0], items)
	return nil
}

// pieces gives the sizes into which a dimension of n is cut.
func pieces(split *tensor.Tensor, n int) ([]int, error) {
	size := int64(1)
	if split != nil && len(split.Shape) > 0 {
		sizes, sum := []int{}, int64(0)
		for _, v := range tensor.Ints(split) {
			if v < 0 || v > int64(n)-sum {
				return nil, fmt.Errorf("a piece of %d in a dimension of %d", v, n)
			}
			sizes, sum = append(sizes, int(v)), sum+v
		}
		if sum != int64(n) {
			return nil, fmt.Errorf("pieces %v of a dimension of %d", sizes, n)
		}
		return sizes, nil
	}
	if split != nil {
		size = tensor.Ints(split)[0]
	}
	if size <= 0 {
		return nil, fmt.Errorf("pieces of size %d", size)
	}
	var sizes []int
	for at := int64(0); at < int64(n); at += size {
		sizes = append(sizes, int(min(size, int64(n)-at)))
		if size > int64(n) {
			break
		}
	}
	return sizes, nil
}
