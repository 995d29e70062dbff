package ops

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 12, Einsum{}) }

// Einsum sums products over the labels of Equation that the result does not have ("bij,bjk->bik"). "..." stands for
// dimensions that broadcast; without "->" the result has the labels that occur once, in alphabetical order.
type Einsum struct {
	Equation string `attr:"equation" required:"true"`
}

// Labels inside a term: letters, and dots[i] for the i-th dimension of an ellipsis counted from its end.
const dots = rune(1 << 20)

// terms parses the equation for operands of these ranks; -1 ranks are allowed where there is no ellipsis.
func (o Einsum) terms(ranks []int) (in [][]rune, out []rune, err error) {
	left, right, explicit := strings.Cut(strings.ReplaceAll(o.Equation, " ", ""), "->")
	parts := strings.Split(left, ",")
	if len(parts) != len(ranks) {
		return nil, nil, fmt.Errorf("equation %q for %d inputs", o.Equation, len(ranks))
	}
	count, most := map[rune]int{}, 0
	for i, p := range parts {
		n := 0
		if strings.Contains(p, "...") {
			if n = ranks[i] - (len(p) - 3); ranks[i] < 0 || n < 0 {
				return nil, nil, fmt.Errorf("term %q for rank %d", p, ranks[i])
			}
			most = max(most, n)
		}
		labels, err := term(p, n)
		if err != nil {
			return nil, nil, err
		}
		if ranks[i] >= 0 && len(labels) != ranks[i] {
			return nil, nil, fmt.Errorf("term %q for rank %d", p, ranks[i])
		}
		for _, l := range labels {
			count[l]++
		}
		in = append(in, labels)
	}
	if explicit {
		if out, err = term(right, most); err != nil {
			return nil, nil, err
		}
	} else {
		out, _ = term("...", most)
		var once []rune
		for l, n := range count {
			if n == 1 && l < dots {
				once = append(once, l)
			}
		}
		slices.Sort(once)
		out = append(out, once...)
	}
	seen := map[rune]bool{}
	for _, l := range out {
		if seen[l] || l < dots && count[l] == 0 {
			return nil, nil, fmt.Errorf("the result of %q", o.Equation)
		}
		seen[l] = true
	}
	return in, out, nil
}

// term reads one term whose ellipsis stands for n dimensions.
func term(s string, n int) ([]rune, error) {
	var labels []rune
	before, after, ellipsis := strings.Cut(s, "...")
	for _, l := range before {
		labels = append(labels, l)
	}
	if ellipsis {
		for i := n - 1; i >= 0; i-- {
			labels = append(labels, dots+rune(i))
		}
	}
	for _, l := range after {
		labels = append(labels, l)
	}
	for _, l := range before + after {
		if (l < 'a' || l > 'z') && (l < 'A' || l > 'Z') {
			return nil, fmt.Errorf("label %q in %q", l, s)
		}
	}
	return labels, nil
}

// Infer finds the size of each label.
func (o Einsum) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if len(in) == 0 {
		return nil, errors.New("want at least 1 input")
	}
	if err := want(in, len(in), -1); err != nil {
		return nil, err
	}
	ranks := make([]int, len(in))
	for i, f := range in {
		if ranks[i] = f.Rank(); ranks[i] < 0 {
			return []graph.Type{graph.AnyRank(in[0].DType)}, nil
		}
	}
	terms, out, err := o.terms(ranks)
	if err != nil {
		return nil, err
	}
	size := map[rune]graph.Dim{}
	for i, t := range terms {
		for d, l := range t {
			e, ok := size[l]
			if !ok {
				size[l] = in[i].Shape[d]
				continue
			}
			both, err := broadcastDims([]graph.Dim{e}, in[i].Shape[d:d+1])
			if err != nil {
				return nil, fmt.Errorf("label %d of input %d: %w", d, i, err)
			}
			size[l] = both[0]
		}
	}
	shape := make([]graph.Dim, len(out))
	for i, l := range out {
		if shape[i] = graph.Fixed(1); l < dots || size[l].Known() {
			shape[i] = size[l]
		}
	}
	return []graph.Type{graph.Of(in[0].DType, shape...)}, nil
}

// Cost counts one multiply-add for each combination of labels in each step.
func (o Einsum) Cost(in, _ []graph.Type) graph.Cost {
	ranks := make([]int, len(in))
	for i, t := range in {
		ranks[i] = t.Rank()
	}
	terms, _, err := o.terms(ranks)
	if err != nil {
		return graph.Cost{}
	}
	size := map[rune]int64{}
	for i, t := range terms {
		for d, l := range t {
			n, _ := in[i].Shape[d].Value()
			size[l] = max(size[l], int64(n))
		}
	}
	macs := int64(1)
	for _, n := range size {
		macs *= n
	}
	return graph.Cost{MACs: macs}
}

