package data

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tfsopt/tfsopt/tensor"
)

// maxElements bounds what a file's header may claim, well below where byte counts overflow.
const maxElements = 1 << 40

const npyMagic = "\x93NUMPY"

// npyTypes are the element types by NumPy's kind and item size. V1 and V2 are how NumPy saves the types of ml_dtypes
// (bfloat16, 8-bit floats, 4-bit integers): as bit patterns.
var npyTypes = map[string]tensor.DType{
	"b1": tensor.Bool, "i1": tensor.Int8, "i2": tensor.Int16, "i4": tensor.Int32, "i8": tensor.Int64,
	"u1": tensor.Uint8, "u2": tensor.Uint16, "u4": tensor.Uint32, "u8": tensor.Uint64,
	"f2": tensor.Float16, "f4": tensor.Float32, "f8": tensor.Float64, "c8": tensor.Complex64, "c16": tensor.Complex128,
	"V1": tensor.Uint8, "V2": tensor.Uint16,
}

// npyHeader is what stands before the elements of an .npy file (NumPy Enhancement Proposal 1).
type npyHeader struct {
	dtype   tensor.DType
	kind    byte // NumPy's: b i u f c V, or S and U for strings
	size    int  // bytes an element takes
	swap    bool // big-endian
	fortran bool // columns first
	shape   []int
	offset  int64 // where the elements begin
}

// readNPYHeader reads as far as the first element.
func readNPYHeader(r io.Reader) (npyHeader, error) {
	var h npyHeader
	var fixed [12]byte
	if _, err := io.ReadFull(r, fixed[:8]); err != nil || string(fixed[:6]) != npyMagic {
		return h, errors.New("not an .npy file")
	}
	size, at := 2, int64(8)
	switch fixed[6] {
	case 1:
	case 2, 3:
		size = 4
	default:
		return h, fmt.Errorf(".npy version %d: want 1, 2 or 3", fixed[6])
	}
	if _, err := io.ReadFull(r, fixed[8:8+size]); err != nil {
		return h, errors.New("the .npy header is cut off")
	}
	n := int64(binary.LittleEndian.Uint32(fixed[8:]))
	if n > 1<<20 {
		return h, fmt.Errorf("an .npy header of %d bytes", n)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return h, errors.New("the .npy header is cut off")
	}
	h.offset = at + int64(size) + n
	return h, h.parse(string(text))
}

// parse reads the header's Python dictionary.
func (h *npyHeader) parse(text string) error {
	rest, ok := strings.CutPrefix(strings.TrimSpace(text), "{")
	if !ok {
		return fmt.Errorf(".npy header %.40q: want a dictionary", text)
	}
	set := map[string]bool{}
	for {
		rest = strings.TrimLeft(rest, " ,")
		if strings.HasPrefix(rest, "}") {
			break
		}
		key, after, ok := quoted(rest)
		after, colon := strings.CutPrefix(strings.TrimSpace(after), ":")
		if !ok || !colon || set[key] {
			return fmt.Errorf(".npy header: want a key at %.40q", rest)
		}
		set[key] = true
		var err error
		if rest, err = h.field(key, strings.TrimSpace(after)); err != nil {
			return err
		}
	}
	if !set["descr"] || !set["fortran_order"] || !set["shape"] {
		return fmt.Errorf(".npy header %.80q: want descr, fortran_order and shape", text)
	}
	if n, err := count(h.shape); err != nil || n*h.size > maxElements {
		return fmt.Errorf(".npy shape %v is too large", h.shape)
	}
	return nil
}

// quoted splits a leading Python string off.
func quoted(s string) (value, rest string, ok bool) {
	if s == "" || s[0] != '\'' && s[0] != '"' {
		return "", s, false
	}
	return strings.Cut(s[1:], s[:1])
}

