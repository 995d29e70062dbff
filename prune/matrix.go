package prune

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// matrix is a constant weight seen as a matrix with a row for each output channel. Row r and column i meet at element
// row[r]+col[i] of the tensor. Columns run over the input channels of one kernel tap, then of the next, so that
// neighbouring columns are neighbouring input channels.
type matrix struct {
	value    *graph.Value
	node     *graph.Node // the first that reads it
	nodes    []*graph.Node
	input    int // of the nodes: where they read it
	shape    []int
	row, col []int
	run      int // neighbouring rows that share their inputs: the rows of a group
	channels int // neighbouring columns that belong to one tap
	axis     int
}

func (m *matrix) rows() int { return len(m.row) }
func (m *matrix) k() int    { return len(m.col) }
func (m *matrix) len() int  { return len(m.row) * len(m.col) }

// label names the layer for people: the node, with the input where a node has several weights.
func (m *matrix) label() string {
	if isRecurrent(m.node.Op) {
		return m.node.Name + []string{"", ".W", ".R"}[m.input]
	}
	return m.node.Name
}

func isRecurrent(op graph.Op) bool {
	switch op.(type) {
	case ops.LSTM, ops.GRU, ops.RNN:
		return true
	}
	return false
}

// weighs lists the inputs of a node that are weights which may be cut.
func weighs(n *graph.Node) []int {
	if isRecurrent(n.Op) {
		return []int{1, 2}
	}
	q, ok := n.Op.(graph.Quantizable)
	if !ok || q.Quant().Weight == 0 {
		return nil
	}
	return []int{q.Quant().Weight}
}

// matrices lists the float weights of g that can be cut, in the order of the nodes, and says which cannot be because
// something else reads them too. Weights of bodies are left alone.
func matrices(g *graph.Graph) ([]*matrix, []string) {
	var out []*matrix
	var warnings []string
	of := map[*graph.Value]*matrix{}
	reads := map[*graph.Value]int{}
	for _, n := range g.Nodes {
		for _, v := range n.In {
			if v.IsConst() {
				reads[v]++
			}
		}
		for _, i := range weighs(n) {
			if i >= len(n.In) || !n.In[i].IsConst() || !isFloat(n.In[i].Const) {
				continue
			}
			m, err := newMatrix(n, i)
			switch first := of[n.In[i]]; {
			case err != nil:
				warnings = append(warnings, fmt.Sprintf("%s: %v; it stays as it is", n.Name, err))
			case first == nil:
				of[m.value] = m
				out = append(out, m)
			case first.same(m):
				first.nodes = append(first.nodes, n)
			}
		}
	}
	return slices.DeleteFunc(out, func(m *matrix) bool {
		if len(m.nodes) == reads[m.value] && !g.IsOutput(m.value) {
			return false
		}
		warnings = append(warnings, fmt.Sprintf("%s: its weight %q is also read otherwise; it stays as it is", m.node.Name, m.value.Name))
		return true
	}), warnings
}

func isFloat(t *tensor.Tensor) bool {
	switch t.DType {
	case tensor.Float32, tensor.Float16, tensor.BFloat16, tensor.Float64:
		return t.Len() > 0
	}
	return false
}

// same reports whether two nodes read one weight in the same way.
func (m *matrix) same(o *matrix) bool {
	return m.input == o.input && m.node.OpName() == o.node.OpName() && m.run == o.run && m.channels == o.channels &&
		slices.Equal(m.row, o.row) && slices.Equal(m.col, o.col)
}

func newMatrix(n *graph.Node, input int) (*matrix, error) {
	v := n.In[input]
	m := &matrix{value: v, node: n, nodes: []*graph.Node{n}, input: input, shape: v.Const.Shape}
	s := m.shape
	switch op := n.Op.(type) {
	case ops.Conv:
		if len(s) < 3 || op.Group < 1 || s[0]%op.Group != 0 {
			return nil, fmt.Errorf("weight %v does not divide into %d groups", s, op.Group)
		}
		taps := tensor.Size(s[2:])
		m.row, m.col = steps(s[0], s[1]*taps), grid(taps, 1, s[1], taps)
		m.run, m.channels = s[0]/op.Group, s[1]
	case ops.ConvTranspose:
		if len(s) < 3 || op.Group < 1 || s[0]%op.Group != 0 {
			return nil, fmt.Errorf("weight %v does not divide into %d groups", s, op.Group)
		}
		taps, in := tensor.Size(s[2:]), s[0]/op.Group
		m.row, m.col = grid(op.Group, in*s[1]*taps, s[1], taps), grid(taps, 1, in, s[1]*taps)
		m.run, m.channels, m.axis = s[1], in, 1
	case ops.LSTM, ops.GRU, ops.RNN: // [directions, gates·hidden, inputs]
		if len(s) != 3 {
			return nil, fmt.Errorf("weight of rank %d", len(s))
		}
		m.row, m.col = steps(s[0]*s[1], s[2]), steps(s[2], 1)
		m.run, m.channels, m.axis = s[1], s[2], 1
	default:
		return m, m.product()
	}
	return m, nil
}

// product lays out the weight of a product, whose output channels lie along an axis of a matrix.
func (m *matrix) product() error {
	s := m.shape
	if len(s) < 2 {
		return errors.New("its weight is a vector")
	}
	if _, batches := m.node.Op.(ops.MatMul); len(s) != 2 && !batches {
		return fmt.Errorf("weight of rank %d", len(s))
	}
	batch, k, n := tensor.Size(s[:len(s)-2]), s[len(s)-2], s[len(s)-1]
	if m.node.Op.(graph.Quantizable).Quant().Axis == 0 {
		m.row, m.col = steps(k, n), steps(n, 1)
		m.run, m.channels = k, n
		return nil
	}
	m.row, m.col = grid(batch, k*n, n, 1), steps(k, n)
	m.run, m.channels, m.axis = n, k, len(s)-1
	return nil
}

// steps is 0, step, 2·step, …
func steps(n, step int) []int { return grid(1, 0, n, step) }

// grid is a·sa + b·sb for each a below na and, faster, b below nb.
func grid(na, sa, nb, sb int) []int {
	out := make([]int, 0, na*nb)
	for a := range na {
		for b := range nb {
			out = append(out, a*sa+b*sb)
		}
	}
	return out
}

// gather copies elements as [rows][k].
func (m *matrix) gather(w []float32) []float64 {
	out := make([]float64, 0, m.len())
	for _, r := range m.row {
		for _, c := range m.col {
			out = append(out, float64(w[r+c]))
		}
	}
	return out
}
