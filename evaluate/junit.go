package evaluate

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// The JUnit XML format as CI systems read it: https://github.com/testmoapp/junitxml.
type junitSuites struct {
	XMLName  xml.Name   `xml:"testsuites"`
	Name     string     `xml:"name,attr"`
	Tests    int        `xml:"tests,attr"`
	Failures int        `xml:"failures,attr"`
	Skipped  int        `xml:"skipped,attr"`
	Suite    junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
	Out        string          `xml:"system-out,omitempty"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Failure *junitMessage `xml:"failure,omitempty"`
	Skipped *junitMessage `xml:"skipped,omitempty"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

// writeJUnit writes one suite. The case "accuracy drop" carries the verdict: FAIL is a failure, INCONCLUSIVE is skipped,
// as an inconclusive test is neither passed nor failed (the exit code 4 stops a job that wants certainty). The other
// cases only inform: nothing limits them.
func writeJUnit(w io.Writer, r *Result) error {
	s := junitSuite{Name: "tfsopt evaluate " + r.Model.Path, Out: strings.Join(r.Warnings, "\n")}
	for _, p := range []junitProperty{
		{"model", r.Model.Path},
		{"reference", r.referencePath()},
		{"data", r.Data},
		{"output", r.Output},
		{"samples", fmt.Sprint(r.Samples)},
		{"verdict", string(r.Verdict)},
		{"origin", r.Origin.String()},
	} {
		if p.Value != "" {
			s.Properties = append(s.Properties, p)
		}
	}
	gate := junitCase{Name: "accuracy drop", Class: "tfsopt.evaluate", Out: r.Headline()}
	switch r.Verdict {
	case Fail:
		gate.Failure = &junitMessage{Message: r.Headline(), Type: "accuracy", Text: r.plain()}
		s.Failures++
	case Inconclusive:
		gate.Skipped = &junitMessage{Message: "INCONCLUSIVE: " + r.Headline()}
		s.Skipped++
	}
	if r.Verdict != "" {
		s.Cases = append(s.Cases, gate)
	}
	for _, row := range r.Rows() {
		s.Cases = append(s.Cases, junitCase{Name: row.Name, Class: "tfsopt.evaluate", Out: row.plain()})
	}
	for _, part := range r.Sections {
		s.Cases = append(s.Cases, junitCase{Name: part.Title, Class: "tfsopt.evaluate", Out: part.Text})
	}
	s.Tests = len(s.Cases)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(junitSuites{Name: "tfsopt", Tests: s.Tests, Failures: s.Failures, Skipped: s.Skipped, Suite: s}); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (r *Result) referencePath() string {
	if r.Reference == nil {
		return ""
	}
	return r.Reference.Path
}

// plain is the whole table as lines of text.
func (r *Result) plain() string {
	var b strings.Builder
	for _, row := range r.Rows() {
		fmt.Fprintf(&b, "%s: %s\n", row.Name, row.plain())
	}
	return b.String()
}

func (row Row) plain() string {
	var parts []string
	for _, p := range [][2]string{{"model ", row.Model}, {"reference ", row.Reference}, {"", row.Change}} {
		if p[1] != "" {
			parts = append(parts, p[0]+p[1])
		}
	}
	return strings.Join(parts, ", ")
}
