package ops

import (
	"errors"
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("", 16, Scan{})
	graph.Register("", 17, SequenceMap{})
}

// Scan runs its body for each slice of its scan inputs. Inputs: the initial values of N variables, NumScan scan
// inputs, what the body captures. The body takes (variables…, slices…, captures…) and gives (variables…, scans…).
// Outputs: the variables, then each scan stacked along its axis (default 0). Direction 1 reads a scan input from its
// end, and puts a scan output's later slices first.
type Scan struct {
	Body          *graph.Graph `attr:"body" required:"true"`
	NumScan       int          `attr:"num_scan_inputs" required:"true"`
	InAxes        []int        `attr:"scan_input_axes"`
	InDirections  []int        `attr:"scan_input_directions"`
	OutAxes       []int        `attr:"scan_output_axes"`
	OutDirections []int        `attr:"scan_output_directions"`
}

// variables is the number of state variables.
func (o Scan) variables(in int) (int, error) {
	if o.Body == nil {
		return 0, errors.New("the body is missing")
	}
	n := in - o.NumScan - o.Body.Captures
	if n < 0 || o.NumScan < 1 || o.Body.Captures < 0 || len(o.Body.Outputs) < n {
		return 0, fmt.Errorf("%d inputs, %d of them scanned, for a body with %d outputs and %d captures", in, o.NumScan,
			len(o.Body.Outputs), o.Body.Captures)
	}
	return n, nil
}

// at is element i of an optional list.
func at(list []int, i int) int {
	if i < len(list) {
		return list[i]
	}
	return 0
}

// Infer gives scan outputs the length of the scan inputs.
func (o Scan) Infer(in []graph.Fact, outs int) ([]graph.Type, error) {
	n, err := o.variables(len(in))
	if err != nil {
		return nil, err
	}
	if outs > len(o.Body.Outputs) {
		return nil, fmt.Errorf("%d outputs of a body with %d", outs, len(o.Body.Outputs))
	}
	length, slices := graph.Dim{}, make([]graph.Type, o.NumScan)
	for i, f := range in[n : n+o.NumScan] {
		slices[i] = f.Type
		if f.Unranked {
			continue
		}
		if len(f.Shape) == 0 {
			return nil, fmt.Errorf("input %d is a scalar and cannot be scanned", n+i)
		}
		a, err := axis(at(o.InAxes, i), len(f.Shape))
		if err != nil {
			return nil, err
		}
		if f.Shape[a].Known() {
			length = f.Shape[a]
		}
		slices[i].Shape = removed(f.Shape, a)
	}
	types, err := inferLoop(o.Body, nil, stable{in[:n], in, 0}, slices...)
	if err != nil {
		return nil, err
	}
	for i := n; i < len(types); i++ {
		if t := &types[i]; !t.Unranked {
			a, err := axis(at(o.OutAxes, i-n), len(t.Shape)+1)
			if err != nil {
				return nil, err
			}
			t.Shape = inserted(t.Shape, a, length)
		}
	}
	return types, nil
}

// Run copies every result, so that no output aliases an input or a capture.
func (o Scan) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	n, err := o.variables(len(in))
	if err != nil {
		return err
	}
	inAxes, length, err := o.scanned(in[n : n+o.NumScan])
	if err != nil {
		return err
	}
	vars, scans := in[:n], make([]stacker, len(o.Body.Outputs)-n)
	for i := range length {
		own := append([]*tensor.Tensor{}, vars...)
		for j, t := range in[n : n+o.NumScan] {
			k := i
			if at(o.InDirections, j) != 0 {
				k = length - 1 - i
			}
			slice := &tensor.Tensor{}
			if err := take(x, slice, selection{t, inAxes[j], []int{k}}); err != nil {
				return err
			}
			slice.Shape = removed(slice.Shape, inAxes[j])
			own = append(own, slice)
		}
		r, err := runBody(x, o.Body, own, in)
		if err != nil {
			return fmt.Errorf("iteration %d: %w", i, err)
		}
		vars = r[:n]
		for j := range scans {
			if err := scans[j].add(r[n+j]); err != nil {
				return fmt.Errorf("iteration %d, scan output %d: %w", i, j, err)
			}
		}
	}
	return o.finish(x, scanned{in, out, vars, scans})
}

