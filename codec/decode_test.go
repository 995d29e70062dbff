package codec

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFormats reads one picture in each format as Pillow does.
func TestFormats(t *testing.T) {
	files, err := filepath.Glob("testdata/formats.*")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range files {
		name := filepath.Base(f)
		if strings.HasSuffix(name, ".png") || strings.HasSuffix(name, ".py") {
			continue
		}
		n++
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if !Sniff(b[:SniffLen]) {
			t.Errorf("%s: not known by its first bytes", name)
		}
		same(t, name, read(t, name), read(t, name+".png"))
		for i := range b {
			if im, err := Decode(b[:i], 0); err == nil && len(im.Pix) != im.W*im.H*im.C {
				t.Errorf("%s cut to %d bytes: %dx%dx%d with %d bytes", name, i, im.W, im.H, im.C, len(im.Pix))
			}
		}
		if _, err := Decode(b, 5); err == nil || !strings.Contains(err.Error(), "limit is 5") {
			t.Errorf("%s above the limit: %v", name, err)
		}
	}
	if n != 10 {
		t.Errorf("%d files, want 10", n)
	}
}

// TestSniffText finds no image in what begins like one.
func TestSniffText(t *testing.T) {
	for _, s := range []string{"", "BMW and others", "P3", "P7 330\n", "P10\n", "RIFF\x00\x00\x00\x00WAVEfmt ", "II*", "hello, world, hello"} {
		if Sniff([]byte(s)) {
			t.Errorf("%q is taken for an image", s)
		}
	}
}
