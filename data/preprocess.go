package data

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tfsopt/tfsopt/codec"
	"github.com/tfsopt/tfsopt/tensor"
)

// Preprocess says how a sample becomes what a model wants: resize, crop, channel order, then (x - mean) / std. The zero
// value does nothing.
type Preprocess struct {
	Short         int // resize the shorter side to this, keeping the aspect ratio
	Width, Height int // or resize to exactly this
	CropW, CropH  int // then take the centre
	Filter        codec.Filter
	Layout        string       // nchw, nhwc or "" for what the model's shape says
	DType         tensor.DType // Undefined for what the model says
	BGR           bool
	Mean, Std     []float64 // one for all channels, or one a channel in the order that the model gets them; in 0..255 for images

	Columns []string // of a CSV: the features, in this order; nil: all but the label and Drop
	Drop    []string // of a CSV: columns that are no features
	OneHot  []string // of a CSV: columns of text, one 0/1 feature for each of their values, in order
}

// presets are the preprocessings that have a name.
var presets = map[string]Preprocess{
	"none": {},
	"unit": {Mean: []float64{0}, Std: []float64{255}},
	"tf":   {Mean: []float64{127.5}, Std: []float64{127.5}},
	"imagenet": {
		Mean: []float64{0.485 * 255, 0.456 * 255, 0.406 * 255}, Std: []float64{0.229 * 255, 0.224 * 255, 0.225 * 255},
	},
	"caffe": {BGR: true, Mean: []float64{103.94, 116.78, 123.68}, Std: []float64{1}},
}

// keys sets the fields from the values that stand after key= or in the list of a YAML file.
var keys = map[string]func(p *Preprocess, v []string) error{
	"resize": func(p *Preprocess, v []string) (err error) {
		p.Short, p.Width, p.Height, err = parseResize(v)
		return err
	},
	"crop":     func(p *Preprocess, v []string) (err error) { p.CropW, p.CropH, err = parseCrop(v); return err },
	"filter":   func(p *Preprocess, v []string) error { return choose((*string)(&p.Filter), v, filters) },
	"layout":   func(p *Preprocess, v []string) error { return choose(&p.Layout, v, []string{"nchw", "nhwc"}) },
	"dtype":    func(p *Preprocess, v []string) (err error) { p.DType, err = parseDType(v); return err },
	"channels": setChannels,
	"mean":     func(p *Preprocess, v []string) (err error) { p.Mean, err = parseReals(v); return err },
	"std":      setStd,
	"columns":  func(p *Preprocess, v []string) error { p.Columns = v; return nil },
	"drop":     func(p *Preprocess, v []string) error { p.Drop = v; return nil },
	"onehot":   func(p *Preprocess, v []string) error { p.OneHot = v; return nil },
}

var filters = []string{string(codec.Bilinear), string(codec.TF), string(codec.Nearest), string(codec.Bicubic)}

// ParsePreprocess reads PRESET, FILE.yaml or either followed by :key=value,…; "" is none. The keys, also those of the
// file (which may name a preset under `preset`), are
//
//	resize=256 | 224x192        shorter side, or width x height
//	crop=224 | 224x192          centre crop
//	filter=pillow|tf|nearest|bicubic
//	layout=nchw|nhwc  dtype=float32|uint8|…  channels=rgb|bgr
//	mean=R[,R,R]  std=R[,R,R]   (x - mean) / std, x in 0..255 for images; also for arrays
//	columns=A,B  drop=A,B  onehot=A,B   of a CSV
func ParsePreprocess(text string) (Preprocess, error) {
	if text == "" {
		return Preprocess{}, nil
	}
	if isFile(text) {
		return fromYAML(text)
	}
	head, tail, more := strings.Cut(text, ":")
	p, ok := presets[head]
	if !ok {
		if !isFile(head) {
			return p, fmt.Errorf("preprocess %q: neither a file nor one of %s", head, strings.Join(sortedKeys(presets), ", "))
		}
		var err error
		if p, err = fromYAML(head); err != nil {
			return p, err
		}
	}
	if !more {
		return p, nil
	}
	key, values := "", []string(nil)
	for i, part := range strings.Split(tail, ",") {
		k, v, found := strings.Cut(part, "=")
		if !found && i > 0 {
			values = append(values, strings.TrimSpace(part))
			continue
		}
		if err := p.set(key, values); err != nil {
			return p, fmt.Errorf("preprocess %q: %w", text, err)
		}
		if !found {
			return p, fmt.Errorf("preprocess %q: want key=value, got %q", text, part)
		}
		key, values = strings.TrimSpace(k), []string{strings.TrimSpace(v)}
	}
	if err := p.set(key, values); err != nil {
		return p, fmt.Errorf("preprocess %q: %w", text, err)
	}
	return p, nil
}

