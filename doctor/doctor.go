// Package doctor examines integer models, whoever wrote them: what runtimes will not compute as the file says, or not in
// integers at all. What needs no float model it can mend.
package doctor

import (
	"cmp"
	"context"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
)

// The kinds of findings; scripts may rely on them.
const (
	IDSaturation = "saturation"      // pairs of products that leave int16 on CPUs without VNNI
	IDShared     = "shared-constant" // layers share a weight or its zero point: session.x64quantprecision=1 cannot load them
	IDBiasScale  = "bias-scale"      // the bias has another scale than the sums that it is added to
	IDScaleShape = "scale-shape"     // one scale for a whole tensor, of shape [1] instead of a scalar
	IDScaleValue = "scale-value"     // a scale that is zero, negative, denormal or not finite
	IDRange      = "range"           // a range that the data exceeds or hardly uses
	IDOverflow   = "bias-overflow"   // sums and bias can leave int32
	IDUnfused    = "unfused"         // a float operator between integers
	IDFloat      = "float-layer"     // a layer whose weights are float in an integer model
	IDDead       = "dead-channels"   // output channels whose weights are all zero
)

// Finding is something wrong with a layer.
type Finding struct {
	ID      string `json:"id"`
	Layer   string `json:"layer"`
	Op      string `json:"op"`
	Detail  string `json:"detail"`
	Cost    string `json:"cost"`    // measured where samples were given, else a bound
	Command string `json:"command"` // what mends it
	Mended  bool   `json:"mended"`

	node *graph.Node
}

// Report is what an examination found.
type Report struct {
	Findings   []Finding   `json:"findings"`
	Saturation *Saturation `json:"saturation"`
}

// Remaining counts the findings that nothing mended.
func (r *Report) Remaining() int {
	n := 0
	for _, f := range r.Findings {
		if !f.Mended {
			n++
		}
	}
	return n
}

// examination collects the findings of one graph.
type examination struct {
	ctx    context.Context
	g      *graph.Graph
	uses   map[*graph.Value][]graph.Use
	layers []*product
	report *Report
	path   string
}

// The commands that findings name; MODEL is the examined file's path.
func (e *examination) mend() string { return "tfsopt doctor " + e.path + " -o OUT" }

const requantize = "tfsopt quantize FLOAT_MODEL -o OUT --data D"

func (e *examination) add(id string, n *graph.Node, f Finding) {
	f.ID, f.node, f.Layer, f.Op = id, n, n.Name, n.OpName()
	e.report.Findings = append(e.report.Findings, f)
}

// Examine looks at a graph; path is what its commands call it. The graph stays as it is. Bodies of control flow are looked
// at for saturation alone.
func Examine(ctx context.Context, g *graph.Graph, path string, s Samples) (*Report, error) {
	e := &examination{ctx: ctx, g: g, uses: g.Uses(), layers: products(g), path: path, report: &Report{Findings: []Finding{}}}
	var err error
	if e.report.Saturation, err = CheckSaturation(ctx, g, s); err != nil {
		return nil, err
	}
	e.saturation()
	e.shared()
	e.biases()
	e.scales()
	e.dead()
	if err := e.float(); err != nil {
		return nil, err
	}
	if s.Set != nil {
		if err := e.ranges(s); err != nil {
			return nil, err
		}
	}
	order := map[*graph.Node]int{}
	for i, n := range g.Nodes {
		order[n] = i
	}
	slices.SortStableFunc(e.report.Findings, func(a, b Finding) int { return cmp.Compare(order[a.node], order[b.node]) })
	return e.report, nil
}

// Compare marks the findings that a mended graph no longer has, and adds those that are new there.
func (r *Report) Compare(after *Report) {
	type key struct{ id, layer string }
	before, left := map[key]bool{}, map[key]bool{}
	for _, f := range after.Findings {
		left[key{f.ID, f.Layer}] = true
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		f.Mended = !left[key{f.ID, f.Layer}]
		before[key{f.ID, f.Layer}] = true
	}
	for _, f := range after.Findings {
		if !before[key{f.ID, f.Layer}] {
			r.Findings = append(r.Findings, f)
		}
	}
}
