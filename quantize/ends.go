package quantize

import (
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// End is an input or output of the graph that is integers q for the numbers (q - Zero) * Scale.
type End struct {
	Name  string
	DType tensor.DType
	Scale float32
	Zero  int
}

// isEnd reports whether v is a float input or output that becomes integers.
func (p *placement) isEnd(v *graph.Value) bool {
	if p.o.ends() == tensor.Undefined || v.DType != tensor.Float32 || v.IsConst() {
		return false
	}
	if v.Def == nil {
		return slices.Contains(p.g.Inputs, v) && !p.g.IsOutput(v) && len(p.uses[v]) > 0
	}
	return p.g.IsOutput(v)
}

// ends lists the inputs and outputs that become integers, and says which float ones cannot.
func (p *placement) ends() (ends []End, warnings []string) {
	if p.o.ends() == tensor.Undefined {
		return nil, nil
	}
	for _, list := range [][]*graph.Value{p.g.Inputs, p.g.Outputs} {
		for _, v := range list {
			if p.isEnd(v) {
				ends = append(ends, p.end(v.Name, p.values[v].group.params))
			} else if v.DType.IsFloat() {
				warnings = append(warnings, fmt.Sprintf("io %s: %q stays %s", p.o.IO, v.Name, v.Type))
			}
		}
	}
	return ends, warnings
}

// integerEnds lets the graph's quantized inputs and outputs be the integers themselves. Where these are of another type
// than the activations, the same numbers are quantized once more, which loses nothing.
func (r *rewriter) integerEnds() {
	for i, v := range r.g.Inputs {
		if a := r.p.values[r.p.g.Inputs[i]]; a != nil && r.p.isEnd(a.v) {
			r.g.Inputs[i] = r.integerInput(v, a.group.params)
		}
	}
	for i, v := range r.g.Outputs {
		if a := r.p.values[r.p.g.Outputs[i]]; a != nil && r.p.isEnd(a.v) {
			r.integerOutput(v, a.group.params)
		}
	}
}

// integerInput takes the place of a float input, which one QuantizeLinear reads.
func (r *rewriter) integerInput(v *graph.Value, p params) *graph.Value {
	quantize := r.g.Uses()[v][0].Node
	in := graph.NewInput(v.Name, v.Type)
	in.DType = r.p.o.ends()
	v.Name = r.names.Fresh(v.Name + "_float")
	r.g.Replace(v, in)
	if in.DType == r.p.o.activationType() {
		r.g.Replace(quantize.Out[0], in)
		r.g.Remove(func(n *graph.Node) bool { return n == quantize })
		return in
	}
	scale, zero := r.endValues(r.p.end(in.Name, p))
	r.given = v.Name
	quantize.In[0] = r.dequantize(v.Name, 0, in, scale, zero)
	return in
}

// integerOutput takes the place of a float output, which a DequantizeLinear makes.
func (r *rewriter) integerOutput(v *graph.Value, p params) {
	restored, uses := v.Def, r.g.Uses()[v]
	out := restored.In[0]
	if r.p.o.ends() != r.p.o.activationType() {
		scale, zero := r.endValues(r.p.end(v.Name, p))
		out = r.add(v.Name+"_quantized", ops.QuantizeLinear{Axis: 1, Saturate: true}, v, scale, zero)
		uses = append(uses, graph.Use{Node: out.Def})
	}
	r.g.Replace(v, out)
	for _, u := range uses {
		if u.Node != nil {
			u.Node.In[u.Index] = v
		}
	}
	if len(uses) == 0 {
		r.g.Remove(func(n *graph.Node) bool { return n == restored })
	}
}

// end moves the parameters of an activation to the type of the ends.
func (p *placement) end(name string, at params) End {
	e := End{Name: name, DType: p.o.ends(), Scale: at.scale, Zero: at.zero}
	if from := p.o.activationType(); from != e.DType {
		first, _ := quantizer{dtype: from}.ints()
		to, _ := quantizer{dtype: e.DType}.ints()
		e.Zero += to - first
	}
	return e
}

func (r *rewriter) endValues(e End) (scale, zero *graph.Value) {
	z := tensor.New(e.DType)
	_ = tensor.SetInts(z, []int64{int64(e.Zero)}) // an 8-bit integer takes any number
	return r.constant(e.Name+"_scale", tensor.Scalar(e.Scale)), r.constant(e.Name+"_zero_point", z)
}
