package train

import (
	"context"
	"math"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// firstLayers finds the weights that no other weight stands before, with the values that they multiply.
func (m *Model) firstLayers(o *opened) map[*Param]*graph.Value {
	param := map[*graph.Value]*Param{}
	for _, p := range m.Params {
		if v := o.value[p]; v != nil {
			param[v] = p
		}
	}
	behind := map[*graph.Value]bool{}
	out := map[*Param]*graph.Value{}
	for _, n := range o.Nodes {
		before := false
		for _, v := range n.In {
			before = before || v != nil && behind[v]
		}
		switch n.OpName() {
		case "Conv", "Gemm", "MatMul":
			for _, v := range weightValues(n.In[1]) {
				if p := param[v]; p != nil && !before {
					out[p] = n.In[0]
				}
			}
			before = true
		}
		for _, v := range n.Out {
			if v != nil && before {
				behind[v] = true
			}
		}
	}
	return out
}

// weightValues are the values that make a weight: itself, or where FakeQuantize rounds it what that reads, its scale too,
// since one factor on both goes through the rounding unchanged.
func weightValues(w *graph.Value) []*graph.Value {
	if w.Def != nil && w.Def.OpName() == "tfsopt.FakeQuantize" {
		return w.Def.In[:2]
	}
	return []*graph.Value{w}
}

// condition puts the weights that multiply the model's input into units in which that input is of order one. Inputs such
// as pixels from 0 to 255 would otherwise make the loss so steep in these weights that no learning rate fits them and
// the others (LeCun et al., "Efficient BackProp", 1998, section 4.3). A unit is a power of two, so nothing is rounded.
func (m *Model) condition(ctx context.Context, set *data.Set, o *Options) error {
	n := min(o.Batch, set.Len())
	if n == 0 {
		return nil
	}
	g, err := m.open(n)
	if err != nil {
		return err
	}
	layers := m.firstLayers(g)
	var params []*Param
	var watch []*graph.Value
	for _, p := range m.Params {
		if v := layers[p]; v != nil {
			params, watch = append(params, p), append(watch, v)
		}
	}
	if len(watch) == 0 {
		return nil
	}
	in, err := m.someInputs(set, g, n)
	if err != nil {
		return err
	}
	g.Outputs = watch
	prog, err := engine.Compile(ctx, g.Graph, engine.Options{Threads: o.Threads, Plans: 1})
	if err != nil {
		return err
	}
	defer prog.Close()
	call := engine.Call{In: in}
	if err := prog.Run(ctx, &call); err != nil {
		return err
	}
	for i, p := range params {
		if r := rms(tensor.Floats(call.Out[i])); r > 0 && !math.IsInf(r, 0) {
			if unit := math.Exp2(math.Round(math.Log2(r))); unit >= 4 || unit <= 0.25 {
				p.setUnit(float32(unit))
			}
		}
	}
	return nil
}

// someInputs gives samples spread over the set, and the parameters, as inputs of g.
func (m *Model) someInputs(set *data.Set, g *opened, n int) ([]*tensor.Tensor, error) {
	samples := make([][]*tensor.Tensor, n)
	for i := range samples {
		s, err := set.Sample(i * set.Len() / n)
		if err != nil {
			return nil, err
		}
		samples[i] = s.In
	}
	in := stack(samples)
	for _, v := range g.Inputs[g.own:] {
		for p, w := range g.value {
			if w == v {
				in = append(in, p.Data)
			}
		}
	}
	return in, nil
}

// rms is the root of the mean square, summed in order.
func rms(v []float32) float64 {
	sum := 0.0
	for _, x := range v {
		sum += float64(float64(x) * float64(x))
	}
	return math.Sqrt(sum / float64(max(len(v), 1)))
}
