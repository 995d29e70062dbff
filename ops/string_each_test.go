package ops

import (
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
)

func init() {
	s := text("Straße A1", "\t ÄÖ x\n", "")
	register(StringChange{To: "lower"}, opCase{in: tensors(s), out: tensors(text("straße a1", "\t ÄÖ x\n", ""))})
	register(StringChange{To: "upper"}, opCase{name: "upper", in: tensors(s), out: tensors(text("STRAßE A1", "\t ÄÖ X\n", ""))})
	register(StringChange{To: "lower", Unicode: true}, opCase{name: "unicode", in: tensors(s), out: tensors(text("straße a1", "\t äö x\n", ""))})
	register(StringChange{To: "lower", Unicode: true}, opCase{name: "final sigma", in: tensors(text("ΑΣ ΣΑ")), out: tensors(text("ας σα"))})
	register(StringChange{To: "upper", Unicode: true}, opCase{name: "upper unicode", in: tensors(text("äßx")), out: tensors(text("ÄSSX"))})
	register(StringChange{To: "strip"}, opCase{name: "strip", in: tensors(s.Reshape(1, 3)), out: tensors(text("Straße A1", "ÄÖ x", "").Reshape(1, 3))})
	register(StringReplace{Pattern: `(\w)(\d)?`, Rewrite: `<\1\2\\\0>`, Global: true}, opCase{
		in: tensors(text("a1 b", "-")), out: tensors(text(`<a1\a1> <b\b>`, "-")),
	})
	register(StringReplace{Pattern: `a*`, Rewrite: "x"}, opCase{name: "first", in: tensors(text("baa")), out: tensors(text("xbaa"))})
	register(StringReplace{Pattern: `[!"#$]`, Global: true}, opCase{name: "nothing", in: tensors(text(`a!b"`)), out: tensors(text("ab"))})
	// What tf.strings.to_hash_bucket_fast of TensorFlow 2.21 gives.
	register(StringHash{Buckets: 3}, opCase{in: tensors(text("Hello", "TensorFlow", "2.x")), out: tensors(vec[int64](0, 2, 2))})
	register(StringHash{Buckets: 1 << 62}, opCase{
		name: "lengths", in: tensors(text(hashed...)), out: tensors(vec(hashes...)),
	})
	register(StringLength{}, opCase{in: tensors(s), out: tensors(vec[int64](10, 9, 0))})
	register(StringLength{Unicode: true}, opCase{name: "unicode", in: tensors(s), out: tensors(vec[int64](9, 7, 0))})
}

func TestStringReplaceRefuses(t *testing.T) {
	for _, o := range []StringReplace{{Pattern: "("}, {Pattern: "a", Rewrite: `\1`}, {Pattern: "a", Rewrite: `\`}, {Pattern: "a", Rewrite: `\n`}} {
		if _, err := o.Infer([]graph.Fact{graph.FactOf(text("a"))}, 1); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

// hashed are strings of the lengths that FarmHash tells apart, hashes what TensorFlow 2.21 gives for 1<<62 buckets.
var (
	hashed = []string{
		"", "a", "abcdefg", strings.Repeat("x", 8), "hello world", strings.Repeat("y", 17), strings.Repeat("z", 33),
		strings.Repeat("0123456789", 7), strings.Repeat("0123456789", 20),
	}
	hashes = []int64{
		1936946117179621455, 3694432073954588131, 4341691227789030229, 416454844068956798, 1769834696496558107, 426471879119003573,
		1983000239170337647, 650192320029534232, 439712990348739477,
	}
)