// field reads one value and gives what follows it.
func (h *npyHeader) field(key, text string) (rest string, err error) {
	switch key {
	case "descr":
		descr, rest, ok := quoted(text)
		if !ok {
			return "", fmt.Errorf(".npy header: element type %.40q: records are not supported", text)
		}
		return rest, h.descr(descr)
	case "fortran_order":
		if rest, h.fortran = strings.CutPrefix(text, "True"); h.fortran {
			return rest, nil
		}
		rest, ok := strings.CutPrefix(text, "False")
		if !ok {
			return "", fmt.Errorf(".npy header: fortran_order %.20q: want True or False", text)
		}
		return rest, nil
	case "shape":
		inner, rest, ok := strings.Cut(strings.TrimPrefix(text, "("), ")")
		if !ok || !strings.HasPrefix(text, "(") {
			return "", fmt.Errorf(".npy header: shape %.40q: want a tuple", text)
		}
		h.shape = []int{}
		for part := range strings.SplitSeq(inner, ",") {
			part = strings.TrimSuffix(strings.TrimSpace(part), "L")
			if part == "" {
				continue
			}
			d, err := strconv.Atoi(part)
			if err != nil || d < 0 {
				return "", fmt.Errorf(".npy header: dimension %q", part)
			}
			h.shape = append(h.shape, d)
		}
		return rest, nil
	}
	return "", fmt.Errorf(".npy header: unknown key %q", key)
}

// descr reads an element type such as "<f4".
func (h *npyHeader) descr(s string) error {
	name := strings.TrimLeft(s, "<>|=")
	if len(s)-len(name) > 1 || len(name) < 2 {
		return fmt.Errorf(".npy element type %q is not supported", s)
	}
	h.swap, h.kind = s[0] == '>', name[0]
	n, err := strconv.Atoi(name[1:])
	if h.kind == 'O' || err != nil {
		return fmt.Errorf(".npy element type %q is not supported (pickled objects are never read)", s)
	}
	switch h.kind {
	case 'S', 'U':
		h.dtype, h.size = tensor.String, n
		if h.kind == 'U' {
			h.size = 4 * n
		}
		if n < 0 || n > 1<<24 {
			return fmt.Errorf(".npy element type %q is not supported", s)
		}
		return nil
	}
	d, ok := npyTypes[name]
	if !ok {
		return fmt.Errorf(".npy element type %q is not supported", s)
	}
	h.dtype, h.size = d, d.Bits()/8
	return nil
}

// count multiplies dimensions, failing above maxElements.
func count(shape []int) (int, error) {
	n := 1
	if slices.Contains(shape, 0) {
		return 0, nil
	}
	for _, d := range shape {
		if d < 0 || d > maxElements/n {
			return 0, fmt.Errorf("shape %v is too large", shape)
		}
		n *= d
	}
	return n, nil
}

// tensor makes a tensor of the given shape from the bytes of its elements, which it may keep and change.
func (h *npyHeader) tensor(raw []byte, shape []int) *tensor.Tensor {
	t := &tensor.Tensor{DType: h.dtype, Shape: shape, Data: raw}
	if h.swap {
		unit := h.size
		switch h.kind {
		case 'c':
			unit /= 2
		case 'U':
			unit = 4
		case 'S':
			unit = 1
		}
		for i := 0; unit > 1 && i+unit <= len(raw); i += unit {
			slices.Reverse(raw[i : i+unit])
		}
	}
	if h.dtype == tensor.String {
		t.Data, t.Strings = nil, h.strings(raw, t.Len())
	}
	return t
}

// strings splits fixed-size strings, padded with zeros, into n Go strings.
func (h *npyHeader) strings(raw []byte, n int) []string {
	out := make([]string, n)
	for i := range out {
		b := raw[i*h.size : (i+1)*h.size]
		if h.kind == 'S' {
			out[i] = string(bytes.TrimRight(b, "\x00"))
			continue
		}
		var s []byte
		for ; len(b) >= 4; b = b[4:] {
			s = utf8.AppendRune(s, rune(binary.LittleEndian.Uint32(b)))
		}
		out[i] = string(bytes.TrimRight(s, "\x00"))
	}
	return out
}

// ReadNPY reads an .npy file of version 1 to 3, of either byte order and of C or Fortran order. bfloat16 and narrower
// types come as the bit patterns that they are saved as: see As. Pickled objects are refused.
func ReadNPY(r io.Reader) (*tensor.Tensor, error) {
	h, err := readNPYHeader(r)
	if err != nil {
		return nil, err
	}
	n, err := count(h.shape)
	if err != nil {
		return nil, err
	}
	if h.size == 0 && n > 1<<24 {
		return nil, fmt.Errorf(".npy shape %v of empty strings is too large", h.shape)
	}
	raw, err := readExactly(r, int64(n*h.size))
	if err != nil {
		return nil, fmt.Errorf(".npy of shape %v and %d bytes an element: %w", h.shape, h.size, err)
	}
	if !h.fortran || len(h.shape) < 2 {
		return h.tensor(raw, h.shape), nil
	}
	turned := h
	turned.shape = slices.Clone(h.shape)
	slices.Reverse(turned.shape)
	return reverseAxes(turned.tensor(raw, turned.shape)), nil
}

