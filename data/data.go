// Package data reads labelled data sets (image folders, archives, arrays, MNIST files, CSV) and turns their samples into
// the tensors that a model wants.
package data

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/tfsopt/tfsopt/tensor"
)

// Input is what a model wants for one of its inputs. In Shape -1 stands for an unknown dimension; nil is an unknown rank. Samples lie
// along axis Batch; -1 says that a sample is the whole input, as is a scalar. Zeros says that data may leave it out. If Scale is not 0 the input is an affine-quantized integer, real = (q - Zero) * Scale, and real values are
// quantized for it, rounding half to even; see Options.Preprocess for when that happens.
type Input struct {
	Name  string
	DType tensor.DType
	Shape []int
	Batch int
	Zeros bool
	Scale float64
	Zero  int
}

// Options say which samples to read and how to prepare them.
type Options struct {
	// Path names the data, optionally followed by #slice: Python's start:stop:step with a positive step, or !slice for
	// its complement. It is one of
	//   - a directory with one folder a class, numbered in the order of their names as text (folders and files whose
	//     names begin with a dot are skipped, images may lie deeper, a single outer folder is passed through);
	//   - a directory with labels.tsv, lines "file<tab>index", in that order;
	//   - a directory of images, unlabelled, in the order of their names (which files are images, their content says, or
	//     their names; a warning names the others);
	//   - features.npy[,labels.npy], also as MNIST IDX files, gzipped or not;
	//   - an .npz with the arrays x and y, or with arrays named as the model's inputs (and y);
	//   - a .csv with a header line, see LabelColumn;
	//   - a .tar or .tar.gz of class folders: an image's class is the folder it lies in, leading folders are skipped;
	//     samples are in the order of class, then path. A gzipped one is unpacked into a temporary file (at most
	//     MaxSpool bytes); otherwise only the index is kept in memory;
	//   - TFRecord files of tf.Examples or PredictionLogs, gzipped or not: one, a directory of them or a pattern such as
	//     train-*; see Features and LabelColumn. All records are checked, and only their places kept in memory; gzipped
	//     ones are unpacked into a temporary file. A logged Predict call has a sample for each row of its inputs, any other
	//     one for each of its tf.Examples;
	//   - "random", see Random: 100 samples unless Samples says otherwise.
	Path string
	// Preprocess is a preset (none, unit, tf, imagenet, caffe) or a YAML file, optionally followed by :key=value,….
	// See ParsePreprocess. Integers that need no normalisation are passed as they are if the model wants their type;
	// everything else becomes (x - mean) / std, then the model's type.
	Preprocess string
	// Samples, if not 0, takes about evenly spaced samples of the (sliced) set, the same ones every time.
	Samples int
	// LabelColumn is the CSV column or the feature of a TFRecord file that holds the label: integers, or any text, whose values
	// are then numbered in order.
	LabelColumn string
	// Features gives the input that a feature of TFRecord files feeds, by the feature's name. Inputs that it leaves out take the
	// feature of their own name; the only input of a model takes the only feature, or the encoded tf.Example if it takes strings.
	// Bytes are decoded as images, unless the input takes strings.
	Features map[string]string
	// Like is the set whose classes, and whose values of one-hot columns, are numbered already; a set with names takes that
	// numbering, whichever of them it has. A name that Like lacks is an error.
	Like *Set
	// LabelOffset is added to every label.
	LabelOffset int
	// Inputs are the model's. Without any, images become float32 NCHW and arrays keep their type and shape.
	Inputs []Input
	// MaxPixels limits the size of an image before it is decoded; 0 means codec.DefaultMaxPixels.
	MaxPixels int
}

// randomSamples is how many samples "random" has.
const randomSamples = 100

// Sample is one prepared sample. Its tensors may be views of the data: they must not be changed.
type Sample struct {
	Index int              // its place in the Set
	Label int              // -1 if there is none
	In    []*tensor.Tensor // one per model input, with a batch dimension of 1
	Name  string           // its file, or its number in the source
}

// Batch is some consecutive samples, stacked along the first dimension.
type Batch struct {
	First  int // index of the first sample
	Labels []int
	In     []*tensor.Tensor
	Names  []string
}

// Set is a list of samples, decoded when they are asked for. Its methods may be called concurrently.
type Set struct {
	path    string
	source  *source
	index   []int // of the source's samples
	offset  int
	prepare func(i int) ([]*tensor.Tensor, error) // i counts the source's samples
	whole   bool                                  // samples are fed one at a time

	mu       sync.Mutex
	warnings []string
	warned   map[string]bool
}

// source is what the readers of the formats give: images, arrays or records.
type source struct {
	n       int
	name    func(i int) string
	image   func(i int) ([]byte, error) // nil for arrays
	check   func(i int) error           // may be nil: is the sample there?
	arrays  []*array
	record  func(i int, inputs []Input) (record, error) // nil for images and arrays
	labels  []int                                       // nil: unlabelled
	classes []string                                    // nil: unknown
	values  map[string][]string                         // of a CSV's one-hot columns, in the order of the features
	notes   []string
	close   func() error // may be nil
}

