package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tfsopt/tfsopt/codec"
	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
)

// Exit codes.
const (
	exitFailure = 1
	exitUsage   = 2
)

// usageError is a mistake in the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// usage makes a usageError of err, nil of nil.
func usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

// gateError ends a command whose result is printed already with the code of its verdict.
type gateError int

func (e gateError) Error() string { return fmt.Sprintf("the gate ended with code %d", int(e)) }

// finish reports a failure and gives the exit code.
func (a *app) finish(cmd *cobra.Command, err error, args []string) int {
	if err == nil {
		return 0
	}
	var gate gateError
	if errors.As(err, &gate) {
		return int(gate)
	}
	code := exitFailure
	var broken *brokenError
	if errors.As(err, &broken) {
		code = exitBroken
	}
	var usage usageError
	var name *graph.NameError
	if errors.As(err, &usage) || errors.As(err, &name) || !a.running {
		code = exitUsage
	}
	message := strings.TrimSpace(err.Error())
	var file *fs.PathError
	if errors.As(err, &file) { // its text begins with a system call; who wraps it may have named the file too
		message = strings.Replace(message, file.Error(), file.Path+": "+file.Err.Error(), 1)
		message = strings.Replace(message, file.Path+": "+file.Path+": ", file.Path+": ", 1)
	}
	if errors.Is(err, context.Canceled) {
		message = "interrupted"
	}
	if a.json || slices.Contains(args, "--json") { // the flags may not have been read
		if a.printError(message, err) == nil {
			return code
		}
	}
	fmt.Fprintf(a.err, "tfsopt: %s\n", message)
	if code == exitUsage {
		fmt.Fprintf(a.err, "See '%s --help'.\n", cmd.CommandPath())
	}
	return code
}

// failure is what a failing command prints with --json.
type failure struct {
	Message string `json:"message"`
	Node    string `json:"node"`
	Op      string `json:"op"`
	Offset  *int64 `json:"offset"` // in the model file; null: no single place

	Broken *brokenReport `json:"broken,omitempty"`
}

func (a *app) printError(message string, err error) error {
	f := failure{Message: message}
	var op *graph.OpError
	if errors.As(err, &op) {
		f.Node, f.Op = op.Node, op.Op
	}
	var broken *brokenError
	if errors.As(err, &broken) {
		f.Broken = broken.report()
	}
	var syntax *formats.SyntaxError
	if errors.As(err, &syntax) && syntax.Offset >= 0 {
		f.Offset = &syntax.Offset
	}
	var record *codec.RecordError
	if errors.As(err, &record) {
		f.Offset = &record.Offset
	}
	return a.printJSON(map[string]failure{"error": f})
}

func (a *app) printJSON(v any) error { return encodeJSON(a.out, v) }

func encodeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
