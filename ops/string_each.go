package ops

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/dgryski/go-farm"
	letters "golang.org/x/text/cases"
	"golang.org/x/text/language"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("tfsopt", 1, StringChange{}, StringReplace{}, StringHash{}, StringLength{})
}

// stringMap is an operator that looks at each string on its own.
type stringMap struct{ dtype tensor.DType }

func (m stringMap) infer(in []graph.Fact) ([]graph.Type, error) {
	if err := wantStrings(in, 1); err != nil {
		return nil, err
	}
	t := in[0].Type
	t.DType = m.dtype
	return []graph.Type{t}, nil
}

// changeEach writes f of each string.
func changeEach(x *graph.Exec, in, out []*tensor.Tensor, f func(string) string) {
	t := x.Make(out[0], tensor.String, in[0].Shape...)
	for i, s := range in[0].Strings {
		t.Strings[i] = f(s)
	}
}

// countEach writes f of each string.
func countEach(x *graph.Exec, in, out []*tensor.Tensor, f func(string) int64) {
	v := tensor.View[int64](x.Make(out[0], tensor.Int64, in[0].Shape...))
	for i, s := range in[0].Strings {
		v[i] = f(s)
	}
}

// StringChange changes each string: To is lower, upper or strip (white space at both ends, ASCII's). Case is that of ASCII, or with
// Unicode that of all letters (ß becomes SS).
type StringChange struct {
	To      string `attr:"to" required:"true"`
	Unicode bool   `attr:"unicode"`
}

// Infer keeps the shape.
func (o StringChange) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if o.change() == nil {
		return nil, fmt.Errorf("strings cannot become %q: want lower, upper or strip", o.To)
	}
	return stringMap{tensor.String}.infer(in)
}

func (o StringChange) change() func(string) string {
	ascii := func(from, to, by byte) func(string) string {
		return func(s string) string {
			b := []byte(s)
			for i, c := range b {
				if c >= from && c <= to {
					b[i] = c ^ by
				}
			}
			return string(b)
		}
	}
	switch {
	case o.To == "strip":
		return func(s string) string { return strings.Trim(s, asciiSpace) }
	case o.To == "lower" && o.Unicode:
		return letters.Lower(language.Und, letters.HandleFinalSigma(true)).String
	case o.To == "upper" && o.Unicode:
		return letters.Upper(language.Und).String
	case o.To == "lower":
		return ascii('A', 'Z', ' ')
	case o.To == "upper":
		return ascii('a', 'z', ' ')
	}
	return nil
}

// asciiSpace is what isspace of C's locale takes.
const asciiSpace = " \t\n\v\f\r"

// Run changes the strings.
func (o StringChange) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	f := o.change()
	if f == nil {
		return fmt.Errorf("strings cannot become %q", o.To)
	}
	changeEach(x, in, out, f)
	return nil
}

// StringReplace replaces what matches Pattern (RE2 syntax) in each string: all matches, or the first unless Global. In Rewrite \0 is the match,
// \1 to \9 are its groups, \\ is a backslash. It is TensorFlow's StaticRegexReplace.
type StringReplace struct {
	Pattern string `attr:"pattern" required:"true"`
	Rewrite string `attr:"rewrite"`
	Global  bool   `attr:"replace_global" default:"1"`
}

// Infer checks the pattern and keeps the shape.
func (o StringReplace) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if _, err := o.compile(); err != nil {
		return nil, err
	}
	return stringMap{tensor.String}.infer(in)
}

func (o StringReplace) compile() (*regexp.Regexp, error) {
	re, err := regexp.Compile(o.Pattern)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(o.Rewrite); i++ {
		if o.Rewrite[i] != '\\' {
			continue
		}
		if i++; i == len(o.Rewrite) {
			return nil, fmt.Errorf("rewrite %q ends in a single backslash", o.Rewrite)
		}
		switch c := o.Rewrite[i]; {
		case c == '\\':
		case c < '0' || c > '9':
			return nil, fmt.Errorf("rewrite %q: \\%c is neither a group nor a backslash", o.Rewrite, c)
		case int(c-'0') > re.NumSubexp():
			return nil, fmt.Errorf("rewrite %q: the pattern %q has %d groups", o.Rewrite, o.Pattern, re.NumSubexp())
		}
	}
	return re, nil
}

// Run replaces.
func (o StringReplace) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	re, err := o.compile()
	if err != nil {
		return err
	}
	most := 1
	if o.Global {
		most = -1
	}
	changeEach(x, in, out, func(s string) string {
		var b strings.Builder
		at := 0
		for _, m := range re.FindAllStringSubmatchIndex(s, most) {
			b.WriteString(s[at:m[0]])
			o.expand(&b, s, m)
			at = m[1]
		}
		b.WriteString(s[at:])
		return b.String()
	})
	return nil
}

// expand writes what stands for a match.
func (o StringReplace) expand(b *strings.Builder, s string, match []int) {
	for i := 0; i < len(o.Rewrite); i++ {
		c := o.Rewrite[i]
		if c != '\\' {
			b.WriteByte(c)
			continue
		}
		i++
		if c = o.Rewrite[i]; c == '\\' {
			b.WriteByte(c)
		} else if from := match[2*(c-'0')]; from >= 0 {
			b.WriteString(s[from:match[2*(c-'0')+1]])
		}
	}
}

// StringHash gives each string one of Buckets numbers: FarmHash's Fingerprint64 modulo Buckets, as TensorFlow's StringToHashBucketFast.
type StringHash struct {
	Buckets int `attr:"num_buckets" required:"true"`
}

// Infer keeps the shape.
func (o StringHash) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if o.Buckets < 1 {
		return nil, fmt.Errorf("%d buckets", o.Buckets)
	}
	return stringMap{tensor.Int64}.infer(in)
}

// Run hashes.
func (o StringHash) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	if o.Buckets < 1 {
		return fmt.Errorf("%d buckets", o.Buckets)
	}
	countEach(x, in, out, func(s string) int64 { return int64(farm.Fingerprint64([]byte(s)) % uint64(o.Buckets)) })
	return nil
}

// StringLength counts the bytes of each string, or with Unicode its characters in UTF-8.
type StringLength struct {
	Unicode bool `attr:"unicode"`
}

// Infer keeps the shape.
func (StringLength) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	return stringMap{tensor.Int64}.infer(in)
}

// Run counts.
func (o StringLength) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	countEach(x, in, out, func(s string) int64 {
		if o.Unicode {
			return int64(utf8.RuneCountInString(s))
		}
		return int64(len(s))
	})
	return nil
}
