package graph

import (
	"maps"
	"strings"
)

// Sizes of open dimensions that stand for a sample: of images, and of all else.
const openImage, openOther = 224, 32

// OneSample is a copy of g for one sample, with a map from g's values to its own. sizes are those of named dimensions; what
// they leave open is 1 where samples lie, 224 in inputs of four dimensions and 32 in others; chosen lists the inputs if there
// were such sizes, as x[1,32]. Where the graph does not take them, only samples are 1; an error says that it does not take that either.
func (g *Graph) OneSample(sizes map[string]int) (c *Graph, values map[*Value]*Value, chosen string, err error) {
	all, batch := g.oneSample(sizes, true), g.oneSample(sizes, false)
	if c, values = g.CloneMap(); c.bindOpen(all) == nil {
		if !maps.Equal(all.names, batch.names) || len(all.nameless) > len(batch.nameless) {
			chosen = shapes(c.Inputs)
		}
		return c, values, chosen, nil
	}
	c, values = g.CloneMap()
	return c, values, "", c.bindOpen(batch)
}

// shapes lists values as x[1,32].
func shapes(list []*Value) string {
	var out []string
	for _, v := range list {
		out = append(out, v.Name+strings.TrimPrefix(v.Type.String(), v.DType.String()))
	}
	return strings.Join(out, ", ")
}

// openSizes are sizes by name and, where there is none, by input and axis.
type openSizes struct {
	names    map[string]int
	nameless map[[2]int]int
}

func (g *Graph) oneSample(sizes map[string]int, all bool) openSizes {
	o := openSizes{maps.Clone(sizes), map[[2]int]int{}}
	if o.names == nil {
		o.names = map[string]int{}
	}
	axes := g.BatchAxes()
	for _, samples := range []bool{true, false} { // a name that is both is that of samples
		for i, v := range g.Inputs {
			for k, d := range v.Shape {
				if (k == axes[i]) != samples || !samples && !all {
					continue
				}
				n := openOther
				if samples {
					n = 1
				} else if len(v.Shape) == 4 {
					n = openImage
				}
				if !d.Known() {
					o.nameless[[2]int{i, k}] = n
				}
				for _, name := range d.Names() {
					if _, given := o.names[name]; !given {
						o.names[name] = n
					}
				}
			}
		}
	}
	return o
}

func (g *Graph) bindOpen(o openSizes) error {
	for at, n := range o.nameless {
		g.Inputs[at[0]].Shape[at[1]] = Fixed(n)
	}
	return g.Bind(o.names)
}
