package graph

import (
	"slices"
	"testing"

	"github.com/tfsopt/tfsopt/tensor"
)

func TestBatchAxes(t *testing.T) {
	f := tensor.Float32
	n := Named("n")
	for name, c := range map[string]struct {
		in   []Type
		want []int
	}{
		"symbol":               {[]Type{Of(f, n, Fixed(3)), Of(f, Fixed(2), n, Fixed(8)), Of(tensor.Int64)}, []int{0, 1, -1}},
		"symbol comes later":   {[]Type{Of(f, Fixed(7), n), Of(f, n)}, []int{1, 0}},
		"numbers agree":        {[]Type{Of(f, Fixed(1), Fixed(4)), Of(f, Fixed(1), Fixed(9))}, []int{0, 0}},
		"numbers disagree":     {[]Type{Of(f, Fixed(1), Fixed(16)), Of(f, Fixed(2), Fixed(1), Fixed(8))}, []int{-1, -1}},
		"a side input":         {[]Type{Of(f, n, Fixed(4)), Of(f, Fixed(3), Fixed(4))}, []int{0, -1}},
		"nothing known":        {[]Type{Of(f, Dim{}, Fixed(4)), AnyRank(f)}, []int{0, 0}},
		"a product of names":   {[]Type{Of(f, n.Mul(Fixed(2)), Fixed(4))}, []int{0}},
		"no inputs whatsoever": {nil, []int{}},
	} {
		g := &Graph{}
		for _, ty := range c.in {
			g.Inputs = append(g.Inputs, NewInput("x", ty))
		}
		if got := g.BatchAxes(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
