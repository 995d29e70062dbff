package tfsopt_test

import (
	"go/ast"
	"sort"
	"testing"
)

// The limits on size: 95 % of the files below usualFile lines and none above maxFile, 95 % of the functions below
// usualFunc lines, at most maxParams parameters for what is exported. Generated files are exempt.
const (
	usualFile, maxFile = 500, 800
	usualFunc          = 60
	maxParams          = 4
	share              = 0.95
)

// long is something whose size is judged.
type long struct {
	what string
	size int
}

// checkShare fails unless `share` of the sizes are below limit; it names the largest.
func checkShare(t *testing.T, kind string, all []long, limit int) {
	t.Helper()
	sort.Slice(all, func(i, j int) bool { return all[i].size > all[j].size })
	over := sort.Search(len(all), func(i int) bool { return all[i].size < limit })
	if float64(over) > (1-share)*float64(len(all)) {
		t.Errorf("%d of %d %s have %d lines or more", over, len(all), kind, limit)
		for _, l := range all[:min(over, 20)] {
			t.Logf("%s: %d lines", l.what, l.size)
		}
	}
}

func TestFileSizes(t *testing.T) {
	var files []long
	for _, s := range sources(t) {
		if ast.IsGenerated(s.file) {
			continue
		}
		n := s.lines()
		files = append(files, long{s.path, n})
		if n > maxFile {
			t.Errorf("%s has %d lines; at most %d", s.path, n, maxFile)
		}
	}
	checkShare(t, "files", files, usualFile)
}

func TestFunctionSizes(t *testing.T) {
	var funcs []long
	for _, s := range sources(t) {
		if ast.IsGenerated(s.file) {
			continue
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			from, to := s.fset.Position(f.Pos()), s.fset.Position(f.End())
			funcs = append(funcs, long{from.String() + " " + f.Name.Name, to.Line - from.Line + 1})
		}
	}
	checkShare(t, "functions", funcs, usualFunc)
}

// TestParameters looks at what is exported; inner loops inside a package may take what they need.
func TestParameters(t *testing.T) {
	for _, s := range sources(t) {
		if ast.IsGenerated(s.file) || s.isTest() || s.dir == "kernels" { // kernels have their assembly twins' signatures
			continue
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if ok && f.Name.IsExported() && f.Type.Params.NumFields() > maxParams {
				t.Errorf("%s: %s has %d parameters; at most %d, then a struct",
					s.fset.Position(f.Pos()), f.Name.Name, f.Type.Params.NumFields(), maxParams)
			}
		}
	}
}
