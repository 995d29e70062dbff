package quantize

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// bookSide is the longest row of weights that share values with regard to the data.
const bookSide = 1024

// bookRounds is how often weights choose their values and the values are solved for.
const bookRounds = 4

// observed is a layer and the moments of what its rows are multiplied with.
type observed struct {
	*layer
	*gram
}

// observe runs the samples and gives the moments of the weights that one convolution or product reads, as far as they are
// small enough.
func (o CodebookOptions) observe(ctx context.Context, g *graph.Graph) (map[*graph.Value]observed, error) {
	out := map[*graph.Value]observed{}
	if o.Data == nil {
		return out, nil
	}
	uses := g.Uses()
	seers := map[*graph.Value][]*gram{}
	var watch []*graph.Value
	budget := int64(gramBudget)
	for _, n := range g.Nodes {
		v := weightOf(n)
		if v == nil || len(uses[v]) != 1 || !o.fits(n) {
			continue
		}
		l, err := newLayer(n)
		if err != nil {
			return nil, graph.NodeError(n, err)
		}
		size := gramBytes(l, bookSide)
		if size == 0 || size > budget {
			continue
		}
		budget -= size
		h := newGram(l)
		out[v] = observed{l, h}
		if seers[n.In[0]] == nil {
			watch = append(watch, n.In[0])
		}
		seers[n.In[0]] = append(seers[n.In[0]], h)
	}
	s := &session{ctx: ctx, set: o.Data, o: Options{Threads: o.Threads, Progress: o.Progress}}
	return out, s.pass("calibrate", g, watch, 0, func(_ int, v *graph.Value, t *tensor.Tensor) error {
		var errs []error
		for _, h := range seers[v] {
			errs = append(errs, h.add(t))
		}
		return errors.Join(errs...)
	})
}

// fits reports whether the rows of a node's weight are multiplied with vectors that a gram can take.
func (o CodebookOptions) fits(n *graph.Node) bool {
	if o.excluded(n) || n.In[0].IsConst() {
		return false
	}
	switch op := n.Op.(type) {
	case ops.Gemm:
		return !op.TransA
	case ops.Conv:
		return true
	case ops.MatMul:
		return n.In[1].Rank() == 2
	}
	return false
}

// sharing chooses the values that a layer's weights share, and which weight takes which, such that the error of the
// layer's output, δᵀHδ with H = E[x xᵀ], is small. Weights that are zero stay so.
type sharing struct {
	k, run int // weights in a row, rows in a group
	w      []float32
	h, u   [][]float64 // of each group: H, and the upper triangular U with UᵀU = H⁻¹
	values []float32   // zero, then ascending
	index  []uint8     // [rows][k]
}

// fit goes on from the values that k-means found.
func (c *coded) fit(o observed) error {
	if len(c.values) < 2 {
		return nil
	}
	for _, x := range o.xx {
		if x-x != 0 {
			return fmt.Errorf("the squares of its inputs add up to %v on the data", x)
		}
	}
	o.load()
	defer o.drop()
	s := &sharing{k: o.layer.k, run: o.layer.rows / o.groups, w: o.w, values: c.values, index: toRows(o.layer, c.index)}
	for group := range o.groups {
		h := o.moment(group)
		u := inverseFactor(h, s.k)
		if u == nil {
			return nil
		}
		s.h, s.u = append(s.h, h), append(s.u, u)
	}
	for range bookRounds {
		s.assign()
		s.solve()
	}
	c.values, c.index = s.values, fromRows(o.layer, s.index)
	return nil
}

// assign lets the weights choose: column by column, the error of each passed on to those that follow, and from what they
// have, single weights as long as one helps; the better of the two stays.
func (s *sharing) assign() {
	rows := len(s.index) / s.k
	workers := min(runtime.GOMAXPROCS(0), rows)
	var all sync.WaitGroup
	for at := range workers {
		all.Go(func() {
			e, trial := make([]float64, s.k), make([]uint8, s.k)
			for r := at; r < rows; r += workers {
				have := s.index[r*s.k : (r+1)*s.k]
				before := s.descend(r, have, e)
				s.passOn(r, trial, e)
				if s.descend(r, trial, e) < before {
					copy(have, trial)
				}
			}
		})
	}
	all.Wait()
}

