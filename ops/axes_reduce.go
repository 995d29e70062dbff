package ops

import "github.com/tfsopt/tfsopt/graph"

// Links keeps what is reduced and lets the other axes go on.
func (o ReduceSum) Links(in, out []graph.Fact) []graph.Link {
	return reducedAxes(in, out, o.Keepdims, o.Noop)
}

// Links keeps what is reduced and lets the other axes go on.
func (o ReduceMean) Links(in, out []graph.Fact) []graph.Link {
	return reducedAxes(in, out, o.Keepdims, o.Noop)
}

// Links keeps what is reduced and lets the other axes go on.
func (o ReduceMax) Links(in, out []graph.Fact) []graph.Link {
	return reducedAxes(in, out, o.Keepdims, o.Noop)
}

// Links keeps what is reduced and lets the other axes go on.
func (o ReduceMin) Links(in, out []graph.Fact) []graph.Link {
	return reducedAxes(in, out, o.Keepdims, o.Noop)
}

// Links keeps what is reduced and lets the other axes go on.
func (o ReduceL2) Links(in, out []graph.Fact) []graph.Link {
	return reducedAxes(in, out, o.Keepdims, o.Noop)
}

// Links keeps what is reduced and lets the other axes go on.
func (o ReduceSumSquare) Links(in, out []graph.Fact) []graph.Link {
	return reducedAxes(in, out, o.Keepdims, o.Noop)
}

// Links ties the features of the input with the last axis of the weight; the hidden state stays.
func (recurrent) Links(in, _ []graph.Fact) []graph.Link {
	if in[0].Rank() != 3 || in[1].Rank() != 3 {
		return nil
	}
	return tie(in[0].Shape[2], given(0, 2), given(1, 2))
}

// Links ties x with the result, and the axis that has scales with them.
func (q QuantizeLinear) Links(in, out []graph.Fact) []graph.Link {
	return quantizedAxes(in, out, q.Axis, q.BlockSize)
}

// Links ties x with the result, and the axis that has scales with them.
func (q DequantizeLinear) Links(in, out []graph.Fact) []graph.Link {
	return quantizedAxes(in, out, q.Axis, q.BlockSize)
}

func quantizedAxes(in, out []graph.Fact, along, block int) []graph.Link {
	if block != 0 || in[0].Rank() < 0 {
		return nil
	}
	links := pointwise(in[:1], out[:1])
	a, err := axis(along, len(in[0].Shape))
	if err != nil || in[1].Rank() != 1 {
		return links
	}
	for i, l := range links {
		for p := 1; p < len(in); p++ {
			if l.Ends[0].Axis == a && in[p].Rank() == 1 && in[p].Shape[0].Is(l.N) {
				links[i].Ends = append(links[i].Ends, given(p, 0))
			}
		}
	}
	return links
}
