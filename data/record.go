package data

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"github.com/tfsopt/tfsopt/codec"
	"github.com/tfsopt/tfsopt/tensor"
)

// record is one sample of a TFRecord file: a tensor for each feature, of shape [1, n], or for each input of a logged call,
// with its own shape after the 1; and the encoded tf.Example, nil where there is none.
type record struct {
	fields map[string]*tensor.Tensor
	raw    []byte
	call   bool // all that one call of the model takes
}

// place says where a sample lies: part counts the samples of one logged call, which has as many rows.
type place struct {
	file, number, part int
	offset, size       int64
}

// recordFile is one shard, or what a compressed one was unpacked to.
type recordFile struct {
	path  string
	spool *os.File // nil: path is to be read
	start int64    // within spool
}

// recordSet is the index of some TFRecord files. The samples stay in the files.
type recordSet struct {
	files  []recordFile
	places []place
	spool  *os.File
	logs   bool // of calls, else tf.Examples
	whole  bool // a logged call is one sample
	labels labelList
}

// openRecords indexes TFRecord files, checks every record and reads the labels.
func openRecords(paths []string, o Options) (*source, error) {
	if err := missingShard(paths); err != nil {
		return nil, err
	}
	s := &recordSet{whole: whole(o.Inputs), labels: labelList{feature: o.LabelColumn}}
	for _, p := range paths {
		if err := s.add(p, o.Inputs); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	src := &source{n: len(s.places), record: s.read, close: s.close}
	src.name = func(i int) string {
		p := s.places[i]
		return fmt.Sprintf("%s, record %d", filepath.Base(s.files[p.file].path), p.number)
	}
	if o.LabelColumn == "" {
		return src, nil
	}
	var err error
	if src.labels, src.classes, err = s.labels.numbered(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return src, nil
}

// recordFiles gives the TFRecord files of a directory that holds such files and neither folders nor images, nil for any other.
func recordFiles(dir string) (files, left []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		switch {
		case hidden(e.Name()):
		case e.IsDir(), namedImage(e.Name()), e.Name() == "labels.tsv":
			return nil, nil, nil
		case isRecordFile(filepath.Join(dir, e.Name())):
			files = append(files, filepath.Join(dir, e.Name()))
		default:
			left = append(left, e.Name())
		}
	}
	return files, left, nil
}

func isRecordFile(path string) bool {
	st, err := os.Stat(path)
	if err != nil || !st.Mode().IsRegular() {
		return false
	}
	k, err := sniff(path)
	return err == nil && k == kindRecords
}

var shardName = regexp.MustCompile(`^(.*)-(\d{5,})-of-(\d{5,})(.*)$`)

// missingShard names the first shard that files named X-00000-of-00005 lack.
func missingShard(paths []string) error {
	have := map[string]bool{}
	for _, p := range paths {
		have[p] = true
	}
	if len(paths) < 2 { // one shard alone is what was asked for
		return nil
	}
	for _, p := range paths {
		m := shardName.FindStringSubmatch(filepath.Base(p))
		if m == nil {
			continue
		}
		n, err := strconv.Atoi(m[3])
		if err != nil || n > 1e5 {
			continue
		}
		for i := range n {
			name := fmt.Sprintf("%s-%0*d-of-%s%s", m[1], len(m[2]), i, m[3], m[4])
			if !have[filepath.Join(filepath.Dir(p), name)] {
				return fmt.Errorf("%s is missing", name)
			}
		}
	}
	return nil
}

// add indexes one file.
func (s *recordSet) add(path string, inputs []Input) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	file := recordFile{path: path}
	r := io.Reader(f)
	var head [2]byte
	if n, _ := f.ReadAt(head[:], 0); n == 2 && string(head[:]) == gzipMagic {
		if r, err = s.unpack(f, &file); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	s.files = append(s.files, file)
	in := codec.NewRecordReader(r, path)
	for number := 0; ; number++ {
		b, at, err := in.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		p := place{file: len(s.files) - 1, number: number, offset: at, size: int64(len(b))}
		if err := s.sample(p, b, inputs); err != nil {
			return fmt.Errorf("%s, record %d: %w", path, number, err)
		}
	}
}

// unpack copies what a compressed file holds to the end of the temporary file.
func (s *recordSet) unpack(f io.Reader, file *recordFile) (io.Reader, error) {
	r, err := unzipped(f)
	if err != nil {
		return nil, err
	}
	if s.spool == nil {
		if s.spool, err = os.CreateTemp("", "tfsopt-*.records"); err != nil {
			return nil, err
		}
	}
	file.spool = s.spool
	if file.start, err = s.spool.Seek(0, io.SeekEnd); err != nil {
		return nil, err
	}
	n, err := io.Copy(s.spool, io.LimitReader(r, MaxSpool+1-file.start))
	if err != nil {
		return nil, err
	}
	if file.start+n > MaxSpool {
		return nil, fmt.Errorf("the records are more than %d bytes when unpacked; unpack them", int64(MaxSpool))
	}
	return io.NewSectionReader(s.spool, file.start, n), nil
}

func (s *recordSet) close() error {
	if s.spool == nil {
		return nil
	}
	err := errors.Join(s.spool.Close(), os.Remove(s.spool.Name()))
	s.spool = nil
	return err
}

// sample adds the samples of one record to the index.
func (s *recordSet) sample(p place, b []byte, inputs []Input) error {
	l, err := codec.ParsePredictionLog(b)
	isLog := err == nil && l.Kind != 0
	if len(s.places) == 0 {
		s.logs = isLog
	}
	if isLog != s.logs {
		return errors.New("some records are tf.Examples, others are not")
	}
	if l.Kind == codec.ClassifyLog && codec.IsSequenceExample(b) {
		return errors.New("it is a tf.SequenceExample; tf.Examples and PredictionLogs can be read")
	}
	records, err := s.indexed(b, inputs)
	if err != nil {
		return err
	}
	for i, r := range records {
		p.part = i
		s.places = append(s.places, p)
		if s.labels.feature != "" {
			if err := s.labels.add(r.fields); err != nil {
				return err
			}
		}
	}
	return nil
}

// indexed is parse for what the index needs: of a tf.Example the label.
func (s *recordSet) indexed(b []byte, inputs []Input) ([]record, error) {
	if s.logs {
		return s.parse(b, inputs)
	}
	e, err := codec.ParseExample(b)
	if f, ok := e[s.labels.feature]; ok || s.labels.feature == "" {
		e = codec.Example{s.labels.feature: f}
	}
	return []record{{fields: exampleFields(e)}}, err
}

// parse gives the samples of a record.
func (s *recordSet) parse(b []byte, inputs []Input) ([]record, error) {
	if !s.logs {
		e, err := codec.ParseExample(b)
		return []record{{fields: exampleFields(e), raw: b}}, err
	}
	l, err := codec.ParsePredictionLog(b)
	if err != nil {
		return nil, err
	}
	if l.Kind == codec.PredictLog {
		r, err := codec.ParsePredictRequest(l.Request)
		if err != nil {
			return nil, err
		}
		return s.rows(r, inputs)
	}
	examples, err := l.Examples()
	var out []record
	for _, e := range examples {
		out = append(out, record{fields: exampleFields(e), raw: e.Append(nil)})
	}
	return out, err
}

func exampleFields(e codec.Example) map[string]*tensor.Tensor {
	out := make(map[string]*tensor.Tensor, len(e))
	for name, f := range e {
		switch f.Kind {
		case codec.BytesFeature:
			list := make([]string, len(f.Bytes))
			for i, b := range f.Bytes {
				list[i] = string(b)
			}
			out[name] = tensor.FromStrings(list, 1, len(list))
		case codec.FloatFeature:
			out[name] = tensor.From(f.Floats, 1, len(f.Floats))
		case codec.IntFeature:
			out[name] = tensor.From(f.Ints, 1, len(f.Ints))
		}
	}
	return out
}

// logTypes are tensorflow/core/framework/types.proto's numbers of the types that requests are made of.
var logTypes = map[int32]tensor.DType{
	1: tensor.Float32, 2: tensor.Float64, 3: tensor.Int32, 4: tensor.Uint8, 5: tensor.Int16, 6: tensor.Int8, 7: tensor.String,
	9: tensor.Int64, 10: tensor.Bool, 14: tensor.BFloat16, 17: tensor.Uint16, 19: tensor.Float16, 22: tensor.Uint32, 23: tensor.Uint64,
}

// rows cuts a request into samples: the rows of its inputs if all have as many, else it is one.
func (s *recordSet) rows(r codec.PredictRequest, inputs []Input) ([]record, error) {
	all := map[string]*tensor.Tensor{}
	n := -1
	for _, name := range sortedKeys(r.Inputs) {
		p := r.Inputs[name]
		d, ok := logTypes[p.DType]
		if !ok {
			return nil, fmt.Errorf("input %q: elements of TensorFlow's type %d are not supported", name, p.DType)
		}
		t := &tensor.Tensor{DType: d, Shape: p.Shape, Data: p.Data, Strings: p.Strings}
		all[name] = t
		if len(t.Shape) == 0 || n >= 0 && t.Shape[0] != n {
			if slices.ContainsFunc(inputs, func(in Input) bool { return in.Name == name && in.Batch == 0 }) && !s.whole {
				return nil, fmt.Errorf("input %q has the shape %v, another has %d rows", name, t.Shape, n)
			}
			continue
		}
		n = t.Shape[0]
	}
	if n < 0 || s.whole {
		for name, t := range all {
			all[name] = t.Reshape(append([]int{1}, t.Shape...)...)
		}
		return []record{{fields: all, call: true}}, nil
	}
	out := make([]record, n)
	for i := range out {
		out[i].fields = map[string]*tensor.Tensor{}
		for name, t := range all {
			if len(t.Shape) == 0 || t.Shape[0] != n {
				continue
			}
			a, err := inMemory(name, t)
			if err != nil {
				return nil, err
			}
			if out[i].fields[name], err = a.rows(i, 1); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// read gives sample i.
func (s *recordSet) read(i int, inputs []Input) (record, error) {
	p := s.places[i]
	file := s.files[p.file]
	r, at := io.ReaderAt(file.spool), file.start+p.offset
	if file.spool == nil {
		f, err := os.Open(file.path)
		if err != nil {
			return record{}, err
		}
		defer f.Close()
		r = f
	}
	b := make([]byte, p.size+4)
	if _, err := r.ReadAt(b, at); err != nil {
		return record{}, &codec.RecordError{Path: file.path, Offset: p.offset, Err: err}
	}
	sum := b[p.size:]
	if crc := codec.MaskedCRC(b[:p.size]); crc != uint32(sum[0])|uint32(sum[1])<<8|uint32(sum[2])<<16|uint32(sum[3])<<24 {
		return record{}, &codec.RecordError{Path: file.path, Offset: p.offset, Err: errors.New("the file has changed since it was opened")}
	}
	all, err := s.parse(b[:p.size], inputs)
	if err != nil {
		return record{}, err
	}
	if p.part >= len(all) {
		return record{}, fs.ErrInvalid
	}
	return all[p.part], nil
}

// labelList gathers the labels of records: whole numbers as they are, or texts, which are then numbered in their order.
type labelList struct {
	feature string
	numbers []int
	texts   []string
}

func (l *labelList) add(fields map[string]*tensor.Tensor) error {
	t := fields[l.feature]
	switch {
	case t == nil:
		return fmt.Errorf("it has no feature %q for the label: it has %s", l.feature, some(sortedKeys(fields)))
	case t.Len() != 1:
		return fmt.Errorf("feature %q has %d elements: want one, the label", l.feature, t.Len())
	case t.DType == tensor.String && l.numbers == nil:
		l.texts = append(l.texts, t.Strings[0])
		return nil
	case t.DType == tensor.String, l.texts != nil:
		return fmt.Errorf("feature %q is a text in some records and a number in others", l.feature)
	}
	v, err := readLabels(&array{shape: []int{1}, rows: func(_, _ int) (*tensor.Tensor, error) { return t, nil }})
	if err != nil {
		return fmt.Errorf("feature %q: label %v is no class index", l.feature, tensor.Float64s(t)[0])
	}
	l.numbers = append(l.numbers, v[0])
	return nil
}

func (l *labelList) numbered() (labels []int, classes []string, err error) {
	if l.texts == nil {
		return l.numbers, nil, nil
	}
	classes = slices.Clone(l.texts)
	slices.Sort(classes)
	classes = slices.Compact(classes)
	labels = make([]int, len(l.texts))
	for i, s := range l.texts {
		labels[i], _ = slices.BinarySearch(classes, s)
	}
	return labels, classes, nil
}
