package savedmodel

import (
	"errors"
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	for name, op := range map[string]func(c *call) (graph.Op, error){
		"StringLower": func(c *call) (graph.Op, error) {
			return ops.StringChange{To: "lower", Unicode: c.utf8("encoding")}, nil
		},
		"StringUpper": func(c *call) (graph.Op, error) {
			return ops.StringChange{To: "upper", Unicode: c.utf8("encoding")}, nil
		},
		"StringStrip": func(*call) (graph.Op, error) { return ops.StringChange{To: "strip"}, nil },
		"StaticRegexReplace": func(c *call) (graph.Op, error) {
			return ops.StringReplace{Pattern: c.stringAttr("pattern", ""), Rewrite: c.stringAttr("rewrite", ""), Global: c.boolAttr("replace_global", true)}, nil
		},
		"RegexReplace":   regexReplace,
		"RegexFullMatch": regexMatch,
		"StringToNumber": toNumber,
		"AsString":       asString,
		"StringLength": func(c *call) (graph.Op, error) {
			return ops.StringLength{Unicode: c.stringAttr("unit", "BYTE") != "BYTE"}, nil
		},
		"StaticRegexFullMatch": func(c *call) (graph.Op, error) {
			return ops.RegexFullMatch{Pattern: c.stringAttr("pattern", "")}, nil
		},
		"StringToHashBucketFast": func(c *call) (graph.Op, error) { return ops.StringHash{Buckets: c.intAttr("num_buckets", 0)}, nil },
	} {
		convertOps(eachString(op), name)
	}
	convertOps(stringJoin, "StringJoin")
	convertOps(stringSplit, "StringSplitV2")
	convertOps(decodeImage, "DecodeJpeg", "DecodePng", "DecodeBmp", "DecodeImage")
}

// utf8 reports whether an attribute says that strings are UTF-8.
func (c *call) utf8(attr string) bool { return c.stringAttr(attr, "") == "utf-8" }

// eachString converts an operator that takes its first input alone; others are constants that it looks at.
func eachString(op func(*call) (graph.Op, error)) converter {
	return func(c *call) ([]value, error) {
		o, err := op(c)
		if err != nil {
			return nil, err
		}
		v, err := c.value(0)
		if err != nil {
			return nil, err
		}
		v = c.add(o, v)
		if c.n.Op == "StringLength" {
			v = c.cast(v, tensor.Int32)
		}
		return one(v), nil
	}
}

// textAt gives an input that must be one known string.
func (c *call) textAt(i int) (string, error) {
	t, err := c.constant(i)
	if err != nil {
		return "", err
	}
	if len(t.Strings) != 1 {
		return "", fmt.Errorf("input %d is no single string", i)
	}
	return t.Strings[0], nil
}

func regexReplace(c *call) (graph.Op, error) {
	pattern, err := c.textAt(1)
	if err != nil {
		return nil, err
	}
	rewrite, err := c.textAt(2)
	return ops.StringReplace{Pattern: pattern, Rewrite: rewrite, Global: c.boolAttr("replace_global", true)}, err
}

func regexMatch(c *call) (graph.Op, error) {
	pattern, err := c.textAt(1)
	return ops.RegexFullMatch{Pattern: pattern}, err
}

func toNumber(c *call) (graph.Op, error) {
	d := c.typeAttr("out_type")
	if d == tensor.Undefined {
		d = tensor.Float32
	}
	return ops.Cast{To: int(d), RoundMode: "up", Saturate: true}, nil
}

// asString takes integers alone: floats have a format in TensorFlow that ONNX's Cast does not have.
func asString(c *call) (graph.Op, error) {
	if d := c.typeAttr("T"); !d.IsInt() || c.stringAttr("fill", "") != "" || c.intAttr("width", -1) != -1 {
		return nil, fmt.Errorf("%s as strings, or with a width, is not supported", d)
	}
	return ops.Cast{To: int(tensor.String), RoundMode: "up", Saturate: true}, nil
}

func stringJoin(c *call) ([]value, error) {
	in, err := c.values(0, len(c.in))
	if err != nil {
		return nil, err
	}
	if len(in) == 0 {
		return nil, errors.New("nothing to join")
	}
	between := c.stringAttr("separator", "")
	v := in[0]
	for _, next := range in[1:] {
		if between != "" {
			v = c.add(ops.StringConcat{}, v, c.b.constant(tensor.FromStrings([]string{between}), ""))
		}
		v = c.add(ops.StringConcat{}, v, next)
	}
	return one(v), nil
}

func stringSplit(c *call) ([]value, error) {
	sep, err := c.textAt(1)
	if err != nil {
		return nil, err
	}
	v, err := c.value(0)
	if err != nil {
		return nil, err
	}
	return several(c.addN(3, ops.SparseSplit{Delimiter: sep, MaxSplit: c.intAttr("maxsplit", -1)}, v)), nil
}

// decodeImage reads any picture whichever operator asks, as TensorFlow does.
func decodeImage(c *call) ([]value, error) {
	if d := c.typeAttr("dtype"); d != tensor.Undefined && d != tensor.Uint8 {
		return nil, fmt.Errorf("pictures of %s are not supported", d)
	}
	if c.intAttr("ratio", 1) != 1 {
		return nil, errors.New("a ratio is not supported")
	}
	v, err := c.value(0)
	if err != nil {
		return nil, err
	}
	return one(c.add(ops.DecodeImage{Channels: c.intAttr("channels", 0)}, v)), nil
}
