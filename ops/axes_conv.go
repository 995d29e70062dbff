package ops

import (
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// spaced makes an end hold n channels in several places: once in each of outer blocks, inner positions at a time.
func spaced(e graph.End, outer, inner int) graph.End {
	e.Outer, e.Inner = outer, inner
	return e
}

// present keeps the ends whose operand is given.
func present(in []graph.Fact, ends ...graph.End) []graph.End {
	var out []graph.End
	for _, e := range ends {
		if e.Out || fact(in, e.Index).Present() {
			out = append(out, e)
		}
	}
	return out
}

// Links ties input channels with axis 1 of the weight, output channels with its axis 0 and the bias. A depthwise
// convolution ties both; in a grouped one each channel goes together with those at its place in the other groups.
func (c Conv) Links(in, out []graph.Fact) []graph.Link {
	x, m, per, ok := convChannels(in, out, 0, 1)
	if !ok {
		return nil
	}
	g := c.Group
	switch {
	case g == 1:
		return append(tie(graph.Fixed(x), given(0, 1), given(1, 1)),
			tie(graph.Fixed(m), present(in, given(1, 0), made(0, 1), given(2, 0))...)...)
	case per == 1:
		k := m / g
		return tie(graph.Fixed(g), present(in, given(0, 1), spaced(given(1, 0), 1, k), spaced(made(0, 1), 1, k),
			spaced(given(2, 0), 1, k))...)
	}
	return append(tie(graph.Fixed(per), spaced(given(0, 1), g, 1), given(1, 1)),
		tie(graph.Fixed(m/g), present(in, spaced(given(1, 0), g, 1), spaced(made(0, 1), g, 1), spaced(given(2, 0), g, 1))...)...)
}

// convChannels gives the input's channels, the output's, and the sizes of a weight's axes a and b.
func convChannels(in, out []graph.Fact, a, b int) (x, m, per int, ok bool) {
	if in[0].Rank() < 2 || in[1].Rank() < 2 || out[0].Rank() < 2 {
		return 0, 0, 0, false
	}
	x, ok1 := in[0].Shape[1].Value()
	m, ok2 := out[0].Shape[1].Value()
	_, ok3 := in[1].Shape[a].Value()
	per, ok4 := in[1].Shape[b].Value()
	return x, m, per, ok1 && ok2 && ok3 && ok4
}

// Fit gives a depthwise convolution as many groups as channels are left.
func (c Conv) Fit(cut graph.Cut) (graph.Op, []*tensor.Tensor, error) {
	c.Group = depthwiseGroups(c.Group, cut, 1)
	return c, nil, nil
}

// depthwiseGroups is the new number of groups; axis is the weight's axis that has one position if it is depthwise.
func depthwiseGroups(group int, cut graph.Cut, axis int) int {
	if group > 1 && cut.In[1].Shape[axis].Is(1) {
		if n, ok := cut.Left(false, 0, 1); ok {
			return n
		}
	}
	return group
}

// Links ties input channels with axis 0 of the weight, output channels with its axis 1 and the bias; groups as in Conv.
func (c ConvTranspose) Links(in, out []graph.Fact) []graph.Link {
	x, m, per, ok := convChannels(in, out, 0, 1)
	if !ok {
		return nil
	}
	g := c.Group
	switch {
	case g == 1:
		return append(tie(graph.Fixed(x), given(0, 1), given(1, 0)),
			tie(graph.Fixed(m), present(in, given(1, 1), made(0, 1), given(2, 0))...)...)
	case x == g:
		return tie(graph.Fixed(g), present(in, given(0, 1), given(1, 0), spaced(made(0, 1), 1, per), spaced(given(2, 0), 1, per))...)
	}
	return append(tie(graph.Fixed(x/g), spaced(given(0, 1), g, 1), spaced(given(1, 0), g, 1)),
		tie(graph.Fixed(per), present(in, given(1, 1), spaced(made(0, 1), g, 1), spaced(given(2, 0), g, 1))...)...)
}

// Fit gives a depthwise convolution as many groups as channels are left.
func (c ConvTranspose) Fit(cut graph.Cut) (graph.Op, []*tensor.Tensor, error) {
	if x, ok := cut.In[0].Shape[1].Value(); ok && c.Group > 1 && x == c.Group {
		c.Group, _ = cut.Left(false, 0, 1)
	}
	return c, nil, nil
}

// channelwise ties axis 1, and axis 0, of input 0 and output 0; params are inputs of one number for each channel.
func channelwise(in, out []graph.Fact, params ...int) []graph.Link {
	if in[0].Rank() < 2 || out[0].Rank() < 2 {
		return nil
	}
	ends := []graph.End{given(0, 1), made(0, 1)}
	for _, p := range params {
		ends = append(ends, given(p, 0))
	}
	return append(tie(in[0].Shape[0], given(0, 0), made(0, 0)), tie(in[0].Shape[1], ends...)...)
}

// Links keeps channels apart; the positions that MaxPool also gives count through all channels, which then stay.
func (MaxPool) Links(in, out []graph.Fact) []graph.Link {
	if len(out) > 1 && out[1].Present() {
		return nil
	}
	return channelwise(in, out)
}

// Links keeps channels apart.
func (AveragePool) Links(in, out []graph.Fact) []graph.Link { return channelwise(in, out) }
func (LpPool) Links(in, out []graph.Fact) []graph.Link      { return channelwise(in, out) }
func (globalPool) Links(in, out []graph.Fact) []graph.Link  { return channelwise(in, out) }

// Links keeps channels apart, with their scale and bias.
func (InstanceNormalization) Links(in, out []graph.Fact) []graph.Link {
	return channelwise(in, out, 1, 2)
}

// Links ties a channel with its four parameters and, in training, its new statistics, which need all of the other axes.
func (b BatchNormalization) Links(in, out []graph.Fact) []graph.Link {
	links := pointwise(in[:1], out[:1])
	if b.TrainingMode {
		links = slices.DeleteFunc(links, func(l graph.Link) bool { return l.Ends[0].Axis != 1 })
	}
	for i, l := range links {
		if l.Ends[0].Axis != 1 {
			continue
		}
		for p := 1; p < len(in); p++ {
			links[i].Ends = append(links[i].Ends, given(p, 0))
		}
		for o := 1; o < len(out); o++ {
			if out[o].Present() {
				links[i].Ends = append(links[i].Ends, made(o, 0))
			}
		}
	}
	return links
}

// Links says that the groups' statistics need every channel.
func (GroupNormalization) Links(in, _ []graph.Fact) []graph.Link {
	if in[0].Rank() < 2 {
		return nil
	}
	return pin(in, 1, "it takes mean and variance over groups of them")
}

// Links says that each channel is divided by its neighbours.
func (LRN) Links(in, _ []graph.Fact) []graph.Link {
	if in[0].Rank() < 2 {
		return nil
	}
	return pin(in, 1, "it sums over neighbouring channels")
}

// Links says that the norm needs the whole axis.
func (l LpNormalization) Links(in, out []graph.Fact) []graph.Link {
	return normalised(in, out, l.Axis, "it divides by the norm over them")
}
