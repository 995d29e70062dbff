package evaluate

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"
)

// WriteReport writes the result as "json", "md" (Markdown), "html" (one file that needs nothing else) or "xml" (JUnit,
// for CI systems). The kind may be a file name or an extension instead.
func WriteReport(w io.Writer, kind string, r *Result) error {
	if ext := filepath.Ext(kind); ext != "" {
		kind = ext[1:]
	}
	writers := map[string]func(io.Writer, *Result) error{
		"json": writeJSON, "md": writeMarkdown, "html": writeHTML, "htm": writeHTML, "xml": writeJUnit,
	}
	write := writers[strings.ToLower(kind)]
	if write == nil {
		return fmt.Errorf("report %q: want .json, .md, .html or .xml", kind)
	}
	return write(w, r)
}

func writeJSON(w io.Writer, r *Result) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Headline is the verdict in a sentence or two.
func (r *Result) Headline() string {
	if r.Sequential && r.Verdict != "" {
		return r.verdictSentence() + " The test is sequential: it may be looked at again with more samples."
	}
	return r.verdictSentence()
}

func (r *Result) verdictSentence() string {
	switch r.Verdict {
	case Pass:
		return fmt.Sprintf("The drop in top-1 accuracy is at most %s: with %s confidence it is below %s.",
			points(*r.MaxDrop), percent(100*r.Confidence), points(r.DropBounds[1]))
	case Fail:
		return fmt.Sprintf("The drop in top-1 accuracy exceeds %s: with %s confidence it is above %s.",
			points(*r.MaxDrop), percent(100*r.Confidence), points(r.DropBounds[0]))
	case Inconclusive:
		s := fmt.Sprintf("%s samples cannot tell with %s confidence whether the drop in top-1 accuracy is at most %s: its one-sided bounds are %s and %s.",
			count(r.Samples), percent(100*r.Confidence), points(*r.MaxDrop), fixed(r.DropBounds[0], 2), points(r.DropBounds[1]))
		if r.SamplesNeeded != nil {
			s += fmt.Sprintf(" About %s samples like these would decide.", count(roundUp(*r.SamplesNeeded)))
		}
		return s
	}
	switch {
	case r.Drop != nil:
		return fmt.Sprintf("Top-1 accuracy drops by %s (%s interval %s to %s). No limit was set, so there is no verdict.",
			points(*r.Drop), percent(100*r.Confidence), fixed(r.DropCI[0], 2), fixed(r.DropCI[1], 2))
	case r.Agreement != nil:
		return fmt.Sprintf("The models give the same answer on %s of %s samples. Without labels there is no accuracy and no verdict.",
			percent(*r.Agreement), count(r.Samples))
	case r.Model.Top1 != nil:
		return fmt.Sprintf("Top-1 accuracy is %s on %s. No reference was given.", percent(*r.Model.Top1), Plural(r.Samples, "sample"))
	}
	return fmt.Sprintf("Measured on %s.", Plural(r.Samples, "sample"))
}

// Row is one line of the comparison: a figure of the model, of the reference, and what lies between.
type Row struct{ Name, Model, Reference, Change string }

