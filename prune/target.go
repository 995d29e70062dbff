package prune

import (
	"context"
	"errors"
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// maxSparsity is where the search for a target ends.
const maxSparsity = 0.99

func (t *Target) check(p pattern, sparsity float64) error {
	switch {
	case t.Cost == nil || !(t.Limit > 0):
		return fmt.Errorf("target of %g %s: want a cost and a positive limit", t.Limit, t.Name)
	case sparsity != 0:
		return fmt.Errorf("sparsity %g and a target of %g %s: want one of them", sparsity, t.Limit, t.Name)
	case p.of != 0:
		return fmt.Errorf("target of %g %s: the sparsity of the pattern %v is fixed", t.Limit, t.Name, p)
	}
	return nil
}

// Bisect finds the least x in [lo, hi] that is enough, up to the tolerance: enough must not become false again as x
// grows. It asks for hi first and gives ErrNotEnough if that is not; the x that it gives was asked for.
func Bisect(lo, hi, tolerance float64, enough func(x float64) (bool, error)) (float64, error) {
	ok, err := enough(hi)
	if err != nil {
		return 0, err
	}
	if !ok {
		return 0, ErrNotEnough
	}
	if ok, err = enough(lo); err != nil || ok {
		return lo, err
	}
	for hi-lo > tolerance {
		mid := lo + (hi-lo)/2
		if mid <= lo || mid >= hi {
			break
		}
		if ok, err = enough(mid); err != nil {
			return 0, err
		}
		if ok {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi, nil
}

// ErrNotEnough says that even the upper end of a bisection is not enough.
var ErrNotEnough = errors.New("even the upper end is not enough")

// search finds the least sparsity at which the graph costs no more than the target.
func (p *Plan) search(ctx context.Context, f *graph.Graph, s *scored) (float64, error) {
	t := p.o.Target
	tolerance := t.Tolerance
	if tolerance == 0 {
		tolerance = 0.0005
	}
	var last float64
	asked := 0
	best, err := Bisect(0, maxSparsity, tolerance, func(sparsity float64) (bool, error) {
		c, err := p.cut(s, sparsity)
		if err != nil {
			return false, err
		}
		g, err := c.masks().Apply(f)
		if err != nil {
			return false, err
		}
		last, err = t.Cost(ctx, g)
		asked++
		p.o.progress("search sparsity", asked, 0)
		return last <= t.Limit, err
	})
	if errors.Is(err, ErrNotEnough) {
		return 0, fmt.Errorf("target of %g %s: with %g %% zeros it is still %g", t.Limit, t.Name, 100*maxSparsity, last)
	}
	return best, err
}

// Bytes estimates the size of g's constants in an ONNX file, each tensor once: sparse where that is smaller, with 8 bytes
// of index for each element that is not zero. It is a Cost.
func Bytes(_ context.Context, g *graph.Graph) (float64, error) {
	seen := map[*tensor.Tensor]bool{}
	total := 0
	g.Walk(func(n *graph.Node) {
		for _, v := range n.In {
			if v.IsConst() && !seen[v.Const] {
				seen[v.Const] = true
				total += stored(v.Const)
			}
		}
	})
	return float64(total), nil
}

func stored(t *tensor.Tensor) int {
	width := t.Bits() / 8
	if width == 0 || t.Bits()%8 != 0 {
		return t.Bytes()
	}
	return min(t.Bytes(), (t.Len()-zeros(t))*(width+8))
}

// zeros counts the elements all of whose bits are zero.
func zeros(t *tensor.Tensor) int {
	width := t.Bits() / 8
	n := 0
	for at := 0; at+width <= len(t.Data); at += width {
		zero := true
		for _, b := range t.Data[at : at+width] {
			zero = zero && b == 0
		}
		if zero {
			n++
		}
	}
	return n
}

// FLOPs counts the work of one sample, two for a multiply-add, without multiply-adds by weights that are zero. It gives a Cost. What
// sizes leave open of the inputs' shapes is as in graph.OneSample; the Cost fails if another size is unknown.
func FLOPs(sizes map[string]int) func(context.Context, *graph.Graph) (float64, error) {
	return func(_ context.Context, g *graph.Graph) (float64, error) { return flops(g, sizes) }
}

func flops(g *graph.Graph, sizes map[string]int) (float64, error) {
	g, _, _, err := g.OneSample(sizes)
	if err != nil {
		return 0, err
	}
	var total float64
	g.Walk(func(n *graph.Node) {
		f, known, nerr := NodeFLOPs(n)
		if nerr == nil && !known {
			nerr = graph.NodeError(n, errors.New("its work is unknown: sizes are not fixed"))
		}
		total += f
		err = errors.Join(err, nerr)
	})
	return total, err
}

// NodeFLOPs counts one node as FLOPs has it; known is false if a shape is not fixed.
func NodeFLOPs(n *graph.Node) (flops float64, known bool, err error) {
	c, known, err := graph.NodeCost(n)
	return 2*float64(c.MACs)*density(n) + float64(c.Ops), known, err
}

// density is the share of a node's constant weights that are not zero, 1 without any.
func density(n *graph.Node) float64 {
	elements, gone := 0, 0
	for _, i := range weighs(n) {
		if i < len(n.In) && n.In[i].IsConst() {
			elements += n.In[i].Const.Len()
			gone += zeros(n.In[i].Const)
		}
	}
	if elements == 0 {
		return 1
	}
	return 1 - float64(gone)/float64(elements)
}
