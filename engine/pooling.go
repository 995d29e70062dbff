package engine

import (
	"encoding/binary"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// pooling is MaxPool or AveragePool with channels last, on float32 or, for the maximum, 8-bit integers.
type pooling struct {
	graph.Op
	window   func(x []int) (ops.Window, error)
	average  bool
	countPad bool
	end      []int // during a run: the padding after the input
}

func (p pooling) source() graph.Op { return p.Op }

// Infer gives the channels-last type.
func (p pooling) Infer(in []graph.Fact, outs int) ([]graph.Type, error) {
	return inferFirst(p.Op, in, outs)
}

// inferFirst infers through an operator that wants channels first.
func inferFirst(op graph.Op, in []graph.Fact, outs int) ([]graph.Type, error) {
	first := append([]graph.Fact{}, in...)
	first[0] = graph.Fact{Type: channelsFirst(in[0].Type)}
	t, err := op.Infer(first, outs)
	if err != nil {
		return nil, err
	}
	for i := range t {
		t[i] = channelsLast(t[i])
	}
	return t, nil
}

func lowerPool(l *lowering, n *graph.Node) bool {
	x := n.In[0]
	if !spatial(x) || len(n.Out) > 1 && n.Out[1] != nil {
		return false
	}
	op := pooling{Op: n.Op}
	switch p := n.Op.(type) {
	case ops.MaxPool:
		if !isFloat(x) && !isByte(x) {
			return false
		}
		op.window = p.Window
	case ops.AveragePool:
		if !isFloat(x) {
			return false
		}
		op.window, op.average, op.countPad = p.Window, true, p.CountIncludePad
	}
	l.set(l.last, n, l.emit(n, op, []*graph.Value{l.lastOf(x)}))
	return true
}

func isByte(v *graph.Value) bool {
	return v != nil && (v.DType == tensor.Uint8 || v.DType == tensor.Int8)
}

func (p pooling) exec(x *exec, in, out []*tensor.Tensor) error {
	var w ops.Window
	g, shape, err := geometry(in[0].Shape, func(first []int) (_ ops.Window, err error) {
		w, err = p.window(first)
		return w, err
	})
	if err != nil {
		return err
	}
	y := x.Make(out[0], in[0].DType, append(shape, g.c)...)
	set := x.p.set
	switch {
	case p.average:
		p.end = w.End
		p.runAverage(x, g, in[0], tensor.View[float32](y))
	case in[0].DType == tensor.Float32:
		pad := binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(math.Inf(-1))))
		dst := tensor.View[float32](y)
		strips(x, g, in[0].Data, stripSpec{size: 4, pad: pad}, func(st strip) {
			set.MaxRows(dst[st.y*g.c:][:g.ow*g.c], g.ow, g.c, f32(st.x), g.sw*g.c, st.taps)
		})
	case in[0].DType == tensor.Uint8:
		p.runBytes(x, g, byteMax{src: in[0].Data, dst: y.Data, pad: 0, max: set.MaxRowsU8})
	default:
		p.runBytes(x, g, byteMax{src: in[0].Data, dst: y.Data, pad: 0x80, max: set.MaxRowsS8})
	}
	return nil
}

type byteMax struct {
	src, dst []byte
	pad      byte
	max      func(dst []byte, n, c int, x []byte, step int, taps []int)
}

func (p pooling) runBytes(x *exec, g geom, b byteMax) {
	strips(x, g, b.src, stripSpec{size: 1, pad: []byte{b.pad}}, func(st strip) {
		b.max(b.dst[st.y*g.c:][:g.ow*g.c], g.ow, g.c, st.x, g.sw*g.c, st.taps)
	})
}

// runAverage sums the taps and divides by how many of them count: of padding what lies before its end.
func (p pooling) runAverage(x *exec, g geom, in *tensor.Tensor, dst []float32) {
	endH, endW := g.h, g.w+p.end[len(p.end)-1]
	if len(p.end) > 1 {
		endH += p.end[0]
	}
	strips(x, g, in.Data, stripSpec{size: 4}, func(st strip) {
		row := dst[st.y*g.c:][:g.ow*g.c]
		x.p.set.SumRows(row, g.ow, g.c, f32(st.x), g.sw*g.c, st.taps)
		oy := st.y / g.ow % g.oh
		for ox := range g.ow {
			y0, x0 := oy*g.sh-g.pt, ox*g.sw-g.pl
			count := padded(y0, g.kh, g.dh, endH) * padded(x0, g.kw, g.dw, endW)
			if !p.countPad {
				count = inside(y0, g.kh, g.dh, g.h) * inside(x0, g.kw, g.dw, g.w)
			}
			pixel := row[ox*g.c:][:g.c]
			for i, v := range pixel {
				pixel[i] = v / float32(max(count, 1))
			}
		}
	})
}

// inside counts the taps of one axis that fall on the input.
func inside(start, kernel, dilation, size int) int {
	n := 0
	for k := range kernel {
		if at := start + k*dilation; at >= 0 && at < size {
			n++
		}
	}
	return n
}

// globalAverage is GlobalAveragePool with channels last: the mean over the pixels, summed in their order.
type globalAverage struct{ graph.Op }

func (p globalAverage) source() graph.Op { return p.Op }

// Infer gives the channels-last type.
func (p globalAverage) Infer(in []graph.Fact, outs int) ([]graph.Type, error) {
	return inferFirst(p.Op, in, outs)
}

func (p globalAverage) exec(x *exec, in, out []*tensor.Tensor) error {
	s := in[0].Shape
	c, n := s[len(s)-1], s[0]
	shape := append([]int{}, s...)
	for i := 1; i < len(s)-1; i++ {
		shape[i] = 1
	}
	y := x.Make(out[0], tensor.Float32, shape...)
	pixels := tensor.Size(s[1 : len(s)-1])
	taps := make([]int, pixels)
	for i := range taps {
		taps[i] = i * c
	}
	src, dst := tensor.View[float32](in[0]), tensor.View[float32](y)
	for i := range n {
		row := dst[i*c:][:c]
		x.p.set.SumRows(row, 1, c, src[i*pixels*c:], c, taps)
		for j, v := range row {
			row[j] = v / float32(pixels)
		}
	}
	return nil
}

func lowerGlobalAverage(l *lowering, n *graph.Node) bool {
	if !spatial(n.In[0]) || !isFloat(n.In[0]) {
		return false
	}
	l.set(l.last, n, l.emit(n, globalAverage{n.Op}, []*graph.Value{l.lastOf(n.In[0])}))
	return true
}
