package tensor

import (
	"fmt"
	"math"
	"unsafe"
)

// Tensor is a contiguous, row-major array. Data may alias a file and may be misaligned: read it through View,
// Floats or Ints. Strings holds the elements of a String tensor, Items those of a Sequence or Optional.
type Tensor struct {
	DType
	Shape   []int
	Data    []byte
	Strings []string
	Items   []*Tensor
}

// New allocates a zeroed tensor whose data is aligned to 64 bytes.
func New(d DType, shape ...int) *Tensor {
	t := &Tensor{DType: d, Shape: append([]int{}, shape...)}
	n := t.Len()
	if d == String {
		t.Strings = make([]string, n)
		return t
	}
	t.Data = Aligned(d.Bytes(n))
	return t
}

// Aligned allocates n zeroed bytes that start at a multiple of 64.
func Aligned(n int) []byte {
	if n == 0 {
		return []byte{}
	}
	b := make([]byte, n+63)
	off := int(-uintptr(unsafe.Pointer(&b[0])) & 63)
	return b[off : off+n : off+n]
}

// Native lists the Go types that View can show elements as.
type Native interface {
	~float32 | ~float64 | ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~bool | ~complex64 | ~complex128
}

// From wraps data as a tensor of the given shape without copying it. It panics if the lengths differ: that is a
// programmer's mistake.
func From[T Native](data []T, shape ...int) *Tensor {
	t := &Tensor{DType: TypeOf[T](), Shape: append([]int{}, shape...)}
	if t.Len() != len(data) {
		panic(fmt.Sprintf("tensor.From: %d elements for shape %v", len(data), shape))
	}
	if len(data) > 0 {
		var z T
		t.Data = unsafe.Slice((*byte)(unsafe.Pointer(&data[0])), len(data)*int(unsafe.Sizeof(z)))
	}
	return t
}

// Scalar makes a tensor of rank 0.
func Scalar[T Native](v T) *Tensor { return From([]T{v}) }

// FromStrings wraps strings as a String tensor.
func FromStrings(s []string, shape ...int) *Tensor {
	return &Tensor{DType: String, Shape: append([]int{}, shape...), Strings: s}
}

// TypeOf is the element type that stands for the Go type T.
func TypeOf[T Native]() DType {
	var z T
	switch any(z).(type) {
	case float32:
		return Float32
	case float64:
		return Float64
	case int8:
		return Int8
	case int16:
		return Int16
	case int32:
		return Int32
	case int64:
		return Int64
	case uint8:
		return Uint8
	case uint16:
		return Uint16
	case uint32:
		return Uint32
	case uint64:
		return Uint64
	case bool:
		return Bool
	case complex64:
		return Complex64
	case complex128:
		return Complex128
	}
	return Undefined
}

// View shows the data as a slice of T, whose size must be the element's. It aliases the data when that is aligned
// (always so for tensors made by New and From), else it is a copy.
func View[T Native](t *Tensor) []T {
	if len(t.Data) == 0 {
		return nil
	}
	var z T
	size := int(unsafe.Sizeof(z))
	n := len(t.Data) / size
	if uintptr(unsafe.Pointer(&t.Data[0]))%unsafe.Alignof(z) != 0 {
		c := Aligned(len(t.Data))
		copy(c, t.Data)
		return unsafe.Slice((*T)(unsafe.Pointer(&c[0])), n)
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&t.Data[0])), n)
}

// Len is the number of elements: the product of the shape, 1 for rank 0. For sequences it is the number of items.
func (t *Tensor) Len() int {
	if t.DType == Sequence || t.DType == Optional {
		return len(t.Items)
	}
	return Size(t.Shape)
}

// Size is the product of dimensions.
func Size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// CheckedSize is Size for shapes that come from a file: it refuses negative dimensions and overflow.
func CheckedSize(shape []int) (int, error) {
	n := 1
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("negative dimension %d in shape %v", d, shape)
		}
		if d != 0 && n > math.MaxInt32*1024/d {
			return 0, fmt.Errorf("shape %v is too large", shape)
		}
		n *= d
	}
	return n, nil
}

// Clone copies t and its data.
func (t *Tensor) Clone() *Tensor {
	c := &Tensor{DType: t.DType, Shape: append([]int{}, t.Shape...)}
	if t.Data != nil {
		c.Data = Aligned(len(t.Data))
		copy(c.Data, t.Data)
	}
	c.Strings = append([]string(nil), t.Strings...)
	for _, it := range t.Items {
		c.Items = append(c.Items, it.Clone())
	}
	return c
}

// Reshape is t with another shape over the same data.
func (t *Tensor) Reshape(shape ...int) *Tensor {
	c := *t
	c.Shape = append([]int{}, shape...)
	return &c
}

// Bytes is the size of the data in memory or, for strings, of their bytes.
func (t *Tensor) Bytes() int {
	n := len(t.Data)
	for _, s := range t.Strings {
		n += len(s)
	}
	for _, it := range t.Items {
		n += it.Bytes()
	}
	return n
}

// Equal reports whether two tensors have the same type, shape and bits.
func (t *Tensor) Equal(u *Tensor) bool {
	if t.DType != u.DType || len(t.Shape) != len(u.Shape) || string(t.Data) != string(u.Data) ||
		len(t.Strings) != len(u.Strings) || len(t.Items) != len(u.Items) {
		return false
	}
	for i := range t.Shape {
		if t.Shape[i] != u.Shape[i] {
			return false
		}
	}
	for i := range t.Strings {
		if t.Strings[i] != u.Strings[i] {
			return false
		}
	}
	for i := range t.Items {
		if !t.Items[i].Equal(u.Items[i]) {
			return false
		}
	}
	return true
}
