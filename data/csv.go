package data

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/tfsopt/tfsopt/tensor"
)

// table is a CSV file in memory.
type table struct {
	header []string
	rows   [][]string
	lines  []int // where each row stands
}

func openCSV(path string, p Preprocess, o Options) (*source, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var known map[string][]string
	if o.Like != nil {
		known = o.Like.source.values
	}
	return readCSV(f, p, o.LabelColumn, known)
}

// readCSV makes float32 features [N, F] of the columns that p chooses and labels of the label column (none if "").
// Every feature must be a finite number; columns of text are named in one error unless p drops them or makes them 0/1, one
// for each of their values or, by column, of the known ones.
func readCSV(r io.Reader, p Preprocess, label string, known map[string][]string) (*source, error) {
	t, err := readTable(r)
	if err != nil {
		return nil, err
	}
	columns, err := t.choose(p, label)
	if err != nil {
		return nil, err
	}
	values := maps.Clone(known)
	if values == nil {
		values = map[string][]string{}
	}
	var features [][]float32 // by column
	var bad []string
	for _, c := range columns {
		if slices.Contains(p.OneHot, t.header[c]) {
			v, err := t.oneHot(c, values)
			if err != nil {
				return nil, err
			}
			features = append(features, v...)
			continue
		}
		v, err := t.numbers(c)
		if err != nil {
			bad = append(bad, err.Error())
		}
		features = append(features, v)
	}
	if bad != nil {
		return nil, fmt.Errorf("%s (leave columns out with drop=NAME,… or split their values with onehot=NAME,… in the preprocessing)",
			strings.Join(bad, "; "))
	}
	x := make([]float32, 0, len(t.rows)*len(features))
	for i := range t.rows {
		for _, f := range features {
			x = append(x, f[i])
		}
	}
	a, err := inMemory("the features", tensor.From(x, len(t.rows), len(features)))
	if err != nil {
		return nil, err
	}
	src, err := arraySource([]*array{a}, nil, nil)
	if err != nil {
		return nil, err
	}
	src.values = values
	src.name = func(i int) string { return fmt.Sprintf("line %d", t.lines[i]) }
	if label != "" {
		src.labels, src.classes, err = t.labels(slices.Index(t.header, label))
	}
	t.rows = nil
	return src, err
}

func readTable(r io.Reader) (*table, error) {
	in := bufio.NewReader(r)
	if bom, _ := in.Peek(3); string(bom) == "\ufeff" {
		if _, err := in.Discard(3); err != nil {
			return nil, err
		}
	}
	c := csv.NewReader(in)
	c.TrimLeadingSpace = true
	header, err := c.Read()
	if err == io.EOF {
		return nil, errors.New("the file is empty")
	}
	if err != nil {
		return nil, err
	}
	t := &table{}
	for _, h := range header {
		h = strings.TrimSpace(h)
		if slices.Contains(t.header, h) {
			return nil, fmt.Errorf("there are two columns %q", h)
		}
		t.header = append(t.header, h)
	}
	for {
		row, err := c.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		line, _ := c.FieldPos(0)
		t.rows, t.lines = append(t.rows, row), append(t.lines, line)
	}
	if len(t.rows) == 0 {
		return nil, errors.New("there are no samples below the header")
	}
	return t, nil
}

// choose gives the columns that are features, checking every name.
func (t *table) choose(p Preprocess, label string) ([]int, error) {
	named := slices.Concat(p.Columns, p.Drop, p.OneHot)
	if label != "" {
		named = append(named, label)
	}
	for _, n := range named {
		if !slices.Contains(t.header, n) {
			return nil, fmt.Errorf("there is no column %q: there is %s", n, strings.Join(t.header, ", "))
		}
	}
	names := p.Columns
	if names == nil {
		names = t.header
	}
	var out []int
	for _, n := range names {
		if n == label && p.Columns != nil {
			return nil, fmt.Errorf("column %q is the label and cannot be a feature", n)
		}
		if n != label && !slices.Contains(p.Drop, n) {
			out = append(out, slices.Index(t.header, n))
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no column is left as a feature")
	}
	return out, nil
}

func (t *table) numbers(column int) ([]float32, error) {
	out := make([]float32, len(t.rows))
	for i, row := range t.rows {
		v, err := strconv.ParseFloat(strings.TrimSpace(row[column]), 64)
		if err != nil || math.IsNaN(v) || math.Abs(v) > math.MaxFloat32 {
			return nil, fmt.Errorf("column %q, line %d: %q is no finite number", t.header[column], t.lines[i], row[column])
		}
		out[i] = float32(v)
	}
	return out, nil
}

// values are the distinct texts of a column, sorted.
func (t *table) values(column int) []string {
	seen := map[string]bool{}
	for _, row := range t.rows {
		seen[strings.TrimSpace(row[column])] = true
	}
	return sortedKeys(seen)
}

// oneHot gives a feature for each of the column's values, which known has already or gets.
func (t *table) oneHot(column int, known map[string][]string) ([][]float32, error) {
	name, values := t.header[column], t.values(column)
	if known[name] == nil {
		known[name] = values
	}
	to, err := places(fmt.Sprintf("column %q: value", name), values, known[name])
	if err != nil {
		return nil, err
	}
	out := make([][]float32, len(known[name]))
	for k := range out {
		out[k] = make([]float32, len(t.rows))
	}
	for i, row := range t.rows {
		out[to[sort.SearchStrings(values, strings.TrimSpace(row[column]))]][i] = 1
	}
	return out, nil
}

// labels takes whole numbers as they are and numbers the values of any other column in their order as text.
func (t *table) labels(column int) (labels []int, classes []string, err error) {
	labels = make([]int, len(t.rows))
	integers := true
	for i, row := range t.rows {
		v, err := strconv.ParseFloat(strings.TrimSpace(row[column]), 64)
		if err != nil {
			integers = false
			break
		}
		if v != math.Trunc(v) || math.Abs(v) > 1<<31 {
			return nil, nil, fmt.Errorf("column %q, line %d: label %q is no class index", t.header[column], t.lines[i], row[column])
		}
		labels[i] = int(v)
	}
	if integers {
		return labels, nil, nil
	}
	classes = t.values(column)
	for i, row := range t.rows {
		labels[i] = sort.SearchStrings(classes, strings.TrimSpace(row[column]))
	}
	return labels, classes, nil
}
