package savedmodel

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	convertOps(tableHandle, "HashTable", "HashTableV2", "MutableHashTable", "MutableHashTableV2")
	convertOps(tableImport, "LookupTableImport", "LookupTableImportV2", "InitializeTable", "InitializeTableV2")
	convertOps(tableFile, "InitializeTableFromTextFile", "InitializeTableFromTextFileV2")
	convertOps(tableFind, "LookupTableFind", "LookupTableFindV2")
	convertOps(tableSize, "LookupTableSize", "LookupTableSizeV2")
}

func tableHandle(c *call) ([]value, error) {
	r := c.resource(true)
	r.keyType, r.dtype = c.typeAttr("key_dtype"), c.typeAttr("value_dtype")
	return []value{{res: r}}, nil
}

func (c *call) table(i int) (*resource, error) {
	if i >= len(c.in) || c.in[i].res == nil || !c.in[i].res.table {
		return nil, fmt.Errorf("input %d is no table", i)
	}
	return c.in[i].res, nil
}

// tableImport fills a table while the model is set up.
func tableImport(c *call) ([]value, error) {
	r, err := c.table(0)
	if err != nil {
		return nil, err
	}
	if len(c.in) != 3 {
		return nil, errors.New("keys or values are missing")
	}
	if !c.s.l.setup {
		return nil, errors.New("filling a table in a call is not supported")
	}
	r.keys, r.values = c.in[1], c.in[2]
	return nil, nil
}

// The indices of InitializeTableFromTextFile that stand for what is no column.
const (
	wholeLine  = -2
	lineNumber = -1
)

// tableFile fills a table from the lines of an asset.
func tableFile(c *call) ([]value, error) {
	r, err := c.table(0)
	if err != nil {
		return nil, err
	}
	name, err := c.constant(1)
	if err != nil {
		return nil, err
	}
	if len(name.Strings) != 1 || !c.s.l.setup {
		return nil, errors.New("a table is filled from a file that is not known when the model is loaded")
	}
	text, err := c.s.l.asset(name.Strings[0])
	if err != nil {
		return nil, &hardError{err}
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	skip, most := c.intAttr("offset", 0), c.intAttr("vocab_size", -1)
	lines = lines[min(max(skip, 0), len(lines)):]
	if most >= 0 {
		lines = lines[:min(most, len(lines))]
	}
	delimiter := c.stringAttr("delimiter", "\t")
	columns := [2]*tensor.Tensor{}
	for i, of := range []struct {
		attr string
		d    tensor.DType
	}{{"key_index", r.keyType}, {"value_index", r.dtype}} {
		words, err := column(lines, c.intAttr(of.attr, wholeLine), delimiter)
		if err == nil {
			columns[i], err = parseWords(words, of.d)
		}
		if err != nil {
			return nil, &hardError{fmt.Errorf("asset %q: %w", name.Strings[0], err)}
		}
	}
	r.keys, r.values = value{t: columns[0]}, value{t: columns[1]}
	return nil, nil
}

func column(lines []string, index int, delimiter string) ([]string, error) {
	out := make([]string, len(lines))
	for i, line := range lines {
		switch {
		case index == wholeLine:
			out[i] = strings.TrimSuffix(line, "\r")
		case index == lineNumber:
			out[i] = strconv.Itoa(i)
		default:
			parts := strings.Split(line, delimiter)
			if index < 0 || index >= len(parts) {
				return nil, fmt.Errorf("line %d has no column %d", i+1, index)
			}
			out[i] = parts[index]
		}
	}
	return out, nil
}

func parseWords(words []string, d tensor.DType) (*tensor.Tensor, error) {
	if d == tensor.String {
		return tensor.FromStrings(words, len(words)), nil
	}
	numbers := make([]float64, len(words))
	for i, w := range words {
		x, err := strconv.ParseFloat(w, 64)
		if err != nil {
			return nil, fmt.Errorf("line %d: %q is no number", i+1, w)
		}
		numbers[i] = x
	}
	t := tensor.New(d, len(words))
	return t, tensor.SetFloat64s(t, numbers)
}

// content gives a table's keys and values.
func (l *loader) content(r *resource) (keys, values *tensor.Tensor, err error) {
	out := [2]*tensor.Tensor{}
	for i, x := range []value{r.keys, r.values} {
		switch {
		case x.t != nil:
			out[i] = x.t
		case x.v != nil && x.v.Const != nil:
			out[i] = x.v.Const
		case x.saved != nil:
			if out[i], err = l.savedTensor(x.saved); err != nil {
				return nil, nil, &hardError{err}
			}
		default:
			return nil, nil, fmt.Errorf("what the table %q holds is not known", r.name)
		}
	}
	if out[0].Len() != out[1].Len() {
		return nil, nil, &hardError{fmt.Errorf("the table %q has %d keys and %d values", r.name, out[0].Len(), out[1].Len())}
	}
	return out[0], out[1], nil
}

func tableSize(c *call) ([]value, error) {
	r, err := c.table(0)
	if err != nil {
		return nil, err
	}
	keys, _, err := c.s.l.content(r)
	if err != nil {
		return nil, err
	}
	return []value{{t: tensor.Scalar(int64(keys.Len()))}}, nil
}

// tableFind is ONNX's LabelEncoder.
func tableFind(c *call) ([]value, error) {
	r, err := c.table(0)
	if err != nil {
		return nil, err
	}
	v, err := c.value(1)
	if err != nil {
		return nil, err
	}
	missing, err := c.constant(2)
	if err != nil {
		return nil, err
	}
	keys, values, err := c.s.l.content(r)
	if err != nil {
		return nil, err
	}
	if missing.Len() != 1 {
		return nil, fmt.Errorf("the value for unknown keys has %d elements", missing.Len())
	}
	op, back, err := labelEncoder(keys, values, missing)
	if err != nil {
		return nil, err
	}
	if v.DType == tensor.Int32 {
		v = c.cast(v, tensor.Int64)
	}
	return one(c.cast(c.add(op, v), back)), nil
}

// labelEncoder maps keys to values; back is the type that the result is cast to, since ONNX has strings, int64 and float32.
func labelEncoder(keys, values, missing *tensor.Tensor) (op graph.Op, back tensor.DType, err error) {
	var attrs []graph.Attr
	add := func(name string, x any) { attrs = append(attrs, graph.Attr{Name: name, Value: x}) }
	switch {
	case keys.DType == tensor.String:
		add("keys_strings", keys.Strings)
	case keys.IsInt():
		add("keys_int64s", tensor.Ints(keys))
	default:
		return nil, 0, fmt.Errorf("a table with keys of %s is not supported", keys.DType)
	}
	switch {
	case values.DType == tensor.String:
		add("values_strings", values.Strings)
		add("default_string", missing.Strings[0])
	case values.IsInt():
		add("values_int64s", tensor.Ints(values))
		add("default_int64", tensor.Ints(missing)[0])
	case values.DType == tensor.Float32:
		add("values_floats", tensor.Floats(values))
		add("default_float", tensor.Floats(missing)[0])
	default:
		return nil, 0, fmt.Errorf("a table with values of %s is not supported", values.DType)
	}
	op, err = graph.NewOp("ai.onnx.ml", "LabelEncoder", attrs)
	return op, values.DType, err
}
