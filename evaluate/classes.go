package evaluate

import (
	"cmp"
	"slices"
	"strconv"
)

// maxChanges is how many kinds of changed answers a result lists.
const maxChanges = 100

// classes follows which answers change from the reference to the model.
type classes struct {
	names                    []string
	offset                   int
	n                        int
	onlyReference, onlyModel int
	byClass                  map[int]*ClassChange
	changes                  map[[3]int]*AnswerChange
}

func newClasses(names []string, offset int) *classes {
	return &classes{names: names, offset: offset, byClass: map[int]*ClassChange{}, changes: map[[3]int]*AnswerChange{}}
}

// change is what both models said of one sample; label is -1 if it has none.
type change struct {
	label, ref, model    int
	refRight, modelRight bool
	sample               string
}

func (c *classes) add(s change) {
	c.n++
	if s.ref != s.model {
		key := [3]int{s.label, s.ref, s.model}
		if c.changes[key] == nil {
			c.changes[key] = &AnswerChange{Label: s.label, Reference: s.ref, Model: s.model, Sample: s.sample}
		}
		c.changes[key].Count++
	}
	if s.label < 0 {
		return
	}
	k := c.byClass[s.label]
	if k == nil {
		k = &ClassChange{Class: s.label, Name: c.name(s.label)}
		c.byClass[s.label] = k
	}
	k.Samples++
	if s.refRight {
		k.ReferenceRight++
	}
	if s.modelRight {
		k.ModelRight++
	}
	switch {
	case s.refRight && !s.modelRight:
		c.onlyReference++
		k.Lost++
	case s.modelRight && !s.refRight:
		c.onlyModel++
		k.Gained++
	}
}

// name is the class's name in the data, "" if it has none.
func (c *classes) name(label int) string {
	if i := label - c.offset; i >= 0 && i < len(c.names) {
		return c.names[i]
	}
	return ""
}

// fill lists the classes with changes, the worst loss first, and the most frequent changes of an answer.
func (c *classes) fill(r *Result) {
	for _, k := range c.byClass {
		if k.Lost+k.Gained > 0 {
			r.Classes = append(r.Classes, *k)
		}
	}
	slices.SortFunc(r.Classes, func(a, b ClassChange) int {
		return cmp.Or(cmp.Compare(b.Lost-b.Gained, a.Lost-a.Gained), cmp.Compare(b.Lost, a.Lost), cmp.Compare(a.Class, b.Class))
	})
	for _, k := range c.changes {
		k.names = [3]string{c.title(k.Label), c.title(k.Reference), c.title(k.Model)}
		r.Changes = append(r.Changes, *k)
	}
	slices.SortFunc(r.Changes, func(a, b AnswerChange) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Label, b.Label), cmp.Compare(a.Reference, b.Reference), cmp.Compare(a.Model, b.Model))
	})
	r.Changes = r.Changes[:min(len(r.Changes), maxChanges)]
}

// title is how a report calls a class.
func (c *classes) title(label int) string {
	if name := c.name(label); name != "" {
		return name
	}
	if label < 0 {
		return ""
	}
	return strconv.Itoa(label)
}
