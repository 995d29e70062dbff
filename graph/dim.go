package graph

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// Dim is one dimension of a shape: a number, a named symbol such as "batch", or a product of them such as
// "64*batch". The zero Dim is unknown. Dims are comparable: equal known Dims are equal sizes.
type Dim struct {
	n     int    // the factor
	names string // sorted symbol names joined by "*"
	known bool
}

// Fixed is a dimension of known size.
func Fixed(n int) Dim { return Dim{n: n, known: true} }

// Named is a symbolic dimension; an empty name gives the unknown Dim.
func Named(name string) Dim {
	if name == "" {
		return Dim{}
	}
	return Dim{n: 1, names: name, known: true}
}

// Dims makes a shape of fixed dimensions; negative numbers become unknown.
func Dims(shape ...int) []Dim {
	out := make([]Dim, len(shape))
	for i, n := range shape {
		if n >= 0 {
			out[i] = Fixed(n)
		}
	}
	return out
}

// Value is the size if d is a plain number.
func (d Dim) Value() (int, bool) { return d.n, d.known && d.names == "" }

// Is reports whether d is the number n.
func (d Dim) Is(n int) bool { return d == Fixed(n) }

// Known reports whether d is a number, a name or a product.
func (d Dim) Known() bool { return d.known }

// Names lists the symbols in d, in order, with repetition for powers.
func (d Dim) Names() []string {
	if d.names == "" {
		return nil
	}
	return strings.Split(d.names, "*")
}

// Mul is the product; unknown if a factor is, unless one is zero, and if it is too large for an int.
func (d Dim) Mul(e Dim) Dim {
	if d.Is(0) || e.Is(0) {
		return Fixed(0)
	}
	if !d.known || !e.known {
		return Dim{}
	}
	if n := d.n * e.n; n/e.n == d.n && n > 0 {
		return product(n, append(d.Names(), e.Names()...))
	}
	return Dim{}
}

// Div is the quotient if it is exact, symbol by symbol, else unknown.
func (d Dim) Div(e Dim) Dim {
	if !d.known || !e.known || e.n == 0 || d.n%e.n != 0 {
		return Dim{}
	}
	left := d.Names()
	for _, name := range e.Names() {
		i := sort.SearchStrings(left, name)
		if i == len(left) || left[i] != name {
			return Dim{}
		}
		left = append(left[:i], left[i+1:]...)
	}
	return product(d.n/e.n, left)
}

func product(n int, names []string) Dim {
	if n == 0 {
		return Fixed(0)
	}
	sort.Strings(names)
	return Dim{n: n, names: strings.Join(names, "*"), known: true}
}

// Bind replaces symbols by their sizes.
func (d Dim) Bind(sizes map[string]int) Dim {
	if d.names == "" {
		return d
	}
	n, rest := d.n, []string(nil)
	for _, name := range d.Names() {
		if v, ok := sizes[name]; ok {
			n *= v
		} else {
			rest = append(rest, name)
		}
	}
	return product(n, rest)
}

// String prints "?", "7", "batch" or "64*batch".
func (d Dim) String() string {
	switch {
	case !d.known:
		return "?"
	case d.names == "":
		return strconv.Itoa(d.n)
	case d.n == 1:
		return d.names
	}
	return strconv.Itoa(d.n) + "*" + d.names
}

// ParseDim reads what String prints. Symbols are any text without "*", "," and brackets.
func ParseDim(s string) (Dim, error) {
	if s == "?" {
		return Dim{}, nil
	}
	d := Fixed(1)
	for _, f := range strings.Split(s, "*") {
		if f == "" {
			return Dim{}, fmt.Errorf("empty factor in dimension %q", s)
		}
		if n, err := strconv.Atoi(f); err == nil {
			if n < 0 {
				return Dim{}, fmt.Errorf("negative dimension %q", s)
			}
			d = d.Mul(Fixed(n))
		} else {
			d = d.Mul(Named(f))
		}
	}
	return d, nil
}

// FixedShape gives the sizes if every dimension is a number.
func FixedShape(shape []Dim) ([]int, bool) {
	out := make([]int, len(shape))
	for i, d := range shape {
		n, ok := d.Value()
		if !ok {
			return nil, false
		}
		out[i] = n
	}
	return out, true
}

// SizeOf is the product of a shape's dimensions.
func SizeOf(shape []Dim) Dim {
	d := Fixed(1)
	for _, e := range shape {
		d = d.Mul(e)
	}
	return d
}
