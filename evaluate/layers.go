package evaluate

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// maxLayerSamples bounds the samples that values inside the graphs are compared on: all of them are held for one
// sample, and nothing can be fused while they are watched.
const maxLayerSamples = 32

// twin is a value of the reference and where the model has it. A quantized value is seen as its readers see it: after
// DequantizeLinear or, where an integer operator makes it, as (q - zero) * scale.
type twin struct {
	ref, model  *graph.Value
	scale, zero float64 // scale 0: model is real already
	comparison
}

// real gives the model's values.
func (t *twin) real(x *tensor.Tensor) []float32 {
	v := tensor.Floats(x)
	if t.scale == 0 || v == nil {
		return v
	}
	out := make([]float32, len(v))
	for i, q := range v {
		out[i] = float32((float64(q) - t.zero) * t.scale)
	}
	return out
}

// layers compares the values that both graphs have under one name, on samples spread over the set.
func (e *evaluation) layers(ctx context.Context) error {
	twins, err := findTwins(e.ref.Graph, e.model.Graph)
	if err != nil {
		return err
	}
	if len(twins) == 0 {
		e.warn("no value inside the models bears the same name: layers cannot be compared")
		return nil
	}
	byRef, byModel := map[*graph.Value]*twin{}, map[*graph.Value][]*twin{}
	var watchRef, watchModel []*graph.Value
	for _, t := range twins {
		if byModel[t.model] == nil {
			watchModel = append(watchModel, t.model)
		}
		watchRef = append(watchRef, t.ref)
		byRef[t.ref], byModel[t.model] = t, append(byModel[t.model], t)
	}
	ref, err := newWatcher(ctx, e.ref, e.o, watchRef)
	if err != nil {
		return err
	}
	defer ref.program.Close()
	model, err := newWatcher(ctx, e.model, e.o, watchModel)
	if err != nil {
		return err
	}
	defer model.program.Close()
	n := min(maxLayerSamples, e.res.Samples)
	for i := range n {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := probe{e: e, ref: ref, model: model, byRef: byRef, byModel: byModel, seen: map[*twin]*tensor.Tensor{}}
		if err := p.run(ctx, i*e.res.Samples/n); err != nil {
			return err
		}
	}
	e.res.LayerCount = n
	for _, t := range twins {
		if t.rows > 0 {
			e.res.Layers = append(e.res.Layers, t.result())
		}
	}
	return nil
}

func newWatcher(ctx context.Context, s *side, o Options, watch []*graph.Value) (*runner, error) {
	o.watch = watch
	return newRunner(ctx, s.what, s.Model, o)
}

func (t *twin) result() LayerError {
	l := LayerError{
		Name: t.ref.Name, SQNR: t.sqnr(), Cosine: t.meanCosine(), MaxError: t.worst,
		Min: t.min, Max: t.max, ModelMin: t.modelMin, ModelMax: t.modelMax,
	}
	if n := t.ref.Def; n != nil {
		l.Node = n.Name
		_, l.Op = graph.NameOf(n.Op)
	}
	return l
}

// probe runs one sample through both watched programs.
type probe struct {
	e          *evaluation
	ref, model *runner
	byRef      map[*graph.Value]*twin
	byModel    map[*graph.Value][]*twin
	seen       map[*twin]*tensor.Tensor
}

func (p *probe) run(ctx context.Context, at int) error {
	s, err := p.e.o.Set.Sample(at)
	if err != nil {
		return err
	}
	rs := s
	if p.e.o.ReferenceSet != nil {
		if rs, err = p.e.o.ReferenceSet.Sample(at); err != nil {
			return err
		}
	}
	ref := engine.Call{In: p.ref.piece(rs.In, 0, 1, max(p.ref.fixed, 1)), Observe: p.seeRef}
	if err := p.ref.program.Run(ctx, &ref); err != nil {
		return fmt.Errorf("reference: %s: %w", s.Name, err)
	}
	model := engine.Call{In: p.model.piece(s.In, 0, 1, max(p.model.fixed, 1)), Observe: p.seeModel}
	if err := p.model.program.Run(ctx, &model); err != nil {
		return fmt.Errorf("model: %s: %w", s.Name, err)
	}
	return nil
}

