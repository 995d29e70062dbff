package main

import (
	"strings"

	"github.com/tfsopt/tfsopt/evaluate"
)

// origin says what makes a report.
func (a *app) origin(files ...modelFile) *evaluate.Origin {
	o := &evaluate.Origin{Command: commandLine(a.args), Version: "unknown"}
	if b, err := thisBuild(); err == nil {
		o.Version = b.Version
	}
	for _, f := range files {
		o.Files = append(o.Files, evaluate.FileHash{Path: f.Path, SHA256: f.SHA256})
	}
	return o
}

// commandLine is the command as a shell reads it.
func commandLine(args []string) string {
	words := []string{"tfsopt"}
	for _, arg := range args {
		if arg == "" || strings.ContainsAny(arg, " \t\n'\"\\$`*?[]{}();&|<>#!~") {
			arg = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}
