package onnx

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExternalLinks lays out models whose data is reached through symbolic links.
func TestExternalLinks(t *testing.T) {
	write := func(t *testing.T, path string, b []byte) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link := func(t *testing.T, to, path string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, path); err != nil {
			t.Skip("no symbolic links here:", err)
		}
	}
	weights := make([]byte, 8)
	for _, c := range []struct {
		name, location string
		lay            func(t *testing.T, dir string)
		wrong          string
	}{
		{"file out", "w.bin", func(t *testing.T, dir string) {
			write(t, dir+"/secret", weights)
			link(t, "../secret", dir+"/m/w.bin")
		}, "escapes"},
		{"directory out", "sub/secret", func(t *testing.T, dir string) {
			write(t, dir+"/secret", weights)
			link(t, "..", dir+"/m/sub")
		}, "escapes"},
		{"absolute", "w.bin", func(t *testing.T, dir string) {
			write(t, dir+"/secret", weights)
			link(t, dir+"/secret", dir+"/m/w.bin")
		}, "escapes"},
		{"inside", "w.bin", func(t *testing.T, dir string) {
			write(t, dir+"/m/real", weights)
			link(t, "real", dir+"/m/w.bin")
		}, ""},
		{"cache", "w.bin", func(t *testing.T, dir string) {
			write(t, dir+"/blobs/1", weights)
			write(t, dir+"/blobs/2", externalModel("w.bin", "0", "8"))
			link(t, "../blobs/1", dir+"/m/w.bin")
			link(t, "../blobs/2", dir+"/m/m.onnx")
		}, ""},
		{"out of the cache", "w.bin", func(t *testing.T, dir string) {
			write(t, dir+"/secret", weights)
			write(t, dir+"/blobs/2", externalModel("w.bin", "0", "8"))
			link(t, "../secret", dir+"/m/w.bin")
			link(t, "../blobs/2", dir+"/m/m.onnx")
		}, "escapes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			c.lay(t, dir)
			path := dir + "/m/m.onnx"
			if _, err := os.Lstat(path); err != nil {
				write(t, path, externalModel(c.location, "0", "8"))
			}
			f, err := Load(path)
			if err == nil {
				defer f.Close()
			}
			if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
				t.Errorf("got %v, want %q", err, c.wrong)
			}
		})
	}
}
