package ops

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("", 20, StringConcat{}, StringSplit{}, RegexFullMatch{})
	graph.Register("", 10, StringNormalizer{})
}

// wantStrings checks that the given inputs are strings.
func wantStrings(in []graph.Fact, n int) error {
	if err := want(in, n, n); err != nil {
		return err
	}
	for i, f := range in {
		if f.DType != tensor.String {
			return fmt.Errorf("input %d: want strings, got %s", i, f.DType)
		}
	}
	return nil
}

// StringConcat joins two strings element by element, with broadcasting.
type StringConcat struct{}

// Infer broadcasts.
func (StringConcat) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := wantStrings(in, 2); err != nil {
		return nil, err
	}
	return only(broadcastType(tensor.String, in...))
}

// Run joins.
func (o StringConcat) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	shape, err := shapeOf(o, in)
	if err != nil {
		return err
	}
	if err := checkSize(tensor.String, shape); err != nil {
		return err
	}
	t := x.Make(out[0], tensor.String, shape...)
	zip(t.Strings, in[0].Strings, in[1].Strings, zipShape{shape, in[0].Shape, in[1].Shape}, func(a, b string) string { return a + b })
	return nil
}

// StringSplit cuts each string at Delimiter (default: runs of white space, those at the start ignored), at most
// MaxSplit times. Outputs: the pieces along a new last axis, short rows filled with "", and the number of pieces.
type StringSplit struct {
	Delimiter string `attr:"delimiter"`
	MaxSplit  *int   `attr:"maxsplit"`
}

// Infer leaves the number of pieces open.
func (StringSplit) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := wantStrings(in, 1); err != nil {
		return nil, err
	}
	pieces, count := in[0].Type, in[0].Type
	count.DType = tensor.Int64
	if !pieces.Unranked {
		pieces = graph.Of(tensor.String, inserted(pieces.Shape, len(pieces.Shape), graph.Dim{})...)
	}
	return []graph.Type{pieces, count}, nil
}

// Run splits.
func (o StringSplit) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	rows, counts, most := make([][]string, in[0].Len()), make([]int64, in[0].Len()), 0
	for i, s := range in[0].Strings {
		rows[i] = o.split(s)
		counts[i], most = int64(len(rows[i])), max(most, len(rows[i]))
	}
	if out[0] != nil {
		shape := inserted(in[0].Shape, len(in[0].Shape), most)
		if err := checkSize(tensor.String, shape); err != nil {
			return err
		}
		t := x.Make(out[0], tensor.String, shape...)
		for i, row := range rows {
			copy(t.Strings[i*most:], row)
		}
	}
	if len(out) > 1 && out[1] != nil {
		return tensor.SetInts(x.Make(out[1], tensor.Int64, in[0].Shape...), counts)
	}
	return nil
}

func (o StringSplit) split(s string) []string {
	most := -1
	if o.MaxSplit != nil && *o.MaxSplit >= 0 {
		most = *o.MaxSplit + 1
	}
	if o.Delimiter != "" {
		if s == "" {
			return nil
		}
		return strings.SplitN(s, o.Delimiter, most)
	}
	const space = " \t\n\v\f\r\u0085\u00a0"
	var pieces []string
	for s = strings.TrimLeft(s, space); s != ""; s = strings.TrimLeft(s, space) {
		i := strings.IndexAny(s, space)
		if i < 0 || len(pieces)+1 == most {
			return append(pieces, s)
		}
		pieces, s = append(pieces, s[:i]), s[i:]
	}
	return pieces
}

// RegexFullMatch tells which strings match Pattern (RE2 syntax) as a whole.
type RegexFullMatch struct {
	Pattern string `attr:"pattern"`
}

// Infer gives booleans.
func (RegexFullMatch) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := wantStrings(in, 1); err != nil {
		return nil, err
	}
	t := in[0].Type
	t.DType = tensor.Bool
	return []graph.Type{t}, nil
}

// Run matches.
func (o RegexFullMatch) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	re, err := regexp.Compile(`\A(?:` + o.Pattern + `)\z`)
	if err != nil {
		return err
	}
	match := tensor.View[bool](x.Make(out[0], tensor.Bool, in[0].Shape...))
	for i, s := range in[0].Strings {
		match[i] = re.MatchString(s)
	}
	return nil
}

// StringNormalizer drops StopWords from a vector of strings, or from a matrix of one row, and then changes case:
// CaseChange is LOWER, UPPER or NONE. If nothing is left the result is one empty string. Case is that of Unicode,
// whatever the Locale.
type StringNormalizer struct {
	CaseChange string   `attr:"case_change_action" default:"NONE"`
	Sensitive  bool     `attr:"is_case_sensitive"`
	Locale     string   `attr:"locale"`
	StopWords  []string `attr:"stopwords"`
}

// Infer leaves the number open when there are stop words.
func (o StringNormalizer) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := wantStrings(in, 1); err != nil {
		return nil, err
	}
	t := in[0].Type
	if t.Unranked {
		return []graph.Type{t}, nil
	}
	switch r := len(t.Shape); {
	case r == 1:
		t = graph.Of(tensor.String, graph.Dim{})
	case r == 2:
		if n, ok := t.Shape[0].Value(); ok && n != 1 {
			return nil, fmt.Errorf("want one row, got %d", n)
		}
		t = graph.Of(tensor.String, graph.Fixed(1), graph.Dim{})
	default:
		return nil, fmt.Errorf("want rank 1 or 2, got %d", r)
	}
	return []graph.Type{t}, nil
}

// Run filters.
func (o StringNormalizer) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	if _, err := o.Infer([]graph.Fact{graph.FactOf(in[0])}, 1); err != nil {
		return err
	}
	change := map[string]func(string) string{
		"NONE": func(s string) string { return s }, "": func(s string) string { return s },
		"LOWER": strings.ToLower, "UPPER": strings.ToUpper,
	}[o.CaseChange]
	if change == nil {
		return errors.New("unknown case_change_action " + o.CaseChange)
	}
	fold := strings.ToLower
	if o.Sensitive {
		fold = func(s string) string { return s }
	}
	stop := map[string]bool{}
	for _, w := range o.StopWords {
		stop[fold(w)] = true
	}
	var kept []string
	for _, s := range in[0].Strings {
		if !stop[fold(s)] {
			kept = append(kept, change(s))
		}
	}
	if len(kept) == 0 {
		kept = []string{""}
	}
	shape := append([]int{}, in[0].Shape...)
	shape[len(shape)-1] = len(kept)
	copy(x.Make(out[0], tensor.String, shape...).Strings, kept)
	return nil
}
