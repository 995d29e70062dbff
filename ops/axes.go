package ops

import "github.com/tfsopt/tfsopt/graph"

// given is an end at an axis of an input, made one at an axis of an output.
func given(index, axis int) graph.End { return graph.End{Index: index, Axis: axis} }
func made(index, axis int) graph.End  { return graph.End{Out: true, Index: index, Axis: axis} }

// tie links ends that have the same n channels; no link if n is not a number.
func tie(n graph.Dim, ends ...graph.End) []graph.Link {
	if v, ok := n.Value(); ok {
		return []graph.Link{{N: v, Ends: ends}}
	}
	return nil
}

// pin keeps every position of an axis of input 0, for a reason.
func pin(in []graph.Fact, axis int, why string) []graph.Link {
	links := tie(in[0].Shape[axis], given(0, axis))
	for i := range links {
		links[i].Keep = why
	}
	return links
}

// pointwise links the operands of an operator that treats each element alone and broadcasts: an axis of an output with
// the axes of the inputs that have its size.
func pointwise(in, out []graph.Fact) []graph.Link {
	var links []graph.Link
	if len(out) == 0 || out[0].Unranked {
		return nil
	}
	for a, d := range out[0].Shape {
		var ends []graph.End
		for i, f := range in {
			at := a - len(out[0].Shape) + len(f.Shape)
			switch {
			case !f.Present() || at < 0:
			case f.Unranked:
				return nil
			case f.Shape[at] == d:
				ends = append(ends, given(i, at))
			}
		}
		for i, f := range out {
			if f.Present() && len(f.Shape) == len(out[0].Shape) {
				ends = append(ends, made(i, a))
			}
		}
		links = append(links, tie(d, ends...)...)
	}
	return links
}

// Links ties each axis of the result with those of the inputs.
func (unary) Links(in, out []graph.Fact) []graph.Link     { return pointwise(in, out) }
func (pairwise) Links(in, out []graph.Fact) []graph.Link  { return pointwise(in, out) }
func (variadic) Links(in, out []graph.Fact) []graph.Link  { return pointwise(in, out) }
func (predicate) Links(in, out []graph.Fact) []graph.Link { return pointwise(in, out) }
func (test) Links(in, out []graph.Fact) []graph.Link      { return pointwise(in, out) }

// Links ties each axis of the result with those of the inputs.
func (Pow) Links(in, out []graph.Fact) []graph.Link             { return pointwise(in, out) }
func (Where) Links(in, out []graph.Fact) []graph.Link           { return pointwise(in, out) }
func (Cast) Links(in, out []graph.Fact) []graph.Link            { return pointwise(in, out) }
func (PRelu) Links(in, out []graph.Fact) []graph.Link           { return pointwise(in, out) }
func (Elu) Links(in, out []graph.Fact) []graph.Link             { return pointwise(in, out) }
func (Celu) Links(in, out []graph.Fact) []graph.Link            { return pointwise(in, out) }
func (Selu) Links(in, out []graph.Fact) []graph.Link            { return pointwise(in, out) }
func (LeakyRelu) Links(in, out []graph.Fact) []graph.Link       { return pointwise(in, out) }
func (ThresholdedRelu) Links(in, out []graph.Fact) []graph.Link { return pointwise(in, out) }
func (HardSigmoid) Links(in, out []graph.Fact) []graph.Link     { return pointwise(in, out) }
func (HardSwish) Links(in, out []graph.Fact) []graph.Link       { return pointwise(in, out) }
func (Gelu) Links(in, out []graph.Fact) []graph.Link            { return pointwise(in, out) }
func (Shrink) Links(in, out []graph.Fact) []graph.Link          { return pointwise(in, out) }
func (Swish) Links(in, out []graph.Fact) []graph.Link           { return pointwise(in, out) }

// Links ties the axes of the data; the bounds are scalars.
func (Clip) Links(in, out []graph.Fact) []graph.Link { return pointwise(in[:1], out) }

// Links ties the axes of the data, the result and the mask.
func (Dropout) Links(in, out []graph.Fact) []graph.Link { return pointwise(in[:1], out) }

// Links ties everything but the axis that is normalised.
func (o Softmax) Links(in, out []graph.Fact) []graph.Link {
	return normalised(in, out, o.Axis, "it is a softmax over them")
}

// Links ties everything but the axis that is normalised.
func (o LogSoftmax) Links(in, out []graph.Fact) []graph.Link {
	return normalised(in, out, o.Axis, "it is a softmax over them")
}

// normalised ties the axes of input 0 and the output; channels along `along` stay.
func normalised(in, out []graph.Fact, along int, why string) []graph.Link {
	if in[0].Unranked {
		return nil
	}
	a, err := axis(along, len(in[0].Shape))
	if err != nil {
		return nil
	}
	links := pointwise(in[:1], out)
	for i, l := range links {
		if l.Ends[0].Axis == a {
			links[i].Keep = why
		}
	}
	return links
}

// normalisedFrom ties the axes of input 0 and output 0 before `from`; those behind it stay.
func normalisedFrom(in, out []graph.Fact, from int) []graph.Link {
	if in[0].Unranked {
		return nil
	}
	a, err := axis(from, len(in[0].Shape))
	if err != nil {
		return nil
	}
	links := pointwise(in[:1], out[:1])
	for i, l := range links {
		if l.Ends[0].Axis >= a {
			links[i].Keep = "it takes the mean or variance over them"
		}
	}
	return links
}

// Links ties the axes in front of those that are normalised.
func (l LayerNormalization) Links(in, out []graph.Fact) []graph.Link {
	return normalisedFrom(in, out, l.Axis)
}

// Links ties the axes in front of those that are normalised.
func (l RMSNormalization) Links(in, out []graph.Fact) []graph.Link {
	return normalisedFrom(in, out, l.Axis)
}

// reducedAxes ties the axes that are not reduced with those of the result; the channels of the others stay.
func reducedAxes(in, out []graph.Fact, keep, noop bool) []graph.Link {
	if in[0].Unranked || out[0].Unranked {
		return nil
	}
	var list []int
	if f := fact(in, 1); f.Present() {
		var ok bool
		if list, ok = f.ConstInts(); !ok {
			return nil
		}
	}
	drop, err := axisSet(list, len(in[0].Shape), noop)
	if err != nil {
		return nil
	}
	var links []graph.Link
	at := 0
	for a, d := range in[0].Shape {
		switch {
		case drop[a]:
			links = append(links, pin(in, a, "it reduces them to one number")...)
			if keep {
				at++
			}
		default:
			links = append(links, tie(d, given(0, a), made(0, at))...)
			at++
		}
	}
	return links
}
