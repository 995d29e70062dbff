package data

import (
	"archive/tar"
	"bytes"
	"image"
	"image/color"
	"image/gif"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"github.com/tfsopt/tfsopt/tensor"
)

// tarOf packs files in the order of their names.
func tarOf(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range sortedKeys(files) {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o666, Size: int64(len(files[name])), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestKindsOfImages reads images by their content, from folders and archives, and names what is left out among them.
func TestKindsOfImages(t *testing.T) {
	m := image.NewPaletted(image.Rect(0, 0, 2, 2), color.Palette{color.RGBA{10, 20, 30, 255}})
	var g, b, f bytes.Buffer
	for _, err := range []error{gif.Encode(&g, m, nil), bmp.Encode(&b, m), tiff.Encode(&f, m, nil)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	webp, err := os.ReadFile("../codec/testdata/formats.lossless.webp")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{
		"cat/a.GIF": g.Bytes(), "cat/b.bmp": b.Bytes(), "dog/c": f.Bytes(), "dog/d.png": f.Bytes(), "dog/e.dat": webp, ".hidden": nil,
		"cat/readme.txt": []byte("P3PO"), "dog/x.heic": []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00"), "dog/none": nil,
	}
	packed := tarOf(t, files)
	dir := tree(t, files)
	archives := tree(t, map[string][]byte{"all.tar": packed, "all.tar.gz": gzipped(t, packed)})
	for _, path := range []string{dir, filepath.Join(archives, "all.tar"), filepath.Join(archives, "all.tar.gz")} {
		s := open(t, Options{Path: path})
		if got, want := list(s), "cat/a.GIF=0 cat/b.bmp=0 dog/c=1 dog/d.png=1 dog/e.dat=1"; got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
		for i := range 4 {
			x, err := s.Sample(i)
			if err != nil {
				t.Fatal(path, err)
			}
			if v := tensor.View[float32](x.In[0]); len(v) != 12 || v[0] != 10 || v[4] != 20 || v[8] != 30 {
				t.Errorf("%s: %s is %v", path, s.Name(i), v)
			}
		}
		if got := strings.Join(s.Warnings(), "|"); !strings.Contains(got, "3 files that are no images which can be read are left out: cat/readme.txt, dog/none, dog/x.heic") {
			t.Errorf("%s: %q", path, got)
		}
	}
}