// Rows is the table that the reports and the command line show.
func (r *Result) Rows() []Row {
	ref := r.Reference
	if ref == nil {
		ref = &Scores{}
	}
	rows := []Row{
		{"size", size(r.Model.Bytes), size(ref.Bytes), optional(r.Compression, smaller)},
		{"top-1 accuracy", optional(r.Model.Top1, accuracy), optional(ref.Top1, accuracy), optional(r.Drop, func(d float64) string { return signed(-d) + " points" })},
		{"top-5 accuracy", optional(r.Model.Top5, accuracy), optional(ref.Top5, accuracy), difference(r.Model.Top5, ref.Top5, 2, " points")},
		{"cross entropy", optional(r.Model.Loss, func(x float64) string { return fixed(x, 4) }), optional(ref.Loss, func(x float64) string { return fixed(x, 4) }), difference(r.Model.Loss, ref.Loss, 4, "")},
	}
	rows = append(rows,
		Row{"recall of class 1", optional(r.Model.Recall, accuracy), optional(ref.Recall, accuracy), difference(r.Model.Recall, ref.Recall, 2, " points")},
		Row{"precision of class 1", optional(r.Model.Precision, accuracy), optional(ref.Precision, accuracy), difference(r.Model.Precision, ref.Precision, 2, " points")},
		Row{"area under the ROC curve", optional(r.Model.AUC, area), optional(ref.AUC, area), difference(r.Model.AUC, ref.AUC, 4, "")},
	)
	if r.DropCI != nil {
		rows = append(rows, Row{"drop, " + percent(100*r.Confidence) + " interval", "", "", fmt.Sprintf("%s to %s points", fixed(r.DropCI[0], 2), fixed(r.DropCI[1], 2))})
		rows = append(rows, Row{"right where the other is wrong", count(*r.OnlyModelRight), count(*r.OnlyReferenceRight), ""})
	}
	rows = append(rows,
		Row{"same answer", "", "", optional(r.Agreement, accuracy)},
		Row{"signal to error (SQNR)", "", "", optional(r.SQNR, decibels)},
		Row{"cosine similarity", "", "", optional(r.Cosine, func(x float64) string { return fixed(x, 5) })},
		Row{"largest output error", "", "", optional(r.MaxAbsError, short)},
		Row{"mean output error", "", "", optional(r.MeanAbsError, short)},
	)
	if l := r.Latency; l != nil {
		rows = append(rows, Row{
			"latency, median", fixed(l.ModelMS, 3) + " ms", optional(l.ReferenceMS, func(x float64) string { return fixed(x, 3) + " ms" }),
			optional(l.Ratio, func(x float64) string { return times(x) + " as fast" }),
		})
	}
	var out []Row
	for _, row := range rows {
		if row.Model+row.Reference+row.Change != "" {
			out = append(out, row)
		}
	}
	return out
}

func optional(x *float64, format func(float64) string) string {
	if x == nil {
		return ""
	}
	return format(*x)
}

func difference(model, ref *float64, digits int, unit string) string {
	if model == nil || ref == nil {
		return ""
	}
	return plus(*model-*ref) + fixed(*model-*ref, digits) + unit
}

func plus(x float64) string {
	if x > 0 {
		return "+"
	}
	return ""
}

// fixed prints digits decimals, never "-0.00".
func fixed(x float64, digits int) string {
	s := strconv.FormatFloat(x, 'f', digits, 64)
	if strings.HasPrefix(s, "-") && strings.Trim(s, "-0.") == "" {
		return s[1:]
	}
	return s
}

// times prints a ratio with two digits at least: "1.9x", "0.63x", "112x".
func times(x float64) string {
	digits := 0
	for at := x; at < 10 && digits < 2; at *= 10 {
		digits++
	}
	return fixed(x, digits) + "x"
}

// smaller says how a size compares with the reference's, of which it is the share c.
func smaller(c float64) string {
	if c > 1 {
		return times(c) + " larger"
	}
	return times(1/c) + " smaller"
}

// Plural prints a number of things: "1 sample", "2,000 samples".
func Plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return count(n) + " " + thing + "s"
}

func signed(x float64) string { return plus(x) + fixed(x, 2) }

// trimmed prints up to two decimals.
func trimmed(x float64) string {
	s := fixed(x, 2)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

func percent(x float64) string { return trimmed(x) + " %" }

// accuracy is a percentage for a column.
func accuracy(x float64) string { return fixed(x, 2) + " %" }

// area is a share for a column.
func area(x float64) string { return fixed(x, 4) }

// roundUp keeps two digits.
func roundUp(n int) int {
	unit := 1
	for n/unit >= 100 {
		unit *= 10
	}
	return (n + unit - 1) / unit * unit
}

func points(x float64) string {
	if s := trimmed(x); s != "1" {
		return s + " points"
	}
	return "1 point"
}

// short prints four significant digits.
func short(x float64) string { return strconv.FormatFloat(x, 'g', 4, 64) }

func decibels(x float64) string {
	if x >= MaxSQNR {
		return "identical"
	}
	return fixed(x, 2) + " dB"
}

// count prints a number with thousands separated by commas.
func count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// size prints bytes in decimal units with three digits, "" for 0.
func size(n int64) string {
	if n <= 0 {
		return ""
	}
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	x, unit := float64(n), ""
	for _, unit = range []string{"kB", "MB", "GB", "TB"} {
		if x /= 1000; x < 999.5 {
			break
		}
	}
	return strconv.FormatFloat(x, 'f', max(0, 2-int(math.Log10(x))), 64) + " " + unit
}
