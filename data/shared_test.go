package data

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/tensor"
)

// The sets that lie beside the project: their sizes, classes, labels and the shapes that models ask for.
func TestShared(t *testing.T) {
	f32 := tensor.Float32
	cifar := "airplane automobile bird cat deer dog frog horse ship truck"
	for _, c := range []struct {
		path, prep, label string
		in                []Input
		n, classes        int // classes: distinct labels
		names             string
	}{
		{"imagenet-500#::25", "caffe:crop=224", "", []Input{{DType: f32, Shape: []int{1, 3, 224, 224}}}, 20, 20, ""},
		{"imagenet-500#!::5", "tf:resize=96", "", []Input{{DType: f32, Shape: []int{-1, 96, 96, 3}}}, 400, 400, ""},
		{"cifar10-test", "none", "", []Input{{DType: f32, Shape: []int{1, 32, 32, 3}}}, 4000, 10, cifar},
		{"cifar10-train.tar.gz", "imagenet", "", []Input{{DType: f32, Shape: []int{-1, 3, 32, 32}}}, 50000, 10, cifar},
		{"mnist/t10k-images-idx3-ubyte.gz,mnist/t10k-labels-idx1-ubyte.gz", "none", "", []Input{{DType: f32, Shape: []int{1, 1, 28, 28}}}, 10000, 10, ""},
		{"kws/x_int8.npy,labels.npy", "none:mean=83,std=1.7102703", "", []Input{{DType: f32, Shape: []int{-1, 49, 10, 1}}}, 500, 12, ""},
		{"ai4i2020/ai4i2020.csv", "none:drop=UDI,Product ID,onehot=Type", "Machine failure", []Input{{DType: f32, Shape: []int{-1, 8}}}, 10000, 2, ""},
	} {
		x, y, pair := strings.Cut(c.path, ",")
		file, _, _ := strings.Cut(x, "#")
		path := strings.Replace(shared(t, "data/"+file), file, x, 1)
		if pair && strings.Contains(y, "/") {
			path += "," + shared(t, "data/"+y)
		} else if pair {
			path += "," + y
		}
		s := open(t, Options{Path: path, Preprocess: c.prep, LabelColumn: c.label, Inputs: c.in})
		labels := map[int]bool{}
		for i := range s.Len() {
			labels[s.Label(i)] = true
		}
		if s.Len() != c.n || len(labels) != c.classes || strings.Join(s.Classes(), " ") != c.names {
			t.Errorf("%s: %d samples, %d labels, classes %v", c.path, s.Len(), len(labels), s.Classes())
		}
		if w := s.Warnings(); len(w) != 0 {
			t.Errorf("%s: %v", c.path, w)
		}
		last, err := s.Sample(s.Len() - 1)
		if err != nil || !slices.Equal(last.In[0].Shape[1:], c.in[0].Shape[1:]) || last.In[0].DType != f32 {
			t.Errorf("%s: %v %v", c.path, last, err)
		}
	}
}

// ai4i2020 has 339 failures in 10,000.
func TestSharedPositives(t *testing.T) {
	s := open(t, Options{
		Path: shared(t, "data/ai4i2020/ai4i2020.csv"), Preprocess: "none:columns=Torque [Nm]", LabelColumn: "Machine failure",
	})
	positive := 0
	for i := range s.Len() {
		positive += s.Label(i)
	}
	if first, err := s.Sample(0); err != nil || positive != 339 || tensor.Floats(first.In[0])[0] != 42.8 {
		t.Errorf("%d positives, %v, %v", positive, first, err)
	}
}

// Spread samples of an archive that is sorted by class meet every class about equally often.
func TestSharedSpread(t *testing.T) {
	s := open(t, Options{Path: shared(t, "data/cifar10-train.tar.gz"), Samples: 200})
	n := map[int]int{}
	for b, err := range s.Stream(context.Background(), 64, 2) {
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range b.Labels {
			n[l]++
		}
	}
	for l := range 10 {
		if n[l] != 20 {
			t.Errorf("class %d: %d of 200", l, n[l])
		}
	}
}

func TestSharedNPZ(t *testing.T) {
	in := []Input{}
	for _, n := range []string{"input_ids", "attention_mask", "token_type_ids"} {
		in = append(in, Input{Name: n, DType: tensor.Int64, Shape: []int{-1, -1}})
	}
	s := open(t, Options{Path: shared(t, "models/minilm/score.npz"), Inputs: in})
	x, err := s.Sample(199)
	if err != nil || s.Len() != 200 || s.Labelled() || len(x.In) != 3 || !slices.Equal(x.In[1].Shape, []int{1, 27}) {
		t.Errorf("%d %v %v", s.Len(), x, err)
	}
}
