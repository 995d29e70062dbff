package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// readsFiles are the flags whose values name files that a verb reads, writesFiles those that name files it writes.
var (
	readsFiles  = []string{"data", "held", "reference", "against", "teacher", "student", "rewind", "preprocess", "input"}
	writesFiles = []string{"output", "report", "log", "dot", "checkpoint", "teacher-cache"}
)

// named is a file with the flag or argument that names it.
type named struct{ flag, path string }

// guardFiles refuses, before any work, an output that would replace an input or another output.
func (a *app) guardFiles(cmd *cobra.Command, args []string) error {
	a.reads = nil
	for _, arg := range args {
		a.reads = append(a.reads, named{"MODEL", arg})
	}
	for _, name := range readsFiles {
		for _, v := range values(cmd.Flags().Lookup(name)) {
			for _, path := range filesOf(name, v) {
				a.reads = append(a.reads, named{"--" + name, path})
			}
		}
	}
	var writes []named
	for _, name := range writesFiles {
		f := cmd.Flags().Lookup(name)
		if f == nil || name == "output" && f.Shorthand != "o" { // evaluate's --output is no file
			continue
		}
		for _, path := range values(f) {
			if path != "none" {
				writes = append(writes, named{"--" + name, path})
			}
		}
	}
	writes = append(writes, beside(cmd, writes)...)
	for i, w := range writes {
		if err := a.guard(w); err != nil {
			return err
		}
		for _, other := range writes[:i] {
			if sameFile(w.path, other.path) {
				return usagef("%s %s would replace the file of %s: name two files", w.flag, w.path, other.flag)
			}
		}
	}
	return nil
}

// beside are the files that a verb keeps beside its output where no flag names them.
func beside(cmd *cobra.Command, writes []named) []named {
	var out []named
	for _, kept := range []struct{ flag, ext string }{{"checkpoint", ".ckpt"}, {"teacher-cache", ".teacher"}} {
		f := cmd.Flags().Lookup(kept.flag)
		if f != nil && !f.Changed && len(writes) > 0 && writes[0].flag == "--output" {
			out = append(out, named{"--" + kept.flag, writes[0].path + kept.ext})
		}
	}
	return out
}

// guard refuses an output that is an input of the command, or lies among the samples of a folder that it reads.
func (a *app) guard(w named) error {
	for _, r := range a.reads {
		if st, err := os.Stat(r.path); err == nil && st.IsDir() {
			if isSample(r.path, w.path) {
				return usagef("%s %s would replace a sample of %s %s: name another file", w.flag, w.path, r.flag, r.path)
			}
			continue
		}
		if sameFile(w.path, r.path) {
			return usagef("%s %s would replace what %s reads: name another file", w.flag, w.path, r.flag)
		}
	}
	return nil
}

// values are what a flag was given.
func values(f *pflag.Flag) []string {
	if f == nil || !f.Changed {
		return nil
	}
	if list, ok := f.Value.(pflag.SliceValue); ok {
		return list.GetSlice()
	}
	return []string{f.Value.String()}
}

// filesOf are the paths that a flag's value may stand for.
func filesOf(flag, v string) []string {
	switch flag {
	case "data", "held":
		paths := []string{v}
		if i := strings.LastIndexByte(v, '#'); i >= 0 {
			v = v[:i]
			paths = append(paths, v)
		}
		if shards, err := filepath.Glob(v); err == nil {
			paths = append(paths, shards...)
		}
		return append(paths, strings.Split(v, ",")...)
	case "preprocess":
		head, _, _ := strings.Cut(v, ":")
		return []string{v, head}
	case "input": // NAME=FILE, where both may hold "="
		paths := []string{v}
		for i, c := range v {
			if c == '=' {
				paths = append(paths, v[i+1:])
			}
		}
		return paths
	}
	return []string{v}
}

// sameFile says whether two paths lead to one file, through links too, whether or not it exists.
func sameFile(p, q string) bool {
	s, err1 := os.Stat(p)
	t, err2 := os.Stat(q)
	if err1 == nil && err2 == nil {
		return s.Mode().IsRegular() && os.SameFile(s, t)
	}
	return err1 != nil && err2 != nil && p != "" && resolved(p) == resolved(q)
}

// resolved is the absolute path, its folder's links followed.
func resolved(p string) string {
	p, err := filepath.Abs(p)
	if err != nil {
		return p
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(p)); err == nil {
		return filepath.Join(dir, filepath.Base(p))
	}
	return p
}

// sampleNames are the endings of files that a data folder's samples may have.
var sampleNames = []string{".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}

// isSample says whether path is a file that a data folder is read from.
func isSample(dir, path string) bool {
	if st, err := os.Stat(path); err != nil || !st.Mode().IsRegular() {
		return false
	}
	rel, err := filepath.Rel(resolved(filepath.Join(dir, ".")), resolved(path))
	if err != nil || !filepath.IsLocal(rel) {
		return false
	}
	return filepath.Base(path) == "labels.tsv" || slices.Contains(sampleNames, strings.ToLower(filepath.Ext(path)))
}