// Open finds out what o.Path is, reads its index and labels and prepares the first sample, so that what is wrong with
// all of them shows at once. Close the set when it is no longer needed.
func Open(o Options) (*Set, error) {
	if o.Path == "random" {
		n := o.Samples
		if n <= 0 {
			n = randomSamples
		}
		return Random(o.Inputs, n, 1), nil
	}
	path, sl, err := splitPath(o.Path)
	if err != nil {
		return nil, err
	}
	p, err := ParsePreprocess(o.Preprocess)
	if err != nil {
		return nil, err
	}
	src, err := openSource(path, p, o)
	if err != nil {
		return nil, fmt.Errorf("data %s: %w", path, err)
	}
	if err := src.renumber(o.Like); err != nil {
		return nil, errors.Join(fmt.Errorf("data %s: %w", path, err), (&Set{source: src}).Close())
	}
	s := &Set{path: path, source: src, offset: o.LabelOffset, warned: map[string]bool{}, whole: whole(o.Inputs)}
	if err := s.start(sl, p, o); err != nil {
		return nil, errors.Join(fmt.Errorf("data %s: %w", o.Path, err), s.Close())
	}
	return s, nil
}

func (s *Set) start(sl slice, p Preprocess, o Options) error {
	if s.source.n == 0 {
		return errors.New("there are no samples")
	}
	s.index = spread(sl.of(s.source.n), o.Samples)
	if len(s.index) == 0 {
		return fmt.Errorf("the slice selects none of the %d samples", s.source.n)
	}
	if o.Samples < 0 {
		return fmt.Errorf("%d samples: want a positive number, or 0 for all", o.Samples)
	}
	for _, n := range s.source.notes {
		s.warn(n)
	}
	for i, at := range s.index {
		if s.source.check != nil {
			if err := s.source.check(at); err != nil {
				return err
			}
		}
		if s.Labelled() && s.Label(i) < 0 {
			return fmt.Errorf("%s: label %d is negative", s.Name(i), s.Label(i))
		}
	}
	if err := s.plan(p, o); err != nil {
		return err
	}
	if _, err := s.prepare(s.index[0]); err != nil { // so that what is wrong with all of them shows at once
		return fmt.Errorf("%s: %w", s.Name(0), err)
	}
	return nil
}

// plan chooses how samples become tensors.
func (s *Set) plan(p Preprocess, o Options) error {
	if s.source.record != nil {
		return s.planRecords(p, o)
	}
	if o.Features != nil {
		return ErrNoFeatures
	}
	if s.source.image == nil {
		return s.planArrays(p, o)
	}
	var fed []int
	for i, in := range o.Inputs {
		if !in.Zeros || len(o.Inputs) == 1 {
			fed = append(fed, i)
		}
	}
	if len(fed) != 1 && len(o.Inputs) > 0 {
		return fmt.Errorf("the model has %d inputs; images can only feed one (an .npz names its arrays as the inputs)", len(fed))
	}
	var in Input
	if len(fed) == 1 {
		in = o.Inputs[fed[0]]
	}
	f, err := newFramer(p, in, s.warn)
	if err != nil {
		return err
	}
	s.prepare = func(i int) ([]*tensor.Tensor, error) {
		b, err := s.source.image(i)
		if err != nil {
			return nil, err
		}
		t, err := f.decode(b, o.MaxPixels)
		out := []*tensor.Tensor{t}
		for i, in := range o.Inputs {
			if i != fed[0] {
				out = slices.Insert(out, i, tensor.New(in.DType, in.one()...))
			}
		}
		return out, err
	}
	return nil
}

// Len is the number of samples.
func (s *Set) Len() int { return len(s.index) }

// Whole reports whether a sample is all that one call of the model takes, so that samples cannot be stacked: its tensors then have
// the shapes of the model's inputs, with a batch dimension of 1 where there is one.
func (s *Set) Whole() bool { return s.whole }

// Labelled reports whether the samples have labels.
func (s *Set) Labelled() bool { return s.source.labels != nil }

// Classes are the names of the labels 0, 1, … before LabelOffset, or nil if they are unknown.
func (s *Set) Classes() []string { return s.source.classes }

// Label is the label of sample i with the offset added, -1 if there is none.
func (s *Set) Label(i int) int {
	if !s.Labelled() {
		return -1
	}
	return s.source.labels[s.index[i]] + s.offset
}

// Name is the file of sample i, or its number in the source.
func (s *Set) Name(i int) string { return s.source.name(s.index[i]) }

// Sample reads and prepares sample i. Errors name it.
func (s *Set) Sample(i int) (Sample, error) {
	if i < 0 || i >= len(s.index) {
		return Sample{}, fmt.Errorf("data %s: there is no sample %d of %d", s.path, i, len(s.index))
	}
	in, err := s.prepare(s.index[i])
	if err != nil {
		return Sample{}, fmt.Errorf("data %s: %s: %w", s.path, s.Name(i), err)
	}
	return Sample{Index: i, Label: s.Label(i), In: in, Name: s.Name(i)}, nil
}

// Warnings are notes for the user, such as a resize that nobody asked for. More may come as samples are read.
func (s *Set) Warnings() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.warnings...)
}

func (s *Set) warn(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.warned[text] {
		s.warned[text] = true
		s.warnings = append(s.warnings, text)
	}
}

// Close lets go of the files that the set holds open. Samples cannot be read afterwards.
func (s *Set) Close() error {
	if s.source.close == nil {
		return nil
	}
	return s.source.close()
}

// Stream gives all samples in order as batches of the given size; the last may be smaller, and those of a Whole set are one
// sample each. Up to `workers` goroutines
// (0: one a processor) prepare samples ahead of the consumer, never more than workers beyond the batch that is being
// filled. After an error, which comes with an empty Batch, nothing follows.
func (s *Set) Stream(ctx context.Context, batch, workers int) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) { s.stream(ctx, streamer{batch, workers, yield}) }
}
