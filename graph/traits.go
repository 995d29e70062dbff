package graph

// Traits are facts about an operator with its attributes, on which passes, quantizers, the pruner and the engine act.
// The zero value is what holds of most operators.
type Traits struct {
	// Random operators give another result each time: they are neither folded nor taken for one another.
	Random bool
	// Fill is what an operator that moves data puts among the elements that it moves.
	Fill Fill
	// FloatOnly operators take no integers although they only move data.
	FloatOnly bool
	// InOrder operators give the elements of input 0 in their order, in another shape.
	InOrder bool
	// Grows marks operators whose result may be of any size, however small the inputs are.
	Grows bool
	// Learns marks operators that may be their input now, but not once their constants learn or training begins: see
	// Forwarder.
	Learns bool
	// Optional is the first of the outputs that may be left out, which saves work; 0: none.
	Optional int
}

// Fill says what stands between moved elements.
type Fill int

// The kinds of fill. Zero is in the range of any quantized tensor, an arbitrary number need not be.
const (
	FillNone Fill = iota
	FillZero
	FillNumber
)

// Traited is an operator that is not like most.
type Traited interface {
	Op
	Traits() Traits
}

// TraitsOf gives an operator's traits.
func TraitsOf(op Op) Traits {
	if t, ok := op.(Traited); ok {
		return t.Traits()
	}
	return Traits{}
}

// Forwarder is an operator whose output may be one of its inputs as it is.
type Forwarder interface {
	Op
	// Forwards gives that input. Types may differ if ok is false; an operator with several outputs speaks of output 0.
	Forwards(in, out []Fact) (input int, ok bool)
}
