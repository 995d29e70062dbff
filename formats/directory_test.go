package formats_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/formats"
)

var pair = formats.Directory{Format: "pair", Has: func(p string) bool { return p == "a" || p == "parts/b" }}

// writePair makes a directory of two files with the same content.
func writePair(content string) func(string) error {
	return func(dir string) error {
		return errors.Join(
			os.WriteFile(filepath.Join(dir, "a"), []byte(content), 0o666),
			os.Mkdir(filepath.Join(dir, "parts"), 0o777),
			os.WriteFile(filepath.Join(dir, "parts/b"), []byte(content), 0o666),
		)
	}
}

func readPair(t *testing.T, dir string) (a, b string) {
	t.Helper()
	one, err := os.ReadFile(filepath.Join(dir, "a"))
	two, err2 := os.ReadFile(filepath.Join(dir, "parts/b"))
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	return string(one), string(two)
}

func TestAtomicDirectory(t *testing.T) {
	parent := t.TempDir()
	path := filepath.Join(parent, "model")
	for _, content := range []string{"first", "second"} { // made, then replaced
		if err := pair.Atomic(t.Context(), path+"/", writePair(content)); err != nil {
			t.Fatal(err)
		}
		if a, b := readPair(t, path); a != content || b != content {
			t.Errorf("%q and %q, want %q", a, b, content)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	for name, fail := range map[string]func(string) error{
		"failing":   func(dir string) error { return errors.Join(writePair("third")(dir), io.ErrShortWrite) },
		"cancelled": func(dir string) error { cancel(); return writePair("third")(dir) },
	} {
		c := t.Context()
		if name == "cancelled" {
			c = ctx
		}
		if err := pair.Atomic(c, path, fail); err == nil {
			t.Errorf("%s: no error", name)
		}
		if a, b := readPair(t, path); a != "second" || b != "second" {
			t.Errorf("%s: the earlier model is %q and %q", name, a, b)
		}
	}
	if left, _ := os.ReadDir(parent); len(left) != 1 {
		t.Errorf("left beside the model: %v", left)
	}
}

// TestAtomicDirectoryKeeps: what is no model of the format is not replaced.
func TestAtomicDirectoryKeeps(t *testing.T) {
	parent := t.TempDir()
	path := filepath.Join(parent, "model")
	if err := pair.Atomic(t.Context(), path, writePair("first")); err != nil {
		t.Fatal(err)
	}
	notes, file := filepath.Join(path, "parts", "notes.txt"), filepath.Join(parent, "file")
	if err := errors.Join(os.WriteFile(notes, nil, 0o666), os.WriteFile(file, []byte("mine"), 0o666)); err != nil {
		t.Fatal(err)
	}
	if err := pair.Atomic(t.Context(), path, writePair("second")); err == nil || !strings.Contains(err.Error(), notes) {
		t.Errorf("got %v, want an error that names %s", err, notes)
	}
	if a, _ := readPair(t, path); a != "first" {
		t.Errorf("the model is now %q", a)
	}
	if err := pair.Atomic(t.Context(), file, writePair("second")); err == nil {
		t.Error("a file was replaced")
	}
	if b, err := os.ReadFile(file); string(b) != "mine" {
		t.Errorf("the file is now %q, %v", b, err)
	}
	if err := pair.Atomic(t.Context(), filepath.Join(parent, "missing", "model"), writePair("")); err == nil || strings.Contains(err.Error(), ".tmp") {
		t.Errorf("a missing parent: %v", err)
	}
}

func TestOptionsRefused(t *testing.T) {
	path := write(t, "m.onnx", "\x08\x08\x12\x01p:\x03\x12\x01g")
	_, err := formats.LoadWith(path, formats.Options{Tags: []string{"serve"}, Outputs: []string{"y"}})
	if err == nil || !strings.Contains(err.Error(), "tags, outputs") || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}
