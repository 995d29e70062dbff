package graph

import (
	"context"

	"github.com/tfsopt/tfsopt/tensor"
)

// Exec is what a kernel may use besides its inputs.
type Exec struct {
	Ctx context.Context
	// Body runs an operator's subgraph on inputs (captures last).
	Body func(g *Graph, in []*tensor.Tensor) ([]*tensor.Tensor, error)
	// Threads bounds the parallelism that a kernel may use; 0 and 1 mean none.
	Threads int
	// Draws gives random operators their numbers; nil stands for the Draws of seed 0.
	Draws *Draws
	// Node is what runs.
	Node *Node
}

// Make gives t the type and shape, reusing its storage when that is large enough, and returns it. The elements are
// not cleared. A nil t yields a fresh tensor.
func (x *Exec) Make(t *tensor.Tensor, d tensor.DType, shape ...int) *tensor.Tensor {
	if t == nil {
		return tensor.New(d, shape...)
	}
	t.DType, t.Shape = d, append(t.Shape[:0:0], shape...)
	n := t.Len()
	if d == tensor.String {
		t.Strings, t.Data = make([]string, n), nil
		return t
	}
	size := d.Bytes(n)
	if cap(t.Data) < size || t.Data == nil {
		t.Data = tensor.Aligned(size)
	}
	t.Data = t.Data[:size]
	return t
}
