package ops

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 13, DepthToSpace{}, SpaceToDepth{}) }

// DepthToSpace moves channels into BlockSize×BlockSize squares of positions. The channels hold, outermost first, the
// square's row and column and then the new channels (Mode DCR), or the new channels first (CRD).
type DepthToSpace struct {
	mover
	BlockSize int    `attr:"blocksize" required:"true"`
	Mode      string `attr:"mode" default:"DCR"`
}

// SpaceToDepth is the inverse of DepthToSpace.
type SpaceToDepth struct {
	mover
	BlockSize int    `attr:"blocksize" required:"true"`
	Mode      string `attr:"mode" default:"DCR"`
}

// checkBlock refuses what both operators cannot take.
func checkBlock(in []graph.Fact, block int, mode string) error {
	if err := want(in, 1, 1); err != nil {
		return err
	}
	if block < 1 || block > 1<<15 || mode != "DCR" && mode != "CRD" {
		return fmt.Errorf("blocksize %d, mode %q", block, mode)
	}
	return rank(in, 0, 4)
}

// Infer gives NCHW with fewer channels.
func (o DepthToSpace) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := checkBlock(in, o.BlockSize, o.Mode); err != nil {
		return nil, err
	}
	if in[0].Unranked {
		return []graph.Type{graph.AnyRank(in[0].DType)}, nil
	}
	s, b := in[0].Shape, graph.Fixed(o.BlockSize)
	if c, ok := s[1].Value(); ok && c%(o.BlockSize*o.BlockSize) != 0 {
		return nil, fmt.Errorf("%d channels, blocksize %d", c, o.BlockSize)
	}
	return []graph.Type{graph.Of(in[0].DType, s[0], s[1].Div(b.Mul(b)), s[2].Mul(b), s[3].Mul(b))}, nil
}

// Run moves elements.
func (o DepthToSpace) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	shape, err := shapeOf(o, in)
	if err != nil {
		return err
	}
	dst, err := target(x, out[0], in[0].DType, shape)
	if err != nil {
		return err
	}
	deep, flat := blockViews(in[0].Shape, shape, o.BlockSize, o.Mode)
	dst.strided(blockDims(in[0].Shape, shape, o.BlockSize), flat, source(in[0]), deep)
	dst.done()
	return nil
}

// Links ties the new channels with the places in the old ones that they are made of.
func (o DepthToSpace) Links(in, out []graph.Fact) []graph.Link {
	return blockLinks(o.BlockSize, o.Mode, made(0, 1), given(0, 1), out[0])
}

// Infer gives NCHW with more channels.
func (o SpaceToDepth) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := checkBlock(in, o.BlockSize, o.Mode); err != nil {
		return nil, err
	}
	if in[0].Unranked {
		return []graph.Type{graph.AnyRank(in[0].DType)}, nil
	}
	s, b := in[0].Shape, graph.Fixed(o.BlockSize)
	for _, d := range s[2:] {
		if n, ok := d.Value(); ok && n%o.BlockSize != 0 {
			return nil, fmt.Errorf("%d positions, blocksize %d", n, o.BlockSize)
		}
	}
	return []graph.Type{graph.Of(in[0].DType, s[0], s[1].Mul(b.Mul(b)), s[2].Div(b), s[3].Div(b))}, nil
}

// Run moves elements.
func (o SpaceToDepth) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	shape, err := shapeOf(o, in)
	if err != nil {
		return err
	}
	dst, err := target(x, out[0], in[0].DType, shape)
	if err != nil {
		return err
	}
	deep, flat := blockViews(shape, in[0].Shape, o.BlockSize, o.Mode)
	dst.strided(blockDims(shape, in[0].Shape, o.BlockSize), deep, source(in[0]), flat)
	dst.done()
	return nil
}

// Links ties the old channels with the places in the new ones that they become.
func (o SpaceToDepth) Links(in, out []graph.Fact) []graph.Link {
	return blockLinks(o.BlockSize, o.Mode, given(0, 1), made(0, 1), in[0])
}

// blockDims is (batch, channel, row, row in block, column, column in block), the flat tensor's order.
func blockDims(deep, flat []int, b int) []int {
	return []int{flat[0], flat[1], deep[2], b, deep[3], b}
}

// blockViews finds the elements of blockDims in the tensor with many channels and in the one with many positions.
func blockViews(deep, flat []int, b int, mode string) (view, view) {
	d := dense(deep).step
	c, square := d[1], flat[1]*d[1] // steps of a new channel and of a place in the square
	if mode == "CRD" {
		c, square = b*b*d[1], d[1]
	}
	return view{step: []int{d[0], c, d[2], b * square, d[3], square}}, dense(blockDims(deep, flat, b))
}

// blockLinks ties the few channels of shallow with the BlockSize² times as many of deep.
func blockLinks(block int, mode string, few, many graph.End, shallow graph.Fact) []graph.Link {
	if shallow.Rank() != 4 {
		return nil
	}
	if mode == "CRD" {
		return tie(shallow.Shape[1], few, spaced(many, 1, block*block))
	}
	return tie(shallow.Shape[1], few, spaced(many, block*block, 1))
}
