package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// choice is a flag that takes one of a few words.
type choice struct {
	value *string
	of    []string
}

// String is the present word.
func (c *choice) String() string {
	if c.value == nil { // pflag asks the zero value for its text
		return ""
	}
	return *c.value
}

// Type names the value in help texts.
func (c *choice) Type() string { return "WORD" }

// Set takes one of the words.
func (c *choice) Set(s string) error {
	if !slices.Contains(c.of, s) {
		return fmt.Errorf("want %s", c.list())
	}
	*c.value = s
	return nil
}

func (c *choice) list() string {
	if n := len(c.of); n > 1 {
		return strings.Join(c.of[:n-1], ", ") + " or " + c.of[n-1]
	}
	return strings.Join(c.of, "")
}

// words is what a flag's help says, and the words that it takes, the first being the default.
type words struct {
	usage string
	of    []string
}

// choiceVar makes a flag of words, kept in to, and completes it in shells.
func choiceVar(cmd *cobra.Command, to *string, name string, w words) {
	*to = w.of[0]
	c := &choice{value: to, of: w.of}
	cmd.Flags().Var(c, name, w.usage+": "+c.list())
	// It fails only for a flag that does not exist.
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(w.of, cobra.ShellCompDirectiveNoFileComp))
}

// dims is the repeatable flag --dim NAME=N.
type dims map[string]int

// String lists the sizes.
func (d dims) String() string { return "" }

// Type names the value in help texts.
func (d dims) Type() string { return "NAME=N" }

// Set adds one or, separated by commas, several sizes.
func (d dims) Set(s string) error {
	for _, one := range strings.Split(s, ",") {
		name, size, ok := strings.Cut(one, "=")
		n, err := strconv.Atoi(size)
		if !ok || name == "" || err != nil || n < 0 {
			return fmt.Errorf("want NAME=N with a number of 0 or more")
		}
		d[name] = n
	}
	return nil
}

func addDims(cmd *cobra.Command) dims {
	d := dims{}
	cmd.Flags().Var(d, "dim", "size of a symbolic dimension; may be repeated")
	return d
}

// oneModel is the Args of the verbs that take a model.
func oneModel(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("want one MODEL, got %d arguments", len(args))
	}
	return nil
}

func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("unexpected argument %q", args[0])
	}
	return nil
}
