package formats_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"

	"github.com/tfsopt/tfsopt/formats"
)

// xzFile compresses in blocks of their own, as xz does with threads.
func xzFile(t *testing.T, b []byte, c xz.WriterConfig) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := c.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func loadBytes(t *testing.T, name string, b []byte) (*formats.File, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := formats.Load(path)
	if err == nil {
		t.Cleanup(func() { f.Close() })
	}
	return f, err
}

// TestXZForms reads what other writers write: several blocks and streams, padding, every check, and xz itself.
func TestXZForms(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.onnx")
	if _, err := formats.Save(t.Context(), sparseModel(t, 100), path); err != nil {
		t.Fatal(err)
	}
	model, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	half := len(model) / 2
	two := append(xzFile(t, model[:half], xz.WriterConfig{}), 0, 0, 0, 0)
	files := map[string][]byte{
		"plain":   xzFile(t, model, xz.WriterConfig{}),
		"blocks":  xzFile(t, model, xz.WriterConfig{BlockSize: 1000}),
		"sha256":  xzFile(t, model, xz.WriterConfig{CheckSum: xz.SHA256, BlockSize: 3333}),
		"crc32":   xzFile(t, model, xz.WriterConfig{CheckSum: xz.CRC32}),
		"streams": append(two, xzFile(t, model[half:], xz.WriterConfig{})...),
	}
	if tool, err := exec.LookPath("xz"); err == nil {
		for _, flags := range [][]string{{"-9e"}, {"-T2", "--block-size=5000"}, {"-0", "-C", "none"}} {
			cmd := exec.CommandContext(t.Context(), tool, append(flags, "-c", path)...)
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			files[strings.Join(flags, " ")] = out
		}
	}
	for name, b := range files {
		f, err := loadBytes(t, "m.onnx.xz", b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if len(f.Graph.Nodes) != 1 {
			t.Errorf("%s: %d nodes", name, len(f.Graph.Nodes))
		}
	}
}

// TestXZDictionaries refuses small blocks that ask for 4 GiB each, before anything is allocated for them.
func TestXZDictionaries(t *testing.T) {
	b := xzFile(t, []byte("some text that is no model"), xz.WriterConfig{})
	const header = 12 // after the stream's
	size := 4 * (int(b[header]) + 1)
	dict := bytes.IndexByte(b[header:], 0x21) + header + 2
	b[dict] = 40
	binary.LittleEndian.PutUint32(b[header+size-4:], crc32.ChecksumIEEE(b[header:header+size-4]))
	_, err := loadBytes(t, "m.onnx.xz", b)
	if err == nil || !strings.Contains(err.Error(), "dictionaries of 4294967295 bytes for 26 bytes of data") {
		t.Errorf("got %v", err)
	}
}
