package main

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpOf is what --help prints of a verb, of tfsopt for "".
func helpOf(t *testing.T, verb string) string {
	t.Helper()
	var out bytes.Buffer
	args := append(strings.Fields(verb), "--help")
	if code := run(t.Context(), args, &out, io.Discard); code != 0 {
		t.Fatalf("%s --help exits %d", verb, code)
	}
	return out.String()
}

func ownCommands() []*cobra.Command {
	var out []*cobra.Command
	for _, c := range newRoot(&app{}).Commands() {
		if c.Name() != "completion" && c.Name() != "help" {
			out = append(out, c)
		}
	}
	return out
}

// TestHelp: every verb has an example, every flag a section, and no line is wider than 80 columns.
func TestHelp(t *testing.T) {
	for _, c := range ownCommands() {
		if c.Example == "" {
			t.Errorf("%s has no example", c.Name())
		}
		help := helpOf(t, c.Name())
		for _, l := range strings.Split(help+helpOf(t, ""), "\n") {
			if n := utf8.RuneCountInString(l); n > helpWidth {
				t.Errorf("%s: %d columns: %s", c.Name(), n, l)
			}
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if len(f.Annotations[groupOf]) != 1 {
				t.Errorf("%s: --%s is in no section of flagGroups", c.Name(), f.Name)
			}
			if n := len(regexp.MustCompile(`(?m)^ +(-., )?--`+f.Name+`( .*)? {3}`).FindAllString(help, -1)); n != 1 && !f.Hidden {
				t.Errorf("%s: --%s is described %d times", c.Name(), f.Name, n)
			}
		})
	}
}

// TestExamplesParse: the flags of every example exist and take the values shown.
func TestExamplesParse(t *testing.T) {
	for _, c := range ownCommands() {
		for _, line := range strings.Split(strings.ReplaceAll(c.Example, "\\\n", " "), "\n") {
			line, _, _ = strings.Cut(line, "&&")
			words := strings.Fields(line)
			if len(words) < 2 || words[0] != "tfsopt" {
				t.Errorf("%s: not a command: %q", c.Name(), line)
				continue
			}
			found, rest, err := newRoot(&app{}).Find(words[1:])
			if err == nil {
				err = found.ParseFlags(rest)
			}
			if err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
}

// TestMistyped: an error says what was meant or wanted, in words of the command line.
func TestMistyped(t *testing.T) {
	for line, want := range map[string]string{
		"quantize --miode static":   "did you mean --mode?",
		"quantize --epoch 1":        "did you mean --epochs?",
		"prune --spartisy 0.5":      "did you mean --sparsity?",
		"evaluate --referense r":    "did you mean --reference?",
		"bench --jsno":              "did you mean --json?",
		"evaluate --max-drop 0.5%":  `--max-drop "0.5%": want a number`,
		"prune --epochs many":       `--epochs "many": want a whole number`,
		"bench --duration 5":        `--duration "5": want a time, such as 30s`,
		"inspect nowhere.onnx":      "tfsopt: nowhere.onnx: no such file or directory\n",
		"quantise m.onnx":           "quantize",
		"evalute m.onnx":            "evaluate",
		"quantize --nothing-alike1": "unknown flag: --nothing-alike1\n",
	} {
		var stderr bytes.Buffer
		if code := run(t.Context(), strings.Fields(line), io.Discard, &stderr); code == 0 || !strings.Contains(stderr.String(), want) {
			t.Errorf("%s: exit %d, %s; want %q", line, code, &stderr, want)
		}
	}
}

func TestWrap(t *testing.T) {
	got := wrap("aa bb\ncc dd\n\n  x y z w v u\n  a", 8)
	if want := "aa bb cc\ndd\n\n  x y z\n    w v\n    u\n  a"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestTableTrims: a table's lines end without blanks, which left-aligned last columns would have.
func TestTableTrims(t *testing.T) {
	var b bytes.Buffer
	a := &app{out: &b}
	if err := a.table([]column{number("n"), text("word")}, [][]string{{"1", "a"}, {"2", "long"}}); err != nil {
		t.Fatal(err)
	}
	if regexp.MustCompile(` (?m)$`).MatchString(b.String()) || strings.Count(b.String(), "\n") != 3 {
		t.Errorf("%q", b.String())
	}
}