// Run contracts the operands one by one from the left: floats in float64, rounded once, integers exactly.
func (o Einsum) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	shape, err := shapeOf(o, in)
	if err != nil {
		return err
	}
	if err := checkSize(tensor.Float64, shape); err != nil {
		return err
	}
	ranks := make([]int, len(in))
	for i, t := range in {
		if ranks[i] = len(t.Shape); t.DType != in[0].DType {
			return fmt.Errorf("input %d is %s, input 0 %s", i, t.DType, in[0].DType)
		}
	}
	terms, result, err := o.terms(ranks)
	if err != nil {
		return err
	}
	if in[0].IsInt() {
		v, err := contract(terms, result, in, tensor.Ints)
		if err != nil {
			return err
		}
		return tensor.SetInts(x.Make(out[0], in[0].DType, shape...), v)
	}
	if !in[0].IsFloat() {
		return fmt.Errorf("no sums of %s", in[0].DType)
	}
	v, err := contract(terms, result, in, tensor.Float64s)
	if err != nil {
		return err
	}
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, shape...), v)
}

// Links ties the axes that bear the same label. One that is summed over in a single operand stays.
func (o Einsum) Links(in, out []graph.Fact) []graph.Link {
	ranks := make([]int, len(in))
	for i, f := range in {
		if ranks[i] = f.Rank(); ranks[i] < 0 {
			return nil
		}
	}
	terms, result, err := o.terms(ranks)
	if err != nil || out[0].Rank() != len(result) {
		return nil
	}
	size, ends, order := map[rune]graph.Dim{}, map[rune][]graph.End{}, []rune(nil)
	see := func(l rune, d graph.Dim, e graph.End) {
		old, seen := size[l]
		if !seen {
			order = append(order, l)
		}
		switch {
		case !seen || old.Is(1) && d != old: // what broadcasts has no channels of its own
			size[l], ends[l] = d, []graph.End{e}
		case d == old:
			ends[l] = append(ends[l], e)
		}
	}
	for i, labels := range terms {
		for a, l := range labels {
			see(l, in[i].Shape[a], given(i, a))
		}
	}
	for a, l := range result {
		see(l, out[0].Shape[a], made(0, a))
	}
	var links []graph.Link
	for _, l := range order {
		link := tie(size[l], ends[l]...)
		if len(link) == 1 && len(ends[l]) == 1 && !slices.Contains(result, l) {
			link[0].MustStay = "it reduces them to one number"
		}
		links = append(links, link...)
	}
	return links
}

// labelled is an operand with its labels.
type labelled[T any] struct {
	v      []T
	labels []rune
	shape  []int
}

func contract[T int64 | float64](terms [][]rune, result []rune, in []*tensor.Tensor, values func(*tensor.Tensor) []T) ([]T, error) {
	acc := labelled[T]{[]T{1}, nil, nil}
	for i, t := range in {
		keep := result
		if i+1 < len(in) {
			keep = stillNeeded(acc.labels, terms[i:], result)
		}
		var err error
		if acc, err = multiplyLabelled(acc, labelled[T]{values(t), terms[i], t.Shape}, keep); err != nil {
			return nil, err
		}
	}
	return acc.v, nil
}

// stillNeeded lists the labels that exist after the first term and occur later.
func stillNeeded(acc []rune, terms [][]rune, result []rune) []rune {
	var keep []rune
	for _, l := range append(append([]rune{}, acc...), terms[0]...) {
		later := slices.Contains(result, l)
		for _, t := range terms[1:] {
			later = later || slices.Contains(t, l)
		}
		if later && !slices.Contains(keep, l) {
			keep = append(keep, l)
		}
	}
	return keep
}

// multiplyLabelled sums the products of two operands over the labels that are not kept. A label of size 1 in one of
// them is repeated.
func multiplyLabelled[T int64 | float64](a, b labelled[T], keep []rune) (labelled[T], error) {
	size := map[rune]int{}
	var order []rune
	for _, t := range []labelled[T]{{labels: keep}, a, b} {
		for i, l := range t.labels {
			n := 1
			if t.shape != nil {
				n = t.shape[i]
			}
			if e, ok := size[l]; !ok {
				order, size[l] = append(order, l), n
			} else if e == 1 {
				size[l] = n
			}
		}
	}
	shape := make([]int, len(order))
	for i, l := range order {
		shape[i] = size[l]
	}
	if _, err := tensor.CheckedSize(shape); err != nil {
		return a, err
	}
	out := labelled[T]{labels: keep, shape: shape[:len(keep)]}
	if err := checkSize(tensor.Float64, out.shape); err != nil {
		return a, err
	}
	out.v = make([]T, tensor.Size(out.shape))
	inner := tensor.Size(shape[len(keep):])
	walk(shape, a.steps(order), b.steps(order), func(i, p, q int) { out.v[i/inner] += a.v[p] * b.v[q] })
	return out, nil
}

// steps gives the element step of each label, summed where it repeats (a diagonal).
func (t labelled[T]) steps(order []rune) []int {
	out, step := make([]int, len(order)), dense(t.shape).step
	for i, l := range t.labels {
		if t.shape[i] != 1 {
			out[slices.Index(order, l)] += step[i]
		}
	}
	return out
}
