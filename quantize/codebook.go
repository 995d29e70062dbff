package quantize

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// CodebookOptions say how weights are shared.
type CodebookOptions struct {
	Bits      int            // of an index, 2 to 8; 0: 4
	LayerBits map[string]int // by the name of a node, where it differs
	Exclude   []string       // names of nodes, or of operators, whose weights stay
	SQNR      float64        // what is enough for weights, in dB: a layer gets no more values than that takes; 0: all that it may have

	Data     *data.Set // samples on which the outputs of layers are to change least; nil: it is the weights that do
	Threads  int       // 0: all cores
	Progress func(stage string, done, total int)
}

// The steps between the nonzero elements of a sparse weight are bytes. A longer one is several, over zeros.
const maxStep = math.MaxUint8

// minCoded is how many bytes a weight must save to be worth nodes of its own.
const minCoded = 512

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

// Codebook makes each constant float32 weight of a convolution or product share 2^bits - 1 values, those of k-means over
// its nonzero elements, and zero, which stays zero (Han et al., Deep Compression, arXiv 1510.00149). With data, weights
// then choose among the values, and these are solved for, so that the outputs of layers change least. g stays as it is;
// the result is ONNX that any runtime folds to a float constant when it loads the model:
//
//	w = Gather(codebook float32[2^bits], Cast(index uint4[shape of w]))
//
// and where most elements are zero, so that it is the smaller form, the steps from one nonzero element to the next
// beside their indices:
//
//	w = Reshape(ScatterElements(ConstantOfShape([n]), CumSum(Cast(steps uint8[k])), Gather(codebook, Cast(index uint8[k]))), shape)
//
// Long biases become float16 after a Cast, which moves them by less than 0.05 % of the largest.
//
// Bytes, and steps apart from indices, are what zstd codes best: 36 k weights at random places, one in twelve of LeNet's
// 430,500, take 40 kB so, but 50 kB as dense uint4, and 41 and 58 kB by xz. Layers hold the error of the weights.
func Codebook(ctx context.Context, g *graph.Graph, o CodebookOptions) (*Result, error) {
	if err := o.check(g); err != nil {
		return nil, err
	}
	c := &coder{g: g.Clone()}
	c.names = c.g.Names()
	r := &Result{Graph: c.g}
	seen, err := o.observe(ctx, c.g)
	if err != nil {
		return nil, err
	}
	uses := c.g.Uses()
	var errs []error
	done := map[*graph.Value]bool{}
	for _, n := range slices.Clone(c.g.Nodes) {
		if o.excluded(n) {
			continue
		}
		v := weightOf(n)
		if v == nil || done[v] || len(v.Const.Shape) < 2 || c.g.IsOutput(v) || v.Const.Len() > math.MaxInt32 {
			continue
		}
		done[v] = true
		if err := (&stored{weight: v}).finite(); err != nil {
			errs = append(errs, graph.NodeError(n, err))
			continue
		}
		w := newCoded(v, o.bits(n), o.SQNR)
		if l, ok := seen[v]; ok {
			if err := w.fit(l); err != nil {
				errs = append(errs, graph.NodeError(n, err))
				continue
			}
		}
		w.thin()
		if w.bytes()+minCoded > v.Const.Bytes() {
			continue
		}
		c.put(w, uses[v])
		c.bias(n, uses)
		r.Layers = append(r.Layers, w.report(n))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(r.Layers) == 0 {
		return nil, errNothing
	}
	if err := c.g.Sort(); err != nil {
		return nil, err
	}
	return r, c.g.Infer()
}

func (o CodebookOptions) check(g *graph.Graph) error {
	known, err := excludable(g, o.Exclude)
	if err != nil {
		return err
	}
	for name, bits := range o.LayerBits {
		if !known[name] {
			return &graph.NameError{Option: "bits of", Name: name, Problem: "the graph has no such node"}
		}
		if bits < 2 || bits > 8 {
			return fmt.Errorf("%d bits for %q: want 2 to 8", bits, name)
		}
	}
	if o.SQNR < 0 || o.SQNR != o.SQNR {
		return fmt.Errorf("an SQNR of %v dB: want 0 or more", o.SQNR)
	}
	if o.Bits != 0 && (o.Bits < 2 || o.Bits > 8) {
		return fmt.Errorf("indices of %d bits: want 2 to 8", o.Bits)
	}
	return nil
}

func (o CodebookOptions) excluded(n *graph.Node) bool {
	return slices.Contains(o.Exclude, n.Name) || slices.Contains(o.Exclude, n.OpName())
}

func (o CodebookOptions) bits(n *graph.Node) int {
	if b, ok := o.LayerBits[n.Name]; ok {
		return b
	}
	if o.Bits == 0 {
		return 4
	}
	return o.Bits
}

// coded is a weight as indices into a codebook whose first value is zero.
type coded struct {
	weight *graph.Value
	bits   int
	values []float32
	index  []uint8 // of each element
	steps  []uint8 // from element to element of which some are not zero; from element 0 to the first
	kept   []uint8 // their indices
}

func newCoded(v *graph.Value, bits int, sqnr float64) *coded {
	c := &coded{weight: v, bits: bits}
	w := tensor.Floats(v.Const)
	var nonzero []float32
	signal := 0.0
	for _, x := range w {
		if x != 0 {
			nonzero = append(nonzero, x)
			signal += float64(float64(x) * float64(x))
		}
	}
	enough := -1.0
	if sqnr > 0 {
		enough = signal / math.Pow(10, sqnr/10)
	}
	c.values = append([]float32{0}, clusters(nonzero, 1<<bits-1, enough)...)
	c.index = make([]uint8, len(w))
	for i, x := range w {
		if x != 0 {
			c.index[i] = uint8(1 + nearest(c.values[1:], x))
		}
	}
	return c
}

// thin lists the steps.
func (c *coded) thin() {
	at := 0
	for i, q := range c.index {
		if q == 0 {
			continue
		}
		for ; i-at > maxStep; at += maxStep {
			c.steps, c.kept = append(c.steps, maxStep), append(c.kept, 0)
		}
		c.steps, c.kept = append(c.steps, uint8(i-at)), append(c.kept, q)
		at = i
	}
	if c.steps == nil { // ONNX Runtime does not sum nothing
		c.steps, c.kept = []uint8{0}, []uint8{0}
	}
}

// sparse reports whether the form by steps is the smaller one.
func (c *coded) sparse() bool { return 2*len(c.steps) < c.dense().Bytes(len(c.index)) }

// dense is the type of one index an element.
func (c *coded) dense() tensor.DType {
	if c.bits <= 4 {
		return tensor.Uint4
	}
	return tensor.Uint8
}

// bytes is the size of the constants.
func (c *coded) bytes() int {
	return 4*len(c.values) + min(2*len(c.steps), c.dense().Bytes(len(c.index)))
}

func (c *coded) report(n *graph.Node) Layer {
	l := Layer{Name: n.Name, Op: n.OpName(), Precision: fmt.Sprintf("codebook%d", c.bits)}
	var signal, noise, sum float64
	w := tensor.Floats(c.weight.Const)
	for i, x := range w {
		e := math.Abs(float64(c.values[c.index[i]]) - float64(x))
		l.MaxError = max(l.MaxError, e)
		sum += e
		noise += float64(e * e)
		signal += float64(float64(x) * float64(x))
	}
	l.MeanError, l.SQNR = sum/float64(len(w)), decibels(signal, noise)
	return l
}

// coder puts coded weights into a graph.
type coder struct {
	g     *graph.Graph
	names graph.Namer
	axis  *graph.Value // 0
}

// put makes the nodes that restore a weight and gives the result to its readers.
func (c *coder) put(w *coded, readers []graph.Use) {
	name, shape := w.weight.Name, w.weight.Const.Shape
	book := c.constant(name+".codebook", tensor.From(w.values, len(w.values)))
	var v *graph.Value
	if w.sparse() {
		v = c.scatter(w, book)
	} else {
		t := tensor.New(w.dense(), shape...)
		wide := make([]int64, len(w.index))
		for i, x := range w.index {
			wide[i] = int64(x)
		}
		_ = tensor.SetInts(t, wide) // in range
		v = c.add(name+".value", ops.Gather{}, book, c.widen(name+".index", t))
	}
	for _, u := range readers {
		if u.Node != nil {
			u.Node.In[u.Index] = v
		}
	}
}

// minHalf is the number of elements from which a bias is worth a Cast.
const minHalf = 64

// The least and largest normal numbers of float16.
const leastHalf, mostHalf = 1.0 / (1 << 14), 65504

// bias makes the bias of n float16, if its largest element is a normal number there and nobody else reads it.
func (c *coder) bias(n *graph.Node, uses map[*graph.Value][]graph.Use) {
	i := n.Op.(graph.Quantizable).Quant().Bias
	if i == 0 || len(n.In) <= i || !n.In[i].IsConst() || n.In[i].DType != tensor.Float32 {
		return
	}
	v := n.In[i]
	if v.Const.Len() < minHalf || len(uses[v]) != 1 || c.g.IsOutput(v) {
		return
	}
	largest := 0.0
	for _, x := range tensor.Floats(v.Const) {
		largest = max(largest, math.Abs(float64(x))) // NaN stays
	}
	if !(largest == 0 || largest >= leastHalf && largest <= mostHalf) {
		return
	}
	half, err := tensor.FromFloats(tensor.Float16, tensor.Floats(v.Const), v.Const.Shape...)
	if err != nil {
		return
	}
	op := ops.Cast{RoundMode: "up", Saturate: true, To: int(tensor.Float32)}
	n.In[i] = c.add(v.Name+".value", op, c.constant(v.Name, half))
}

func (c *coder) scatter(w *coded, book *graph.Value) *graph.Value {
	name, shape := w.weight.Name, w.weight.Const.Shape
	if c.axis == nil {
		c.axis = c.constant("codebook.axis", tensor.Scalar(int32(0)))
	}
	at := c.add(name+".at", ops.CumSum{}, c.widen(name+".steps", tensor.From(w.steps, len(w.steps))), c.axis)
	values := c.add(name+".values", ops.Gather{}, book, c.widen(name+".index", tensor.From(w.kept, len(w.kept))))
	zeros := c.add(name+".zeros", ops.ConstantOfShape{}, c.constant(name+".size", tensor.From([]int64{int64(len(w.index))}, 1)))
	flat := c.add(name+".flat", ops.ScatterElements{Reduction: "none"}, zeros, at, values)
	dims := make([]int64, len(shape))
	for i, d := range shape {
		dims[i] = int64(d)
	}
	return c.add(name+".value", ops.Reshape{}, flat, c.constant(name+".shape", tensor.From(dims, len(dims))))
}

// widen makes int32 of narrow integers, which Gather and CumSum do not take.
func (c *coder) widen(name string, t *tensor.Tensor) *graph.Value {
	op := ops.Cast{RoundMode: "up", Saturate: true, To: int(tensor.Int32)}
	return c.add(name+".wide", op, c.constant(name, t))
}

func (c *coder) constant(name string, t *tensor.Tensor) *graph.Value {
	return graph.NewConst(c.names.Fresh(name), t)
}

// add appends a node and gives its output, both of which bear the name.
func (c *coder) add(name string, op graph.Op, in ...*graph.Value) *graph.Value {
	name = c.names.Fresh(name)
	n := &graph.Node{Name: name, Op: op, In: in}
	v := &graph.Value{Name: name, Def: n, Fact: graph.Fact{Type: graph.AnyRank(tensor.Undefined)}}
	n.Out = []*graph.Value{v}
	c.g.Nodes = append(c.g.Nodes, n)
	return v
}
