package quantize

import (
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// stored is a weight kept as integers. Scales are per tensor, per channel, or per block along the input channels.
type stored struct {
	weight *graph.Value
	uses   []graph.Use  // that read it, in the order of the graph
	ends   []end        // the operators that it reaches, of which at least one computes with it
	kind   graph.Weight // of the first of them
	free   bool         // it reaches them only after data movement: any axis will do
	step   float32      // explicit; 0: chosen
	block  int          // 0: no blocks
	whole  bool         // one scale for all
	dtype  tensor.DType // of the integers
	scale  []float32    // one for each combination of positions along kind.Axes, or block
	shape  []int        // of scale
	ints   []int8       // in the order of the weight's elements
}

// end is an operator that a constant reaches.
type end struct {
	node     *graph.Node
	weight   *graph.Weight // what it does with it; nil: it is no weight there
	direct   bool          // it reads the constant itself
	inner    bool          // it stands in a body of the graph
	excluded bool
}

// smallest is the number of elements from which a weight becomes integers where that is not the whole point of the mode and
// the operator: below it the nodes that restore it outweigh what it saves.
const smallest = 256

// storedOf lists the weights of g, not of its bodies, that become integers, in the order of the nodes that read them.
// What several nodes read is stored once; nodes in skip stay as they are.
func storedOf(g *graph.Graph, o Options, skip map[*graph.Node]bool) []*stored {
	f := finder{o: o, skip: skip, uses: map[*graph.Graph]map[*graph.Value][]graph.Use{}}
	var out []*stored
	seen := map[*graph.Value]bool{}
	for _, n := range g.Nodes {
		for _, v := range n.In {
			if v.IsConst() && !seen[v] {
				seen[v] = true
				out = append(out, f.split(g, v)...)
			}
		}
	}
	slices.SortStableFunc(out, byNode(g))
	return out
}

// byNode orders weights by the first node that reads them.
func byNode(g *graph.Graph) func(a, b *stored) int {
	at := map[*graph.Node]int{}
	for i, n := range g.Nodes {
		at[n] = i
	}
	return func(a, b *stored) int { return at[a.uses[0].Node] - at[b.uses[0].Node] }
}

// finder follows constants to the operators that compute with them.
type finder struct {
	o    Options
	skip map[*graph.Node]bool
	uses map[*graph.Graph]map[*graph.Value][]graph.Use
}

func (f *finder) usesOf(g *graph.Graph, v *graph.Value) []graph.Use {
	if f.uses[g] == nil {
		f.uses[g] = g.Uses()
	}
	return f.uses[g][v]
}

// isReal reports whether a constant's elements are numbers that may be weights.
func isReal(v *graph.Value) bool {
	switch v.DType {
	case tensor.Float32, tensor.Float16, tensor.BFloat16, tensor.Float64:
		return v.Const.Len() > 0 && len(v.Const.Shape) >= 2
	}
	return false
}

// split makes the stored weights of a constant: one, or more where explicit steps differ.
func (f *finder) split(g *graph.Graph, v *graph.Value) []*stored {
	if !isReal(v) {
		return nil
	}
	var out []*stored
	for _, u := range f.usesOf(g, v) {
		ends := f.ends(g, u, true)
		if len(ends) == 0 || slices.ContainsFunc(ends, func(e end) bool { return e.weight == nil || e.excluded }) {
			continue
		}
		step := stepOf(ends[0].node, f.o)
		i := slices.IndexFunc(out, func(s *stored) bool { return s.step == step })
		if i < 0 {
			i = len(out)
			out = append(out, &stored{weight: v, step: step, whole: f.o.PerTensor, dtype: tensor.Int8})
		}
		out[i].uses = append(out[i].uses, u)
		out[i].ends = append(out[i].ends, ends...)
	}
	out = slices.DeleteFunc(out, func(s *stored) bool { return !s.settle(f.o.Mode) })
	if len(out) == 1 {
		out[0].others(f.usesOf(g, v), func(u graph.Use) bool {
			return !slices.ContainsFunc(f.ends(g, u, true), func(e end) bool { return e.excluded })
		})
	}
	return out
}

// others lets those that read the constant as something else read the integers too: the floats need not be kept then.
func (s *stored) others(uses []graph.Use, may func(u graph.Use) bool) {
	for _, u := range uses {
		if !slices.Contains(s.uses, u) && may(u) {
			s.uses = append(s.uses, u)
		}
	}
}

// settle chooses whose scales count: the first operator that reads the weight itself and all of it, else a table's. It is
// false where integers would save nothing.
func (s *stored) settle(mode string) bool {
	best := -1
	for i, e := range s.ends {
		if e.direct && (best < 0 || s.ends[best].weight.Rows && !e.weight.Rows) {
			best = i
		}
	}
	s.free = best < 0
	if s.free {
		s.kind = graph.Weight{Axes: []int{0}, Along: len(s.weight.Const.Shape) - 1}
	} else {
		s.kind = *s.ends[best].weight
	}
	return s.weight.Const.Len() >= smallest || mode == modeWeightOnly && !s.free && !s.kind.Rows
}

// ends follows one reader of a constant through bodies and data movement; nil where nothing comes of it.
func (f *finder) ends(g *graph.Graph, u graph.Use, direct bool) []end {
	n := u.Node
	if f.skip[n] || f.o.excluded(n) {
		return []end{{node: n, direct: direct, excluded: true}}
	}
	if bodies := graph.Bodies(n.Op); len(bodies) > 0 {
		return f.inBodies(bodies, u)
	}
	if op, ok := n.Op.(graph.Stored); ok {
		for _, w := range op.Weights(facts(n)) {
			if w.Input == u.Index && (direct || !w.Rows) {
				return []end{{node: n, weight: &w, direct: direct}}
			}
		}
	}
	if q, ok := n.Op.(graph.Quantizable); ok && q.Quant().Moves && n.OpName() != "MaxPool" && (u.Index == 0 || q.Quant().All) {
		var out []end
		for _, v := range n.Out {
			if v == nil {
				continue
			}
			if g.IsOutput(v) {
				return []end{{node: n}}
			}
			for _, next := range f.usesOf(g, v) {
				out = append(out, f.ends(g, next, false)...)
			}
		}
		return out
	}
	return []end{{node: n, direct: direct}}
}

// inBodies follows a constant into the bodies that capture it; what they take otherwise changes from run to run.
func (f *finder) inBodies(bodies []*graph.Graph, u graph.Use) []end {
	var out []end
	for _, b := range bodies {
		i := len(b.Inputs) - (len(u.Node.In) - u.Index)
		if i < len(b.Inputs)-b.Captures || i < 0 {
			return []end{{node: u.Node}}
		}
		if b.IsOutput(b.Inputs[i]) {
			return []end{{node: u.Node}}
		}
		for _, next := range f.usesOf(b, b.Inputs[i]) {
			for _, e := range f.ends(b, next, false) {
				e.inner, e.direct = true, false
				out = append(out, e)
			}
		}
	}
	return out
}

func facts(n *graph.Node) []graph.Fact {
	out := make([]graph.Fact, len(n.In))
	for i, v := range n.In {
		if v != nil {
			out[i] = v.Fact
		}
	}
	return out
}

// stepOf is the explicit step of a node's weights, 0 if there is none.
func stepOf(n *graph.Node, o Options) float32 {
	if s, ok := o.LayerSteps[n.Name]; ok {
		return s
	}
	return o.Step
}

func (s *stored) finite() error {
	for i, x := range tensor.Floats(s.weight.Const) {
		if x != x || x-x != 0 {
			return fmt.Errorf("weight %q: element %d is %v", s.weight.Name, i, x)
		}
	}
	return nil
}

// narrow makes the weight 4 bits wide, in blocks unless options want one scale a channel, if options say so; why tells
// that it stays 8 bits wide.
func (s *stored) narrow(o Options) (why string) {
	switch {
	case o.Weights != "int4":
		return ""
	case slices.ContainsFunc(s.ends, func(e end) bool { return e.weight.Rows }):
		return "no runtime takes single rows of 4-bit tables: its weights are int8"
	case s.weight.DType != tensor.Float32:
		return fmt.Sprintf("its weights are %s: they become int8", s.weight.DType)
	case o.BlockSize == PerChannel:
		s.dtype = tensor.Int4
		return ""
	}
	depth := s.weight.Const.Shape[s.kind.Along]
	if s.kind.View != nil {
		depth /= s.kind.View[0] // of one group
	}
	if (depth < o.BlockSize || s.kind.View != nil && depth%o.BlockSize != 0) && !s.whole {
		return fmt.Sprintf("%d input channels do not fill a block of %d: its weights are int8, one scale an output channel", depth, o.BlockSize)
	}
	s.dtype = tensor.Int4
	if !s.whole {
		s.block = o.BlockSize
	}
	return ""
}

// view is the shape in which kind.Axes count.
func (s *stored) view() []int {
	if s.kind.View != nil {
		return s.kind.View
	}
	return s.weight.Const.Shape
}

// axis is the one axis of the weight's own shape that has scales; false if it takes another shape to have them on one.
func (s *stored) axis() (int, bool) {
	if s.kind.View != nil {
		return 0, false
	}
	at, wide := s.kind.Axes[0], 0
	for _, a := range s.kind.Axes {
		if s.weight.Const.Shape[a] > 1 {
			at = a
			wide++
		}
	}
	return at, wide <= 1
}

// layout sets the scales' shape and gives the index of an element's scale.
func (s *stored) layout() func(i int) int {
	shape := s.weight.Const.Shape
	if s.whole {
		s.shape = nil
		return func(int) int { return 0 }
	}
	if s.block == 0 {
		return s.byAxes()
	}
	depth, inner := shape[s.kind.Along], tensor.Size(shape[s.kind.Along+1:])
	blocks := (depth + s.block - 1) / s.block // the last one may be shorter
	s.shape = slices.Clone(shape)
	s.shape[s.kind.Along] = blocks
	return func(i int) int {
		row := i / inner
		return (row/depth*blocks+row%depth/s.block)*inner + i%inner
	}
}

// byAxes is the layout of one scale for each combination of positions along the axes, the last one fastest.
func (s *stored) byAxes() func(i int) int {
	view := s.view()
	type dim struct{ inner, size, stride int }
	var dims []dim
	n := 1
	for j := len(s.kind.Axes) - 1; j >= 0; j-- {
		a := s.kind.Axes[j]
		dims = append(dims, dim{tensor.Size(view[a+1:]), view[a], n})
		n *= view[a]
	}
	s.shape = []int{n}
	return func(i int) int {
		k := 0
		for _, d := range dims {
			k += i / d.inner % d.size * d.stride
		}
		return k
	}
}
