package graph

import (
	"context"

	"github.com/tfsopt/tfsopt/tensor"
)

// Op is an operator: a struct whose fields tagged `attr:"name"` are its attributes. Infer gives the types of `outs`
// outputs from what is known of the inputs; an omitted input has the zero Fact. It returns an error only when the
// inputs cannot be right, and unknown types (AnyRank) when it cannot know.
type Op interface {
	Infer(in []Fact, outs int) ([]Type, error)
}

// Shaper is an operator on small integers: Ints follows shape arithmetic through it. nil: unknown.
type Shaper interface {
	Op
	Ints(in []Fact) []Dim
}

// Kernel gives an operator its meaning. An omitted input is nil, as is an output that nobody reads. Run must set each
// other output through x.Make or by filling the fields of out[i]; it must not keep or write to inputs, and outputs
// must not alias inputs.
type Kernel interface {
	Op
	Run(x *Exec, in, out []*tensor.Tensor) error
}

// Quantizable says how an operator takes part in quantization.
type Quantizable interface {
	Op
	Quant() Quant
}

// Quant describes an operator to the quantizer. The zero value means: quantize input 0 and output 0, no weight.
type Quant struct {
	Moves  bool // only moves or selects data: output 0 shares the parameters of its data inputs
	Data   []int
	All    bool // every input is data (Concat)
	Weight int  // index of the weight input; 0: the operator has none
	Axis   int  // of the weight: its output channels
	Out    int  // axis of output 0 along which they lie, from the end if negative
	Bias   int  // index of the bias input; 0: none
}

// Stored is an operator that computes in float with weights which a file may hold as integers.
type Stored interface {
	Op
	// Weights lists the inputs that are weights if they are constant, given what is known of the inputs.
	Weights(in []Fact) []Weight
}

// Weight says which elements of an input have a scale in common: those at the same position along Axes.
type Weight struct {
	Input int
	View  []int // the shape in which Axes count, of as many elements; nil: the input's own
	Axes  []int
	Along int  // axis of the input along which products add up
	Rows  bool // only some rows are read: a table of embeddings
}

// Costed counts the work of an operator; shapes must be fixed.
type Costed interface {
	Op
	Cost(in, out []Type) Cost
}

// Cost is work: multiply-adds (or operations where there are none).
type Cost struct{ MACs, Ops int64 }

// Differentiable builds the gradient as graph: one value for each input, nil where it has none.
type Differentiable interface {
	Op
	Grad(b *Builder, n *Node, dOut []*Value) []*Value
}

// Exec is what a kernel may use besides its inputs.
type Exec struct {
	Ctx context.Context
	// Body runs an operator's subgraph on inputs (captures last).
	Body func(g *Graph, in []*tensor.Tensor) ([]*tensor.Tensor, error)
	// Threads bounds the parallelism that a kernel may use; 0 and 1 mean none.
	Threads int
	// Draws gives random operators their numbers; nil stands for the Draws of seed 0.
	Draws *Draws
	// Node is what runs.
	Node *Node
}

// Make gives t the type and shape, reusing its storage when that is large enough, and returns it. The elements are
// not cleared. A nil t yields a fresh tensor.
func (x *Exec) Make(t *tensor.Tensor, d tensor.DType, shape ...int) *tensor.Tensor {
	if t == nil {
		return tensor.New(d, shape...)
	}
	t.DType, t.Shape = d, append(t.Shape[:0:0], shape...)
	n := t.Len()
	if d == tensor.String {
		t.Strings, t.Data = make([]string, n), nil
		return t
	}
	size := d.Bytes(n)
	if cap(t.Data) < size || t.Data == nil {
		t.Data = tensor.Aligned(size)
	}
	t.Data = t.Data[:size]
	return t
}

// Opaque is an operator that its format knows and we do not. It survives a round trip through that format.
type Opaque struct {
	Format, Domain, Type string
	Attrs                []Attr
	Overload             string
	Raw                  []byte // what the format keeps that is no attribute, as it stands in the file
	Out                  []Type // as the file declares them, if it does
}

// Infer gives the declared types.
func (o Opaque) Infer(_ []Fact, outs int) ([]Type, error) {
	t := make([]Type, outs)
	for i := range t {
		t[i] = AnyRank(tensor.Undefined)
		if i < len(o.Out) {
			t[i] = o.Out[i]
		}
	}
	return t, nil
}
