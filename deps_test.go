package tfsopt_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/tfsopt/tfsopt"

// mayImport says which of our packages a package may import. "x/*" stands for every package below x; "*" for anything.
// A package that is not listed may not exist.
var mayImport = map[string][]string{
	"":                     nil,
	"tensor":               nil,
	"kernels":              nil,
	"codec":                {"internal/wire"},
	"tensor/gorgonia":      {"tensor"},
	"graph":                {"tensor"},
	"ops":                  {"graph", "kernels", "tensor", "codec"},
	"optimize":             {"graph", "ops", "tensor"},
	"engine":               {"graph", "ops", "optimize", "kernels", "tensor"},
	"formats":              {"graph", "tensor"},
	"formats/*":            {"formats", "graph", "ops", "optimize", "tensor", "codec", "internal/*"},
	"data":                 {"tensor", "codec"},
	"train":                {"graph", "ops", "engine", "tensor", "data"},
	"quantize":             {"graph", "ops", "engine", "tensor", "data", "train", "optimize"},
	"prune":                {"graph", "ops", "engine", "tensor", "data", "train", "optimize"},
	"distill":              {"graph", "ops", "engine", "tensor", "data", "train", "optimize"},
	"doctor":               {"graph", "ops", "engine", "tensor", "data", "optimize"},
	"evaluate":             {"graph", "engine", "tensor", "data"},
	"serve":                {"formats", "graph", "engine", "tensor", "optimize", "codec", "internal/*"},
	"internal/tensorflow":  {"formats", "internal/wire"},
	"internal/wire":        nil,
	"internal/conformance": {"graph", "formats/onnx", "tensor"},
	"cmd/tfsopt":           {"*"},
}

// onlyTests may be imported by test files alone.
var onlyTests = []string{"internal/conformance", "tensor/gorgonia"}

// source is one parsed Go file of the project.
type source struct {
	path, dir string // slash-separated, from the root; dir of the root is ""
	file      *ast.File
	fset      *token.FileSet
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// lines is the number of lines in the file.
func (s source) lines() int { return s.fset.File(s.file.FileStart).LineCount() }

// sources parses every Go file of this module; modules inside it (kernels/gen) are left out, as is testdata.
func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			name := d.Name()
			nested, _ := filepath.Glob(filepath.Join(p, "go.mod"))
			if p != "." && (name == "testdata" || name[0] == '.' || name[0] == '_' || nested != nil) {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(p) != ".go" {
			return nil
		}
		s := source{path: filepath.ToSlash(p), fset: token.NewFileSet()}
		if s.dir = path.Dir(s.path); s.dir == "." {
			s.dir = ""
		}
		s.file, err = parser.ParseFile(s.fset, p, nil, parser.ParseComments|parser.SkipObjectResolution)
		out = append(out, s)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 100 {
		t.Fatalf("only %d Go files found", len(out))
	}
	return out
}

// match reports whether a package is what a pattern of mayImport means.
func match(pattern, pkg string) bool {
	base, below := strings.CutSuffix(pattern, "/*")
	return pattern == "*" || pattern == pkg || below && strings.HasPrefix(pkg, base+"/")
}

// allowed gives the row of a package, the exact one before a pattern.
func allowed(pkg string) ([]string, bool) {
	if row, ok := mayImport[pkg]; ok {
		return row, true
	}
	for pattern, row := range mayImport {
		if match(pattern, pkg) {
			return row, true
		}
	}
	return nil, false
}

func TestImports(t *testing.T) {
	for _, s := range sources(t) {
		row, ok := allowed(s.dir)
		if !ok {
			t.Errorf("%s: package %q is not in the table of import rules", s.path, s.dir)
			continue
		}
		if s.isTest() {
			continue
		}
		for _, spec := range s.file.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			pkg, ours := strings.CutPrefix(name, module+"/")
			if !ours {
				continue
			}
			if !slices.ContainsFunc(row, func(p string) bool { return match(p, pkg) }) {
				t.Errorf("%s imports %s; %q may import %v", s.fset.Position(spec.Pos()), pkg, s.dir, row)
			}
			if slices.Contains(onlyTests, pkg) {
				t.Errorf("%s imports %s, which is for tests", s.fset.Position(spec.Pos()), pkg)
			}
		}
	}
}

// TestGeneratedTypesStayInside keeps protobuf and flatbuffers out of everything but formats, serve and generated code; codec may
// use protowire, which has no messages.
func TestGeneratedTypesStayInside(t *testing.T) {
	for _, s := range sources(t) {
		if match("formats/*", s.dir) || s.dir == "serve" || match("internal/*", s.dir) || s.isTest() {
			continue
		}
		for _, spec := range s.file.Imports {
			if s.dir == "codec" && spec.Path.Value == `"google.golang.org/protobuf/encoding/protowire"` {
				continue
			}
			for _, no := range []string{"google.golang.org/protobuf", "github.com/google/flatbuffers"} {
				if strings.HasPrefix(strings.Trim(spec.Path.Value, `"`), no) {
					t.Errorf("%s imports %s", s.fset.Position(spec.Pos()), spec.Path.Value)
				}
			}
		}
	}
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, pkg string
		want         bool
	}{
		{"formats/*", "formats/onnx", true},
		{"formats/*", "formats", false},
		{"formats", "formats/onnx", false},
		{"graph", "graph", true},
		{"*", "anything", true},
	} {
		if got := match(c.pattern, c.pkg); got != c.want {
			t.Errorf("match(%q, %q) = %v", c.pattern, c.pkg, got)
		}
	}
}
