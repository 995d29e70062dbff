package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpWidth is the width of help texts, in columns.
const helpWidth = 80

// flagGroups are the sections of a help text, in order. Every flag is in one of them; of two the first holds unless the
// flag was annotated with the other where it was made.
var flagGroups = []struct{ title, flags string }{
	{"Models", "output teacher student width depth init reference against signature tags inputs outputs dim rewind dump-after nodes dot input"},
	{"What to do", "mode weights activations bits block-size per-tensor style target io saturation step values sparsity pattern " +
		"criterion scope ramp include freeze-defaults channel-multiple target-flops target-bytes target-latency control seeds batch duration"},
	{"Accuracy", "calibration percentile sqnr no-bias-correction quantize-logits exclude min-density raw reconstruct " +
		"reconstruct-samples keep-first keep-last max-drop confidence sequential layers temperature alpha beta loss hint attention no-latency force"},
	{"Data", "data features label label-offset preprocess samples held batch-axis carry"},
	{"Training", "qat epochs lr batch optimizer schedule momentum nesterov weight-decay warmup clip-norm label-smoothing " +
		"class-weights mixup flip crop shift freeze-batchnorm seed"},
	{"Checkpoints", "resume restart checkpoint checkpoint-every teacher-cache"},
	{"Reports", "report log dry-run json"},
	{"Others", "quiet threads log-level help"},
}

// groupOf is the annotation that names a flag's section.
const groupOf = "tfsopt_group"

// groupFlags annotates the flags of every verb with their sections, unless they are annotated already.
func groupFlags(root *cobra.Command) {
	group := map[string]string{}
	for _, g := range flagGroups {
		for _, name := range strings.Fields(g.flags) {
			if group[name] == "" {
				group[name] = g.title
			}
		}
	}
	annotate := func(f *pflag.Flag) {
		if title := group[f.Name]; title != "" && f.Annotations[groupOf] == nil {
			f.Annotations = map[string][]string{groupOf: {title}}
		}
	}
	root.PersistentFlags().VisitAll(annotate)
	for _, c := range append(root.Commands(), root) {
		c.InitDefaultHelpFlag()
		c.Flags().VisitAll(annotate)
	}
}

// flagsHelp lists a command's flags, section by section and in the order of flagGroups.
func flagsHelp(c *cobra.Command) string {
	var b strings.Builder
	c.InheritedFlags() // merges the global flags into c.Flags()
	seen := map[string]bool{}
	section := func(title string, flags []*pflag.Flag) {
		s := pflag.NewFlagSet(title, pflag.ContinueOnError)
		s.SortFlags = false
		for _, f := range flags {
			s.AddFlag(f)
			seen[f.Name] = true
		}
		if s.HasAvailableFlags() {
			fmt.Fprintf(&b, "\n%s:\n%s", title, s.FlagUsagesWrapped(helpWidth))
		}
	}
	for _, g := range flagGroups {
		var flags []*pflag.Flag
		for _, name := range strings.Fields(g.flags) {
			if f := c.Flags().Lookup(name); f != nil && slices.Equal(f.Annotations[groupOf], []string{g.title}) {
				flags = append(flags, f)
			}
		}
		section(g.title, flags)
	}
	var rest []*pflag.Flag
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !seen[f.Name] {
			rest = append(rest, f)
		}
	})
	section("Flags", rest)
	return b.String()
}

// helpTemplates replace cobra's: flags in sections, 80 columns.
func helpTemplates(root *cobra.Command) {
	cobra.AddTemplateFunc("flagsHelp", flagsHelp)
	cobra.AddTemplateFunc("wrap", func(s string) string { return wrap(s, helpWidth) })
	root.SetHelpTemplate(`{{with or .Long .Short}}{{wrap .}}

{{end}}{{.UsageString}}`)
	root.SetUsageTemplate(`Usage:{{if .Runnable}}
{{wrap (printf "  %s" .UseLine)}}{{end}}{{if .HasAvailableSubCommands}}
  {{.CommandPath}} COMMAND{{end}}{{if .HasExample}}

Examples:
{{.Example}}
{{end}}{{if .HasAvailableSubCommands}}
Commands:{{range .Commands}}{{if or .IsAvailableCommand (eq .Name "help")}}
{{wrap (printf "  %-11s %s" .Name .Short)}}{{end}}{{end}}
{{end}}
{{- flagsHelp .}}{{if .HasAvailableSubCommands}}
'{{.CommandPath}} COMMAND --help' says more about a command.{{end}}
`)
}

// wrap breaks lines at spaces so that none is wider than width. Lines of a paragraph flow together; a line that begins
// with spaces stands alone, and what it wraps to is indented by two more.
func wrap(s string, width int) string {
	var out []string
	line, indent := "", ""
	flush := func() {
		if line != "" {
			out = append(out, line)
		}
		line = ""
	}
	for _, l := range strings.Split(s, "\n") {
		lead := l[:len(l)-len(strings.TrimLeft(l, " "))]
		switch {
		case strings.TrimSpace(l) == "":
			flush()
			out = append(out, "")
			continue
		case lead != "":
			flush()
			if len([]rune(l)) <= width { // keeps columns
				out = append(out, l)
				continue
			}
			indent = lead + "  "
		case line == "":
			indent = ""
		}
		for i, w := range strings.Fields(l) {
			switch {
			case i == 0 && lead != "":
				line = lead + w
			case line == "":
				line = indent + w
			case len([]rune(line))+1+len([]rune(w)) > width:
				flush()
				line = indent + w
			default:
				line += " " + w
			}
		}
		if lead != "" {
			flush()
		}
	}
	flush()
	return strings.Join(out, "\n")
}

// flagError makes a usage error of what pflag says: what a value should be, which flag may have been meant.
func flagError(c *cobra.Command, err error) error {
	var invalid *pflag.InvalidValueError
	wants := map[string]string{
		"float64": "a number", "int": "a whole number", "int64": "a whole number", "uint64": "a whole number, not negative",
		"duration": "a time, such as 30s", "bool": "true or false",
	}
	if errors.As(err, &invalid) && wants[invalid.GetFlag().Value.Type()] != "" {
		return usagef("--%s %q: want %s", invalid.GetFlag().Name, invalid.GetValue(), wants[invalid.GetFlag().Value.Type()])
	}
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return usageError{err}
	}
	name := unknown.GetSpecifiedName()
	best, least := "", len(name)/3+1
	c.Flags().VisitAll(func(f *pflag.Flag) {
		d := distance(name, f.Name)
		if strings.HasPrefix(f.Name, name) && len(name) > 2 {
			d = min(d, 1)
		}
		if !f.Hidden && (d < least || d == least && best == "") {
			best, least = f.Name, d
		}
	})
	if best == "" || unknown.GetSpecifiedShortnames() != "" {
		return usageError{err}
	}
	return usagef("%w; did you mean --%s?", err, best)
}

// distance is the number of letters to insert, delete, replace or swap with their neighbour that makes b of a (optimal string
// alignment, Damerau 1964).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		for j := range rows[i] {
			if i == 0 || j == 0 {
				rows[i][j] = i + j
				continue
			}
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
