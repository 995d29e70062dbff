package evaluate

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// maxListed is how many classes, changes and layers a page lists.
const maxListed = 20

// writeMarkdown writes the verdict and one table, then what is worth a look, short enough for a comment on a merge
// request.
func writeMarkdown(w io.Writer, r *Result) error {
	b := bufio.NewWriter(w)
	title := "Evaluation"
	if r.Verdict != "" {
		title = string(r.Verdict)
	}
	fmt.Fprintf(b, "## %s: %s\n\n%s\n\n", title, cell(r.Model.Path), cell(r.Headline()))
	if r.Reference != nil {
		fmt.Fprintf(b, "| | model | reference | change |\n|---|--:|--:|--:|\n")
	} else {
		fmt.Fprintf(b, "| | model |\n|---|--:|\n")
	}
	for _, row := range r.Rows() {
		if r.Reference != nil {
			fmt.Fprintf(b, "| %s | %s | %s | %s |\n", row.Name, row.Model, row.Reference, row.Change)
		} else {
			fmt.Fprintf(b, "| %s | %s |\n", row.Name, row.Model)
		}
	}
	fmt.Fprintf(b, "\n%s\n", cell(r.Basis()))
	writeOrigin(b, r.Origin)
	for _, s := range r.Warnings {
		fmt.Fprintf(b, "\n> **Note:** %s\n", cell(s))
	}
	if worst := r.WorstLayers(5); len(worst) > 0 {
		fmt.Fprintf(b, "\nLayers with the most error:")
		for i, l := range worst {
			if i > 0 {
				fmt.Fprint(b, ",")
			}
			fmt.Fprintf(b, " %s (%s) %s", cell(l.Name), l.Op, decibels(l.SQNR))
		}
		fmt.Fprintln(b, ".")
	}
	for _, s := range r.Sections {
		s.writeMarkdown(b)
	}
	return b.Flush()
}

// Basis says what the figures rest on.
func (r *Result) Basis() string {
	s := Plural(r.Samples, "sample")
	if r.Data != "" {
		s += " of " + r.Data
	}
	if r.Output != "" {
		s += ", output " + r.Output
	}
	if r.Reference != nil {
		s += ", reference " + r.Reference.Path
	}
	if l := r.Latency; l != nil {
		s += fmt.Sprintf("; latency of batches of %d with %s (%s), %s", l.Batch, Plural(l.Threads, "thread"), l.CPU, Plural(l.Runs, "run"))
		if l.ReferenceMS != nil {
			s += " of each model in turn"
		}
	}
	return s + "."
}

// writeOrigin adds a paragraph that says what made a report.
func writeOrigin(w io.Writer, o *Origin) {
	if o != nil {
		fmt.Fprintf(w, "\n%s\n", cell(o.String()))
	}
}

// cell keeps text from outside, such as file names, from being read as Markdown.
func cell(s string) string {
	return strings.NewReplacer("\n", " ", "\r", " ", "|", `\|`, "`", "\\`", "*", `\*`, "_", `\_`, "<", "&lt;", "[", `\[`).Replace(s)
}
