package savedmodel

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/internal/tensorflow"
)

// tensorList is a list of tensors of one shape, held as one tensor with a first axis more.
type tensorList struct{ v *graph.Value }

// recurrence recognizes loops that are an LSTM or a GRU.
func (c *call) recurrence(cond, step *tensorflow.FunctionCall) ([]value, bool, error) {
	return nil, false, nil
}
