package ops

import "github.com/tfsopt/tfsopt/tensor"

func text(s ...string) *tensor.Tensor { return tensor.FromStrings(s, len(s)) }

func init() {
	register(StringConcat{}, opCase{
		in:  tensors(text("a", "ü").Reshape(2, 1), text("x", "")),
		out: tensors(text("ax", "a", "üx", "ü").Reshape(2, 2)),
	})
	register(StringSplit{MaxSplit: ptr(1)}, opCase{
		in:  tensors(text(" a  b c ", "", "d")),
		out: tensors(text("a", "b c ", "", "", "d", "").Reshape(3, 2), vec[int64](2, 0, 1)),
	})
	register(StringSplit{Delimiter: "--"}, opCase{
		name: "delimiter", in: tensors(text("a----b", "c")),
		out: tensors(text("a", "", "b", "c", "", "").Reshape(2, 3), vec[int64](3, 1)),
	})
	register(RegexFullMatch{Pattern: "a|ab"}, opCase{in: tensors(text("ab", "abc", "b")), out: tensors(vec(true, false, false))})
	register(StringNormalizer{CaseChange: "UPPER", StopWords: []string{"Monday"}}, opCase{in: tensors(text("monday", "tuesday")), out: tensors(text("TUESDAY"))})
	register(StringNormalizer{CaseChange: "NONE", Sensitive: true, StopWords: []string{"a"}}, opCase{
		name: "nothing left",
		in:   tensors(text("a", "a").Reshape(1, 2)), out: tensors(text("").Reshape(1, 1)),
	})
	grams := TfIdfVectorizer{
		Mode: "TFIDF", MinGram: 1, MaxGram: 2, MaxSkip: 1, Counts: []int{0, 2}, Indexes: []int{2, 0, 1},
		Ints: []int{7, 8, 7, 9}, Weights: []float32{1, 10, 100},
	}
	register(grams, opCase{in: tensors(vec[int64](7, 8, 9, 9)), out: tensors(vec[float32](1, 10, 100))})
	words := TfIdfVectorizer{Mode: "IDF", MinGram: 2, MaxGram: 2, Counts: []int{0, 0}, Indexes: []int{0}, Strings: []string{"a", "b"}}
	register(words, opCase{name: "strings", in: tensors(text("a", "b", "ab", "").Reshape(2, 2)), out: tensors(shaped([]int{2, 1}, float32(1), 0))})
}
