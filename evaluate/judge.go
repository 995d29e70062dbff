package evaluate

import (
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/graph"
)

// match pairs the outputs of the two models: by name or, if no name is shared and there are as many, in order.
func (e *evaluation) match() error {
	if e.o.Output != "" && indexOf(e.model.outputs, e.o.Output) < 0 {
		return fmt.Errorf("the model has no output %q: it has %q", e.o.Output, names(e.model.outputs))
	}
	if e.ref == nil {
		for i := range e.model.outputs {
			e.pairs = append(e.pairs, pair{model: i, ref: -1})
		}
		return nil
	}
	for i, v := range e.model.outputs {
		if j := indexOf(e.ref.outputs, v.Name); j >= 0 {
			e.pairs = append(e.pairs, pair{model: i, ref: j})
		}
	}
	if len(e.pairs) == 0 && len(e.model.outputs) == len(e.ref.outputs) {
		for i := range e.model.outputs {
			e.pairs = append(e.pairs, pair{model: i, ref: i})
		}
		e.warn("the outputs are named differently (%q, %q): compared in order", names(e.model.outputs), names(e.ref.outputs))
	}
	if len(e.pairs) == 0 {
		return fmt.Errorf("the models share no output: the model has %q, the reference %q", names(e.model.outputs), names(e.ref.outputs))
	}
	for _, v := range e.model.outputs {
		if !slices.ContainsFunc(e.pairs, func(p pair) bool { return e.model.outputs[p.model] == v }) {
			e.warn("output %q is not in the reference and was left out", v.Name)
		}
	}
	return nil
}

func indexOf(vs []*graph.Value, name string) int {
	return slices.IndexFunc(vs, func(v *graph.Value) bool { return v.Name == name })
}

func names(vs []*graph.Value) []string {
	out := make([]string, len(vs))
	for i, v := range vs {
		out[i] = v.Name
	}
	return out
}

func (e *evaluation) warn(format string, args ...any) {
	e.res.Warnings = append(e.res.Warnings, fmt.Sprintf(format, args...))
}

// start looks at the first answers: what can be compared, which output is judged and how it answers.
func (e *evaluation) start(cols, ref []column) error {
	for i := range e.pairs {
		p := &e.pairs[i]
		p.shape = cols[p.model].shape
		if p.skip = e.uncomparable(p, cols, ref); p.skip != "" {
			e.warn("output %q is not compared: %s", e.model.outputs[p.model].Name, p.skip)
		}
	}
	if err := e.choose(cols); err != nil {
		return err
	}
	p := e.pairs[e.judged]
	e.res.Output = e.model.outputs[p.model].Name
	e.model.setHead(cols[p.model], p.model)
	if e.ref != nil {
		e.ref.setHead(ref[p.ref], p.ref)
	}
	if !e.o.Set.Labelled() {
		e.warn("the data has no labels: accuracy is unknown")
		return nil
	}
	if e.model.tally.head == dense {
		return fmt.Errorf("output %q has shape %v for a sample: labels need one score for each class; name another output", e.res.Output, cols[p.model].shape)
	}
	return nil
}

// uncomparable says why two outputs cannot be compared number by number, "" if they can.
func (e *evaluation) uncomparable(p *pair, cols, ref []column) string {
	m := cols[p.model]
	if m.rows == nil {
		return m.dtype.String() + " is not numeric"
	}
	if p.ref < 0 {
		return ""
	}
	switch r := ref[p.ref]; {
	case r.rows == nil:
		return "the reference's is " + r.dtype.String()
	case len(m.rows[0]) != len(r.rows[0]):
		return fmt.Sprintf("the model gives %d values a sample, the reference %d", len(m.rows[0]), len(r.rows[0]))
	case m.dtype != r.dtype && !(m.dtype.IsFloat() && r.dtype.IsFloat()):
		return fmt.Sprintf("the model gives %s, the reference %s", m.dtype, r.dtype)
	}
	return ""
}

// choose picks the output that is judged: with labels the first that gives scores, else the first that names the class.
func (e *evaluation) choose(cols []column) error {
	numeric, named := -1, -1
	for i, p := range e.pairs {
		c := cols[p.model]
		name := e.model.outputs[p.model].Name
		if c.rows == nil || e.o.Output != "" && name != e.o.Output {
			continue
		}
		if numeric < 0 {
			numeric = i
		}
		h := headOf(c.dtype, c.shape, madeBy(e.model.outputs[p.model]))
		if e.o.Set.Labelled() && e.o.Output == "" {
			fits, err := scoresFit(e.model.outputs[p.model], e.o.Set.Classes())
			if err != nil {
				return err
			}
			if h == decision || h == scores && !fits {
				if named < 0 {
					named = i
				}
				continue
			}
		}
		if !e.o.Set.Labelled() || h != dense || e.o.Output != "" {
			e.judged = i
			return nil
		}
	}
	if named >= 0 {
		numeric = named
	}
	if numeric < 0 {
		return fmt.Errorf("no output of the model can be judged (outputs %q, asked for %q)", names(e.model.outputs), e.o.Output)
	}
	e.judged = numeric
	return nil
}

func (s *side) setHead(c column, at int) {
	op := madeBy(s.outputs[at])
	s.tally.op, s.tally.head = op, headOf(c.dtype, c.shape, op)
	s.tally.integer = c.dtype.IsInt()
	if len(c.rows) > 0 {
		s.classes = s.tally.head.classes(c.rows[0])
	}
}