// set applies one key; the empty key that precedes the first one does nothing.
func (p *Preprocess) set(key string, values []string) error {
	if key == "" && values == nil {
		return nil
	}
	f, ok := keys[key]
	if !ok {
		return fmt.Errorf("unknown key %q: want one of %s", key, strings.Join(sortedKeys(keys), ", "))
	}
	if err := f(p, values); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

func fromYAML(path string) (Preprocess, error) {
	b, err := readLimited(path, 1<<20)
	if err != nil {
		return Preprocess{}, fmt.Errorf("preprocess: %w", err)
	}
	var doc map[string]yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(b)).Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return Preprocess{}, fmt.Errorf("preprocess %s: %w", path, err)
	}
	var p Preprocess
	if n, ok := doc["preset"]; ok {
		if p, ok = presets[n.Value]; !ok {
			return p, fmt.Errorf("preprocess %s:%d: preset %q: want one of %s", path, n.Line, n.Value, strings.Join(sortedKeys(presets), ", "))
		}
		delete(doc, "preset")
	}
	for _, key := range sortedKeys(doc) {
		n := doc[key]
		values := []string{n.Value}
		if n.Kind == yaml.SequenceNode {
			values = nil
			for _, c := range n.Content {
				values = append(values, c.Value)
			}
		}
		if err := p.set(key, values); err != nil {
			return p, fmt.Errorf("preprocess %s:%d: %w", path, n.Line, err)
		}
	}
	return p, nil
}

func parseResize(v []string) (short, w, h int, err error) {
	if len(v) == 1 && !strings.Contains(v[0], "x") {
		short, err = parseSide(v[0])
		return short, 0, 0, err
	}
	w, h, err = parseSides(v)
	return 0, w, h, err
}

func parseCrop(v []string) (w, h int, err error) {
	if len(v) == 1 && !strings.Contains(v[0], "x") {
		w, err = parseSide(v[0])
		return w, w, err
	}
	return parseSides(v)
}

// parseSides reads "WxH", or W and H apart.
func parseSides(v []string) (w, h int, err error) {
	if len(v) == 1 {
		v = strings.Split(v[0], "x")
	}
	if len(v) != 2 {
		return 0, 0, fmt.Errorf("%q: want a size or WIDTHxHEIGHT", strings.Join(v, ","))
	}
	if w, err = parseSide(v[0]); err != nil {
		return 0, 0, err
	}
	h, err = parseSide(v[1])
	return w, h, err
}

func parseSide(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > codec.MaxSide {
		return 0, fmt.Errorf("%q: want a size of 1 to %d pixels or WIDTHxHEIGHT", s, codec.MaxSide)
	}
	return n, nil
}

func choose(dst *string, v, from []string) error {
	if len(v) != 1 || !slices.Contains(from, strings.ToLower(v[0])) {
		return fmt.Errorf("%q: want %s", strings.Join(v, ","), strings.Join(from, " or "))
	}
	*dst = strings.ToLower(v[0])
	return nil
}

func setChannels(p *Preprocess, v []string) error {
	var order string
	err := choose(&order, v, []string{"rgb", "bgr"})
	p.BGR = order == "bgr"
	return err
}

func parseDType(v []string) (tensor.DType, error) {
	d, err := tensor.ParseDType(strings.Join(v, ","))
	if err == nil && !d.IsFloat() && !d.IsInt() {
		return d, fmt.Errorf("%s is no number", d)
	}
	return d, err
}

func parseReals(v []string) ([]float64, error) {
	var out []float64
	for _, s := range v {
		x, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, fmt.Errorf("%q is no finite number", s)
		}
		out = append(out, x)
	}
	if len(out) == 0 {
		return nil, errors.New("there is no number")
	}
	return out, nil
}

func setStd(p *Preprocess, v []string) error {
	std, err := parseReals(v)
	if err == nil && slices.Contains(std, 0) {
		err = errors.New("0 cannot be divided by")
	}
	p.Std = std
	return err
}

// normalises reports whether values change.
func (p *Preprocess) normalises() bool {
	differs := func(v []float64, from float64) bool {
		return slices.ContainsFunc(v, func(x float64) bool { return x != from })
	}
	return differs(p.Mean, 0) || differs(p.Std, 1)
}

// resizes reports whether pixels must be handled as an image.
func (p *Preprocess) resizes() bool { return p.Short > 0 || p.Width > 0 || p.CropW > 0 }

// norm gives mean and std for each of c channels.
func (p *Preprocess) norm(c int) (mean, std []float64, err error) {
	expand := func(v []float64, none float64, what string) ([]float64, error) {
		switch len(v) {
		case 0:
			return slices.Repeat([]float64{none}, c), nil
		case 1:
			return slices.Repeat(v, c), nil
		case c:
			return v, nil
		}
		return nil, fmt.Errorf("preprocess: %s has %d values for %d channels: want 1 or %d", what, len(v), c, c)
	}
	if mean, err = expand(p.Mean, 0, "mean"); err != nil {
		return nil, nil, err
	}
	std, err = expand(p.Std, 1, "std")
	return mean, std, err
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && !st.IsDir()
}

// readLimited reads a whole file of at most limit bytes.
func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, limit)
	}
	return b, nil
}
