package data

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tfsopt/tfsopt/tensor"
)

// shared is the directory of data beside the project; tests that need it skip without it.
func shared(t testing.TB, path string) string {
	t.Helper()
	root := os.Getenv("TFSOPT_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "shared")
	}
	full := filepath.Join(root, path)
	if _, err := os.Stat(full); err != nil {
		t.Skipf("%s is not there", full)
	}
	return full
}

// npyFile writes an .npy of version 1 with any header.
func npyFile(header string, data []byte) []byte {
	b := append([]byte(npyMagic+"\x01\x00"), 0, 0)
	binary.LittleEndian.PutUint16(b[8:], uint16(len(header)))
	return append(append(b, header...), data...)
}

func TestNPYRoundTrip(t *testing.T) {
	for d := range npyDescr {
		for _, shape := range [][]int{{}, {5}, {2, 3}, {0, 4}, {1, 2, 1, 3}} {
			want := tensor.New(d, shape...)
			for i := range want.Data {
				want.Data[i] = byte(i*37 + 1)
			}
			if d == tensor.Bool {
				for i := range want.Data {
					want.Data[i] &= 1
				}
			}
			if rest := want.Len() * d.Bits() % 8; rest != 0 { // the unused bits of the last byte
				want.Data[len(want.Data)-1] &= 1<<rest - 1
			}
			var b bytes.Buffer
			if err := WriteNPY(&b, want); err != nil {
				t.Fatal(d, err)
			}
			if head := b.Len() - len(wholeBytes(want)); head%64 != 0 {
				t.Errorf("%s %v: the elements begin at %d", d, shape, head)
			}
			raw, err := ReadNPY(&b)
			if err != nil {
				t.Fatal(d, shape, err)
			}
			got, err := As(raw, d)
			if err != nil {
				t.Fatal(d, shape, err)
			}
			if !slices.Equal(got.Shape, want.Shape) || !bytes.Equal(got.Data, want.Data) || got.DType != d {
				t.Errorf("%s %v: got %v %v %v, want %v", d, shape, got.DType, got.Shape, got.Data, want.Data)
			}
		}
	}
}

func TestNPYForms(t *testing.T) {
	be := []byte{0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6}
	for _, c := range []struct {
		header string
		data   []byte
		want   *tensor.Tensor
	}{
		{"{'descr': '>i4', 'fortran_order': False, 'shape': (2, 3), }", be, tensor.From([]int32{1, 2, 3, 4, 5, 6}, 2, 3)},
		{"{'descr': '>i4', 'fortran_order': True, 'shape': (2, 3)}\n", be, tensor.From([]int32{1, 3, 5, 2, 4, 6}, 2, 3)},
		{`{"shape": (2L,), "fortran_order": False, "descr": "|u1"}`, []byte{1, 2}, tensor.From([]uint8{1, 2}, 2)},
		{"{'descr': '|V2', 'fortran_order': False, 'shape': (1,), }", []byte{0x80, 0x3f}, tensor.From([]uint16{0x3f80}, 1)},
		{"{'descr': '|S3', 'fortran_order': False, 'shape': (2,), }", []byte("ab\x00xyz"), tensor.FromStrings([]string{"ab", "xyz"}, 2)},
		{"{'descr': '<U2', 'fortran_order': False, 'shape': (1,), }", []byte("\xe9\x00\x00\x00b\x00\x00\x00"), tensor.FromStrings([]string{"éb"}, 1)},
		{"{'descr': '>U1', 'fortran_order': False, 'shape': (1,), }", []byte("\x00\x00\x00\xe9"), tensor.FromStrings([]string{"é"}, 1)},
		{"{'descr': '>c8', 'fortran_order': False, 'shape': (), }", []byte{0x3f, 0x80, 0, 0, 0x40, 0, 0, 0}, tensor.Scalar(complex64(1 + 2i))},
	} {
		got, err := ReadNPY(bytes.NewReader(npyFile(c.header, c.data)))
		if err != nil {
			t.Errorf("%s: %v", c.header, err)
		} else if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", c.header, d)
		}
	}
}

func TestNPYErrors(t *testing.T) {
	for header, want := range map[string]string{
		"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }":                    "4 bytes are missing",
		"{'descr': '|O', 'fortran_order': False, 'shape': (3,), }":                     `"|O" is not supported`,
		"{'descr': 'O4', 'fortran_order': False, 'shape': (3,), }":                     "pickled",
		"{'descr': [('a','<f4')], 'fortran_order': False, 'shape': (3,), }":            "records",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }":                   `dimension "-1"`,
		"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,4), }": "too large",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000,1000000), }":       "too large",
		"{'descr': '<f4', 'fortran_order': False, 'shape': (100000000000,), }":         "are missing",
		"{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,), }":                    "fortran_order",
		"{'descr': '<f4', 'shape': (1,), }":                                            "want descr",
		"{'descr': '<f4', 'descr': '<f4', 'shape': (1,), }":                            "want a key",
		"": "want a dictionary",
	} {
		if _, err := ReadNPY(bytes.NewReader(npyFile(header, make([]byte, 8)))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", header, err, want)
		}
	}
	if err := WriteNPY(&bytes.Buffer{}, tensor.FromStrings([]string{"a"}, 1)); err == nil {
		t.Error("strings were written")
	}
}