func (p *probe) seeRef(v *graph.Value, t *tensor.Tensor) {
	if w := p.byRef[v]; w != nil {
		p.seen[w] = t.Clone()
	}
}

func (p *probe) seeModel(v *graph.Value, t *tensor.Tensor) {
	for _, w := range p.byModel[v] {
		r := p.seen[w]
		if r == nil {
			continue
		}
		a, b := tensor.Floats(r), w.real(t)
		if a != nil && len(a) == len(b) && !hasNaN(a) && !hasNaN(b) {
			addRow(&w.comparison, a, b)
		}
		delete(p.seen, w)
	}
}

func hasNaN(x []float32) bool {
	for _, v := range x {
		if math.IsNaN(float64(v)) {
			return true
		}
	}
	return false
}

// findTwins lists the float values that the reference computes from its inputs and the model has under the same name, in
// the order of computation. Operators that only move data are left out: they repeat the error of what they move.
func findTwins(ref, model *graph.Graph) ([]*twin, error) {
	sorted := ref.Clone()
	if err := sorted.Sort(); err != nil {
		return nil, fmt.Errorf("reference: %w", err)
	}
	original, byName := valuesByName(ref), valuesByName(model)
	uses := model.Uses()
	live := map[*graph.Value]bool{} // depends on an input
	for _, v := range sorted.Inputs {
		live[v] = true
	}
	var out []*twin
	for _, n := range sorted.Nodes {
		if !slices.ContainsFunc(n.In, func(v *graph.Value) bool { return live[v] }) {
			continue
		}
		for _, v := range n.Out {
			if v == nil {
				continue
			}
			live[v] = true
			if !v.DType.IsFloat() || byName[v.Name] == nil || moves(n.Op) {
				continue
			}
			if t := seenAs(byName[v.Name], uses); t != nil {
				t.ref = original[v.Name]
				out = append(out, t)
			}
		}
	}
	return out, nil
}

// valuesByName maps the values that a graph computes.
func valuesByName(g *graph.Graph) map[string]*graph.Value {
	out := map[string]*graph.Value{}
	for _, n := range g.Nodes {
		for _, v := range n.Out {
			if v != nil {
				out[v.Name] = v
			}
		}
	}
	return out
}

func moves(op graph.Op) bool {
	q, ok := op.(graph.Quantizable)
	return ok && q.Quant().Moves
}

// seenAs finds how the readers of v see it, nil if that cannot be told.
func seenAs(v *graph.Value, uses map[*graph.Value][]graph.Use) *twin {
	if v.DType.IsFloat() {
		if q := readBy(v, "QuantizeLinear", uses); q != nil {
			if d := readBy(q.Out[0], "DequantizeLinear", uses); d != nil {
				return &twin{model: d.Out[0]}
			}
		}
		return &twin{model: v}
	}
	if d := readBy(v, "DequantizeLinear", uses); d != nil {
		return &twin{model: d.Out[0]}
	}
	if v.Def == nil {
		return nil
	}
	// QLinearConv and its kin: the last scale that a zero point of the output's type follows is the output's.
	in := v.Def.In
	for i := len(in) - 2; i >= 0; i-- {
		s, z := in[i], in[i+1]
		if !s.IsConst() || !z.IsConst() || !s.DType.IsFloat() || z.DType != v.DType || s.Const.Len() != 1 || z.Const.Len() != 1 {
			continue
		}
		return &twin{model: v, scale: tensor.Float64s(s.Const)[0], zero: tensor.Float64s(z.Const)[0]}
	}
	return nil
}

func readBy(v *graph.Value, op string, uses map[*graph.Value][]graph.Use) *graph.Node {
	for _, u := range uses[v] {
		if _, name := graph.NameOf(u.Node.Op); name == op && u.Index == 0 {
			return u.Node
		}
	}
	return nil
}
