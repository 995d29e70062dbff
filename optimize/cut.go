package optimize

import "math"

// cut is a network whose minimum cut separates node 0, the source, from node 1, the sink (Ford and Fulkerson; augmented
// along shortest paths as Edmonds and Karp do).
type cut struct {
	out  [][]int // arcs by node
	arcs []arc   // arc i and arc i^1 are each other's reverse
}

type arc struct {
	to   int
	left int64
}

const (
	cutSource, cutSink = 0, 1
	always             = math.MaxInt64 / 4 // the capacity of what is never cut
)

func newCut() *cut { return &cut{out: make([][]int, 2)} }

// node adds one.
func (c *cut) node() int {
	c.out = append(c.out, nil)
	return len(c.out) - 1
}

// link makes it cost capacity to have `from` on the source's side and `to` on the sink's.
func (c *cut) link(from, to int, capacity int64) {
	c.out[from] = append(c.out[from], len(c.arcs))
	c.out[to] = append(c.out[to], len(c.arcs)+1)
	c.arcs = append(c.arcs, arc{to, capacity}, arc{from, 0})
}

// minimum gives the cost of the smallest cut and which nodes are on the source's side of the one that has fewest there.
func (c *cut) minimum() (cost int64, sourceSide []bool) {
	for {
		by, reached := c.search()
		if !reached[cutSink] {
			return cost, reached
		}
		least := int64(always)
		for v := cutSink; v != cutSource; v = c.arcs[by[v]^1].to {
			least = min(least, c.arcs[by[v]].left)
		}
		for v := cutSink; v != cutSource; v = c.arcs[by[v]^1].to {
			c.arcs[by[v]].left -= least
			c.arcs[by[v]^1].left += least
		}
		cost += least
	}
}

// search walks from the source along arcs that have capacity left; by is the arc that each node was reached by.
func (c *cut) search() (by []int, reached []bool) {
	by, reached = make([]int, len(c.out)), make([]bool, len(c.out))
	reached[cutSource] = true
	for queue := []int{cutSource}; len(queue) > 0 && !reached[cutSink]; queue = queue[1:] {
		for _, i := range c.out[queue[0]] {
			if a := c.arcs[i]; a.left > 0 && !reached[a.to] {
				reached[a.to], by[a.to] = true, i
				queue = append(queue, a.to)
			}
		}
	}
	return by, reached
}
