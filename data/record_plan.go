package data

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tfsopt/tfsopt/codec"
	"github.com/tfsopt/tfsopt/tensor"
)

// ErrNoFeatures says that Options.Features was given for data that has none.
var ErrNoFeatures = errors.New("features are those of TFRecord files, which this data is not")

// planRecords chooses a feature for each input, and how its elements become the input's tensor.
func (s *Set) planRecords(p Preprocess, o Options) error {
	first, err := s.source.record(s.index[0], o.Inputs)
	if err != nil {
		return fmt.Errorf("%s: %w", s.Name(0), err)
	}
	inputs := o.Inputs
	if inputs == nil {
		for _, name := range sortedKeys(first.fields) {
			if name != o.LabelColumn {
				inputs = append(inputs, Input{Name: name})
			}
		}
	}
	features, err := featuresOf(inputs, first, o)
	if err != nil {
		return err
	}
	for i, in := range inputs {
		switch f := features[i]; {
		case f == nil:
			s.warn(fmt.Sprintf("the data has no feature for input %q: zeros are fed", in.Name))
		case *f == wholeRecord:
			s.warn(fmt.Sprintf("input %q takes the encoded tf.Examples; NAME=%s chooses one of their features: %s", in.Name, in.Name, some(sortedKeys(first.fields))))
		}
	}
	s.prepare = func(at int) ([]*tensor.Tensor, error) {
		r, err := s.source.record(at, o.Inputs)
		if err != nil {
			return nil, err
		}
		out := make([]*tensor.Tensor, len(inputs))
		for i, in := range inputs {
			if features[i] == nil {
				out[i] = tensor.New(in.DType, in.one()...)
				continue
			}
			t := r.field(*features[i])
			if t == nil {
				return nil, fmt.Errorf("it has no feature %q for the model's input %q: it has %s", *features[i], in.Name, some(sortedKeys(r.fields)))
			}
			if r.call {
				in.Batch = -1
			}
			if out[i], err = s.fitField(p, in, t, o.MaxPixels); err != nil {
				return nil, fmt.Errorf("feature %q: %w", *features[i], err)
			}
		}
		return out, nil
	}
	return nil
}

// wholeRecord stands for the encoded tf.Example among the names of features.
const wholeRecord = "\x00record"

func (r record) field(name string) *tensor.Tensor {
	if name == wholeRecord && r.raw != nil {
		return tensor.FromStrings([]string{string(r.raw)}, 1, 1)
	}
	return r.fields[name]
}

// featuresOf gives the feature that each input takes: what Options.Features says, the one of its name, for the only input that
// is not fed zeros the only feature that there is, or the whole record if it takes strings. nil: zeros.
func featuresOf(inputs []Input, first record, o Options) ([]*string, error) {
	from := map[string]string{} // input to feature
	for _, feature := range sortedKeys(o.Features) {
		in := o.Features[feature]
		if !slices.ContainsFunc(inputs, func(x Input) bool { return x.Name == in }) {
			return nil, fmt.Errorf("feature %q is for the input %q, which the model does not have", feature, in)
		}
		if other, twice := from[in]; twice {
			return nil, fmt.Errorf("features %q and %q are for the same input %q", other, feature, in)
		}
		from[in] = feature
	}
	out := make([]*string, len(inputs))
	var without []int
	for i, in := range inputs {
		name, ok := from[in.Name]
		if !ok {
			name = in.Name
			if first.fields[name] == nil {
				name = strings.TrimSuffix(name, ":0")
			}
			ok = first.fields[name] != nil
		}
		switch {
		case ok:
			out[i] = &name
		case !in.Zeros:
			without = append(without, i)
		}
	}
	if len(without) == 0 {
		return out, nil
	}
	i := without[0]
	var rest []string
	for _, name := range sortedKeys(first.fields) {
		used := slices.ContainsFunc(out, func(f *string) bool { return f != nil && *f == name })
		if name != o.LabelColumn && !used {
			rest = append(rest, name)
		}
	}
	only := len(without) == 1 && o.Features == nil
	switch {
	case only && inputs[i].DType == tensor.String && first.raw != nil:
		rest = []string{wholeRecord}
	case !only || len(rest) != 1:
		return nil, fmt.Errorf("the model's input %q has no feature of its name: say which one with NAME=%s; there is %s",
			inputs[i].Name, inputs[i].Name, some(sortedKeys(first.fields)))
	}
	out[i] = &rest[0]
	return out, nil
}

// fitField makes the tensor of an input: bytes are an image unless the input takes strings, numbers are an array.
func (s *Set) fitField(p Preprocess, in Input, t *tensor.Tensor, maxPixels int) (*tensor.Tensor, error) {
	if t.DType == tensor.String {
		if in.DType != tensor.String {
			return s.picture(p, in, t, maxPixels)
		}
		p = Preprocess{}
	}
	if err := finite(t); err != nil {
		return nil, err
	}
	fit, err := newFit(p, in, &array{dtype: t.DType, shape: t.Shape}, s.warn)
	if err != nil {
		return nil, err
	}
	return fit(t)
}

func (s *Set) picture(p Preprocess, in Input, t *tensor.Tensor, maxPixels int) (*tensor.Tensor, error) {
	if t.Len() != 1 {
		return nil, fmt.Errorf("it has %d strings, and the model's input %q takes %s: want the bytes of one image", t.Len(), in.Name, in.DType)
	}
	b := []byte(t.Strings[0])
	if !codec.Sniff(b) {
		return nil, fmt.Errorf("its %d bytes are no image that can be read (%s), and the model's input %q takes %s", len(b), codec.Formats, in.Name, in.DType)
	}
	f, err := newFramer(p, in, s.warn)
	if err != nil {
		return nil, err
	}
	return f.decode(b, maxPixels)
}
