package engine

import (
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/kernels"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// poolGrad is MaxPoolGrad or AveragePoolGrad with channels last. Inputs: dy and, for the maximum, x.
type poolGrad struct {
	graph.Op
	window   func(x []int) (ops.Window, error)
	shape    []int // of x, channels last, for the average
	countPad bool
	gate     bool // of a Relu that made x
}

func (p poolGrad) source() graph.Op { return p.Op }

// Infer gives the channels-last type.
func (p poolGrad) Infer(in []graph.Fact, outs int) ([]graph.Type, error) {
	first := make([]graph.Fact, len(in))
	for i, f := range in {
		first[i] = graph.Fact{Type: channelsFirst(f.Type)}
	}
	t, err := p.Op.Infer(first, outs)
	if err != nil {
		return nil, err
	}
	return []graph.Type{channelsLast(t[0])}, nil
}

// lowerReluGrad lets the gradient of a pool after the Relu do both.
func lowerReluGrad(l *lowering, n *graph.Node) bool {
	dy, y, form := n.In[0], n.In[1], l.last
	if turned(dy) && turned(y) { // n computes with channels last
		dy, y, form = dy.Def.In[0], y.Def.In[0], l.plain
	}
	if p := dy.Def; p != nil && p.OpName() == "tfsopt.MaxPoolGrad" && p.In[1] == y {
		one := *p
		one.Name, one.Out = n.Name, []*graph.Value{{Name: n.Out[0].Name, Fact: dy.Fact}}
		if l.poolGrad(&one, true) {
			form[n.Out[0]] = l.last[one.Out[0]]
			return true
		}
	}
	return elementwise(wrapGate)(l, n)
}

// turned reports whether v is a value with its channels moved last.
func turned(v *graph.Value) bool {
	if v.Def == nil {
		return false
	}
	op, ok := v.Def.Op.(ops.Transpose)
	return ok && slices.Equal(op.Perm, lastPerm(v.Rank()))
}

func lowerPoolGrad(l *lowering, n *graph.Node) bool { return l.poolGrad(n, false) }

func (l *lowering) poolGrad(n *graph.Node, gate bool) bool {
	for _, v := range n.In {
		if !spatial(v) || !isFloat(v) {
			return false
		}
	}
	op := poolGrad{Op: n.Op, gate: gate}
	switch p := n.Op.(type) {
	case ops.MaxPoolGrad:
		op.window = p.Window
	case ops.AveragePoolGrad:
		if len(p.XShape) != n.In[0].Rank() {
			return false
		}
		op.window = func([]int) (ops.Window, error) { return p.Window() }
		op.shape, op.countPad = permuted(p.XShape, lastPerm(len(p.XShape))), p.CountIncludePad
	}
	in := make([]*graph.Value, len(n.In))
	for i, v := range n.In {
		in[i] = l.lastOf(v)
	}
	l.set(l.last, n, l.emit(n, op, in))
	return true
}

func (p poolGrad) exec(x *exec, in, out []*tensor.Tensor) error {
	shape := p.shape
	if shape == nil {
		shape = in[1].Shape
	}
	w := poolWindows{}
	window := func(first []int) (ops.Window, error) {
		win, err := p.window(first)
		l := len(win.End) - 1
		if err == nil {
			w.endW = win.End[l]
			if l > 0 {
				w.endH = win.End[0]
			}
		}
		return win, err
	}
	g, small, err := geometry(shape, window)
	if err != nil {
		return err
	}
	if small = append(small, g.c); !slices.Equal(small, in[0].Shape) {
		return fmt.Errorf("gradient of shape %v for windows of %v", in[0].Shape, small)
	}
	w.geom, w.countPad = g, p.countPad
	y := x.Make(out[0], tensor.Float32, shape...)
	dx, dy := tensor.View[float32](y), tensor.View[float32](in[0])
	var src []float32
	if p.shape == nil {
		src = tensor.View[float32](in[1])
	}
	image, grad := g.h*g.w*g.c, g.oh*g.ow*g.c
	x.p.pool.run(x.scratch, g.n, func(_ *scratch, i int) {
		at := kernels.PoolGrad{
			C: g.c, DY: dy[i*grad : (i+1)*grad], DX: dx[i*image : (i+1)*image], Step: g.sw * g.c, Once: w.apart(), Gate: p.gate,
		}
		if src != nil {
			at.X = src[i*image : (i+1)*image]
		}
		w.image(x.p.set, at)
	})
	return nil
}

// poolWindows walks the windows of one image.
type poolWindows struct {
	geom
	endH, endW int // padding after the image
	countPad   bool
}

// apart reports whether no two windows share an element.
func (w poolWindows) apart() bool { return (w.kh-1)*w.dh < w.sh && (w.kw-1)*w.dw < w.sw }

// tiled reports whether each element has its window.
func (w poolWindows) tiled() bool {
	return w.kh == w.sh && w.kw == w.sw && w.kh*w.oh == w.h && w.kw*w.ow == w.w && w.pt == 0 && w.pl == 0 && w.dh == 1 && w.dw == 1
}

// image goes through the rows of windows of one image; all is its whole data.
func (w poolWindows) image(set *kernels.Set, all kernels.PoolGrad) {
	left, right := w.interior()
	line, cleared, tiled := w.w*w.c, 0, w.tiled()
	for oy := range w.oh {
		if reach := min(w.h, oy*w.sh-w.pt+(w.kh-1)*w.dh+1); reach > cleared && !tiled { // rows come into the cache when they are used
			clear(all.DX[cleared*line : reach*line])
			cleared = reach
		}
		for ox := 0; ox < w.ow; {
			n := 1
			if ox == left && right > left {
				n = right - left
			}
			w.run(set, all, poolRun{oy, ox, n})
			ox += n
		}
	}
	if !tiled {
		clear(all.DX[cleared*line:])
	}
}

// interior is the range of windows of a row that lie inside its ends.
func (w poolWindows) interior() (left, right int) {
	left = (w.pl + w.sw - 1) / w.sw
	if room := w.w + w.pl - (w.kw-1)*w.dw - 1; room >= 0 {
		right = min(w.ow, room/w.sw+1)
	}
	return left, right
}

// poolRun is n windows from (y, x) on that cover the same taps.
type poolRun struct{ y, x, n int }

func (w poolWindows) run(set *kernels.Set, all kernels.PoolGrad, r poolRun) {
	y0, x0 := r.y*w.sh-w.pt, r.x*w.sw-w.pl
	at := all
	var room [16]int
	taps, base := room[:0], -1
	for ky := range w.kh {
		iy := y0 + ky*w.dh
		if iy < 0 || iy >= w.h {
			continue
		}
		for kx := range w.kw {
			ix := x0 + kx*w.dw
			if ix < 0 || ix >= w.w {
				continue
			}
			off := (iy*w.w + ix) * w.c
			if base < 0 {
				base = off
			}
			taps = append(taps, off-base)
		}
	}
	if len(taps) == 0 {
		return
	}
	at.N, at.Taps, at.DX = r.n, taps, all.DX[base:]
	at.DY = all.DY[(r.y*w.ow+r.x)*w.c:]
	if all.X != nil {
		at.X = all.X[base:]
		set.MaxPoolGrad(&at)
		return
	}
	count := len(taps)
	if w.countPad {
		count = padded(y0, w.kh, w.dh, w.h+w.endH) * padded(x0, w.kw, w.dw, w.w+w.endW)
	}
	at.Window = float32(count)
	set.AddPoolGrad(&at)
}

// padded counts the taps of one axis that fall before end.
func padded(start, kernel, dilation, end int) int {
	return min(kernel, (end-start+dilation-1)/dilation)
}
