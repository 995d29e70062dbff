package quantize

import (
	"errors"

	"github.com/tfsopt/tfsopt/graph"
)

func weightOnly(f *graph.Graph, o Options) (*Result, error) { return nil, errors.New("weight-only") }
func dynamic(f *graph.Graph, o Options) (*Result, error)    { return nil, errors.New("dynamic") }