func TestAs(t *testing.T) {
	for _, c := range []struct {
		in   *tensor.Tensor
		to   tensor.DType
		want []float64 // nil: fails
	}{
		{tensor.From([]float64{1.5, -2}, 2), tensor.Float32, []float64{1.5, -2}},
		{tensor.From([]int64{3, 255}, 2), tensor.Uint8, []float64{3, 255}},
		{tensor.From([]int64{3, 256}, 2), tensor.Uint8, nil},
		{tensor.From([]int32{-1}, 1), tensor.Uint64, nil},
		{tensor.From([]uint64{1 << 63}, 1), tensor.Int64, nil},
		{tensor.From([]uint8{0, 2}, 2), tensor.Bool, nil},
		{tensor.From([]float32{1}, 1), tensor.Int32, nil},
		{tensor.From([]uint16{0x3fc0}, 1), tensor.BFloat16, []float64{1.5}},
		{tensor.From([]int8{-8, 7, 1}, 3), tensor.Int4, []float64{-8, 7, 1}},
		{tensor.From([]uint8{0x8, 7}, 2), tensor.Int4, []float64{-8, 7}},
		{tensor.From([]uint8{16}, 1), tensor.Uint4, nil},
	} {
		got, err := As(c.in, c.to)
		if (err == nil) != (c.want != nil) {
			t.Errorf("%v to %s: %v", c.in, c.to, err)
		} else if err == nil && (got.DType != c.to || !slices.Equal(tensor.Float64s(got), c.want)) {
			t.Errorf("%v to %s: %v, want %v", c.in, c.to, got, c.want)
		}
	}
}

func TestTensorFiles(t *testing.T) {
	for _, want := range []*tensor.Tensor{
		tensor.FromStrings([]string{"a", "", "\xff\x00é"}, 3, 1), tensor.FromStrings([]string{"x"}), tensor.From([]float32{1, float32(math.Inf(1))}, 2),
	} {
		path := filepath.Join(t.TempDir(), "t"+TensorExt(want))
		if err := SaveTensor(path, want); err != nil {
			t.Fatal(err)
		}
		got, err := LoadTensor(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
	bad := filepath.Join(t.TempDir(), "bad.json")
	for _, text := range []string{`{"shape":[2],"b64":["YQ=="]}`, `{"shape":[1],"b64":["?"]}`, `{"shape":[-1],"b64":[]}`, "", "{"} {
		if err := os.WriteFile(bad, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadTensor(bad); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Every .npy that TensorFlow's goldens hold is read, and written again to the same elements.
func TestNPYGolden(t *testing.T) {
	n := 0
	err := filepath.WalkDir(shared(t, "golden/models"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(p) != ".npy" {
			return err
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		got, err := ReadNPY(bytes.NewReader(b))
		if err != nil {
			t.Errorf("%s: %v", p, err)
			return nil
		}
		n++
		if got.DType == tensor.String {
			return nil
		}
		var out bytes.Buffer
		if err := WriteNPY(&out, got); err != nil || !bytes.HasSuffix(b, got.Data) || !bytes.HasSuffix(out.Bytes(), got.Data) {
			t.Errorf("%s: %v", p, err)
		}
		return nil
	})
	if err != nil || n == 0 {
		t.Errorf("%d files, %v", n, err)
	}
	t.Logf("%d files", n)
}

func FuzzNPY(f *testing.F) {
	for _, d := range []tensor.DType{tensor.Float32, tensor.Int8, tensor.Float64} {
		var b bytes.Buffer
		if err := WriteNPY(&b, tensor.New(d, 2, 3)); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Add(npyFile("{'descr': '<U2', 'fortran_order': True, 'shape': (2, 1), }", make([]byte, 16)))
	f.Add(npyFile("{'descr': '|S0', 'fortran_order': True, 'shape': (2, 1), }", nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := ReadNPY(bytes.NewReader(b))
		if err != nil {
			return
		}
		if got.DType == tensor.String {
			if len(got.Strings) != got.Len() {
				t.Fatalf("%d strings for %v", len(got.Strings), got.Shape)
			}
			return
		}
		if len(got.Data) != got.DType.Bytes(got.Len()) {
			t.Fatalf("%d bytes for %s %v", len(got.Data), got.DType, got.Shape)
		}
		var out bytes.Buffer
		if len(got.Shape) > 1000 {
			return
		}
		if err := WriteNPY(&out, got); err != nil {
			t.Fatal(err)
		}
		again, err := ReadNPY(&out)
		if err != nil || !bytes.Equal(again.Data, got.Data) || !slices.Equal(again.Shape, got.Shape) {
			t.Fatalf("%v: %v came back as %v", err, got, again)
		}
	})
}
