package evaluate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// BenchOptions say what to time. Each Model needs a Load, so that its first answer can be timed, or a Graph.
type BenchOptions struct {
	Model    Model
	Against  *Model
	Batch    int           // 0: the model's own, or 1
	Duration time.Duration // of timed runs for each model; 0: 5 s
	Threads  int           // 0: all cores
	CPU      string
	Dims     map[string]int    // sizes of symbolic dimensions
	Axes     map[string]int    // axes along which samples lie, of inputs where that cannot be seen; -1: none
	Carry    map[string]string // outputs that are inputs of the next call
	Progress func(done, total time.Duration)
}

// BenchResult is the timing of one model. Times are of one call with Batch samples, Throughput is samples a second.
// FirstMS is from the start of loading to the first answer. RSS is the resident memory that the process gained from
// loading to that answer, in bytes, without what it used before; for the first model it includes the program itself.
type BenchResult struct {
	Path       string       `json:"path"`
	Bytes      int64        `json:"bytes"`
	Threads    int          `json:"threads"`
	Batch      int          `json:"batch"`
	Runs       int          `json:"runs"`
	MinMS      float64      `json:"min_ms"`
	MedianMS   float64      `json:"median_ms"`
	P95MS      float64      `json:"p95_ms"`
	Throughput float64      `json:"throughput"`
	FirstMS    float64      `json:"first_ms"`
	RSS        int64        `json:"rss_bytes"`
	Packed     int          `json:"packed_bytes"` // weights as the engine holds them
	Arena      int          `json:"arena_bytes"`  // working memory of one call
	CPU        string       `json:"cpu"`
	Against    *BenchResult `json:"against,omitempty"`
	Ratio      *float64     `json:"ratio,omitempty"` // median of the paired ratios against/model: above 1 the model is faster
	Warnings   []string     `json:"warnings,omitempty"`
}

const (
	defaultDuration = 5 * time.Second
	benchSeed       = 1
)

// Bench times a model on random inputs, the same ones every time, and with Against a second one in turn with it.
func Bench(ctx context.Context, o BenchOptions) (*BenchResult, error) {
	if o.Duration <= 0 {
		o.Duration = defaultDuration
	}
	before := resident()
	res, c, err := firstAnswer(ctx, o.Model, o)
	if err != nil {
		return nil, err
	}
	defer c.program.Close()
	res.RSS = settled()
	all := []*contestant{c}
	if o.Against != nil {
		mid := res.RSS
		against, d, err := firstAnswer(ctx, *o.Against, o)
		if err != nil {
			return nil, err
		}
		defer d.program.Close()
		if against.Batch != res.Batch {
			return nil, fmt.Errorf("%s takes batches of %d and %s of %d: they cannot be compared", o.Model.Path, res.Batch, o.Against.Path, against.Batch)
		}
		against.RSS = max(settled()-mid+before, 0)
		res.Against, all = against, append(all, d)
	}
	if err := race(ctx, all, racing{Limit: o.Duration, Progress: o.Progress}); err != nil {
		return nil, err
	}
	res.fill(c)
	if res.Against != nil {
		res.Against.fill(all[1])
		ratio := pairedRatio(c.took, all[1].took)
		res.Ratio = &ratio
	}
	return res, nil
}

// firstAnswer loads and compiles a model and runs it once.
func firstAnswer(ctx context.Context, m Model, o BenchOptions) (*BenchResult, *contestant, error) {
	begin := time.Now()
	g, file := m.Graph, io.Closer(nil)
	if m.Load != nil {
		var err error
		if g, file, err = m.Load(); err != nil {
			return nil, nil, err
		}
	}
	carry, err := engine.NewCarry(g, o.Carry)
	var p *engine.Program
	if err == nil {
		p, err = compileBound(ctx, g, o)
	}
	if file != nil {
		if cerr := file.Close(); err == nil {
			err = cerr
		}
	}
	if err != nil {
		if p != nil {
			p.Close()
		}
		return nil, nil, fmt.Errorf("%s: %w", m.Path, err)
	}
	loaded := time.Since(begin) // making random inputs is not the model's fault
	r := &BenchResult{Path: m.Path, Bytes: m.Bytes, Threads: threads(o.Threads), CPU: p.CPU()}
	c := &contestant{program: p, carry: carry}
	in, batch, warnings, err := randomInputs(ctx, g, o)
	if err != nil {
		p.Close()
		return nil, nil, fmt.Errorf("%s: %w", m.Path, err)
	}
	r.Batch, r.Warnings, c.inputs = batch, warnings, [][]*tensor.Tensor{in}
	first, err := c.once(ctx, 0)
	if err != nil {
		p.Close()
		if len(warnings) > 0 {
			err = fmt.Errorf("%w (%s)", err, warnings[0])
		}
		return nil, nil, fmt.Errorf("%s: %w", m.Path, err)
	}
	r.FirstMS = float64((loaded + first).Nanoseconds()) / 1e6
	return r, c, nil
}

