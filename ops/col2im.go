package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 18, Col2Im{}) }

// Col2Im adds up sliding blocks into images: input [N, C·block elements, blocks], image shape and block shape (vectors)
// to [N, C, image…]. It is the transpose of im2col; Strides, Pads (begins, then ends) and Dilations are those of the
// blocks.
type Col2Im struct {
	Dilations []int `attr:"dilations"`
	Pads      []int `attr:"pads"`
	Strides   []int `attr:"strides"`
}

// Infer needs to know how many image dimensions there are.
func (Col2Im) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 3, 3); err != nil {
		return nil, err
	}
	if err := rank(in, 0, 3); err != nil {
		return nil, err
	}
	image, block := elements(in[1]), elements(in[2])
	if image == nil {
		return []graph.Type{graph.AnyRank(in[0].DType)}, nil
	}
	if block != nil && len(block) != len(image) {
		return nil, fmt.Errorf("%d image and %d block dimensions", len(image), len(block))
	}
	c := graph.Dim{}
	if block != nil {
		c = dimAt(in[0], 1).Div(graph.SizeOf(block))
	}
	return []graph.Type{graph.Of(in[0].DType, append([]graph.Dim{dimAt(in[0], 0), c}, image...)...)}, nil
}

// Run adds in float64 and rounds once.
func (o Col2Im) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	shape, err := shapeOf(o, in)
	if err != nil {
		return err
	}
	if err := checkSize(in[0].DType, shape); err != nil {
		return err
	}
	v := tensor.Float64s(in[0])
	if v == nil && in[0].Len() > 0 {
		return fmt.Errorf("no sums of %s", in[0].DType)
	}
	image, b := shape[2:], slidingBlocks{block: make([]int, len(shape)-2)}
	for i, n := range tensor.Ints(in[2]) {
		b.block[i] = int(n)
	}
	if b.strides, err = perAxis("strides", o.Strides, len(image), 1); err != nil {
		return err
	}
	if b.dilations, err = perAxis("dilations", o.Dilations, len(image), 1); err != nil {
		return err
	}
	if b.pads, err = perAxis("pads", o.Pads, 2*len(image), 0); err != nil {
		return err
	}
	if err := b.places(image); err != nil {
		return err
	}
	each, count := tensor.Size(b.block), tensor.Size(b.counts)
	if in[0].Shape[2] != count || shape[1]*each != in[0].Shape[1] {
		return fmt.Errorf("input of shape %v for %d blocks of %d elements", in[0].Shape, count, each)
	}
	sum, size := make([]float64, tensor.Size(shape)), tensor.Size(image)
	for i, at := range b.offsets(image) {
		if at < 0 {
			continue
		}
		for p := range shape[0] * shape[1] {
			sum[p*size+at] += v[p*each*count+i]
		}
	}
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, shape...), sum)
}

// slidingBlocks describes the blocks; counts is how many there are along each image dimension.
type slidingBlocks struct{ block, strides, dilations, pads, counts []int }

func (b *slidingBlocks) places(image []int) error {
	for i, n := range image {
		room := n + b.pads[i] + b.pads[i+len(image)] - b.dilations[i]*(b.block[i]-1) - 1
		if b.block[i] < 1 || room < 0 {
			return fmt.Errorf("blocks of shape %v do not fit an image of shape %v", b.block, image)
		}
		b.counts = append(b.counts, room/b.strides[i]+1)
	}
	return nil
}

// offsets gives for each element of each block, blocks innermost, its place in the image; -1 in the padding.
func (b *slidingBlocks) offsets(image []int) []int {
	dims := append(append([]int{}, b.block...), b.counts...)
	r, step := len(image), dense(image).step
	out := make([]int, tensor.Size(dims))
	index := make([]int, 2*r)
	for i := range out {
		for d, n := range image {
			p := index[d]*b.dilations[d] + index[r+d]*b.strides[d] - b.pads[d]
			if p < 0 || p >= n {
				out[i] = -1
				break
			}
			out[i] += p * step[d]
		}
		for d := 2*r - 1; d >= 0; d-- {
			if index[d]++; index[d] < dims[d] {
				break
			}
			index[d] = 0
		}
	}
	return out
}
