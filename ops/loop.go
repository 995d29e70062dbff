package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 16, Loop{}) }

// Loop runs its body up to M times while the condition holds. Inputs: M and the condition (either may be omitted), the
// initial values of N variables, what the body captures. The body takes (iteration, condition, variables…, captures…)
// and gives (condition, variables…, scans…). Outputs: the variables, then each scan stacked along a new first axis.
type Loop struct {
	Body *graph.Graph `attr:"body" required:"true"`
}

// variables is the number of loop-carried values.
func (o Loop) variables(in int) (int, error) {
	if o.Body == nil {
		return 0, fmt.Errorf("the body is missing")
	}
	n := in - 2 - o.Body.Captures
	if n < 0 || o.Body.Captures < 0 || len(o.Body.Outputs) < n+1 {
		return 0, fmt.Errorf("%d inputs for a body with %d outputs and %d captures", in, len(o.Body.Outputs), o.Body.Captures)
	}
	return n, nil
}

// Infer follows the variables until their types stay the same.
func (o Loop) Infer(in []graph.Fact, outs int) ([]graph.Type, error) {
	n, err := o.variables(len(in))
	if err != nil {
		return nil, err
	}
	if outs > len(o.Body.Outputs)-1 {
		return nil, fmt.Errorf("%d outputs of a body with %d", outs, len(o.Body.Outputs))
	}
	own := []graph.Type{graph.Of(tensor.Int64), graph.Of(tensor.Bool)}
	types, err := inferLoop(o.Body, own, stable{in[2 : 2+n], in, 1})
	if err != nil {
		return nil, err
	}
	for i := n; i < len(types); i++ {
		if t := &types[i]; !t.Unranked {
			t.Shape = inserted(t.Shape, 0, graph.Dim{})
		}
	}
	return types, nil
}

// stable describes a body that is run again and again: its variables, the node's inputs, and the number of body
// outputs before the variables.
type stable struct {
	vars, in []graph.Fact
	skip     int
}

// inferLoop infers a body with types for its variables that hold in each round: dimensions that change become
// unknown, then ranks. `own` are the types of the inputs before the variables. It gives the types of the variables
// and of the outputs after them.
func inferLoop(b *graph.Graph, own []graph.Type, s stable, more ...graph.Type) ([]graph.Type, error) {
	vars := make([]graph.Type, len(s.vars))
	for i, f := range s.vars {
		vars[i] = f.Type
	}
	for round := 0; ; round++ {
		inputs := append(append(append([]graph.Type{}, own...), vars...), more...)
		types, err := inferBody(b, inputs, s.in, s.skip+len(vars))
		if err != nil {
			return nil, err
		}
		types = append([]graph.Type{}, types[s.skip:]...)
		changed := false
		for i, t := range vars {
			u, err := nextType(t, types[i], round > 0)
			if err != nil {
				return nil, fmt.Errorf("variable %d: %w", i, err)
			}
			changed = changed || !equalTypes(t, u)
			vars[i] = u
		}
		if !changed {
			for i, t := range vars {
				types[i] = eitherType(t, types[i])
			}
			return types, nil
		}
		forget(b)
	}
}

// nextType widens a variable's type so that it holds for what the body makes of it. An optional may become what it
// holds (ONNX's Loop example of version 16): OptionalGetElement takes both.
func nextType(t, made graph.Type, again bool) (graph.Type, error) {
	if made.DType == tensor.Undefined || t.DType == tensor.Optional && made.DType != t.DType {
		return t, nil
	}
	if t.DType != tensor.Undefined && made.DType != t.DType {
		return t, fmt.Errorf("%s becomes %s", t, made)
	}
	u := eitherType(t, made)
	if again && !equalTypes(t, u) {
		u = anyRank(u)
	}
	return u, nil
}

// anyRank is a type without its shapes.
func anyRank(t graph.Type) graph.Type {
	if t.Elem != nil {
		e := anyRank(*t.Elem)
		t.Elem = &e
	}
	return graph.Type{DType: t.DType, Elem: t.Elem, Unranked: true}
}

func equalTypes(a, b graph.Type) bool { return a.String() == b.String() && a.DType == b.DType }

