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

// errNothing tells that no operator qualifies.
var errNothing = errors.New("nothing to quantize: no operator with constant float32 weights that is not excluded")

// storable are the operators whose weights may be kept as integers.
var storable = map[string]bool{"Conv": true, "ConvTranspose": true, "Gemm": true, "MatMul": true}

// stored is a weight kept as integers. Scales are per tensor, per output channel, or per block along the input channels.
type stored struct {
	nodes  []*graph.Node // that read it, in the order of the graph
	weight *graph.Value
	axis   int // output channels
	along  int // input channels: blocks lie along it
	block  int // 0: no blocks
	whole  bool
	step   float32 // explicit; 0: chosen
	dtype  tensor.DType
	scale  []float32
	shape  []int // of scale
	ints   []int64
}

// weightOf is a node's constant float32 weight, nil if it has none.
func weightOf(n *graph.Node) *graph.Value {
	q, ok := n.Op.(graph.Quantizable)
	if !ok {
		return nil
	}
	i := q.Quant().Weight
	if i == 0 || len(n.In) <= i || !n.In[i].IsConst() || n.In[i].DType != tensor.Float32 || n.In[i].Const.Len() == 0 {
		return nil
	}
	return n.In[i]
}

// storedOf lists the weights that become integers. Nodes that read the same one along the same axis share it.
func storedOf(g *graph.Graph, o Options) []*stored {
	var out []*stored
	seen := map[*graph.Value]*stored{}
	for _, n := range g.Nodes {
		if !storable[n.OpName()] || o.excluded(n) {
			continue
		}
		w := weightOf(n)
		if w == nil || len(w.Const.Shape) < 2 {
			continue
		}
		axis, along := channels(n, len(w.Const.Shape))
		if s := seen[w]; s != nil && s.axis == axis && s.along == along && s.step == stepOf(n, o) {
			s.nodes = append(s.nodes, n)
			continue
		}
		s := &stored{
			nodes: []*graph.Node{n}, weight: w, axis: axis, along: along,
			whole: o.PerTensor, step: stepOf(n, o), dtype: tensor.Int8,
		}
		if seen[w] == nil {
			seen[w] = s
		}
		out = append(out, s)
	}
	return out
}

// channels are the axes of a weight's output and input channels.
func channels(n *graph.Node, rank int) (out, in int) {
	switch n.OpName() {
	case "MatMul":
		return rank - 1, rank - 2
	case "ConvTranspose":
		return 1, 0
	}
	out = n.Op.(graph.Quantizable).Quant().Axis
	return out, 1 - out
}

// stepOf is the explicit step of a node's weights, 0 if there is none.
func stepOf(n *graph.Node, o Options) float32 {
	if s, ok := o.LayerSteps[n.Name]; ok {
		return s
	}
	return o.Step
}

// weightOnly keeps weights as integers behind a DequantizeLinear; everything is computed in float.
func weightOnly(f *graph.Graph, o Options) (*converted, error) {
	return keepIntegers(f, storedOf(f, o), o)
}

