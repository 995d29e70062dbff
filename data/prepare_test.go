package data

import (
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tfsopt/tfsopt/codec"
	"github.com/tfsopt/tfsopt/tensor"
)

func nan() float32 { return float32(math.NaN()) }

func TestSlices(t *testing.T) {
	for text, want := range map[string][]int{
		"0:3": {0, 1, 2}, "7:": {7, 8, 9}, ":2": {0, 1}, "::4": {0, 4, 8}, "!::2": {1, 3, 5, 7, 9}, "-2:": {8, 9}, ":-8": {0, 1},
		"1:8:3": {1, 4, 7}, "!1:9": {0, 9}, "8:100": {8, 9}, "5:2": nil, ":": {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, "!:": nil, "-100:1": {0},
	} {
		s, err := parseSlice(text)
		if err != nil || !slices.Equal(s.of(10), want) {
			t.Errorf("%s: %v, %v, want %v", text, s.of(10), err, want)
		}
	}
	for _, text := range []string{"", "1", "1:2:3:4", "::0", "::-1", "a:", "1.5:", "!"} {
		if _, err := parseSlice(text); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

// One sample comes from each stretch of equal length, and no stride meets only one of the classes that take turns.
func TestSpread(t *testing.T) {
	index := make([]int, 500)
	for i := range index {
		index[i] = i
	}
	got := spread(index, 50)
	residues := map[int]bool{}
	for i, v := range got {
		if v/10 != i {
			t.Errorf("choice %d is %d", i, v)
		}
		residues[v%10] = true
	}
	if len(residues) < 8 {
		t.Errorf("only the residues %v of 10", residues)
	}
	if !slices.Equal(got, spread(index, 50)) || len(spread(index, 0)) != 500 || len(spread(index, 900)) != 500 || len(spread(index, 499)) != 499 {
		t.Error("the choice is not stable or not of the size asked for")
	}
}

func TestParsePreprocess(t *testing.T) {
	dir := t.TempDir()
	yaml := filepath.Join(dir, "p.yaml")
	if err := os.WriteFile(yaml, []byte("preset: tf\nresize: 256\ncrop: [224, 192]\nmean: [1, 2.5, -3]\nchannels: bgr\nfilter: tf\ndrop: [a, 'b, c']\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	want := Preprocess{Short: 256, CropW: 224, CropH: 192, Filter: codec.TF, BGR: true, Mean: []float64{1, 2.5, -3}, Std: []float64{127.5}, Drop: []string{"a", "b, c"}}
	nchw := want
	nchw.Layout, nchw.BGR = "nchw", false
	for text, want := range map[string]Preprocess{
		"":              {},
		"none":          {},
		"unit:crop=2x3": {CropW: 2, CropH: 3, Mean: []float64{0}, Std: []float64{255}},
		"none:mean=1,-2.5,3e1,std=4,resize=8x9,dtype=uint8": {Mean: []float64{1, -2.5, 30}, Std: []float64{4}, Width: 8, Height: 9, DType: tensor.Uint8},
		"none:columns=a b,c,onehot=c":                       {Columns: []string{"a b", "c"}, OneHot: []string{"c"}},
		yaml:                                                want,
		yaml + ":layout=nchw,channels=rgb":                  nchw,
	} {
		got, err := ParsePreprocess(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", text, d)
		}
	}
}

func TestParsePreprocessErrors(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	if err := os.WriteFile(bad, []byte("mean: 1\nstdd: 2\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"vgg": "neither a file", "none:": "key=value", "none:224": "key=value", "none:size=3": `unknown key "size"`, "none:std=0": "divided",
		"none:mean=nan": "finite", "none:crop=0": "size of 1", "none:resize=1x2x3": "WIDTHxHEIGHT", "none:layout=chw": "nchw or nhwc",
		"none:dtype=string": "no number", "none:dtype=f32": "unknown element type", "none:filter=x": "pillow or tf", bad: "bad.yaml:2", "none:mean=": "finite",
	} {
		if _, err := ParsePreprocess(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// frameCase is what a 2x2 picture (red 10, green 20, blue 40, with one pixel different) becomes.
func TestFrames(t *testing.T) {
	im := &codec.Image{W: 2, H: 1, C: 3, Pix: []uint8{10, 20, 40, 50, 60, 70}}
	gray := []float32{19, 58} // luma of the two pixels
	f32 := tensor.Float32
	for _, c := range []struct {
		prep string
		in   Input
		want []float32
	}{
		{"none", Input{DType: f32, Shape: []int{-1, 3, 1, 2}}, []float32{10, 50, 20, 60, 40, 70}},
		{"none", Input{DType: f32, Shape: []int{1, 1, 2, 3}}, []float32{10, 20, 40, 50, 60, 70}},
		{"none", Input{DType: f32, Shape: []int{-1, -1, -1, 3}}, []float32{10, 20, 40, 50, 60, 70}},
		{"none", Input{DType: f32, Shape: []int{-1, -1, -1, -1}}, []float32{10, 50, 20, 60, 40, 70}},
		{"none:layout=nhwc", Input{}, []float32{10, 20, 40, 50, 60, 70}},
		{"none", Input{}, []float32{10, 50, 20, 60, 40, 70}},
		{"none:channels=bgr", Input{DType: f32, Shape: []int{1, 1, 2, 3}}, []float32{40, 20, 10, 70, 60, 50}},
		{"none:channels=bgr,mean=1,2,3,std=2", Input{DType: f32, Shape: []int{1, 1, 2, 3}}, []float32{19.5, 9, 3.5, 34.5, 29, 23.5}},
		{"unit", Input{DType: f32, Shape: []int{1, 1, 1, 2}}, []float32{gray[0] / 255, gray[1] / 255}},
		{"none", Input{DType: f32, Shape: []int{-1, 1, 2}}, gray},
		{"none", Input{DType: f32, Shape: []int{-1, 2}}, gray},
		{"none", Input{DType: f32, Shape: []int{-1, 6}}, []float32{10, 20, 40, 50, 60, 70}},
		{"none", Input{DType: tensor.Uint8, Shape: []int{1, 1, 2, 3}}, []float32{10, 20, 40, 50, 60, 70}},
		{"tf", Input{DType: tensor.Uint8, Shape: []int{1, 1, 2, 3}, Scale: 1 / 127.5, Zero: 128}, []float32{10, 20, 40, 50, 60, 70}},
		{"none", Input{DType: tensor.Uint8, Shape: []int{1, 1, 2, 3}, Scale: 0.5, Zero: 3}, []float32{10, 20, 40, 50, 60, 70}},
		{"none", Input{DType: tensor.Int8, Shape: []int{1, 1, 2, 3}, Scale: 1, Zero: -128}, []float32{-118, -108, -88, -78, -68, -58}},
		{"none:mean=25,std=0.2", Input{DType: tensor.Int8, Shape: []int{1, 1, 2, 3}}, []float32{-75, -25, 75, 125, 127, 127}},
		{"none:resize=1x1", Input{DType: f32, Shape: []int{1, 1, 1, 3}}, []float32{30, 40, 55}},
		{"none:crop=1", Input{DType: f32, Shape: []int{1, 1, 1, 3}}, []float32{10, 20, 40}},
		{"none:filter=tf", Input{DType: f32, Shape: []int{1, 1, 1, 4}}, []float32{19, 28.75, 48.25, 58}},
	} {
		p, err := ParsePreprocess(c.prep)
		if err != nil {
			t.Fatal(err)
		}
		f, err := newFramer(p, c.in, func(string) {})
		if err != nil {
			t.Errorf("%s %+v: %v", c.prep, c.in, err)
			continue
		}
		got, err := f.frame(im)
		if err != nil {
			t.Errorf("%s %+v: %v", c.prep, c.in, err)
			continue
		}
		close := func(a, b float32) bool { return math.Abs(float64(a-b)) <= 1e-6*math.Abs(float64(b)) }
		if c.prep == "tf" { // 127.5 * 127.5 / 127.5 + 128 - 127.5 lies half way
			close = func(a, b float32) bool { return a == b || a == b+1 }
		}
		if v := tensor.Floats(got); !slices.EqualFunc(v, c.want, close) {
			t.Errorf("%s %+v: got %v, want %v", c.prep, c.in, v, c.want)
		}
		if want := c.in.Shape; want != nil && !agree(got.Shape[1:], want[1:]) {
			t.Errorf("%s %+v: shape %v", c.prep, c.in, got.Shape)
		}
	}
}

// Sizes and offsets as torchvision's Resize and CenterCrop compute them.
func TestTorchvisionSizes(t *testing.T) {
	for _, c := range [][4]int{{500, 375, 341, 256}, {375, 500, 256, 341}, {256, 256, 256, 256}, {333, 1000, 256, 768}} {
		p := Preprocess{Short: 256}
		if w, h := p.resized(c[0], c[1]); w != c[2] || h != c[3] {
			t.Errorf("%dx%d becomes %dx%d, want %dx%d", c[0], c[1], w, h, c[2], c[3])
		}
	}
	for side, want := range map[int]uint8{4: 0, 5: 0, 6: 1, 7: 2, 8: 2, 9: 2, 10: 3, 11: 4} { // round((side - 4) / 2), halves to even
		im := codec.NewRaster[uint8](side, 4, 1)
		for i := range im.Pix {
			im.Pix[i] = uint8(i % side)
		}
		f, err := newFramer(Preprocess{CropW: 4, CropH: 4}, Input{}, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.frame(im)
		if err != nil || tensor.Floats(got)[0] != float32(want) {
			t.Errorf("side %d: begins at %v, want %d (%v)", side, got, want, err)
		}
	}
}

func TestFrameWarnings(t *testing.T) {
	dir := tree(t, map[string][]byte{"a/a.png": square(t, 8, color.White)})
	in := []Input{{Name: "x", DType: tensor.Float32, Shape: []int{1, 3, 4, 4}}}
	for prep, want := range map[string]string{
		"none": "neither resize nor crop", "none:resize=4": "", "none:crop=4": "", "none:resize=6": "makes another size",
	} {
		s := open(t, Options{Path: dir, Preprocess: prep, Inputs: in})
		got := strings.Join(s.Warnings(), "")
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q", prep, got)
		}
		if x, err := s.Sample(0); err != nil || !slices.Equal(x.In[0].Shape, in[0].Shape) {
			t.Errorf("%s: %v %v", prep, x, err)
		}
	}
	for prep, want := range map[string]string{"none:crop=9": "does not fit", "none:mean=1,2": "want 1 or 3", "none:dtype=uint8": "is float32", "none:layout=nhwc": "4 channels"} {
		if _, err := Open(Options{Path: dir, Preprocess: prep, Inputs: in}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", prep, err)
		}
	}
	if _, err := Open(Options{Path: dir, Inputs: append(in, in...)}); err == nil || !strings.Contains(err.Error(), "2 inputs") {
		t.Error(err)
	}
	if _, err := Open(Options{Path: dir, MaxPixels: 63}); err == nil || !strings.Contains(err.Error(), "a/a.png: image of 8x8") {
		t.Error(err)
	}
}

func TestArrayFits(t *testing.T) {
	u8 := func(shape ...int) *tensor.Tensor {
		x := tensor.New(tensor.Uint8, shape...)
		for i := range x.Data {
			x.Data[i] = byte(i + 1)
		}
		return x
	}
	f32, i8 := tensor.Float32, tensor.Int8
	for _, c := range []struct {
		prep string
		x    *tensor.Tensor
		in   Input
		want []float64 // of sample 0; nil: fails
	}{
		{"none", u8(1, 2, 2), Input{DType: f32, Shape: []int{-1, 1, 2, 2}}, []float64{1, 2, 3, 4}},
		{"none", u8(1, 4), Input{DType: f32, Shape: []int{-1, 2, -1, 1}}, []float64{1, 2, 3, 4}},
		{"none", u8(1, 1, 2, 3), Input{DType: f32, Shape: []int{-1, 3, 1, 2}}, []float64{1, 4, 2, 5, 3, 6}},
		{"none", tensor.From([]float64{1, 2, 3, 4, 5, 6}, 1, 3, 1, 2), Input{DType: f32, Shape: []int{-1, 1, 2, 3}}, []float64{1, 3, 5, 2, 4, 6}},
		{"none:mean=1,2,3", u8(1, 1, 2, 3), Input{DType: f32, Shape: []int{-1, 3, 1, 2}}, []float64{0, 3, 0, 3, 0, 3}},
		{"none:mean=1,2,3,std=2", u8(1, 1, 2, 3), Input{DType: f32, Shape: []int{-1, 1, 2, 3}}, []float64{0, 0, 0, 1.5, 1.5, 1.5}},
		{"none:channels=bgr", u8(1, 1, 2, 3), Input{DType: f32, Shape: []int{-1, 1, 2, 3}}, []float64{3, 2, 1, 6, 5, 4}},
		{"none:resize=1x1", u8(1, 2, 2), Input{DType: f32, Shape: []int{-1, 1, 1, 1}}, []float64{3}},
		{"none", u8(1, 4, 4), Input{DType: f32, Shape: []int{-1, 1, 1, 1}}, []float64{9}},
		{"none", tensor.From([]int8{-3, 4}, 1, 2), Input{DType: i8, Shape: []int{-1, 2}, Scale: 0.1, Zero: 9}, []float64{-3, 4}},
		{"none:mean=83,std=2", tensor.From([]int8{-3, 4}, 1, 2), Input{DType: i8, Shape: []int{-1, 2}, Scale: 0.5, Zero: 83}, []float64{-3, 4}},
		{"none", tensor.From([]float32{0.26, 9}, 1, 2), Input{DType: i8, Shape: []int{-1, 2}, Scale: 0.1, Zero: 1}, []float64{4, 91}},
		{"none", tensor.From([]float32{0.5, 1e9}, 1, 2), Input{DType: i8, Shape: []int{-1, 2}}, []float64{0, 127}},
		{"none", tensor.From([]int64{1 << 53, -5}, 1, 2), Input{DType: tensor.Int64, Shape: []int{-1, 2}}, []float64{1 << 53, -5}},
		{"none", tensor.From([]int64{300}, 1, 1), Input{DType: tensor.Uint8, Shape: []int{-1, 1}}, nil},
		{"none", u8(1, 5), Input{DType: f32, Shape: []int{-1, 4}}, nil},
		{"none:resize=2", tensor.From([]float32{1, 2}, 1, 2), Input{DType: f32, Shape: []int{-1, 2}}, nil},
		{"none:mean=1,2,3", u8(1, 4), Input{DType: f32, Shape: []int{-1, 4}}, nil},
		{"none", u8(3), Input{DType: f32, Shape: []int{-1}}, []float64{1}},
		{"unit:dtype=float64", u8(1, 2), Input{}, []float64{1. / 255, 2. / 255}},
		{"none", u8(1, 2), Input{}, []float64{1, 2}},
	} {
		dir := tree(t, map[string][]byte{"x.npy": npyBytes(t, c.x)})
		s, err := Open(Options{Path: filepath.Join(dir, "x.npy"), Preprocess: c.prep, Inputs: []Input{c.in}})
		if c.want == nil {
			if err == nil {
				t.Errorf("%s %v -> %v: no error", c.prep, c.x.Shape, c.in.Shape)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %v -> %v: %v", c.prep, c.x.Shape, c.in.Shape, err)
			continue
		}
		x, err := s.Sample(0)
		if err != nil || !slices.Equal(tensor.Float64s(x.In[0]), c.want) || x.In[0].Shape[0] != 1 {
			t.Errorf("%s %v -> %v: %v %v %v, want %v", c.prep, c.x.Shape, c.in.Shape, x.In[0].Shape, tensor.Float64s(x.In[0]), err, c.want)
		}
		if c.in.DType != tensor.Undefined && x.In[0].DType != c.in.DType {
			t.Errorf("%s: %s", c.prep, x.In[0].DType)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
