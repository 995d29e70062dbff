package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tfsopt/tfsopt/formats"
	"golang.org/x/term"
)

// app is what every verb shares: where to print and the global flags.
type app struct {
	out, err  io.Writer
	json      bool
	quiet     bool
	threads   int
	signature string          // the entry point to work on
	open      formats.Options // which part of a model file is loaded
	entries   []signature     // of the model that was loaded last, if one of them was taken without being named
	whole     bool            // all entry points are wanted
	logLevel  choice
	terminal  bool // err is one, so that progress makes sense
	running   bool // flags and arguments were fine
	bar       progress
	log       *slog.Logger
	warned    map[string]bool
	args      []string // the command line
	reads     []named  // files that the command line names as inputs
}

// run executes one command line and gives its exit code.
func run(ctx context.Context, args []string, out, err io.Writer) int {
	level := "warn"
	a := &app{args: args, out: out, err: err, logLevel: choice{value: &level, of: []string{"debug", "info", "warn", "error"}}, warned: map[string]bool{}}
	if f, ok := err.(*os.File); ok {
		a.terminal = term.IsTerminal(int(f.Fd()))
	}
	root := newRoot(a)
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(err)
	cmd, failure := root.ExecuteContextC(ctx)
	a.clearProgress()
	return a.finish(cmd, failure, args)
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "tfsopt",
		Short: "Make trained models smaller and faster to serve, and measure what that costs",
		Long: `tfsopt quantizes and optimizes trained models, judges the result against the original and writes files that other
runtimes load.

Results go to stdout, progress and warnings to stderr. Exit codes: 0 success, 1 failure, 2 wrong usage,
3 a gate failed, 4 a gate could not be decided, 5 the result was measured as broken.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Example: `  tfsopt quantize model.onnx -o small.onnx --data images
  tfsopt evaluate small.onnx --reference model.onnx --data images --max-drop 1`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.json {
				return usagef("which command? see tfsopt --help")
			}
			return cmd.Help()
		},
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			if err := a.begin(cmd.CommandPath()); err != nil {
				return err
			}
			return a.guardFiles(cmd, args)
		},
	}
	flags := root.PersistentFlags()
	flags.BoolVar(&a.json, "json", false, "print the result as one JSON object")
	flags.BoolVar(&a.quiet, "quiet", false, "print no progress, no warnings and no summary of a written file")
	flags.IntVar(&a.threads, "threads", 0, "how many threads to use (0: all cores)")
	flags.Var(&a.logLevel, "log-level", "what to log to stderr: "+a.logLevel.list())
	for _, verb := range verbs {
		c := verb(a)
		if c.Args != nil && c.Name() != "version" {
			c.Flags().StringVar(&a.signature, "signature", "", "entry point of a model that has several")
			c.Flags().StringSliceVar(&a.open.Tags, "tags", nil, "of the graph to take from a SavedModel with several")
			c.Flags().StringSliceVar(&a.open.Inputs, "inputs", nil, "tensors at which a frozen graph begins (its placeholders)")
			c.Flags().StringSliceVar(&a.open.Outputs, "outputs", nil, "tensors at which a frozen graph ends (what nothing reads)")
		}
		root.AddCommand(c)
	}
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	strict(root)
	groupFlags(root)
	helpTemplates(root)
	root.SetFlagErrorFunc(flagError)
	return root
}

// strict makes usage errors of what cobra's own commands answer with a help text and success.
func strict(root *cobra.Command) {
	for _, c := range root.Commands() {
		switch c.Name() {
		case "completion":
			c.RunE = func(*cobra.Command, []string) error {
				return usagef("name a shell: bash, zsh, fish or powershell")
			}
		case "help":
			c.RunE = func(_ *cobra.Command, args []string) error {
				topic, rest, err := root.Find(args)
				if err != nil || len(rest) > 0 {
					return usagef("there is no command %q", strings.Join(args, " "))
				}
				return topic.Help()
			}
		}
	}
}

// verbs are the commands, in the order of the documentation.
var verbs = []func(*app) *cobra.Command{
	inspectCmd, convertCmd, optimizeCmd, runCmd, quantizeCmd, pruneCmd, distillCmd, trainCmd, evaluateCmd, benchCmd, doctorCmd, versionCmd,
}

// begin checks the global flags and sets up the log.
func (a *app) begin(verb string) error {
	if a.threads < 0 {
		return usagef("--threads %d: want a positive number, or 0 for all cores", a.threads)
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.logLevel.String())); err != nil {
		return usagef("--log-level: %v", err)
	}
	if a.quiet && level < slog.LevelError {
		level = slog.LevelError
	}
	a.log = slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(groups []string, at slog.Attr) slog.Attr {
			if len(groups) == 0 && at.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return at
		},
	}))
	a.log.Debug("begin", "command", verb, "threads", a.threads)
	a.running = true
	return nil
}

// warn logs each text once.
func (a *app) warn(texts ...string) {
	a.clearProgress()
	for _, t := range texts {
		if !a.warned[t] {
			a.warned[t] = true
			a.log.Warn(t)
		}
	}
}

// printf prints a line of a text result.
func (a *app) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(a.out, format, args...)
	return err
}
