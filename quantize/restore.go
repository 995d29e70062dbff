package quantize

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// encoded is a constant as integers, with what restores the numbers.
type encoded struct {
	ints, scale *graph.Value
	zero        *graph.Value // nil: 0
	axis        int          // of ints, along which scale lies
	restored    *graph.Value // nil: nobody has asked yet
}

// like takes over the integers that an earlier graph of the same placement holds, where it has such.
func (s *stored) like(b *stored) bool {
	if b == nil || b.step != s.step || b.weight.Const != s.weight.Const {
		return false
	}
	s.kind, s.free, s.block, s.dtype, s.shape, s.scale, s.ints = b.kind, b.free, b.block, b.dtype, b.shape, b.scale, b.ints
	return true
}

// noAxis is the axis of scales in a layout that is not the weight's own.
const noAxis = -1

// kept says which weights became integers while their operators stayed float.
type kept struct {
	layers   []Layer
	ends     []end // one for each of the layers
	warnings []string
}

// rest stores the weights that are still float in r.g and its bodies; given are those of r.g with the scales to use, nil:
// they are chosen.
func (r *rewriter) rest(given []*stored) (*kept, error) {
	k := &kept{}
	note := ""
	if r.p.o.Mode != modeWeightOnly {
		note = " weights" // others compute with integers
	}
	var errs []error
	for i, s := range storedOf(r.g, r.p.o, r.skip) {
		if r.encoded[s.weight] != nil {
			r.store(s, r.encoded[s.weight])
			continue
		}
		if err := s.finite(); err != nil {
			errs = append(errs, graph.NodeError(s.uses[0].Node, err))
			continue
		}
		if r.p.o.Mode == modeWeightOnly {
			if why := s.narrow(r.p.o); why != "" {
				k.warnings = append(k.warnings, fmt.Sprintf("%s: %s", s.ends[0].node.Name, why))
			}
		}
		if given != nil {
			s.kind, s.free, s.scale = given[i].kind, given[i].free, given[i].scale
			s.layout()
		}
		if !s.like(r.p.rounded[s.weight.Name]) {
			s.quantize()
			if r.p.rounded != nil {
				r.p.rounded[s.weight.Name] = s
			}
		}
		k.add(s, note)
		r.store(s, r.encode(s))
	}
	for _, n := range slices.Clone(r.g.Nodes) {
		for _, b := range graph.Bodies(n.Op) {
			in, err := r.inside(b).rest(nil)
			errs = append(errs, err)
			if err == nil {
				k.inner(in)
			}
		}
	}
	return k, errors.Join(errs...)
}

func (k *kept) add(s *stored, note string) {
	for _, l := range s.reports() {
		if note != "" {
			l.Precision += note
		}
		i := slices.IndexFunc(s.ends, func(e end) bool { return e.node.Name == l.Name })
		k.layers, k.ends = append(k.layers, l), append(k.ends, s.ends[i])
	}
}

// inner adds what was kept in a body.
func (k *kept) inner(in *kept) {
	for _, e := range in.ends {
		e.inner = true
		k.ends = append(k.ends, e)
	}
	k.layers, k.warnings = append(k.layers, in.layers...), append(k.warnings, in.warnings...)
}

// inside is a rewriter of a body.
func (r *rewriter) inside(b *graph.Graph) *rewriter {
	for name := range b.Names() {
		r.names[name] = true
	}
	return &rewriter{p: r.p, g: b, names: r.names, encoded: map[*graph.Value]*encoded{}}
}

// add takes over what was kept in a copy of f.
func (c *converted) add(f *graph.Graph, k *kept) {
	byName := map[string]*graph.Node{}
	for _, n := range f.Nodes {
		byName[n.Name] = n
	}
	c.Layers, c.Warnings = append(c.Layers, k.layers...), append(c.Warnings, k.warnings...)
	for _, e := range k.ends {
		n := byName[e.node.Name]
		if e.inner {
			n = nil
		}
		c.nodes = append(c.nodes, n)
	}
}

// encode makes the constants of a weight. The integers take its name unless somebody still reads the floats.
func (r *rewriter) encode(s *stored) *encoded {
	v := s.weight
	readers := 0
	for _, n := range r.g.Nodes {
		for _, in := range n.In {
			if in == v {
				readers++
			}
		}
	}
	name := v.Name + "_quantized"
	if readers == len(s.uses) && !r.g.IsOutput(v) {
		r.given, name = v.Name, v.Name
	}
	e := &encoded{}
	shape := v.Const.Shape
	axis, one := s.axis()
	if s.whole || s.block != 0 || one {
		e.axis = axis
		e.ints = r.constant(name, integersOf(s.dtype, s.ints, shape...))
		e.scale = r.constant(v.Name+"_scale", tensor.From(s.scale, s.shape...))
		op := ops.DequantizeLinear{Axis: 1, BlockSize: s.block}
		switch {
		case s.block != 0:
			op.Axis = s.kind.Along
		case len(s.shape) > 0:
			op.Axis = axis
		}
		e.restored = r.add(v.Name+"_dequantized", op, e.ints, e.scale)
	} else {
		r.encodeRows(s, e, name)
	}
	if v.DType != tensor.Float32 {
		e.restored = r.add(v.Name+"_cast", cast(v.DType), e.restored)
	}
	return e
}

// integersOf makes a tensor of 8-bit integers, or of 4-bit ones.
func integersOf(d tensor.DType, v []int8, shape ...int) *tensor.Tensor {
	if d == tensor.Int8 {
		return tensor.From(v, shape...)
	}
	wide := make([]int64, len(v))
	for i, x := range v {
		wide[i] = int64(x)
	}
	t := tensor.New(d, shape...)
	_ = tensor.SetInts(t, wide) // in range
	return t
}