// forget drops the shapes that an earlier inference left in a body, which would else count as declared.
func forget(b *graph.Graph) {
	b.Walk(func(n *graph.Node) {
		for _, v := range n.Out {
			if v != nil {
				v.Fact = graph.Fact{Type: graph.Type{DType: v.DType, Elem: v.Elem, Unranked: true}}
			}
		}
	})
}

// Run copies every result, so that no output aliases an input or a capture.
func (o Loop) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	n, err := o.variables(len(in))
	if err != nil {
		return err
	}
	rounds, goOn := int64(math.MaxInt64), true
	if in[0] != nil {
		if in[0].Len() != 1 {
			return fmt.Errorf("a trip count of %d elements", in[0].Len())
		}
		rounds = tensor.Ints(in[0])[0]
	}
	if in[1] != nil {
		if goOn, err = truth(in[1]); err != nil {
			return err
		}
	}
	vars := in[2 : 2+n]
	scans := make([]stacker, len(o.Body.Outputs)-1-n)
	for i := int64(0); i < rounds && goOn; i++ {
		r, err := runBody(x, o.Body, append([]*tensor.Tensor{tensor.Scalar(i), tensor.Scalar(goOn)}, vars...), in)
		if err != nil {
			return fmt.Errorf("iteration %d: %w", i, err)
		}
		if goOn, err = truth(r[0]); err != nil {
			return err
		}
		vars = r[1 : 1+n]
		for j := range scans {
			if err := scans[j].add(r[1+n+j]); err != nil {
				return fmt.Errorf("iteration %d, scan output %d: %w", i, j, err)
			}
		}
	}
	if err := copyOuts(x, out[:min(n, len(out))], vars); err != nil {
		return err
	}
	none := noTrips(o, in, len(out))
	for j := range scans {
		if n+j < len(out) && out[n+j] != nil {
			if err := scans[j].stack(x, out[n+j], 0, func() (graph.Type, error) { return none(n + j) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// noTrips gives the types of a loop's outputs from these very inputs, for scan outputs of a body that did not run. It
// infers a copy: the bodies are shared by calls that run at the same time.
func noTrips(op graph.Op, in []*tensor.Tensor, outs int) func(i int) (graph.Type, error) {
	return func(i int) (graph.Type, error) {
		facts := make([]graph.Fact, len(in))
		for j, t := range in {
			if t != nil {
				facts[j].Type = graph.TypeOf(t)
			}
		}
		types, err := graph.CloneOp(op).Infer(facts, outs)
		if err != nil {
			return graph.Type{}, err
		}
		return types[i], nil
	}
}

// stacker gathers a scan output.
type stacker struct {
	items []*tensor.Tensor
	bytes int
}

func (s *stacker) add(t *tensor.Tensor) error {
	if len(s.items) > 0 && (s.items[0].DType != t.DType || !sameInts(s.items[0].Shape, t.Shape)) {
		return fmt.Errorf("%s after %s", graph.TypeOf(t), graph.TypeOf(s.items[0]))
	}
	if s.bytes += t.Bytes(); s.bytes > maxBytes {
		return fmt.Errorf("more than %d bytes", maxBytes)
	}
	s.items = append(s.items, t)
	return nil
}

// stack joins the items along a new axis; without items, none gives the output's type, and dimensions that it does not
// know are 0.
func (s *stacker) stack(x *graph.Exec, out *tensor.Tensor, ax int, none func() (graph.Type, error)) error {
	if len(s.items) > 0 {
		a, err := axis(ax, len(s.items[0].Shape)+1)
		if err != nil {
			return err
		}
		return stack(x, s.items, out, a)
	}
	t, err := none()
	if err != nil {
		return err
	}
	shape := make([]int, max(1, len(t.Shape)))
	for i, d := range t.Shape {
		if n, ok := d.Value(); ok {
			shape[i] = n
		}
	}
	a, err := axis(ax, len(shape))
	if err != nil {
		return err
	}
	shape[a] = 0
	dst, err := target(x, out, t.DType, shape)
	if err != nil {
		return err
	}
	dst.done()
	return nil
}