// compare adds the numeric errors of sample k.
func (e *evaluation) compare(cols, ref []column, k int, name string) error {
	for i := range e.pairs {
		p := &e.pairs[i]
		if p.ref < 0 || p.skip != "" {
			continue
		}
		m, r := cols[p.model].rows[k], ref[p.ref].rows[k]
		if len(m) != len(r) {
			return fmt.Errorf("%s: output %q: the model gives %d values, the reference %d", name, e.model.outputs[p.model].Name, len(m), len(r))
		}
		addRow(&p.comparison, r, m)
		if i == e.judged {
			e.addErrors(r, m)
		}
	}
	return nil
}

func (e *evaluation) addErrors(ref, model []float64) {
	if e.res.Histogram == nil {
		e.res.Histogram = &Histogram{}
	}
	for i := range ref {
		e.res.Histogram.add(finite(model[i]) - finite(ref[i]))
	}
}

// score judges the answers to sample k of a batch.
func (e *evaluation) score(cols, ref []column, k int, b data.Batch) error {
	p := e.pairs[e.judged]
	if e.model.tally.head == dense {
		return nil
	}
	label := b.Labels[k]
	if err := e.checkLabel(e.model, label, b.Names[k]); err != nil {
		return err
	}
	a, right := e.model.tally.add(cols[p.model].rows[k], label)
	if e.ref == nil || ref[p.ref].rows == nil || e.ref.tally.head == dense {
		return nil
	}
	if err := e.checkLabel(e.ref, label, b.Names[k]); err != nil {
		return err
	}
	ra, rright := e.ref.tally.add(ref[p.ref].rows[k], label)
	e.same += equal(a, ra)
	e.classes.add(change{label: label, ref: ra, model: a, refRight: rright, modelRight: right, sample: b.Names[k]})
	return nil
}

// checkLabel refuses a label that the output has no class for.
func (e *evaluation) checkLabel(s *side, label int, sample string) error {
	if s.classes == 0 || label < s.classes {
		return nil
	}
	hint := ""
	if label == s.classes && e.o.LabelOffset == 0 {
		hint = "; if labels begin at 1, use --label-offset -1"
	} else if e.o.LabelOffset > 0 {
		hint = fmt.Sprintf("; without --label-offset it would be %d", label-e.o.LabelOffset)
	}
	return fmt.Errorf("%s: label %d is out of range: the %s's output %q has %d classes, 0 to %d%s",
		sample, label, s.what, e.res.Output, s.classes, s.classes-1, hint)
}

// finish turns the sums into the result.
func (e *evaluation) finish() {
	r := e.res
	r.Model = Scores{Path: e.model.Path, Bytes: e.model.Bytes}
	e.model.tally.fill(&r.Model, e.model.classes)
	e.suggestOffset()
	if e.ref == nil {
		return
	}
	r.Reference = &Scores{Path: e.ref.Path, Bytes: e.ref.Bytes}
	e.ref.tally.fill(r.Reference, e.ref.classes)
	if e.ref.Bytes > 0 && e.model.Bytes > 0 {
		c := float64(e.model.Bytes) / float64(e.ref.Bytes)
		r.Compression = &c
	}
	if e.classes.n > 0 {
		a := 100 * float64(e.same) / float64(r.Samples)
		r.Agreement = &a
	}
	e.finishErrors()
	e.classes.fill(r)
	if e.model.tally.n > 0 && e.ref.tally.n > 0 {
		b, c := e.classes.onlyReference, e.classes.onlyModel
		r.judge(Pairs{float64(b), float64(c), float64(e.classes.n)}, e.o)
	}
}

func (e *evaluation) finishErrors() {
	r := e.res
	for i := range e.pairs {
		p := &e.pairs[i]
		if p.skip != "" || p.rows == 0 {
			continue
		}
		v := e.model.outputs[p.model]
		out := OutputError{
			Name: v.Name, DType: v.DType.String(), Shape: p.shape, SQNR: p.sqnr(), Cosine: p.meanCosine(),
			MaxAbsError: p.worst, MeanAbsError: p.meanAbs(), Min: p.min, Max: p.max,
		}
		r.Outputs = append(r.Outputs, out)
		if i == e.judged {
			r.SQNR, r.Cosine, r.MaxAbsError, r.MeanAbsError = &out.SQNR, &out.Cosine, &out.MaxAbsError, &out.MeanAbsError
		}
	}
}

// suggestOffset warns if the labels seem to be one too low for the model's classes.
func (e *evaluation) suggestOffset() {
	t, k := &e.model.tally, e.model.classes
	if e.o.LabelOffset != 0 || t.n == 0 || t.head != scores {
		return
	}
	known := len(e.o.Set.Classes())
	if known == 0 {
		for i := range e.o.Set.Len() {
			known = max(known, e.o.Set.Label(i)+1)
		}
	}
	better := t.shifted > 2*t.right && t.shifted-t.right > 5
	if k == known+1 && t.shifted >= t.right || better {
		n := float64(t.n)
		e.warn("output %q has %d classes and the data %d: if the model's first class is a background class, use --label-offset 1 (top-1 would be %.1f %% instead of %.1f %%)",
			e.res.Output, k, known, 100*float64(t.shifted)/n, 100*float64(t.right)/n)
	}
}
