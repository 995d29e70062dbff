package quantize

import (
	"fmt"

	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// gramSide is the longest row of weights that is rounded with regard to the data: in long ones, the errors of nearest
// rounding cancel. gramRows bounds the vectors taken from one sample, gramBudget the memory of all grams.
const (
	gramSide   = 64
	gramRows   = 256
	gramBudget = 256 << 20
)

// gram is the sum of x xᵀ over vectors x that a layer's rows are multiplied with, one for each group of channels.
type gram struct {
	k, groups int
	conv      *ops.Conv
	weight    []int
	xx        []float32 // [groups][k][k], the lower triangle
	sum       []float64 // [groups][k], of x; nil where nobody asks
	count     int64
	rows      []float32 // scratch: [k][positions] of one group
}

// gramBytes is the size of a layer's gram, 0 if its rows are longer than side or it is not of a kind that gram knows.
func gramBytes(l *layer, side int) int64 {
	groups := 1
	if op, ok := l.node.Op.(ops.Conv); ok {
		if l.weight.Rank() != 4 {
			return 0
		}
		groups = max(op.Group, 1)
	}
	if l.k > side || l.k < 2 {
		return 0
	}
	return int64(groups) * int64(l.k) * int64(l.k) * 4
}

// newGram makes an empty one for a layer that gramBytes has a size for.
func newGram(l *layer) *gram {
	g := &gram{k: l.k, groups: 1, weight: l.weight.Const.Shape}
	if op, ok := l.node.Op.(ops.Conv); ok {
		g.conv, g.groups = &op, max(op.Group, 1)
	}
	g.xx = make([]float32, g.groups*g.k*g.k)
	if l.order != nil {
		g.sum = make([]float64, g.groups*g.k)
	}
	return g
}

// add takes the layer's input of one run.
func (g *gram) add(t *tensor.Tensor) error {
	if g.conv == nil {
		return g.addRows(t)
	}
	if len(t.Shape) != 4 {
		return fmt.Errorf("input has rank %d", len(t.Shape))
	}
	w, err := g.conv.Window(t.Shape, g.weight)
	if err != nil {
		return err
	}
	n := w.Out[0] * w.Out[1]
	at := pick(n, (n+gramRows-1)/gramRows)
	ys, xs := make([]int, len(at)), make([]int, len(at))
	for j, pos := range at {
		ys[j], xs[j] = pos/w.Out[1]*w.Strides[0], pos%w.Out[1]*w.Strides[1]
	}
	channels := g.weight[1]
	area := t.Shape[2] * t.Shape[3]
	v := tensor.Floats(t)
	for b := range t.Shape[0] {
		for group := range g.groups {
			rows := g.scratch(len(at))
			from := (b*t.Shape[1] + group*channels) * area
			for c := range channels {
				g.patches(rows, v[from+c*area:from+(c+1)*area], patch{w, c, ys, xs})
			}
			g.accumulate(group, rows, len(at))
		}
		g.count += int64(len(at))
	}
	return nil
}

// patch says which part of an image to spread out: the window, the channel, the output positions.
type patch struct {
	w       ops.Window
	channel int
	y, x    []int // where the output positions begin
}

// patches writes the kernel's view of one channel: rows [kernel][positions].
func (g *gram) patches(rows, image []float32, p patch) {
	w, n := p.w, len(p.y)
	taps := w.Kernel[0] * w.Kernel[1]
	for tap := range taps {
		dst := rows[(p.channel*taps+tap)*n:][:n]
		dy := tap/w.Kernel[1]*w.Dilations[0] - w.Begin[0]
		dx := tap%w.Kernel[1]*w.Dilations[1] - w.Begin[1]
		for j, y := range p.y {
			y, x := y+dy, p.x[j]+dx
			if y < 0 || y >= w.In[0] || x < 0 || x >= w.In[1] {
				dst[j] = 0
				continue
			}
			dst[j] = image[y*w.In[1]+x]
		}
	}
}

// accumulate adds the products of n vectors, stored as rows [k][n], each entry in one fixed order.
func (g *gram) accumulate(group int, rows []float32, n int) {
	k := g.k
	xx := g.xx[group*k*k:][:k*k]
	for i := range k {
		a := rows[i*n : (i+1)*n]
		if g.sum != nil {
			g.sum[group*k+i] += total(a)
		}
		j := 0
		for ; j < i; j += 2 {
			x, y := dots(a, rows[j*n:(j+1)*n], rows[(j+1)*n:(j+2)*n])
			xx[i*k+j] += x
			xx[i*k+j+1] += y
		}
		if j == i {
			xx[i*k+i] += dot(a, a)
		}
	}
}

// dot is a product in four chains.
func dot(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += float32(a[i] * b[i])
		s1 += float32(a[i+1] * b[i+1])
		s2 += float32(a[i+2] * b[i+2])
		s3 += float32(a[i+3] * b[i+3])
	}
	for ; i < len(a); i++ {
		s0 += float32(a[i] * b[i])
	}
	return float32(s0+s1) + float32(s2+s3)
}

// dots are the products of a with b and with c, each as dot makes it.
func dots(a, b, c []float32) (float32, float32) {
	var s0, s1, s2, s3, t0, t1, t2, t3 float32
	b, c = b[:len(a)], c[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		x, y, z := a[i:i+4:i+4], b[i:i+4:i+4], c[i:i+4:i+4]
		s0 += float32(x[0] * y[0])
		t0 += float32(x[0] * z[0])
		s1 += float32(x[1] * y[1])
		t1 += float32(x[1] * z[1])
		s2 += float32(x[2] * y[2])
		t2 += float32(x[2] * z[2])
		s3 += float32(x[3] * y[3])
		t3 += float32(x[3] * z[3])
	}
	for ; i < len(a); i++ {
		s0 += float32(a[i] * b[i])
		t0 += float32(a[i] * c[i])
	}
	return float32(s0+s1) + float32(s2+s3), float32(t0+t1) + float32(t2+t3)
}

// total is the sum in four chains.
func total(a []float32) float64 {
	var s0, s1, s2, s3 float64
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += float64(a[i])
		s1 += float64(a[i+1])
		s2 += float64(a[i+2])
		s3 += float64(a[i+3])
	}
	for ; i < len(a); i++ {
		s0 += float64(a[i])
	}
	return (s0 + s1) + (s2 + s3)
}

// addRows takes the rows of a matrix product's input.
func (g *gram) addRows(t *tensor.Tensor) error {
	v := tensor.Floats(t)
	n := len(v) / g.k
	at := pick(n, (n+gramRows-1)/gramRows)
	rows := g.scratch(len(at))
	for j, r := range at {
		for i := range g.k {
			rows[i*len(at)+j] = v[r*g.k+i]
		}
	}
	g.accumulate(0, rows, len(at))
	g.count += int64(len(at))
	return nil
}

func pick(n, step int) []int {
	var at []int
	for i := step / 2; i < n; i += max(step, 1) {
		at = append(at, i)
	}
	return at
}

func (g *gram) scratch(n int) []float32 {
	if cap(g.rows) < g.k*n {
		g.rows = make([]float32, g.k*n)
	}
	return g.rows[:g.k*n]
}