// scanned is a scan whose rounds are over.
type scanned struct {
	in, out, vars []*tensor.Tensor
	scans         []stacker
}

func (o Scan) finish(x *graph.Exec, r scanned) error {
	n, out := len(r.vars), r.out
	none := noTrips(o, r.in, len(out))
	if err := copyOuts(x, out[:min(n, len(out))], r.vars); err != nil {
		return err
	}
	for j, s := range r.scans {
		if n+j >= len(out) || out[n+j] == nil {
			continue
		}
		if at(o.OutDirections, j) != 0 {
			for a, b := 0, len(s.items)-1; a < b; a, b = a+1, b-1 {
				s.items[a], s.items[b] = s.items[b], s.items[a]
			}
		}
		if err := s.stack(x, out[n+j], at(o.OutAxes, j), func() (graph.Type, error) { return none(n + j) }); err != nil {
			return err
		}
	}
	return nil
}

// scanned resolves the axes of the scan inputs and finds their common length.
func (o Scan) scanned(in []*tensor.Tensor) (axes []int, length int, err error) {
	for i, t := range in {
		if len(t.Shape) == 0 {
			return nil, 0, fmt.Errorf("scan input %d is a scalar", i)
		}
		a, err := axis(at(o.InAxes, i), len(t.Shape))
		if err != nil {
			return nil, 0, err
		}
		if i > 0 && t.Shape[a] != length {
			return nil, 0, fmt.Errorf("scan inputs of lengths %d and %d", length, t.Shape[a])
		}
		axes, length = append(axes, a), t.Shape[a]
	}
	return axes, length, nil
}

// SequenceMap runs its body on each item of the sequences among its inputs, with the other inputs as they are. Outputs
// are sequences of the body's results.
type SequenceMap struct {
	Body *graph.Graph `attr:"body" required:"true"`
}

// own is the number of inputs that are not captures.
func (o SequenceMap) own(in int) (int, error) {
	if o.Body == nil || o.Body.Captures < 0 || in-o.Body.Captures < 1 {
		return 0, fmt.Errorf("%d inputs do not fit the body", in)
	}
	return in - o.Body.Captures, nil
}

// Infer gives sequences of what the body gives.
func (o SequenceMap) Infer(in []graph.Fact, outs int) ([]graph.Type, error) {
	n, err := o.own(len(in))
	if err != nil {
		return nil, err
	}
	if _, err := elemType(in, 0); err != nil {
		return nil, err
	}
	own := make([]graph.Type, n)
	for i := range own {
		own[i] = in[i].Type
		if own[i].DType == tensor.Sequence {
			own[i], _ = elemType(in, i)
		}
	}
	types, err := inferBody(o.Body, own, in, outs)
	if err != nil {
		return nil, err
	}
	for i, t := range types {
		types[i] = graph.SequenceOf(t)
	}
	return types, nil
}

// Run copies every result.
func (o SequenceMap) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	n, err := o.own(len(in))
	if err != nil {
		return err
	}
	items := make([][]*tensor.Tensor, len(out))
	for i := range in[0].Items {
		own := append([]*tensor.Tensor{}, in[:n]...)
		for j, t := range own {
			if t.DType != tensor.Sequence {
				continue
			}
			if len(t.Items) != len(in[0].Items) {
				return fmt.Errorf("sequences of %d and %d items", len(in[0].Items), len(t.Items))
			}
			own[j] = t.Items[i]
		}
		r, err := runBody(x, o.Body, own, in)
		if err != nil {
			return fmt.Errorf("item %d: %w", i, err)
		}
		for j := range items {
			items[j] = append(items[j], r[j].Clone())
		}
	}
	for j, t := range out {
		if t != nil {
			setItems(t, items[j])
		}
	}
	return nil
}
