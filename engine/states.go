package engine

import (
	"fmt"
	"slices"
	"sync"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// States holds the variables of one model between calls. The programs of the model's entry points share it
// (Options.States). A call that changes states has it to itself from its beginning to its end; calls that only read see
// the states as they were when they began.
type States struct {
	turn sync.Mutex // held by a call that changes states

	mu     sync.Mutex
	names  []string
	values []*tensor.Tensor // never changed in place: calls may be reading them
}

// NewStates gives g's states their initial values. A state that has none is an error.
func NewStates(g *graph.Graph) (*States, error) {
	s := &States{}
	for _, st := range g.States {
		if st.Init == nil {
			return nil, fmt.Errorf("state %q has no initial value", st.Name)
		}
		s.names = append(s.names, st.Name)
		s.values = append(s.values, st.Init.Clone())
	}
	return s, nil
}

// Names lists the states in the graph's order, which Call.State follows.
func (s *States) Names() []string { return slices.Clone(s.names) }

// Values gives the present values in that order. They must not be changed.
func (s *States) Values() []*tensor.Tensor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.values)
}

// set replaces the states that next has a value for, all at once.
func (s *States) set(next []*tensor.Tensor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, t := range next {
		if t != nil {
			s.values[i] = t
		}
	}
}

// ports says how calls enter a program.
type ports struct {
	signature string // "": without a name
	inputs    int    // the rest of the program's inputs are states
	states    *States
	next      []int // for each output of the program after the first nout, the state that it becomes
}

// enter turns states into inputs and what becomes of them into outputs of g.
func (p *Program) enter(g *graph.Graph, s *States) error {
	p.ports = ports{inputs: len(g.Inputs), states: s}
	if s == nil {
		var err error
		if p.ports.states, err = NewStates(g); err != nil {
			return err
		}
	}
	index := map[string]int{}
	for i, st := range g.States {
		index[st.Name] = i
		if i >= len(p.ports.states.names) || p.ports.states.names[i] != st.Name {
			return fmt.Errorf("state %q: the states given are those of another model (%q)", st.Name, p.ports.states.names)
		}
	}
	if len(g.Signatures) == 1 {
		sig := g.Signatures[0]
		if samePorts(sig.Inputs, g.Inputs) && samePorts(sig.Outputs, g.Outputs) {
			p.ports.signature = sig.Name
		}
		for _, n := range sig.Next {
			i, ok := index[n.Name]
			if !ok {
				return fmt.Errorf("signature %q: there is no state %q", sig.Name, n.Name)
			}
			p.ports.next = append(p.ports.next, i)
			g.Outputs = append(g.Outputs, n.Value)
		}
	}
	for _, st := range g.States {
		g.Inputs = append(g.Inputs, st.Value)
	}
	g.Signatures, g.States = nil, nil
	return nil
}

func samePorts(ports []graph.Port, values []*graph.Value) bool {
	return slices.EqualFunc(ports, values, func(p graph.Port, v *graph.Value) bool { return p.Value == v })
}

// runStates answers a call of a program that has states: the handle's, or the caller's, which are overwritten.
func (p *Program) runStates(c *Call, run func(in []*tensor.Tensor, next []*tensor.Tensor) error) error {
	s := p.ports.states
	values := c.State
	if values == nil {
		if len(p.ports.next) > 0 {
			s.turn.Lock()
			defer s.turn.Unlock()
		}
		values = s.Values()
	}
	if len(values) != len(s.names) {
		return fmt.Errorf("the model has %d states, got %d", len(s.names), len(values))
	}
	next := make([]*tensor.Tensor, len(values))
	if err := run(append(slices.Clip(c.In), values...), next); err != nil {
		return err
	}
	if c.State == nil {
		s.set(next)
		return nil
	}
	for i, t := range next {
		if t != nil {
			overwrite(c.State[i], t)
		}
	}
	return nil
}

// advance copies what states become out of a frame. One that does not fit its state's type is an error.
func (pl *plan) advance(f *frame, next []*tensor.Tensor) error {
	p := pl.p
	for i, state := range p.ports.next {
		t := f.t[pl.outputs[p.nout+i]]
		if err := fitsType(t, p.g.Inputs[p.ports.inputs+state].Type); err != nil {
			return fmt.Errorf("next value of state %q%w", p.ports.states.names[state], err)
		}
		next[state] = t.Clone()
	}
	return nil
}

// overwrite makes o the same as t, in o's memory where that suffices.
func overwrite(o, t *tensor.Tensor) {
	o.DType, o.Shape, o.Strings, o.Items = t.DType, append(o.Shape[:0], t.Shape...), t.Strings, t.Items
	if cap(o.Data) < len(t.Data) {
		o.Data = tensor.Aligned(len(t.Data))
	}
	o.Data = o.Data[:len(t.Data)]
	copy(o.Data, t.Data)
}
