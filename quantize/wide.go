package quantize

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// Half a step of 8 bits below the largest value, and the share of values below it with which a logarithm's input counts as wide.
const (
	halfStep  = 1.0 / 510
	wideShare = 0.1
)

// exponentials undo a logarithm: what it reads of them needs no relative precision.
var exponentials = map[string]bool{"Exp": true, "Softmax": true, "Sigmoid": true, "LogSoftmax": true, "Softplus": true}

// logarithms are the nodes that tell small values apart which 8 bits make zero; each has a histogram of its input.
func (p *placement) logarithms() map[*graph.Node]*histogram {
	out := map[*graph.Node]*histogram{}
	for _, n := range p.g.Nodes {
		if n.OpName() == "Log" && !n.In[0].IsConst() && n.In[0].DType == tensor.Float32 && len(p.before(n)) > 0 {
			out[n] = newHistogram()
		}
	}
	return out
}

// before are the layers whose results reach a logarithm other than through an exponential.
func (p *placement) before(log *graph.Node) []string {
	need := map[*graph.Node]bool{log: true}
	var names []string
	for i := len(p.g.Nodes) - 1; i >= 0; i-- {
		n := p.g.Nodes[i]
		if !need[n] || exponentials[n.OpName()] || n != log && n.OpName() == "Log" {
			continue
		}
		if n != log && p.roles[n] != stays {
			names = append(names, n.Name)
		}
		for _, v := range n.In {
			if v != nil && v.Def != nil {
				need[v.Def] = true
			}
		}
	}
	return names
}

// wide reports whether so many values lie below half a step that rounding would lose most of what the logarithm is to show.
func (h *histogram) wide() bool {
	limit := halfStep * max(h.max, -h.min)
	var small int64
	h.bins(func(x float64, n int64) {
		if math.Abs(x) < limit {
			small += n
		}
	})
	return h.total() > 0 && float64(small) > wideShare*float64(h.total())
}

// precise marks what must stay float before logarithms of wide inputs; false: there is nothing new.
func (s *session) precise(p *placement, c *calibration) bool {
	found := false
	for _, n := range p.g.Nodes {
		h := c.logs[n]
		if h == nil || !h.wide() {
			continue
		}
		names := p.before(n)
		if s.o.float == nil {
			s.o.float = map[string]bool{}
		}
		for _, name := range names {
			s.o.float[name] = true
		}
		found = true
		s.notes = append(s.notes, fmt.Sprintf("%d operators before %q (Log) compute in float: it tells values apart that 8 bits make zero", len(names), n.Name))
	}
	return found
}
