// Package tensor holds element types and contiguous tensors, which may alias a memory-mapped file.
package tensor

import (
	"fmt"
	"math"
)

// DType is an element type. The numbers are those of ONNX's TensorProto.DataType; Sequence and Optional are ours.
type DType uint8

// The element types. Sub-byte types are packed, the first element in the low bits.
const (
	Undefined DType = iota
	Float32
	Uint8
	Int8
	Uint16
	Int16
	Int32
	Int64
	String
	Bool
	Float16
	Float64
	Uint32
	Uint64
	Complex64
	Complex128
	BFloat16
	Float8E4M3FN
	Float8E4M3FNUZ
	Float8E5M2
	Float8E5M2FNUZ
	Uint4
	Int4
	Float4E2M1
	Float8E8M0
	Uint2
	Int2

	Sequence DType = 101 // Tensor.Items are the elements
	Optional DType = 102 // Tensor.Items holds zero or one element
)

type class uint8

const (
	classOther class = iota
	classInt
	classUint
	classFloat
)

// dtypes is indexed by type: kernels ask it for every element.
var dtypes = [math.MaxUint8 + 1]struct {
	name string
	bits int
	kind class
}{
	Float32: {"float32", 32, classFloat}, Uint8: {"uint8", 8, classUint}, Int8: {"int8", 8, classInt},
	Uint16: {"uint16", 16, classUint}, Int16: {"int16", 16, classInt}, Int32: {"int32", 32, classInt},
	Int64: {"int64", 64, classInt}, String: {"string", 0, classOther}, Bool: {"bool", 8, classOther},
	Float16: {"float16", 16, classFloat}, Float64: {"float64", 64, classFloat}, Uint32: {"uint32", 32, classUint},
	Uint64: {"uint64", 64, classUint}, Complex64: {"complex64", 64, classOther}, Complex128: {"complex128", 128, classOther},
	BFloat16: {"bfloat16", 16, classFloat}, Float8E4M3FN: {"float8e4m3fn", 8, classFloat},
	Float8E4M3FNUZ: {"float8e4m3fnuz", 8, classFloat}, Float8E5M2: {"float8e5m2", 8, classFloat},
	Float8E5M2FNUZ: {"float8e5m2fnuz", 8, classFloat}, Uint4: {"uint4", 4, classUint}, Int4: {"int4", 4, classInt},
	Float4E2M1: {"float4e2m1", 4, classFloat}, Float8E8M0: {"float8e8m0", 8, classFloat},
	Uint2: {"uint2", 2, classUint}, Int2: {"int2", 2, classInt},
	Sequence: {"sequence", 0, classOther}, Optional: {"optional", 0, classOther},
}

// String gives the type's name as the text form and --json print it, such as "float32".
func (d DType) String() string {
	if d.Valid() {
		return dtypes[d].name
	}
	if d == Undefined {
		return "undefined"
	}
	return fmt.Sprintf("dtype(%d)", uint8(d))
}

// ParseDType finds a type by its name.
func ParseDType(name string) (DType, error) {
	for d, t := range dtypes {
		if t.name == name && name != "" {
			return DType(d), nil
		}
	}
	return Undefined, fmt.Errorf("unknown element type %q", name)
}

// Bits is the size of one element in bits; 0 for strings, sequences and optionals.
func (d DType) Bits() int { return dtypes[d].bits }

// Valid reports whether d is a type that this package knows.
func (d DType) Valid() bool { return dtypes[d].name != "" }

// IsInt reports whether d is a signed or unsigned integer type (not Bool).
func (d DType) IsInt() bool { k := dtypes[d].kind; return k == classInt || k == classUint }

// IsSigned reports whether d is a signed integer type.
func (d DType) IsSigned() bool { return dtypes[d].kind == classInt }

// IsFloat reports whether d is a floating-point type of any width.
func (d DType) IsFloat() bool { return dtypes[d].kind == classFloat }

// Bytes is the storage that n elements of d take.
func (d DType) Bytes(n int) int { return (n*d.Bits() + 7) / 8 }
