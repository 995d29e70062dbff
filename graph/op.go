package graph

import (
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
