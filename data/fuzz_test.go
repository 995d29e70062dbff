package data

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"image/color"
	"slices"
	"testing"

	"github.com/tfsopt/tfsopt/tensor"
)

func FuzzNPZ(f *testing.F) {
	x, y := npyBytes(f, tensor.New(tensor.Float32, 2, 3)), npyBytes(f, tensor.New(tensor.Int64, 2))
	for _, method := range []uint16{zip.Store, zip.Deflate} {
		f.Add(npzBytes(f, map[string][]byte{"x": x, "y": y}, method))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		arrays, err := npzArrays(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for _, a := range arrays {
			if a.shape[0] == 0 {
				continue
			}
			row, err := a.rows(a.shape[0]-1, 1)
			if err == nil && row.Shape[0] != 1 {
				t.Fatalf("%s %v: a row of %v", a.name, a.shape, row.Shape)
			}
		}
	})
}

func FuzzIDX(f *testing.F) {
	f.Add([]byte{0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4})
	f.Add([]byte{0, 0, 0x0d, 1, 0, 0, 0, 1, 0x3f, 0x80, 0, 0})
	f.Add([]byte{0, 0, 0x0e, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := ReadIDX(bytes.NewReader(b))
		if err == nil && len(x.Data) != x.DType.Bytes(x.Len()) {
			t.Fatalf("%d bytes for %s %v", len(x.Data), x.DType, x.Shape)
		}
	})
}

func FuzzCSV(f *testing.F) {
	f.Add([]byte("\ufeffa,b,y\n1,2,0\n3,4.5e1,1\n"), "y")
	f.Add([]byte("a,\"b\nc\",y\n1,2,\"x,y\"\n"), "y")
	f.Add([]byte("a\n\n1\n"), "")
	f.Fuzz(func(t *testing.T, b []byte, label string) {
		src, err := readCSV(bytes.NewReader(b), Preprocess{}, label, nil)
		if err != nil {
			return
		}
		row, err := src.arrays[0].rows(src.n-1, 1)
		if err != nil || finite(row) != nil || label != "" && len(src.labels) != src.n {
			t.Fatalf("%v %v: %d labels of %d", row, err, len(src.labels), src.n)
		}
		_ = src.name(src.n - 1)
	})
}

func FuzzSlice(f *testing.F) {
	for _, s := range []string{"0:3", "!::2", "-5:-1:3", ":", "9223372036854775807::9223372036854775807", "!-9223372036854775808:"} {
		f.Add(s, 10)
	}
	f.Fuzz(func(t *testing.T, text string, n int) {
		s, err := parseSlice(text)
		if err != nil {
			return
		}
		n = ((n % 100) + 100) % 100
		in := s.of(n)
		s.not = !s.not
		both := append(slices.Clone(in), s.of(n)...)
		slices.Sort(both)
		for i, v := range both {
			if v != i {
				t.Fatalf("%q: a slice and its complement give %v of %d", text, both, n)
			}
		}
		if len(both) != n {
			t.Fatalf("%q: a slice and its complement have %d of %d", text, len(both), n)
		}
	})
}

func FuzzPreprocess(f *testing.F) {
	for _, s := range []string{"caffe:resize=256,crop=224", "none:mean=1,2,3,std=4,layout=nhwc", "tf:", "none:drop=a,b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePreprocess(text)
		if err != nil {
			return
		}
		if slices.Contains(p.Std, 0) || p.Short < 0 || (p.CropW > 0) != (p.CropH > 0) || (p.Width > 0) != (p.Height > 0) {
			t.Fatalf("%q: %+v", text, p)
		}
	})
}

func FuzzTar(f *testing.F) {
	f.Add(tarBytes(f, []string{"a/", "a/x.png", "b/y.png", "z.png"}, square(f, 1, color.White)))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, x := tar.NewReader(bytes.NewReader(b)), index{}
		for range 100 {
			m, _, err := x.next(r)
			if err != nil {
				return
			}
			if m.size < 0 || m.size > maxImageFile || m.path == "" {
				t.Fatalf("%+v", m)
			}
		}
	})
}
