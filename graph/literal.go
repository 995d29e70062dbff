package graph

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/tfsopt/tfsopt/tensor"
)

// inlineElements is how many elements a constant may have to be written out.
const inlineElements = 32

// literal writes a tensor with its type in front.
func (p *printer) literal(t *tensor.Tensor) {
	if t.DType != tensor.Sequence && t.DType != tensor.Optional {
		p.put(typeText(TypeOf(t)), " ")
		p.tensor(t)
		return
	}
	p.put(t.DType.String(), "(")
	for i, item := range t.Items {
		if i > 0 {
			p.put(", ")
		}
		p.literal(item)
	}
	p.put(")")
}

// tensor writes the elements: in braces, as base64 of the bytes, or as their hash.
func (p *printer) tensor(t *tensor.Tensor) {
	switch {
	case t.DType == tensor.Sequence || t.DType == tensor.Optional:
		p.literal(t)
	case t.Len() <= inlineElements || t.DType == tensor.String && p.o.Data:
		if s, ok := inline(t); ok {
			p.put(s)
			return
		}
		p.put("base64 ", strconv.Quote(base64.StdEncoding.EncodeToString(t.Data)))
	case p.o.Data:
		p.put("base64 ", strconv.Quote(base64.StdEncoding.EncodeToString(t.Data)))
	default:
		p.put("sha256 ", strconv.Quote(hashOf(t)))
	}
}

// hashOf is the SHA-256 of the bytes or of the quoted strings.
func hashOf(t *tensor.Tensor) string {
	h := sha256.New()
	h.Write(t.Data)
	for _, s := range t.Strings {
		fmt.Fprintf(h, "%q,", s)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// inline writes the elements out; ok is false if they could not be read back bit by bit, as with a NaN's payload.
func inline(t *tensor.Tensor) (s string, ok bool) {
	words := elementTexts(t)
	if words == nil {
		return "", false
	}
	back := tensor.New(t.DType, t.Shape...)
	if t.DType != tensor.String {
		if err := setElements(back, words); err != nil || !back.Equal(t) {
			return "", false
		}
	}
	return "{" + strings.Join(words, ", ") + "}", true
}

// elementTexts gives each element as text, nil for types that have none.
func elementTexts(t *tensor.Tensor) []string {
	words := make([]string, t.Len())
	switch {
	case t.DType == tensor.String:
		for i, s := range t.Strings {
			words[i] = strconv.Quote(s)
		}
	case t.DType == tensor.Bool:
		for i, v := range tensor.Ints(t) {
			words[i] = strconv.FormatBool(v != 0)
		}
	case t.DType == tensor.Uint64:
		for i, v := range tensor.View[uint64](t) {
			words[i] = strconv.FormatUint(v, 10)
		}
	case t.IsInt():
		for i, v := range tensor.Ints(t) {
			words[i] = strconv.FormatInt(v, 10)
		}
	case t.DType == tensor.Float64:
		for i, v := range tensor.Float64s(t) {
			words[i] = wordOf(v, 64)
		}
	case t.IsFloat():
		for i, v := range tensor.Floats(t) {
			words[i] = wordOf(float64(v), 32)
		}
	default:
		return nil
	}
	return words
}

func wordOf(v float64, bits int) string {
	switch {
	case v != v:
		return "nan"
	case math.IsInf(v, 1):
		return "inf"
	}
	return strings.Replace(strconv.FormatFloat(v, 'g', -1, bits), "-Inf", "-inf", 1)
}

// setElements reads what elementTexts wrote, strings unquoted, into t, which has as many elements.
func setElements(t *tensor.Tensor, words []string) error {
	switch {
	case t.DType == tensor.String:
		copy(t.Strings, words)
		return nil
	case t.DType == tensor.Uint64:
		return setWords(words, tensor.View[uint64](t), func(s string) (uint64, error) { return strconv.ParseUint(s, 10, 64) })
	case t.DType == tensor.Bool:
		return setWords(words, tensor.View[bool](t), func(s string) (bool, error) {
			if s != "true" && s != "false" {
				return false, strconv.ErrSyntax
			}
			return s == "true", nil
		})
	case t.IsInt():
		v := make([]int64, len(words))
		err := setWords(words, v, func(s string) (int64, error) { return parseElement(s, t.DType) })
		if err != nil {
			return err
		}
		return tensor.SetInts(t, v)
	case t.DType == tensor.Float64:
		return setWords(words, tensor.View[float64](t), func(s string) (float64, error) { return strconv.ParseFloat(s, 64) })
	case t.IsFloat():
		v := make([]float32, len(words))
		err := setWords(words, v, func(s string) (float32, error) {
			f, err := strconv.ParseFloat(s, 32)
			return float32(f), err
		})
		if err != nil {
			return err
		}
		return tensor.SetFloats(t, v)
	}
	return fmt.Errorf("%s elements have no text", t.DType)
}

// parseElement reads an integer that fits the type.
func parseElement(s string, d tensor.DType) (int64, error) {
	if d.IsSigned() {
		return strconv.ParseInt(s, 10, d.Bits())
	}
	u, err := strconv.ParseUint(s, 10, d.Bits())
	return int64(u), err
}

func setWords[T any](words []string, dst []T, parse func(string) (T, error)) error {
	for i, s := range words {
		v, err := parse(s)
		if err != nil {
			return fmt.Errorf("element %d: %q is no element of this type", i, s)
		}
		dst[i] = v
	}
	return nil
}
