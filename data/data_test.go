package data

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tfsopt/tfsopt/tensor"
)

// square is a PNG of size x size pixels of one colour.
func square(t testing.TB, size int, c color.Color) []byte {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, size, size))
	for i := range size * size {
		m.Set(i%size, i/size, c)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tree writes files below a new directory.
func tree(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, b := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func open(t testing.TB, o Options) *Set {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// list prints a set's names and labels.
func list(s *Set) string {
	var out []string
	for i := range s.Len() {
		out = append(out, fmt.Sprintf("%s=%d", s.Name(i), s.Label(i)))
	}
	return strings.Join(out, " ")
}

func npyBytes(t testing.TB, x *tensor.Tensor) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteNPY(&b, x); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func tarBytes(t testing.TB, names []string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, n := range names {
		content := content
		if strings.HasSuffix(n, ".txt") {
			content = []byte("text")
		}
		h := &tar.Header{Name: n, Mode: 0o666, Size: int64(len(content)), Typeflag: tar.TypeReg}
		if strings.HasSuffix(n, "/") {
			h.Size, h.Typeflag = 0, tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := w.Write(content); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestSources(t *testing.T) {
	p := square(t, 2, color.White)
	names := []string{"set/train/", "set/train/b/2.png", "set/train/b/1.png", "set/train/a/z.png", "set/train/a/._z.png", "set/readme.txt"}
	archive := tarBytes(t, names, p)
	x, y := npyBytes(t, tensor.From([]float32{1, 2, 3, 4}, 2, 2)), npyBytes(t, tensor.From([]int64{1, 0}, 2))
	idx := []byte{0, 0, 8, 1, 0, 0, 0, 2, 5, 7}
	dir := tree(t, map[string][]byte{
		"classes/cat/b.png": p, "classes/cat/sub/a.PNG": p, "classes/dog/c.png": p, "classes/.git/x.png": p, "classes/notes.txt": nil,
		"outer/images/cat/a.png": p, "outer/images/dog/b.png": p,
		"flat/b.png": p, "flat/a.png": p,
		"tsv/b.png": p, "tsv/a.png": p, "tsv/labels.tsv": []byte("\ufeffb.png\t7\r\n\na.png\t0\n"),
		"set.tar": archive, "set.tar.gz": gzipped(t, archive), "flat.tar": tarBytes(t, []string{"q.png"}, p),
		"x.npy": x, "y.npy": y, "y.gz": gzipped(t, idx), "y.idx": idx,
		"t.csv":    []byte("\ufeffa, \"b c\",kind\n1,2,x\n3,-4.5,\"a,b\"\n"),
		"num#.csv": []byte("a,label\n1,1\n3,0\n"),
	})
	for _, c := range []struct{ path, label, want, classes string }{
		{"classes", "", "cat/b.png=0 cat/sub/a.PNG=0 dog/c.png=1", "cat dog"},
		{"outer", "", "images/cat/a.png=0 images/dog/b.png=1", "cat dog"},
		{"flat", "", "a.png=-1 b.png=-1", ""},
		{"tsv", "", "b.png=7 a.png=0", ""},
		{"tsv#1:", "", "a.png=0", ""},
		{"set.tar", "", "set/train/a/z.png=0 set/train/b/1.png=1 set/train/b/2.png=1", "a b"},
		{"set.tar.gz#!0:1", "", "set/train/b/1.png=1 set/train/b/2.png=1", "a b"},
		{"flat.tar", "", "q.png=-1", ""},
		{"x.npy", "", "sample 0=-1 sample 1=-1", ""},
		{"x.npy,y.npy", "", "sample 0=1 sample 1=0", ""},
		{"x.npy,y.gz", "", "sample 0=5 sample 1=7", ""},
		{"y.idx,y.gz", "", "sample 0=5 sample 1=7", ""},
		{"t.csv", "kind", "line 2=1 line 3=0", "a,b x"},
		{"num#.csv", "label", "line 2=1 line 3=0", ""},
		{"num#.csv#-1:", "label", "line 3=0", ""},
		{"num#.csv", "", "line 2=-1 line 3=-1", ""},
	} {
		s := open(t, Options{Path: filepath.Join(dir, c.path), LabelColumn: c.label})
		if got := list(s); got != c.want || strings.Join(s.Classes(), " ") != c.classes {
			t.Errorf("%s: %s, classes %v; want %s, %s", c.path, got, s.Classes(), c.want, c.classes)
		}
		for i := range s.Len() {
			if _, err := s.Sample(i); err != nil {
				t.Errorf("%s: %v", c.path, err)
			}
		}
	}
	if s := open(t, Options{Path: filepath.Join(dir, "x.npy,y.npy"), LabelOffset: 1}); list(s) != "sample 0=2 sample 1=1" {
		t.Errorf("with an offset: %s", list(s))
	}
}

func TestNotes(t *testing.T) {
	p := square(t, 1, color.White)
	dir := tree(t, map[string][]byte{"2/a.png": p, "10/a.png": p, "stray.png": p})
	s := open(t, Options{Path: dir})
	if got := strings.Join(s.Warnings(), "|"); list(s) != "10/a.png=0 2/a.png=1" || !strings.Contains(got, "1 images beside") || !strings.Contains(got, "10 comes before 2") {
		t.Errorf("%s: %s", list(s), got)
	}
}

func TestOpenErrors(t *testing.T) {
	p := square(t, 2, color.White)
	x := npyBytes(t, tensor.From([]float32{1, 2, 3, 4}, 2, 2))
	dir := tree(t, map[string][]byte{
		"classes/cat/b.png": p, "classes/dog/readme": nil, "none/a.txt": nil, "folders/a/x.txt": nil, "folders/b/x.txt": nil,
		"broken/a.jpg": []byte("\xff\xd8\xff nothing"), "empty/a.png": nil,
		"tsv1/labels.tsv": []byte("a.png 0\n"), "tsv2/labels.tsv": []byte("../a.png\t0\n"), "tsv3/labels.tsv": []byte("a.png\t0\n"),
		"tsv4/labels.tsv": []byte("a.png\t-1\n"), "tsv4/a.png": p, "tsv5/labels.tsv": nil,
		"x.npy": x, "short.npy": x[:len(x)-1], "y3.npy": npyBytes(t, tensor.New(tensor.Int32, 3)),
		"half.npy": npyBytes(t, tensor.From([]float32{0, 0.5}, 2)), "neg.npy": npyBytes(t, tensor.From([]int8{0, -1}, 2)),
		"hollow.npy": npyFile("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 0), }", nil),
		"nan.npy":    npyBytes(t, tensor.From([]float32{1, nan(), 3, 4}, 2, 2)),
		"text.bin":   []byte("hello"), "bad.tar": append(tarBytes(t, []string{"a/x.png"}, p), 1)[:540],
		"cut.tar.gz": gzipped(t, tarBytes(t, []string{"a/x.png"}, p))[:60], "none.tar": tarBytes(t, []string{"a.txt"}, p),
		"t.csv": []byte("a,id\n1,x\n2,y\n"), "e.csv": nil, "h.csv": []byte("a,b\n"), "r.csv": []byte("a,b\n1,2\n3\n"), "d.csv": []byte("a,a\n1,2\n"),
		"nan.csv": []byte("a,b\n1,nan\n"), "l.csv": []byte("a,b\n1,0.5\n"), "bad.npz": []byte("PK\x03\x04 nothing"),
	})
	for _, c := range []struct{ path, want string }{
		{"missing", "no such file"},
		{"x.npy,missing.npy", "missing.npy"},
		{"classes", "class folders dog"},
		{"none", "no images (JPEG"},
		{"folders", "in its folders a, b"},
		{"broken", "a.jpg"},
		{"empty", "a.png: the file is empty"},
		{"tsv1", "labels.tsv:1"},
		{"tsv2", "not inside"},
		{"tsv3", "a.png"},
		{"tsv4", "a.png: label -1 is negative"},
		{"tsv5", "no samples"},
		{"short.npy", "cut off"},
		{"x.npy,y3.npy", "3 labels for 2 samples"},
		{"x.npy,half.npy", "sample 1: label 0.5"},
		{"x.npy,neg.npy", "sample 1: label -1"},
		{"nan.npy", "sample 0"},
		{"x.npy#5:", "selects none of the 2"},
		{"x.npy#a:b", `"a" is not an integer`},
		{"text.bin", "neither .npy"},
		{"bad.tar", "EOF"},
		{"cut.tar.gz", "EOF"},
		{"none.tar", "holds no images (JPEG"},
		{"t.csv", `column "id", line 2: "x"`},
		{"e.csv", "empty"},
		{"h.csv", "no samples"},
		{"r.csv", "line 3"},
		{"d.csv", `two columns "a"`},
		{"nan.csv", `"nan" is no finite`},
		{"bad.npz", "not an .npz"},
		{"x.npy,x.npy", "want [N]"},
		{"hollow.npy", "samples are empty"},
		{"x.npy,hollow.npy", "want [N]"},
	} {
		s, err := Open(Options{Path: filepath.Join(dir, c.path)})
		if err == nil {
			_ = s.Close()
			t.Errorf("%s: opened", c.path)
		} else if got := err.Error(); !strings.Contains(got, c.want) || !strings.Contains(got, "data "+dir) {
			t.Errorf("%s: %v; want %q", c.path, err, c.want)
		}
	}
	for label, want := range map[string]string{"b": `label "0.5"`, "c": `no column "c"`} {
		if _, err := Open(Options{Path: filepath.Join(dir, "l.csv"), LabelColumn: label}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("label %s: %v", label, err)
		}
	}
}

func TestCSVColumns(t *testing.T) {
	dir := tree(t, map[string][]byte{"t.csv": []byte("id,size,kind,y\nq,1,b,0\nr,2,a,1\n")})
	for prep, want := range map[string]string{
		"none:drop=id,onehot=kind":                   "[1 0 1][2 1 0]",
		"none:columns=kind,size,onehot=kind":         "[0 1 1][1 0 2]",
		"none:drop=id,kind,mean=1,std=2":             "[0][0.5]",
		"none:drop=id,onehot=kind,mean=1,0,0,std=10": "[0 0 0.1][0.1 0.1 0]",
	} {
		s := open(t, Options{Path: filepath.Join(dir, "t.csv"), LabelColumn: "y", Preprocess: prep})
		got := ""
		for i := range s.Len() {
			x, err := s.Sample(i)
			if err != nil {
				t.Fatal(err)
			}
			got += fmt.Sprint(tensor.Floats(x.In[0]))
		}
		if got != want {
			t.Errorf("%s: %s, want %s", prep, got, want)
		}
	}
	_, err := Open(Options{Path: filepath.Join(dir, "t.csv"), Preprocess: "none:columns=y,kind,drop=kind", LabelColumn: "y"})
	if err == nil || !strings.Contains(err.Error(), "is the label") {
		t.Error(err)
	}
}

func npzBytes(t testing.TB, arrays map[string][]byte, method uint16) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, n := range sortedKeys(arrays) {
		w, err := z.CreateHeader(&zip.FileHeader{Name: n + ".npy", Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(arrays[n]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestNPZ(t *testing.T) {
	ids, mask := npyBytes(t, tensor.From([]int64{1, 2, 3, 4}, 2, 2)), npyBytes(t, tensor.From([]int64{0, 1}, 2, 1))
	y := npyBytes(t, tensor.From([]uint8{9, 8}, 2))
	two := []Input{{Name: "mask:0", DType: tensor.Int64, Shape: []int{-1, -1}}, {Name: "ids", DType: tensor.Int32, Shape: []int{-1, -1}}}
	for _, method := range []uint16{zip.Store, zip.Deflate} {
		dir := tree(t, map[string][]byte{
			"xy.npz":  npzBytes(t, map[string][]byte{"x": ids, "y": y, "other": mask}, method),
			"two.npz": npzBytes(t, map[string][]byte{"ids": ids, "mask": mask, "extra": y}, method),
			"odd.npz": npzBytes(t, map[string][]byte{"ids": ids, "mask": npyBytes(t, tensor.New(tensor.Int64, 3, 1))}, method),
			"one.npz": npzBytes(t, map[string][]byte{"arr_0": ids, "labels": y}, method),
		})
		s := open(t, Options{Path: filepath.Join(dir, "xy.npz"), Inputs: []Input{{Name: "input", DType: tensor.Int64, Shape: []int{-1, 2}}}})
		if x, err := s.Sample(1); list(s) != "sample 0=9 sample 1=8" || err != nil || !slices.Equal(tensor.Ints(x.In[0]), []int64{3, 4}) {
			t.Errorf("%s %v %v", list(s), x, err)
		}
		s = open(t, Options{Path: filepath.Join(dir, "one.npz"), Inputs: two[1:]})
		if list(s) != "sample 0=9 sample 1=8" {
			t.Error(list(s))
		}
		s = open(t, Options{Path: filepath.Join(dir, "two.npz"), Inputs: two})
		x, err := s.Sample(1)
		if err != nil || s.Labelled() || x.In[0].Len() != 1 || x.In[1].DType != tensor.Int32 || !slices.Equal(tensor.Ints(x.In[1]), []int64{3, 4}) {
			t.Errorf("%v %v", x, err)
		}
		two[1].Name, two[1].Shape = "idz", []int{-1, 2}
		if _, err := Open(Options{Path: filepath.Join(dir, "two.npz"), Inputs: two}); err == nil || !strings.Contains(err.Error(), `"idz" has no array`) {
			t.Error(err)
		}
		two[1].Name = "ids"
		if _, err := Open(Options{Path: filepath.Join(dir, "odd.npz"), Inputs: two}); err == nil || !strings.Contains(err.Error(), "samples") {
			t.Error(err)
		}
	}
}

func TestStream(t *testing.T) {
	n := 23
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i)
	}
	dir := tree(t, map[string][]byte{"x.npy": npyBytes(t, tensor.From(x, n, 1))})
	s := open(t, Options{Path: filepath.Join(dir, "x.npy")})
	for _, workers := range []int{1, 4} {
		var now, most, ready atomic.Int64
		prepare := s.prepare
		s.prepare = func(i int) ([]*tensor.Tensor, error) {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			ready.Add(1)
			return prepare(i)
		}
		next := 0
		for b, err := range s.Stream(context.Background(), 5, workers) {
			if err != nil {
				t.Fatal(err)
			}
			if ahead := int(ready.Load()) - next - len(b.Labels); ahead > workers {
				t.Errorf("%d samples ahead with %d workers", ahead, workers)
			}
			for i, v := range tensor.Floats(b.In[0]) {
				if int(v) != next || b.First+i != next || b.Names[i] != fmt.Sprint("sample ", next) || b.Labels[i] != -1 {
					t.Fatalf("%v at %d: %v", v, next, b)
				}
				next++
			}
			if want := min(5, n-b.First); b.In[0].Shape[0] != want || len(b.Labels) != want {
				t.Errorf("batch at %d has %v", b.First, b.In[0].Shape)
			}
		}
		if next != n || int(most.Load()) > workers {
			t.Errorf("%d samples, %d at once", next, most.Load())
		}
		s.prepare = prepare
	}
}

func TestStreamStops(t *testing.T) {
	s := Random([]Input{{Name: "x", DType: tensor.Float32, Shape: []int{-1, 2}}}, 100, 1)
	for range s.Stream(context.Background(), 1, 3) {
		break
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n := 0
	var last error
	for _, err := range s.Stream(ctx, 10, 3) {
		if last = err; err == nil {
			n++
			cancel()
		}
	}
	if n != 1 || !errors.Is(last, context.Canceled) {
		t.Errorf("%d batches, then %v", n, last)
	}
	fail := errors.New("sample 7 is bad")
	prepare := s.prepare
	s.prepare = func(i int) ([]*tensor.Tensor, error) {
		if i == 7 {
			return nil, fail
		}
		return prepare(i)
	}
	n, last = 0, nil
	for _, err := range s.Stream(context.Background(), 2, 4) {
		if last = err; err == nil {
			n++
		}
	}
	if n != 3 || !errors.Is(last, fail) {
		t.Errorf("%d batches, then %v", n, last)
	}
}

func TestStreamRefusesMixedSizes(t *testing.T) {
	dir := tree(t, map[string][]byte{"a/a.png": square(t, 2, color.White), "b/b.png": square(t, 3, color.White)})
	s := open(t, Options{Path: dir})
	for _, err := range s.Stream(context.Background(), 2, 1) {
		if err == nil || !strings.Contains(err.Error(), "b/b.png") || !strings.Contains(err.Error(), "a/a.png") {
			t.Error(err)
		}
	}
	for b, err := range s.Stream(context.Background(), 1, 1) {
		if err != nil || b.In[0].Shape[2] != b.First+2 {
			t.Error(b, err)
		}
	}
}

func TestRandom(t *testing.T) {
	in := []Input{
		{Name: "image", DType: tensor.Float32, Shape: []int{-1, 3, -1, 8}},
		{Name: "ids", DType: tensor.Int64, Shape: []int{1, -1}},
		{Name: "u8", DType: tensor.Uint8, Shape: []int{1, 9}},
		{Name: "h", DType: tensor.Float16, Shape: []int{-1, 2}},
		{Name: "b", DType: tensor.Bool, Shape: []int{-1, 2}},
	}
	a, b := Random(in, 3, 5), Random(in, 9, 5)
	x, err := a.Sample(2)
	if err != nil {
		t.Fatal(err)
	}
	y, err := b.Sample(2)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]int{{1, 3, 224, 8}, {1, 32}, {1, 9}, {1, 2}, {1, 2}} {
		if !slices.Equal(x.In[i].Shape, want) || x.In[i].DType != in[i].DType || !bytes.Equal(x.In[i].Data, y.In[i].Data) {
			t.Errorf("%s: %v %v", in[i].Name, x.In[i].DType, x.In[i].Shape)
		}
	}
	z, err := Random(in, 3, 6).Sample(2)
	if err != nil || bytes.Equal(z.In[0].Data, x.In[0].Data) || len(a.Warnings()) != 1 {
		t.Error("another seed gave the same data, or there is no warning", err)
	}
	for _, v := range tensor.Ints(x.In[1]) {
		if v != 0 && v != 1 {
			t.Errorf("an id of %d", v)
		}
	}
}
