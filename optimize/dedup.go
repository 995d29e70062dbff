package optimize

import (
	"context"
	"fmt"
	"hash/maphash"
	"reflect"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// Dedup keeps one of several equal constants, and one of several nodes that compute the same.
type Dedup struct{}

// Name is "dedup".
func (Dedup) Name() string { return "dedup" }

// Apply counts the constants and nodes that it dropped.
func (Dedup) Apply(_ context.Context, g *graph.Graph) (int, error) {
	e := edit(g)
	e.dedupConsts()
	seen := map[string][]*graph.Node{}
	for _, n := range g.Nodes {
		if !pure(n) || len(n.Out) == 0 {
			continue
		}
		key := fmt.Sprint(n.OpName(), len(n.Out))
		for _, v := range n.In {
			key += fmt.Sprintf(" %p", v)
		}
		i := slices.IndexFunc(seen[key], func(m *graph.Node) bool { return reflect.DeepEqual(m.Op, n.Op) && e.covers(m, n) })
		if i < 0 {
			seen[key] = append(seen[key], n)
			continue
		}
		for j, v := range n.Out {
			if v != nil {
				e.redirect(v, seen[key][i].Out[j])
			}
		}
	}
	return e.finish()
}

// covers reports whether m gives everything that n gives.
func (e *editor) covers(m, n *graph.Node) bool {
	for i, v := range n.Out {
		if v != nil && (m.Out[i] == nil || e.index.Leaves[v] && e.index.Leaves[m.Out[i]]) {
			return false
		}
	}
	return true
}

// dedupConsts lets every reader of a constant read the first one that is equal to it.
func (e *editor) dedupConsts() {
	first := map[uint64][]*graph.Value{}
	seen := map[*graph.Value]bool{}
	for _, n := range e.g.Nodes {
		if _, ok := n.Op.(graph.Opaque); ok {
			for _, v := range n.In {
				seen[v] = true
			}
		}
	}
	for _, n := range e.g.Nodes {
		for _, v := range n.In {
			if v == nil || !v.IsConst() || seen[v] || e.index.Leaves[v] {
				continue
			}
			seen[v] = true
			key := constKey(v.Const)
			i := slices.IndexFunc(first[key], func(u *graph.Value) bool { return u.Const.Equal(v.Const) })
			if i < 0 {
				first[key] = append(first[key], v)
				continue
			}
			e.redirect(v, first[key][i])
		}
	}
}

// seed makes keys that differ from run to run; only whether they are equal counts.
var seed = maphash.MakeSeed()

// constKey is the same for equal tensors. Of large ones it reads a few pieces: weights that differ do so there, and those
// that do not are compared in full.
func constKey(t *tensor.Tensor) uint64 {
	const piece, pieces = 64, 4
	var h maphash.Hash
	h.SetSeed(seed)
	maphash.WriteComparable(&h, t.DType)
	for _, n := range t.Shape {
		maphash.WriteComparable(&h, n)
	}
	if len(t.Data) <= 1024 {
		h.Write(t.Data) // never fails
		return h.Sum64()
	}
	for i := range pieces {
		at := (len(t.Data) - piece) / (pieces - 1) * i
		h.Write(t.Data[at : at+piece])
	}
	return h.Sum64()
}
