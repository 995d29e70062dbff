package data

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/codec"
	"github.com/tfsopt/tfsopt/tensor"
)

func recordBytes(t testing.TB, records ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := codec.NewRecordWriter(&b)
	for _, r := range records {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func texts(s ...string) codec.Feature {
	f := codec.Feature{Kind: codec.BytesFeature}
	for _, s := range s {
		f.Bytes = append(f.Bytes, []byte(s))
	}
	return f
}

func floats(v ...float32) codec.Feature { return codec.Feature{Kind: codec.FloatFeature, Floats: v} }
func ints(v ...int64) codec.Feature     { return codec.Feature{Kind: codec.IntFeature, Ints: v} }

// examples are n encoded tf.Examples: pixels i, i+1; id i; class i%2 and its name; image of brightness 10·i; a word.
func examples(t testing.TB, from, n int) (out [][]byte) {
	for i := from; i < from+n; i++ {
		e := codec.Example{
			"pixels": floats(float32(i), float32(i+1)), "id": ints(int64(i)), "class": ints(int64(i % 2)), "name": texts([]string{"dog", "cat"}[i%2]),
			"image": texts(string(square(t, 2, color.Gray{uint8(10 * i)}))), "word": texts(fmt.Sprint("w", i)),
		}
		out = append(out, e.Append(nil))
	}
	return out
}

// in0 is an input of the given type, its batch first.
func in0(name string, d tensor.DType, shape ...int) Input {
	return Input{Name: name, DType: d, Shape: append([]int{-1}, shape...)}
}

func TestRecords(t *testing.T) {
	one := recordBytes(t, examples(t, 0, 3)...)
	dir := tree(t, map[string][]byte{
		"one.tfrecord": one, "one.tfrecord.gz": gzipped(t, one), "noname": one, "set/info.json": []byte("{}"),
		"set/s-00000-of-00002": recordBytes(t, examples(t, 0, 2)...), "set/s-00001-of-00002": recordBytes(t, examples(t, 2, 1)...),
		"zipped/s-00000-of-00002.gz": gzipped(t, recordBytes(t, examples(t, 0, 2)...)),
		"zipped/s-00001-of-00002.gz": gzipped(t, recordBytes(t, examples(t, 2, 1)...)),
	})
	inputs := []Input{in0("x", tensor.Float32, 2), in0("id", tensor.Int32, 1), in0("img", tensor.Uint8, 2, 2, 3), in0("word", tensor.String)}
	for _, path := range []string{"one.tfrecord", "one.tfrecord.gz", "noname", "set", "set/s-*", "zipped", "zipped/s-?????-of-00002.gz"} {
		s := open(t, Options{
			Path: filepath.Join(dir, path) + "#1:", Inputs: inputs, LabelColumn: "class",
			Features: map[string]string{"pixels": "x", "image": "img"},
		})
		if s.Len() != 2 || s.Label(0) != 1 || s.Label(1) != 0 {
			t.Fatalf("%s: %d samples, labels %d %d", path, s.Len(), s.Label(0), s.Label(1))
		}
		var b Batch
		for got, err := range s.Stream(t.Context(), 2, 2) {
			if err != nil {
				t.Fatal(path, err)
			}
			b = got
		}
		for i, want := range []string{"[1 2 2 3]", "[1 2]", "[10 10 10 10 10 10 10 10 10 10 10 10 20 20 20 20 20 20 20 20 20 20 20 20]"} {
			if got := fmt.Sprint(tensor.Float64s(b.In[i])); got != want || b.In[i].DType != inputs[i].DType {
				t.Errorf("%s: input %d is %s, want %s", path, i, got, want)
			}
		}
		if got := fmt.Sprint(b.In[3].Strings, b.In[3].Shape); got != "[w1 w2] [2]" {
			t.Errorf("%s: words %s", path, got)
		}
	}
}

func TestRecordLabelsOfText(t *testing.T) {
	dir := tree(t, map[string][]byte{"a.tfrecord": recordBytes(t, examples(t, 0, 3)...), "b.tfrecord": recordBytes(t, examples(t, 1, 1)...)})
	o := Options{Path: filepath.Join(dir, "a.tfrecord"), LabelColumn: "name", Inputs: []Input{in0("pixels", tensor.Float32, 2)}}
	a := open(t, o)
	if got := list(a); got != "a.tfrecord, record 0=1 a.tfrecord, record 1=0 a.tfrecord, record 2=1" || fmt.Sprint(a.Classes()) != "[cat dog]" {
		t.Error(got, a.Classes())
	}
	o.Path, o.Like = filepath.Join(dir, "b.tfrecord"), a
	if b := open(t, o); b.Label(0) != 0 {
		t.Errorf("cat is %d", b.Label(0))
	}
}

// TestRecordWhole feeds the encoded tf.Example to a model that parses it itself.
func TestRecordWhole(t *testing.T) {
	all := examples(t, 0, 2)
	dir := tree(t, map[string][]byte{"a.tfrecord": recordBytes(t, all...)})
	s := open(t, Options{Path: filepath.Join(dir, "a.tfrecord"), Inputs: []Input{in0("inputs", tensor.String)}})
	one, err := s.Sample(1)
	if err != nil || one.In[0].Strings[0] != string(all[1]) {
		t.Error(one, err)
	}
	if w := strings.Join(s.Warnings(), "; "); !strings.Contains(w, `input "inputs" takes the encoded tf.Examples`) {
		t.Errorf("warnings: %s", w)
	}
}

var underRace bool // the race detector makes sync.Pool forget buffers

// TestRecordMemory opens a file of 32 MB: its records pass by, and only their places and labels stay.
func TestRecordMemory(t *testing.T) {
	if underRace {
		t.Skip("buffers are not used again under the race detector")
	}
	e := codec.Example{"x": floats(1, 2), "class": ints(1), "blob": texts(strings.Repeat("b", 1<<20))}.Append(nil)
	dir := tree(t, map[string][]byte{"big.tfrecord": recordBytes(t, slices.Repeat([][]byte{e}, 32)...)})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s := open(t, Options{Path: filepath.Join(dir, "big.tfrecord"), LabelColumn: "class", Inputs: []Input{in0("x", tensor.Float32, 2)}})
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; s.Len() != 32 || n > 12<<20 {
		t.Errorf("%d samples, %d bytes allocated", s.Len(), n)
	}
}

func logOf(inputs map[string]codec.TensorProto) []byte {
	r := codec.PredictRequest{Model: "m", Inputs: inputs}
	return codec.PredictionLog{Kind: codec.PredictLog, Request: r.Append(nil)}.Append(nil)
}

func TestRecordLogs(t *testing.T) {
	x := codec.TensorProto{DType: 1, Shape: []int{2, 1}, Data: []byte{0, 0, 128, 63, 0, 0, 0, 64}} // 1, 2
	one := codec.TensorProto{DType: 4, Shape: []int{1, 1}, Data: []byte{3}}
	dir := tree(t, map[string][]byte{"l.tfrecord": recordBytes(t, logOf(map[string]codec.TensorProto{"a": x, "b": x}), logOf(map[string]codec.TensorProto{"a": one, "b": one}))})
	o := Options{Path: filepath.Join(dir, "l.tfrecord"), Inputs: []Input{in0("a", tensor.Float32, 1), in0("b", tensor.Float32, 1)}}
	s := open(t, o)
	var got []float64
	for i := range s.Len() {
		sample, err := s.Sample(i)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, tensor.Float64s(sample.In[1])...)
	}
	if fmt.Sprint(got) != "[1 2 3]" {
		t.Error(got)
	}
	o.Inputs[1].Batch = -1
	o.Inputs[1].Shape = []int{-1, 1}
	if s = open(t, o); s.Len() != 2 || !s.Whole() {
		t.Errorf("%d samples", s.Len())
	}
	if sample, err := s.Sample(0); err != nil || fmt.Sprint(sample.In[0].Shape, sample.In[1].Shape) != "[2 1] [2 1]" {
		t.Error(sample.In, err)
	}
}

// TestRecordLoggedExamples has one sample for each tf.Example of a logged Classify call.
func TestRecordLoggedExamples(t *testing.T) {
	bytesField := func(num byte, b []byte) []byte { return append([]byte{num<<3 | 2, byte(len(b))}, b...) }
	var list []byte
	for i := range 3 {
		list = append(list, bytesField(1, codec.Example{"x": floats(float32(i)), "class": ints(int64(2 - i))}.Append(nil))...)
	}
	request := bytesField(2, bytesField(1, list)) // ClassificationRequest.input = Input.example_list
	l := codec.PredictionLog{Kind: codec.ClassifyLog, Request: request}
	dir := tree(t, map[string][]byte{"l.tfrecord": recordBytes(t, l.Append(nil), l.Append(nil))})
	s := open(t, Options{Path: filepath.Join(dir, "l.tfrecord"), LabelColumn: "class", Inputs: []Input{in0("x", tensor.Float32, 1)}})
	sample, err := s.Sample(4)
	if err != nil || s.Len() != 6 || sample.Label != 1 || tensor.Floats(sample.In[0])[0] != 1 {
		t.Errorf("%d samples, %v, %v", s.Len(), sample, err)
	}
}

// TestRecordFilesBesideImages leaves a folder of images one, whatever lies beside them.
func TestRecordFilesBesideImages(t *testing.T) {
	p, r := square(t, 2, color.White), recordBytes(t, examples(t, 0, 1)...)
	dir := tree(t, map[string][]byte{"images/a.tfrecord": r, "images/b.png": p, "tsv/a.tfrecord": r, "tsv/b.image": p, "tsv/labels.tsv": []byte("b.image\t3\n")})
	for path, want := range map[string]string{"images": "b.png=-1", "tsv": "b.image=3"} {
		if got := list(open(t, Options{Path: filepath.Join(dir, path)})); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestRecordErrors(t *testing.T) {
	good := recordBytes(t, examples(t, 0, 2)...)
	bad := bytes.Clone(good)
	bad[len(bad)-7] ^= 1
	other := codec.Example{"pixels": floats(1, 2, 3), "class": floats(0.5)}
	sequence := codec.SequenceExample{Lists: map[string][]codec.Feature{"steps": {ints(1)}}}
	dir := tree(t, map[string][]byte{
		"good.tfrecord": good, "bad.tfrecord": bad, "cut.tfrecord": good[:len(good)-9], "none.tfrecord": nil, "text.tfrecord": []byte("hello, world, this is text"),
		"mixed.tfrecord": recordBytes(t, examples(t, 0, 1)[0], other.Append(nil)), "steps.tfrecord": recordBytes(t, sequence.Append(nil)),
		"both.tfrecord": recordBytes(t, examples(t, 0, 1)[0], logOf(nil)), "junk.tfrecord": recordBytes(t, []byte("\x0a\xff")),
		"s-00000-of-00003": good, "s-00002-of-00003": good, "x.npy": npyBytes(t, tensor.New(tensor.Float32, 2, 2)),
	})
	x := []Input{in0("x", tensor.Float32, 2)}
	pixels := map[string]string{"pixels": "x"}
	for _, c := range []struct {
		path string
		o    Options
		want string
	}{
		{"bad.tfrecord", Options{Inputs: x, Features: pixels}, "bad.tfrecord: byte "},
		{"cut.tfrecord", Options{Inputs: x, Features: pixels}, "the file is cut off: a record's data has"},
		{"none.tfrecord", Options{Inputs: x}, "there are no samples"},
		{"text.tfrecord", Options{Inputs: x}, "text.tfrecord: byte 0: the checksum of a record's length is wrong"},
		{"mixed.tfrecord", Options{Inputs: x, Features: pixels}, "mixed.tfrecord, record 1: feature \"pixels\": samples of shape [3] do not fit"},
		{"mixed.tfrecord", Options{Inputs: x, Features: pixels, LabelColumn: "class"}, "record 1: feature \"class\": label 0.5 is no class index"},
		{"mixed.tfrecord", Options{Inputs: x, Features: pixels, LabelColumn: "id"}, "record 1: it has no feature \"id\" for the label: it has class, pixels"},
		{"mixed.tfrecord", Options{Inputs: x, Features: map[string]string{"word": "x"}}, "its 2 bytes are no image that can be read"},
		{"good.tfrecord", Options{Inputs: x}, "input \"x\" has no feature of its name: say which one with NAME=x; there is class, id, image, name, pixels"},
		{"good.tfrecord", Options{Inputs: x, Features: map[string]string{"pixels": "y"}}, "for the input \"y\", which the model does not have"},
		{"good.tfrecord", Options{Inputs: x, Features: map[string]string{"nothing": "x"}}, "it has no feature \"nothing\""},
		{"steps.tfrecord", Options{Inputs: x}, "it is a tf.SequenceExample"},
		{"both.tfrecord", Options{Inputs: x, Features: pixels}, "both.tfrecord, record 1: some records are tf.Examples"},
		{"junk.tfrecord", Options{Inputs: x}, "junk.tfrecord, record 0: byte 0: field 1"},
		{"s-*", Options{Inputs: x, Features: pixels}, "s-00001-of-00003 is missing"},
		{"x.npy", Options{Inputs: x, Features: pixels}, ErrNoFeatures.Error()},
	} {
		c.o.Path = filepath.Join(dir, c.path)
		s, err := Open(c.o)
		for i := 0; err == nil && i < s.Len(); i++ {
			_, err = s.Sample(i)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.path, err, c.want)
		}
		if s != nil {
			_ = s.Close()
		}
	}
	var e *codec.RecordError
	if _, err := Open(Options{Path: filepath.Join(dir, "text.tfrecord")}); !errors.As(err, &e) || e.Offset != 0 {
		t.Error(err)
	}
}