// choose is the index of the value nearest to x, zero left out.
func (s *sharing) choose(x float64) uint8 { return uint8(1 + nearest(s.values[1:], float32(x))) }

// passOn is GPTQ (Frantar et al., arXiv 2210.17323) with shared values for a grid; e is scratch.
func (s *sharing) passOn(r int, q []uint8, e []float64) {
	k, w, u := s.k, s.w[r*s.k:(r+1)*s.k], s.u[r/s.run]
	for i, x := range w {
		e[i] = float64(x)
	}
	for i := range k {
		if q[i] = 0; w[i] != 0 {
			q[i] = s.choose(e[i])
		}
		d := (e[i] - float64(s.values[q[i]])) / u[i*k+i]
		for j := i + 1; j < k; j++ {
			e[j] -= float64(d * u[i*k+j])
		}
	}
}

// descend changes single weights while that lowers the row's error, which it returns; e is scratch.
func (s *sharing) descend(r int, q []uint8, e []float64) float64 {
	k, w, h := s.k, s.w[r*s.k:(r+1)*s.k], s.h[r/s.run]
	clear(e) // H δ
	change := func(i int, d float64) {
		for j, x := range h[i*k : (i+1)*k] {
			e[j] += float64(d * x)
		}
	}
	for i, x := range w {
		if d := float64(x) - float64(s.values[q[i]]); d != 0 {
			change(i, d)
		}
	}
	for range 8 {
		moved := false
		for i, x := range w {
			if x == 0 {
				continue
			}
			now := float64(s.values[q[i]])
			if best := s.choose(now + e[i]/h[i*k+i]); best != q[i] {
				q[i], moved = best, true
				change(i, now-float64(s.values[best]))
			}
		}
		if !moved {
			break
		}
	}
	var total float64
	for i, x := range w {
		total += float64((float64(x) - float64(s.values[q[i]])) * e[i])
	}
	return total
}

// solve finds the values for the weights that chose them by least squares. Those that nobody chose stay.
func (s *sharing) solve() {
	m := len(s.values) - 1
	a, b := make([]float64, m*m), make([]float64, m)
	for r := range len(s.index) / s.k {
		s.equations(r, a, b)
	}
	trace := 0.0
	for i := range m {
		trace += a[i*m+i]
	}
	hold := 1e-6*trace/float64(m) + 1e-30
	for i := range m {
		a[i*m+i] += hold
		b[i] += float64(hold * float64(s.values[1+i]))
	}
	u := inverseFactor(a, m)
	if u == nil {
		return
	}
	found := make([]float64, m) // Uᵀ·(U·b)
	for i := range m {
		t := 0.0
		for j := i; j < m; j++ {
			t += float64(u[i*m+j] * b[j])
		}
		for j := i; j < m; j++ {
			found[j] += float64(t * u[i*m+j])
		}
	}
	s.sort(found)
}

// equations adds one row's part of the normal equations.
func (s *sharing) equations(r int, a, b []float64) {
	k, m, h := s.k, len(s.values)-1, s.h[r/s.run]
	w, q := s.w[r*k:(r+1)*k], s.index[r*k:(r+1)*k]
	var live []int
	for i, x := range w {
		if x != 0 {
			live = append(live, i)
		}
	}
	for _, i := range live {
		at := int(q[i]) - 1
		for _, j := range live {
			x := h[i*k+j]
			a[at*m+int(q[j])-1] += x
			b[at] += float64(x * float64(w[j]))
		}
	}
}

// sort takes new values, ascending, and renames the indices.
func (s *sharing) sort(found []float64) {
	order := make([]int, len(found))
	for i, x := range found {
		if order[i] = i; float32(x) == 0 || !(math.Abs(x) <= math.MaxFloat32) {
			return
		}
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(found[i], found[j]) })
	values, to := []float32{0}, make([]uint8, len(found)+1)
	for _, i := range order {
		to[1+i] = uint8(len(values))
		values = append(values, float32(found[i]))
	}
	s.values = values
	for i, q := range s.index {
		s.index[i] = to[q]
	}
}