func cast(to tensor.DType) graph.Op {
	return ops.Cast{To: int(to), RoundMode: "up", Saturate: true}
}

// encodeRows is for scales along several axes: these come first and together, where DequantizeLinear takes them as one.
func (r *rewriter) encodeRows(s *stored, e *encoded, name string) {
	v, view := s.weight, s.view()
	perm := slices.Clone(s.kind.Axes)
	for a := range view {
		if !slices.Contains(perm, a) {
			perm = append(perm, a)
		}
	}
	back := make([]int, len(perm))
	moved := make([]int, len(perm))
	for i, a := range perm {
		back[a], moved[i] = i, view[a]
	}
	rows := tensor.Size(moved[:len(s.kind.Axes)])
	e.ints = r.constant(name, integersOf(s.dtype, permuted(s.ints, view, perm), rows, len(s.ints)/rows))
	e.scale = r.constant(v.Name+"_scale", tensor.From(s.scale, s.shape...))
	d := r.add(v.Name+"_rows", ops.DequantizeLinear{Axis: 0}, e.ints, e.scale)
	if !slices.IsSorted(perm) {
		d = r.add(v.Name+"_apart", ops.Reshape{}, d, r.shape(v.Name, moved))
		d = r.add(v.Name+"_order", ops.Transpose{Perm: back}, d)
	}
	e.axis, e.restored = noAxis, r.add(v.Name+"_dequantized", ops.Reshape{}, d, r.shape(v.Name, v.Const.Shape))
}

func (r *rewriter) shape(name string, dims []int) *graph.Value {
	v := make([]int64, len(dims))
	for i, d := range dims {
		v[i] = int64(d)
	}
	return r.constant(name+"_shape", tensor.From(v, len(v)))
}

// permuted copies elements of the given shape in the order of the permuted axes.
func permuted[T any](v []T, shape, perm []int) []T {
	strides := make([]int, len(shape))
	for a, n := len(shape)-1, 1; a >= 0; a-- {
		strides[a] = n
		n *= shape[a]
	}
	out := make([]T, 0, len(v))
	at := make([]int, len(perm))
	for range v {
		from := 0
		for i, a := range perm {
			from += at[i] * strides[a]
		}
		out = append(out, v[from])
		for i := len(perm) - 1; i >= 0; i-- {
			if at[i]++; at[i] < shape[perm[i]] {
				break
			}
			at[i] = 0
		}
	}
	return out
}

// store lets all that read a weight read its integers.
func (r *rewriter) store(s *stored, e *encoded) {
	for _, u := range s.uses {
		op, ok := u.Node.Op.(ops.Gather)
		if ok && u.Index == 0 && op.Axis%2 == 0 && e.byRow(s.weight) {
			r.rows(u.Node, s.weight, e)
			continue
		}
		if e.restored == nil {
			in := []*graph.Value{e.ints, e.scale}
			if e.zero != nil {
				in = append(in, e.zero)
			}
			e.restored = r.dequantize(s.weight.Name+"_dequantized", e.axis, in...)
		}
		u.Node.In[u.Index] = e.restored
	}
}

// byRow reports whether a row of a matrix can be restored alone.
func (e *encoded) byRow(v *graph.Value) bool {
	return v.Rank() == 2 && e.ints.Rank() == 2 && e.ints.DType == tensor.Int8 && (e.zero == nil || e.zero.DType == tensor.Int8) &&
		(e.scale.Rank() == 0 || e.scale.Rank() == 1 && e.axis == 0)
}

// rows lets a Gather take rows of integers and scales them after it: the table is never restored whole.
func (r *rewriter) rows(n *graph.Node, table *graph.Value, e *encoded) {
	ids, out := n.In[1], n.Out[0]
	v := r.add(out.Name+"_integer", ops.Gather{}, e.ints, ids)
	v = r.add(out.Name+"_cast", cast(tensor.Float32), v)
	by := e.scale
	if by.Rank() > 0 {
		by = r.add(out.Name+"_row_scale", ops.Gather{}, by, ids)
		by = r.add(out.Name+"_scales", ops.Unsqueeze{}, by, r.constant(out.Name+"_axis", tensor.From([]int64{-1}, 1)))
	}
	v = r.add(out.Name+"_scaled", ops.Mul{}, v, by)
	if table.DType != tensor.Float32 {
		v = r.add(out.Name+"_narrow", cast(table.DType), v)
	}
	made := v.Def
	made.Out[0] = out
	out.Def = made
	r.g.Remove(func(m *graph.Node) bool { return m == n })
}

// channels adds up what each channel of a weight lost.
type channels struct {
	signal, noise []float64
	worst         int // index of the worst channel, after least
}

func newChannels(n int) *channels {
	return &channels{make([]float64, n), make([]float64, n), 0}
}

func (c *channels) add(i int, x, e float64) {
	c.signal[i] += x * x
	c.noise[i] += e * e
}

// total is the SQNR of all channels together.
func (c *channels) total() float64 {
	var signal, noise float64
	for i := range c.signal {
		signal += c.signal[i]
		noise += c.noise[i]
	}
	return decibels(signal, noise)
}

// least is the SQNR of the worst channel.
func (c *channels) least() float64 {
	least := math.Inf(1)
	for i := range c.signal {
		if d := decibels(c.signal[i], c.noise[i]); c.noise[i] > 0 && c.signal[i] > 0 && d < least {
			least, c.worst = d, i
		}
	}
	if math.IsInf(least, 1) {
		return 0
	}
	return least
}

// axesShape are the numbers of positions along the axes that have scales.
func (s *stored) axesShape() []int {
	var out []int
	for _, a := range s.kind.Axes {
		out = append(out, s.view()[a])
	}
	return out
}
