package graph

import (
	"github.com/tfsopt/tfsopt/tensor"
)

// Opaque is an operator that its format knows and we do not. It survives a round trip through that format.
type Opaque struct {
	Format, Domain, Type string
	Attrs                []Attr
	Overload             string
	Raw                  []byte // what the format keeps that is no attribute, as it stands in the file
	Out                  []Type // as the file declares them, if it does
}

// Infer gives the declared types.
func (o Opaque) Infer(_ []Fact, outs int) ([]Type, error) {
	t := make([]Type, outs)
	for i := range t {
		t[i] = AnyRank(tensor.Undefined)
		if i < len(o.Out) {
			t[i] = o.Out[i]
		}
	}
	return t, nil
}