// readExactly reads n bytes, allocating as they arrive, so that a header cannot make it allocate what is not there.
func readExactly(r io.Reader, n int64) ([]byte, error) {
	if n == 0 {
		return []byte{}, nil
	}
	var b bytes.Buffer
	b.Grow(int(min(n, 1<<20)))
	got, err := io.CopyN(&b, r, n)
	if err == io.EOF {
		err = fmt.Errorf("cut off: %d bytes are missing", n-got)
	}
	return b.Bytes(), err
}

// reverseAxes transposes a tensor by reversing its dimensions.
func reverseAxes(t *tensor.Tensor) *tensor.Tensor {
	rank := len(t.Shape)
	shape := slices.Clone(t.Shape)
	slices.Reverse(shape)
	strides := make([]int, rank) // of t, in the order of the result's dimensions
	step := 1
	for i := range rank {
		strides[i] = step
		step *= shape[i]
	}
	out := tensor.New(t.DType, shape...)
	size, index, from := t.DType.Bytes(1), make([]int, rank), 0
	for at := range t.Len() {
		if t.DType == tensor.String {
			out.Strings[at] = t.Strings[from]
		} else {
			copy(out.Data[at*size:(at+1)*size], t.Data[from*size:])
		}
		for d := rank - 1; d >= 0; d-- {
			index[d]++
			from += strides[d]
			if index[d] < shape[d] {
				break
			}
			from -= index[d] * strides[d]
			index[d] = 0
		}
	}
	return out
}

// npyDescr is how WriteNPY declares each type. Types that NumPy lacks are written as their bit patterns, those below
// eight bits as one byte an element (int4 and int2 with their sign).
var npyDescr = map[tensor.DType]string{
	tensor.Bool: "|b1", tensor.Int8: "|i1", tensor.Int16: "<i2", tensor.Int32: "<i4", tensor.Int64: "<i8",
	tensor.Uint8: "|u1", tensor.Uint16: "<u2", tensor.Uint32: "<u4", tensor.Uint64: "<u8",
	tensor.Float16: "<f2", tensor.Float32: "<f4", tensor.Float64: "<f8", tensor.Complex64: "<c8", tensor.Complex128: "<c16",
	tensor.BFloat16: "<u2", tensor.Float8E4M3FN: "|u1", tensor.Float8E4M3FNUZ: "|u1", tensor.Float8E5M2: "|u1",
	tensor.Float8E5M2FNUZ: "|u1", tensor.Float8E8M0: "|u1", tensor.Float4E2M1: "|u1",
	tensor.Uint4: "|u1", tensor.Uint2: "|u1", tensor.Int4: "|i1", tensor.Int2: "|i1",
}

// WriteNPY writes a tensor as .npy, version 1, C order, little-endian. Strings, sequences and optionals fail.
func WriteNPY(w io.Writer, t *tensor.Tensor) error {
	descr, ok := npyDescr[t.DType]
	if !ok {
		return fmt.Errorf("%s cannot be written as .npy", t.DType)
	}
	var shape strings.Builder
	for _, d := range t.Shape {
		fmt.Fprintf(&shape, "%d, ", d)
	}
	dims := shape.String()
	if len(t.Shape) > 1 {
		dims = strings.TrimSuffix(dims, ", ")
	}
	head := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, strings.TrimSuffix(dims, " "))
	pad := -(len(npyMagic) + 4 + len(head) + 1) & 63
	head += strings.Repeat(" ", pad) + "\n"
	if len(head) > math.MaxUint16 {
		return fmt.Errorf("a shape of %d dimensions cannot be written as .npy", len(t.Shape))
	}
	out := bufio.NewWriter(w)
	out.WriteString(npyMagic + "\x01\x00")
	out.Write([]byte{byte(len(head)), byte(len(head) >> 8)})
	out.WriteString(head)
	out.Write(wholeBytes(t))
	return out.Flush() // reports the first error of all writes
}

// wholeBytes gives one byte an element for types below eight bits, else the data.
func wholeBytes(t *tensor.Tensor) []byte {
	width := t.DType.Bits()
	if width >= 8 {
		return t.Data
	}
	out := make([]byte, t.Len())
	for i := range out {
		v := t.Data[i*width/8] >> (i * width % 8) & (1<<width - 1)
		if t.DType.IsSigned() {
			v = byte(int8(v<<(8-width)) >> (8 - width))
		}
		out[i] = v
	}
	return out
}