func compileBound(ctx context.Context, g *graph.Graph, o BenchOptions) (*engine.Program, error) {
	if len(o.Dims) > 0 {
		g = g.Clone()
		if err := g.Bind(o.Dims); err != nil {
			return nil, err
		}
	}
	return engine.Compile(ctx, g, engine.Options{Threads: o.Threads, CPU: o.CPU})
}

// randomInputs makes one batch for the graph's inputs.
func randomInputs(ctx context.Context, g *graph.Graph, o BenchOptions) (in []*tensor.Tensor, batch int, warnings []string, err error) {
	inputs, batch := benchShapes(g, o)
	if set := data.Random(inputs, 1, benchSeed); set.Whole() {
		if o.Batch > 1 {
			return nil, 0, nil, errors.New("samples of this model cannot be stacked: an input has none or has them along another axis than 0")
		}
		s, err := set.Sample(0)
		return s.In, 1, openDims(g, inputs), err
	}
	fixed := fixedBatch(g)
	if o.Batch > 0 && fixed > 0 && o.Batch != fixed {
		return nil, 0, nil, fmt.Errorf("the model takes batches of %d, not of %d", fixed, o.Batch)
	}
	warnings = openDims(g, inputs)
	for b, err := range data.Random(inputs, batch, benchSeed).Stream(ctx, batch, 1) {
		return b.In, batch, warnings, err
	}
	return nil, 0, nil, ctx.Err()
}

// openDims warns of inputs whose size the timing had to choose.
func openDims(g *graph.Graph, inputs []data.Input) (warnings []string) {
	for _, v := range inputs {
		if slices.Contains(v.Shape[min(1, len(v.Shape)):], -1) {
			warnings = append(warnings, fmt.Sprintf("input %q has open dimensions %s: timed with 224 for images and 32 elsewhere (--dim NAME=N sets them)",
				v.Name, g.Value(v.Name).Type))
		}
	}
	return warnings
}

// Inputs says what a graph wants of data, with sizes bound to symbolic dimensions.
func Inputs(g *graph.Graph, dims map[string]int) []data.Input {
	axes, unread := g.BatchAxes(), g.Unread()
	out := make([]data.Input, len(g.Inputs))
	for i, v := range g.Inputs {
		out[i] = data.Input{Name: v.Name, DType: v.DType, Batch: axes[i], Zeros: unread[i]}
		if v.Unranked {
			continue
		}
		out[i].Shape = make([]int, len(v.Shape))
		for k, d := range v.Shape {
			if n, ok := d.Bind(dims).Value(); ok {
				out[i].Shape[k] = n
			} else {
				out[i].Shape[k] = -1
			}
		}
	}
	return out
}

// benchShapes gives the inputs with -1 for open dimensions, and the batch size.
func benchShapes(g *graph.Graph, o BenchOptions) (inputs []data.Input, batch int) {
	inputs = Inputs(g, o.Dims)
	for i, in := range inputs {
		if a, ok := o.Axes[in.Name]; ok {
			inputs[i].Batch = a
		}
		if len(in.Shape) > 0 && in.Shape[0] > 0 && batch == 0 {
			batch = in.Shape[0]
		}
	}
	if o.Batch > 0 {
		batch = o.Batch
	}
	return inputs, max(batch, 1)
}

func (r *BenchResult) fill(c *contestant) {
	m := c.program.Memory()
	r.Runs, r.Packed, r.Arena = len(c.took), m.Packed, m.Arena
	r.MinMS, r.MedianMS, r.P95MS = slices.Min(c.took), median(c.took), percentile(c.took, 0.95)
	sum := 0.0
	for _, ms := range c.took {
		sum += ms
	}
	r.Throughput = float64(r.Runs*r.Batch) / (sum / 1000)
}

// settled is the resident memory after garbage was returned to the system.
func settled() int64 {
	debug.FreeOSMemory()
	return resident()
}

func threads(n int) int {
	if n > 0 {
		return n
	}
	return runtime.GOMAXPROCS(0)
}
