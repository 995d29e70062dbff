package ops

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// hostileFact is what a broken or hostile file may say of an input.
func hostileFact(r *rand.Rand) graph.Fact {
	dims := []graph.Dim{{}, graph.Fixed(0), graph.Fixed(1), graph.Fixed(3), graph.Fixed(math.MaxInt), graph.Named("n"), graph.Named("m").Mul(graph.Fixed(4))}
	types := []tensor.DType{tensor.Undefined, tensor.Float32, tensor.Int64, tensor.Bool, tensor.String, tensor.Int4, tensor.Uint64}
	numbers := []int64{0, 1, -1, 2, 5, math.MaxInt64, math.MinInt64, 1 << 40}
	f := graph.Fact{Type: graph.Of(types[r.IntN(len(types))])}
	for range r.IntN(6) {
		f.Shape = append(f.Shape, dims[r.IntN(len(dims))])
	}
	switch r.IntN(8) {
	case 0:
		return graph.Fact{}
	case 1:
		f.Shape, f.Unranked = nil, true
	case 2:
		return graph.Fact{Type: graph.Type{DType: tensor.Sequence, Unranked: true}}
	case 3:
		return graph.Fact{Type: graph.OptionalOf(graph.SequenceOf(f.Type))}
	case 4:
		return graph.FactOf(tensor.Scalar(numbers[r.IntN(len(numbers))]))
	case 5, 6:
		v := make([]int64, r.IntN(5))
		for i := range v {
			v[i] = numbers[r.IntN(len(numbers))]
		}
		return graph.FactOf(tensor.From(v, len(v)))
	}
	return f
}

// TestInferSurvivesHostileFacts calls Infer and Ints of every operator that has a case.
func TestInferSurvivesHostileFacts(t *testing.T) {
	var names []string
	for name := range cases {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			for i := range 400 {
				c := cases[name][i%len(cases[name])]
				in := make([]graph.Fact, r.IntN(len(c.in)+2))
				for j := range in {
					if in[j] = hostileFact(r); j < len(c.in) && c.in[j] != nil && r.IntN(2) == 0 {
						in[j].DType = c.in[j].DType
					}
				}
				if err := inferSafely(c.op, in, r.IntN(4)); err != nil {
					t.Fatalf("%#v of %v: %v", c.op, in, err)
				}
			}
		})
	}
}

// inferSafely gives an error only for a panic.
func inferSafely(op graph.Op, in []graph.Fact, outs int) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	if _, err := op.Infer(in, outs); err != nil {
		return nil
	}
	if s, ok := op.(graph.Shaper); ok { // asked only when Infer succeeds
		s.Ints(in)
	}
	return nil
}
