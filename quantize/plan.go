package quantize

import (
	"context"
	"runtime"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// Memory is what Quantize will hold at once, beside the model itself; the numbers are bytes where the name says so. None
// of them grows with Samples but Kept, which has a bound.
type Memory struct {
	Samples     int   `json:"samples"`         // calibration samples, 0 for the modes that need none
	Layers      int   `json:"layers"`          // operators whose weights become integers
	Activations int   `json:"activations"`     // values whose ranges are observed
	Weights     int64 `json:"weight_bytes"`    // the layers' weights while they are rounded: floats and integers
	Histograms  int64 `json:"histogram_bytes"` // of the observed activations
	Statistics  int64 `json:"statistic_bytes"` // second moments of the layers' inputs and means of their outputs
	Program     int64 `json:"program_bytes"`   // the compiled float graph: packed weights and one arena
	Prefetch    int64 `json:"prefetch_bytes"`  // samples decoded ahead of the run
	Kept        int64 `json:"kept_bytes"`      // at most, of activations while biases are corrected, when there are no statistics
	Total       int64 `json:"total_bytes"`

	largest int64 // the floats of a layer
}

// Plan says what Quantize would hold with the same arguments, and fails where Quantize would fail before its first
// pass. It runs one sample to learn the size of the arena, and writes nothing.
func Plan(g *graph.Graph, set *data.Set, o Options) (Memory, error) {
	var m Memory
	o, err := o.defaults()
	if err != nil {
		return m, err
	}
	ctx := context.Background()
	f, err := prepare(ctx, g, o)
	if err != nil {
		return m, err
	}
	if err := o.known(f); err != nil {
		return m, err
	}
	if o.Mode != modeStatic {
		return m.onlyWeights(f, o)
	}
	if set == nil || set.Len() == 0 {
		return m, ErrNoData
	}
	return m.static(ctx, f, set, o)
}

func (m Memory) static(ctx context.Context, f *graph.Graph, set *data.Set, o Options) (Memory, error) {
	p := place(f, o)
	layers, err := layersOf(p)
	if err != nil {
		return m, err
	}
	if p.nothing() {
		return m, errNothing
	}
	watched := p.watched()
	m.Samples, m.Layers, m.Activations = set.Len(), len(layers), len(watched)
	m.Histograms = int64(len(p.groups)) * newHistogram().bytes()
	m.Statistics = statisticBytes(layers)
	var watch []*graph.Value
	for _, l := range layers {
		m.round(l)
		watch = append(watch, l.node.Out[0])
	}
	for _, a := range watched {
		if a.v.Def != nil {
			watch = append(watch, a.v)
		}
	}
	m.Weights += m.largest
	s := &session{ctx: ctx, set: set, o: o}
	if err := m.footprint(s, p, watch); err != nil {
		return m, err
	}
	m.Total = m.Weights + max(m.Histograms+m.Statistics, m.Kept) + m.Program + m.Prefetch
	return m, nil
}

// round counts the integers of a layer, which stay, and its floats, which only one layer has at a time.
func (m *Memory) round(l *layer) {
	n := int64(l.rows) * int64(l.k)
	m.Weights += n
	m.largest = max(m.largest, 8*n) // the weights and what the integers stand for
}

// onlyWeights is the plan of the modes without calibration. Both hold the integers of all and
// the floats of one.
func (m Memory) onlyWeights(f *graph.Graph, o Options) (Memory, error) {
	if o.Mode == modeDynamic {
		layers, err := layersOf(place(f, o))
		if err != nil {
			return m, err
		}
		m.Layers = len(layers)
		for _, l := range layers {
			m.round(l)
		}
		m.Weights += m.largest
	} else {
		var largest int64
		for _, s := range storedOf(f, o, nil) {
			s.narrow(o)
			size := s.weight.Const.Len()
			m.Layers += len(s.uses)
			m.Weights += int64(s.dtype.Bytes(size))
			largest = max(largest, int64(size)*12) // float32 and int64
		}
		m.Weights += largest
	}
	if m.Layers == 0 {
		return m, errNothing
	}
	m.Total = m.Weights
	return m, nil
}

// statisticBytes is the size of what calibrate keeps for each layer.
func statisticBytes(layers []*layer) int64 {
	var total int64
	budget, block := int64(gramBudget), blockOf(layers)
	for _, l := range layers {
		total += int64(l.rows) * 8
		if n := gramBytes(l, gramSide); n > 0 && n <= budget {
			budget -= n
			total += n + int64(l.k)*gramRows*4
		} else if l.order != nil && l.leader == nil {
			total += spreadBytes(l, block)
		}
	}
	return total
}

func (h *histogram) bytes() int64 { return int64(len(h.pos)+len(h.neg)) * 8 }

// footprint compiles the float graph as a pass does and runs the first batch.
func (m *Memory) footprint(s *session, of *placement, watch []*graph.Value) error {
	p, err := engine.Compile(s.ctx, of.g, engine.Options{Threads: s.o.Threads, CPU: s.o.CPU, Watch: watch})
	if err != nil {
		return err
	}
	defer p.Close()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	batch := s.batch(of.g)
	var ints, prefetch int64
	see := func(v *graph.Value, t *tensor.Tensor) {
		if of.values[v] != nil {
			ints += int64(t.Len())
		}
	}
	for b, err := range s.set.Stream(ctx, batch, 1) {
		if err != nil {
			return err
		}
		if err := p.Run(ctx, &engine.Call{In: b.In, Observe: see}); err != nil {
			return err
		}
		for _, t := range b.In {
			prefetch += int64(t.Bytes())
		}
		break
	}
	if !s.o.NoBiasCorrection {
		m.Kept = min(ints*int64(s.set.Len()/batch), resumeBudget)
	}
	workers := s.o.Threads
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	held := p.Memory()
	m.Program, m.Prefetch = int64(held.Packed)+int64(held.Arena), prefetch*int64(workers+1)
	return nil
}
