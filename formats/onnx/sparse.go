package onnx

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// sparseProto is a SparseTensorProto.
type sparseProto struct {
	span
	values, indices []*tensorProto
	dims            []int64
}

func (f field) sparse(dst *[]*sparseProto) error {
	s, err := f.message()
	if err != nil {
		return err
	}
	p := &sparseProto{span: s}
	*dst = append(*dst, p)
	return s.fields(func(f field) error {
		switch f.id {
		case 1:
			return f.tensor(&p.values)
		case 2:
			return f.tensor(&p.indices)
		case 3:
			return f.ints(&p.dims)
		}
		return nil
	})
}

// A sparse tensor may unfold to minDense bytes or, if that is more, to denseRatio times what it takes in the file:
// enough for 0.03 % of nonzero elements.
const (
	minDense   = 16 << 20
	denseRatio = 1024
)

// maxDense is how many bytes a sparse tensor of size bytes may unfold to.
func maxDense(size int) int { return max(minDense, denseRatio*size) }

// build unfolds a sparse tensor: indices are linear, [NNZ], or coordinates, [NNZ, rank], in any order, each once.
func (p *sparseProto) build(src dataSource) (*tensor.Tensor, error) {
	if len(p.values) != 1 {
		return nil, p.fail("a sparse tensor needs values")
	}
	shape, n, err := p.shape(p.dims)
	if err != nil {
		return nil, err
	}
	values, err := p.values[0].build(src)
	if err != nil {
		return nil, err
	}
	nnz, width := values.Len(), values.Bits()/8
	if width == 0 {
		return nil, p.fail("sparse tensors of %s are not supported", values.DType)
	}
	if n > maxDense(len(p.b))/width {
		return nil, p.fail("sparse tensor of shape %v is too large for its %d values", shape, nnz)
	}
	at, err := p.positions(src, nnz, shape)
	if err != nil {
		return nil, err
	}
	out := tensor.New(values.DType, shape...)
	for i, k := range at {
		copy(out.Data[k*width:(k+1)*width], values.Data[i*width:])
	}
	return out, nil
}

// positions gives the row-major offset of each value.
func (p *sparseProto) positions(src dataSource, nnz int, shape []int) ([]int, error) {
	if nnz == 0 {
		return nil, nil
	}
	if len(p.indices) != 1 {
		return nil, p.fail("a sparse tensor needs indices")
	}
	indices, err := p.indices[0].build(src)
	if err != nil {
		return nil, err
	}
	linear := len(indices.Shape) == 1
	fits := linear && indices.Shape[0] == nnz ||
		len(indices.Shape) == 2 && indices.Shape[0] == nnz && indices.Shape[1] == len(shape)
	if indices.DType != tensor.Int64 || !fits {
		return nil, p.fail("indices %s%v do not fit %d values of rank %d", indices.DType, indices.Shape, nnz, len(shape))
	}
	v := tensor.Ints(indices)
	at := make([]int, nnz)
	if linear {
		shape = []int{tensor.Size(shape)}
	}
	for i := range at {
		for d, size := range shape {
			x := v[i*len(shape)+d]
			if x < 0 || x >= int64(size) {
				return nil, p.fail("index %d of value %d is outside of %d", x, i, size)
			}
			at[i] = at[i]*size + int(x)
		}
	}
	return at, p.once(at)
}

// once checks that no position is given twice.
func (p *sparseProto) once(at []int) error {
	sorted := at
	if !slices.IsSorted(at) {
		sorted = slices.Clone(at)
		slices.Sort(sorted)
	}
	for i := 1; i < len(sorted); i++ {
		if sorted[i] == sorted[i-1] {
			return p.fail("a sparse tensor has two values for element %d", sorted[i])
		}
	}
	return nil
}

// sparseSince is the IR version that brought sparse initializers; minSaved is how many bytes one has to save.
const (
	sparseSince = 5
	minSaved    = 1024
)

// sparse writes the constant v as a SparseTensorProto with linear indices where that saves minSaved bytes, nil where it
// does not or where a reader may not expect it: as an output or input, in a body, in a file with external data, below IR
// version 5.
func (w *writer) sparse(g *graph.Graph, v *graph.Value, s *nameScope) *message {
	if !v.IsConst() || w.ir < sparseSince || w.place != nil || s.outer != nil || slices.Contains(g.Outputs, v) ||
		v.Meta[metaListed] == listedInput && w.listConstants(g) {
		return nil
	}
	t := v.Const
	width := t.Bits() / 8
	if width == 0 || t.DType == tensor.String || len(t.Data)-(8+width)*nonzero(t.Data, width) < minSaved {
		return nil
	}
	m := encodeSparse(s.names[v], v, width)
	if m.size+minSaved > int64(len(t.Data)) || len(t.Data) > maxDense(int(m.size)) {
		return nil
	}
	return m
}

// nonzero counts the elements of width bytes that are not all zero bits.
func nonzero(data []byte, width int) int {
	n := 0
	for zeros := make([]byte, width); len(data) > 0; data = data[width:] {
		if !bytes.Equal(data[:width], zeros) {
			n++
		}
	}
	return n
}

// encodeSparse writes the elements that are not all zero bits.
func encodeSparse(name string, c *graph.Value, width int) *message {
	t, zeros := c.Const, make([]byte, width)
	var at, values []byte
	for i := range t.Len() {
		if e := t.Data[i*width : (i+1)*width]; !bytes.Equal(e, zeros) {
			at = binary.LittleEndian.AppendUint64(at, uint64(i))
			values = append(values, e...)
		}
	}
	// Neither type is one that encodeTensor refuses.
	v, _ := encodeTensor(name, &tensor.Tensor{DType: t.DType, Shape: []int{len(at) / 8}, Data: values}, nil)
	v.string(12, c.Meta[metaDoc])
	v.props(16, c.Meta)
	i, _ := encodeTensor("", &tensor.Tensor{DType: tensor.Int64, Shape: []int{len(at) / 8}, Data: at}, nil)
	m := &message{}
	m.message(1, v)
	m.message(2, i)
	m.dims(3, t.Shape)
	return m
}
