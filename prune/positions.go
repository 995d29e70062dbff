package prune

import (
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
)

// place is one axis of a value; its positions are numbered from base on.
type place struct {
	value *graph.Value
	axis  int
	base  int32
	size  int
}

// positions is union-find over every position of every axis of a graph's values: what is in one class must be cut
// together or not at all.
type positions struct {
	g       *graph.Graph
	places  []place
	at      map[*graph.Value][]int32 // number of the place for each axis, -1 where the size is not fixed
	parent  []int32
	why     []int32 // of a class, at its root: 0, or 1 + the index of the reason why it must stay
	reasons []string
}

// maxPositions bounds what is followed.
const maxPositions = 1 << 28

func newPositions(g *graph.Graph) (*positions, error) {
	p := &positions{g: g, at: map[*graph.Value][]int32{}}
	n := 0
	for _, v := range g.Values() {
		if v.Unranked {
			continue
		}
		list := make([]int32, len(v.Shape))
		for a, d := range v.Shape {
			size, ok := d.Value()
			if list[a] = -1; !ok {
				continue
			}
			list[a] = int32(len(p.places))
			p.places = append(p.places, place{v, a, int32(n), size})
			if n += size; n > maxPositions {
				return nil, fmt.Errorf("the graph has more than %d positions along its axes", maxPositions)
			}
		}
		p.at[v] = list
	}
	p.parent, p.why = make([]int32, n), make([]int32, n)
	for i := range p.parent {
		p.parent[i] = int32(i)
	}
	return p, nil
}

// place gives the axis of a value, nil if it has none of fixed size.
func (p *positions) place(v *graph.Value, axis int) *place {
	if v == nil || axis < 0 || axis >= len(p.at[v]) || p.at[v][axis] < 0 {
		return nil
	}
	return &p.places[p.at[v][axis]]
}

// owner gives the place of a position.
func (p *positions) owner(id int32) int {
	i, found := slices.BinarySearchFunc(p.places, id, func(q place, id int32) int { return int(q.base) - int(id) })
	for found && p.places[i].size == 0 { // an empty axis has the base of the next
		i++
	}
	if !found {
		i--
	}
	return i
}

func (p *positions) find(i int32) int32 {
	for p.parent[i] != i {
		p.parent[i] = p.parent[p.parent[i]]
		i = p.parent[i]
	}
	return i
}

// unite makes one class of two; the first reason to stay that either had is kept.
func (p *positions) unite(i, j int32) {
	i, j = p.find(i), p.find(j)
	if i == j {
		return
	}
	if i > j {
		i, j = j, i
	}
	p.parent[j] = i
	if p.why[i] == 0 || p.why[j] != 0 && p.why[j] < p.why[i] {
		p.why[i] = p.why[j]
	}
}

// reason numbers a text.
func (p *positions) reason(format string, args ...any) int32 {
	text := fmt.Sprintf(format, args...)
	if n := len(p.reasons); n == 0 || p.reasons[n-1] != text {
		p.reasons = append(p.reasons, text)
	}
	return int32(len(p.reasons))
}

// hold makes the class of a position stay.
func (p *positions) hold(i, why int32) {
	if r := p.find(i); p.why[r] == 0 {
		p.why[r] = why
	}
}

// holdAll makes every position of a value stay.
func (p *positions) holdAll(v *graph.Value, format string, args ...any) {
	if v == nil {
		return
	}
	why := p.reason(format, args...)
	for a := range v.Shape {
		if q := p.place(v, a); q != nil {
			p.holdPlace(q, why)
		}
	}
}

func (p *positions) holdPlace(q *place, why int32) {
	for i := range q.size {
		p.hold(q.base+int32(i), why)
	}
}

// stays gives the reason why a class must stay, "" if it need not.
func (p *positions) stays(i int32) string {
	if w := p.why[p.find(i)]; w > 0 {
		return p.reasons[w-1]
	}
	return ""
}

// allStay reports whether every position of a place must stay.
func (p *positions) allStay(q *place) bool {
	for i := range q.size {
		if p.why[p.find(q.base+int32(i))] == 0 {
			return false
		}
	}
	return true
}
