package ops

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 9, TfIdfVectorizer{}) }

// TfIdfVectorizer counts n-grams of a vector, or of each row of a matrix: those of the pool, MinGram to MaxGram long,
// with up to MaxSkip elements left out between neighbours. The pool holds all n-grams one after the other, shortest
// first; Counts says where each length begins, Indexes where in the result each n-gram counts. Mode TF gives counts,
// IDF the weight of what occurs, TFIDF counts times weights; Weights belong to places of the result, as in ONNX's
// reference and ONNX Runtime.
type TfIdfVectorizer struct {
	MaxGram int       `attr:"max_gram_length" required:"true"`
	MaxSkip int       `attr:"max_skip_count" required:"true"`
	MinGram int       `attr:"min_gram_length" required:"true"`
	Mode    string    `attr:"mode" required:"true"`
	Counts  []int     `attr:"ngram_counts" required:"true"`
	Indexes []int     `attr:"ngram_indexes" required:"true"`
	Ints    []int     `attr:"pool_int64s"`
	Strings []string  `attr:"pool_strings"`
	Weights []float32 `attr:"weights"`
}

func (o TfIdfVectorizer) size() (int, error) {
	n := 0
	for _, i := range o.Indexes {
		if i < 0 || i >= 1<<28 {
			return 0, fmt.Errorf("ngram_indexes holds %d", i)
		}
		n = max(n, i+1)
	}
	return n, nil
}

// Infer gives one number for each place.
func (o TfIdfVectorizer) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	n, err := o.size()
	if err != nil {
		return nil, err
	}
	switch r := in[0].Rank(); r {
	case -1:
		return []graph.Type{graph.AnyRank(tensor.Float32)}, nil
	case 0, 1:
		return []graph.Type{graph.Of(tensor.Float32, graph.Fixed(n))}, nil
	case 2:
		return []graph.Type{graph.Of(tensor.Float32, in[0].Shape[0], graph.Fixed(n))}, nil
	}
	return nil, fmt.Errorf("want rank 1 or 2, got %d", len(in[0].Shape))
}

// words gives each element as text that identifies it and cannot be confused when joined.
func words(ints []int64, strings []string) []string {
	out := make([]string, 0, len(ints)+len(strings))
	for _, v := range ints {
		out = append(out, strconv.FormatInt(v, 10)+",")
	}
	for _, s := range strings {
		out = append(out, strconv.Itoa(len(s))+":"+s)
	}
	return out
}

// grams maps each n-gram of the pool to its place in the result.
func (o TfIdfVectorizer) grams() (map[string]int, error) {
	ints := make([]int64, len(o.Ints))
	for i, v := range o.Ints {
		ints[i] = int64(v)
	}
	if len(o.Ints) > 0 && len(o.Strings) > 0 {
		return nil, errors.New("both pool_int64s and pool_strings are given")
	}
	pool := words(ints, o.Strings)
	out, next := map[string]int{}, 0
	for n, from := range o.Counts {
		to := len(pool)
		if n+1 < len(o.Counts) {
			to = o.Counts[n+1]
		}
		if from < 0 || from > to || to > len(pool) || (to-from)%(n+1) != 0 {
			return nil, fmt.Errorf("ngram_counts %v does not fit a pool of %d", o.Counts, len(pool))
		}
		for ; from < to; from += n + 1 {
			if next >= len(o.Indexes) {
				return nil, fmt.Errorf("ngram_indexes has %d elements, the pool more n-grams", len(o.Indexes))
			}
			key := ""
			for _, w := range pool[from : from+n+1] {
				key += w
			}
			if n+1 >= o.MinGram && n+1 <= o.MaxGram {
				out[key] = o.Indexes[next]
			}
			next++
		}
	}
	return out, nil
}

// Run counts.
func (o TfIdfVectorizer) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	shape, err := shapeOf(o, in)
	if err != nil {
		return err
	}
	grams, err := o.grams()
	if err != nil {
		return err
	}
	if o.Mode != "TF" && o.Mode != "IDF" && o.Mode != "TFIDF" {
		return fmt.Errorf("unknown mode %q", o.Mode)
	}
	size := shape[len(shape)-1]
	if o.Weights != nil && len(o.Weights) < size {
		return fmt.Errorf("%d weights for %d places", len(o.Weights), size)
	}
	if err := checkSize(tensor.Float32, shape); err != nil {
		return err
	}
	row := words(nil, in[0].Strings)
	if in[0].DType != tensor.String {
		row = words(tensor.Ints(in[0]), nil)
	}
	y := tensor.View[float32](x.Make(out[0], tensor.Float32, shape...))
	clear(y)
	rows := tensor.Size(shape[:len(shape)-1])
	for r := range rows {
		n := len(row) / rows
		part := y[r*size : (r+1)*size]
		o.count(row[r*n:(r+1)*n], grams, part)
		o.weigh(part)
	}
	return nil
}

func (o TfIdfVectorizer) count(row []string, grams map[string]int, y []float32) {
	for skip := 0; skip <= min(o.MaxSkip, len(row)); skip++ {
		for start := range row {
			key := ""
			for n := 1; n <= o.MaxGram && start+(n-1)*(skip+1) < len(row); n++ {
				key += row[start+(n-1)*(skip+1)]
				if n == 1 && skip > 0 || n < o.MinGram {
					continue
				}
				if i, ok := grams[key]; ok {
					y[i]++
				}
			}
		}
	}
}

func (o TfIdfVectorizer) weigh(y []float32) {
	for i, c := range y {
		w := float32(1)
		if o.Weights != nil {
			w = o.Weights[i]
		}
		switch {
		case o.Mode == "TF" || c == 0:
		case o.Mode == "IDF":
			y[i] = w
		default:
			y[i] = c * w
		}
	}
}