// keepIntegers does so for some of the weights of f; those that have scales keep them.
func keepIntegers(f *graph.Graph, all []*stored, o Options) (*converted, error) {
	if len(all) == 0 {
		return nil, errNothing
	}
	r := newRewriter(&placement{g: f, o: o, uses: f.Uses()})
	c := &converted{Result: &Result{Graph: r.g}, of: r.of}
	var errs []error
	for _, s := range all {
		if err := s.finite(); err != nil {
			errs = append(errs, graph.NodeError(s.nodes[0], err))
			continue
		}
		if why := s.narrow(o); why != "" {
			c.Warnings = append(c.Warnings, fmt.Sprintf("%s: %s", s.nodes[0].Name, why))
		}
		s.quantize()
		r.store(s)
		c.Layers = append(c.Layers, s.reports()...)
		c.nodes = append(c.nodes, s.nodes...)
		s.ints, s.scale = nil, nil
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if err := r.g.Sort(); err != nil {
		return nil, err
	}
	return c, r.g.Infer()
}

func (s *stored) finite() error {
	for i, x := range tensor.Floats(s.weight.Const) {
		if x != x || x-x != 0 {
			return fmt.Errorf("weight %q: element %d is %v", s.weight.Name, i, x)
		}
	}
	return nil
}

// narrow makes the weight 4 bits wide, in blocks unless options want one scale a channel, if options say so; why tells that it stays 8 bits wide.
func (s *stored) narrow(o Options) (why string) {
	if o.Weights != "int4" {
		return ""
	}
	if o.BlockSize == PerChannel {
		s.dtype = tensor.Int4
		return ""
	}
	if depth := s.weight.Const.Shape[s.along]; depth < o.BlockSize && !s.whole {
		return fmt.Sprintf("%d input channels do not fill a block of %d: its weights are int8, one scale an output channel", depth, o.BlockSize)
	}
	s.dtype = tensor.Int4
	if !s.whole {
		s.block = o.BlockSize
	}
	return ""
}

// limits are the integers that weights become: 8-bit ones leave out -128.
func (s *stored) limits() (lo, hi float64) {
	if s.dtype == tensor.Int4 {
		return -8, 7
	}
	return -127, 127
}

// choose sets the scales: the explicit step, or what fits the weights.
func (s *stored) choose() {
	at := s.layout()
	s.scale = make([]float32, tensor.Size(s.shape))
	if s.step == 0 {
		s.fit(tensor.Floats(s.weight.Const), at)
		return
	}
	for i := range s.scale {
		s.scale[i] = s.step
	}
}

// quantize rounds half to even, by scales that it chooses if there are none.
func (s *stored) quantize() {
	w := tensor.Floats(s.weight.Const)
	if s.scale == nil {
		s.choose()
	}
	at := s.layout()
	s.ints = make([]int64, len(w))
	for i, x := range w {
		s.ints[i] = int64(s.round(x, s.scale[at(i)]))
	}
}

func (s *stored) round(x, scale float32) float64 {
	lo, hi := s.limits()
	return min(max(math.RoundToEven(float64(x/scale)), lo), hi)
}

// fit takes the scales that reach the largest weights, max(max w / hi, min w / lo); 4-bit ones are shrunk where that
// makes the square error smaller.
func (s *stored) fit(w []float32, at func(i int) int) {
	lo, hi := s.limits()
	for i, x := range w {
		k := at(i)
		s.scale[k] = max(s.scale[k], x/float32(hi), x/float32(lo))
	}
	for k, x := range s.scale {
		if x < 1e-30 {
			s.scale[k] = 1
		}
	}
	if s.dtype != tensor.Int4 {
		return
	}
	full := slices.Clone(s.scale)
	least := make([]float64, len(full))
	for k := range least {
		least[k] = math.Inf(1)
	}
	for f := 20; f >= 14; f-- {
		e := make([]float64, len(full))
		shrink := float32(f) / 20
		for i, x := range w {
			k := at(i)
			scale := full[k] * shrink
			d := float64(x) - s.round(x, scale)*float64(scale)
			e[k] += d * d
		}
		for k := range e {
			if e[k] < least[k] {
				least[k], s.scale[k] = e[k], full[k]*shrink
			}
		}
	}
}

// layout sets the scales' shape and gives the index of an element's scale.
func (s *stored) layout() func(i int) int {
	shape := s.weight.Const.Shape
	if s.whole {
		s.shape = nil
		return func(int) int { return 0 }
	}
	if s.block == 0 {
		s.shape = []int{shape[s.axis]}
		inner := tensor.Size(shape[s.axis+1:])
		return func(i int) int { return i / inner % shape[s.axis] }
	}
	depth, inner := shape[s.along], tensor.Size(shape[s.along+1:])
	blocks := (depth + s.block - 1) / s.block // the last one may be shorter
	s.shape = slices.Clone(shape)
	s.shape[s.along] = blocks
	return func(i int) int {
		row := i / inner
		return (row/depth*blocks+row%depth/s.block)*inner + i%inner
	}
}

// store puts the integers and DequantizeLinear in the place of a weight. The integers take its name unless somebody
// else still reads the floats.
func (r *rewriter) store(s *stored) {
	shape := s.weight.Const.Shape
	ints := tensor.New(s.dtype, shape...)
	_ = tensor.SetInts(ints, s.ints) // in range
	name := r.takeName(s.weight, len(s.nodes))
	q := r.constant(name, ints)
	scale := r.constant(s.weight.Name+"_scale", tensor.From(s.scale, s.shape...))
	op := ops.DequantizeLinear{Axis: 1, BlockSize: s.block}
	switch {
	case s.block != 0:
		op.Axis = s.along
	case len(s.shape) > 0:
		op.Axis = s.axis
	}
	d := r.add(s.weight.Name+"_dequantized", op, q, scale)
	for _, n := range s.nodes {
		r.nodes[n].In[n.Op.(graph.Quantizable).Quant().Weight] = d
	}
}

// reports measures the weights, once for each node that reads them.
func (s *stored) reports() []Layer {
	w := tensor.Floats(s.weight.Const)
	at := s.layout()
	lo, hi := s.limits()
	var l Layer
	var signal, noise, sum float64
	clipped := 0
	for i, x := range w {
		step := float64(s.scale[at(i)])
		e := math.Abs(float64(float32(s.ints[i])*s.scale[at(i)]) - float64(x))
		l.MaxError, l.HalfStep = max(l.MaxError, e), max(l.HalfStep, step/2)
		sum += e
		noise += e * e
		signal += float64(x) * float64(x)
		if q := float64(x) / step; q < lo-0.5 || q > hi+0.5 {
			clipped++
		}
	}
	l.MeanError, l.Clipped = sum/float64(len(w)), float64(clipped)/float64(len(w))
	l.SQNR = decibels(signal, noise)
	l.Precision = s.dtype.String()
	var out []Layer
	for _, n := range s.nodes {
		l.Name, l.Op = n.Name, n.OpName()
		out = append(out, l)
	}
	return out
}
