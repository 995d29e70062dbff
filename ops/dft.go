package ops

import (
	"errors"
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 20, DFT{}) }

// DFT is the discrete Fourier transform along one axis: y[k] = Σ x[n]·e^(-2πi·kn/N), with Inverse e^(+2πi·kn/N)/N. The
// last dimension of X is 1 (real) or 2 (real, imaginary). Inputs are X, dft_length (N: X is cut or filled with zeros) and
// axis (default -2). OneSided gives the first N/2+1 of a real signal's values; together with Inverse it reads them and
// gives the real signal, whose default length is 2·(d-1).
type DFT struct {
	Inverse  bool `attr:"inverse" default:"0"`
	OneSided bool `attr:"onesided" default:"0"`
}

// Infer gives the type of the transform.
func (o DFT) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 3); err != nil {
		return nil, err
	}
	d, x := in[0].DType, in[0]
	if x.Unranked {
		return []graph.Type{graph.AnyRank(d)}, nil
	}
	r := len(x.Shape)
	if r < 2 {
		return nil, fmt.Errorf("input 0: want rank 2 or more, got %d", r)
	}
	if n, ok := x.Shape[r-1].Value(); ok {
		if err := o.parts(n); err != nil {
			return nil, err
		}
	}
	shape := append([]graph.Dim{}, x.Shape...)
	shape[r-1] = graph.Fixed(2)
	if o.Inverse && o.OneSided {
		shape[r-1] = graph.Fixed(1)
	}
	at := -2
	if a := fact(in, 2); a.Given() {
		v, ok := a.ConstInts()
		if !ok || len(v) != 1 {
			for i := range r - 1 {
				shape[i] = graph.Dim{}
			}
			return []graph.Type{graph.Of(d, shape...)}, nil
		}
		at = v[0]
	}
	at, err := o.axis(at, r)
	if err != nil {
		return nil, err
	}
	shape[at] = o.inferLength(shape[at], fact(in, 1))
	return []graph.Type{graph.Of(d, shape...)}, nil
}

func (o DFT) inferLength(n graph.Dim, length graph.Fact) graph.Dim {
	given := length.Given()
	if given {
		n = graph.Dim{}
		if e, ok := length.Elements(); ok && len(e) == 1 {
			n = e[0]
		}
	}
	v, ok := n.Value()
	switch {
	case o.OneSided && !ok:
		return graph.Dim{}
	case o.OneSided && !o.Inverse:
		return graph.Fixed(v/2 + 1)
	case o.OneSided && !given:
		return graph.Fixed(max(2*(v-1), 0))
	}
	return n
}

// axis resolves the axis, which must not be the last.
func (o DFT) axis(a, r int) (int, error) {
	at, err := axis(a, r)
	if err == nil && at == r-1 {
		err = fmt.Errorf("axis %d holds the real and imaginary parts", a)
	}
	return at, err
}

// parts checks the last dimension.
func (o DFT) parts(n int) error {
	if n != 1 && n != 2 {
		return fmt.Errorf("the last dimension is %d, want 1 (real) or 2 (complex)", n)
	}
	if n == 2 && o.OneSided && !o.Inverse {
		return errors.New("a complex signal has no one-sided transform")
	}
	return nil
}

func (o DFT) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	in = allInputs(in, 3)
	s := in[0].Shape
	if len(s) < 2 {
		return fmt.Errorf("input of rank %d", len(s))
	}
	at := -2
	if in[2] != nil {
		v, err := scalarInt("axis", in[2])
		if err != nil {
			return err
		}
		at = v
	}
	at, err := o.axis(at, len(s))
	if err != nil {
		return err
	}
	if err := o.parts(s[len(s)-1]); err != nil {
		return err
	}
	n := s[at]
	if o.Inverse && o.OneSided {
		n = 2 * (n - 1)
	}
	if in[1] != nil {
		if n, err = scalarInt("dft_length", in[1]); err != nil {
			return err
		}
	}
	if n < 1 || n > 1<<24 {
		return fmt.Errorf("transform of length %d", n)
	}
	shape := append([]int{}, s...)
	shape[at], shape[len(s)-1] = n, 2
	if o.OneSided && !o.Inverse {
		shape[at] = n/2 + 1
	}
	if o.OneSided && o.Inverse {
		shape[len(s)-1] = 1
	}
	if err := checkSize(in[0].DType, shape); err != nil {
		return err
	}
	y := o.transform(in[0], shape, at, newFourier(n, o.Inverse))
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, shape...), y)
}

// scalarInt reads an integer tensor of one element, within 32 bits.
func scalarInt(name string, t *tensor.Tensor) (int, error) {
	v := tensor.Ints(t)
	if len(v) != 1 || !t.IsInt() || v[0] != int64(int32(v[0])) {
		return 0, fmt.Errorf("%s must be one integer, is %s %v", name, t.DType, t.Shape)
	}
	return int(v[0]), nil
}

// transform runs along axis `at` of a tensor and gives the result in the given shape.
func (o DFT) transform(t *tensor.Tensor, shape []int, at int, f fourier) []float64 {
	v, s := tensor.Float64s(t), t.Shape
	r := len(s) - 1
	inner, parts := tensor.Size(s[at+1:r]), s[r]
	y := make([]float64, tensor.Size(shape))
	line := make([]complex128, f.n)
	for i := range tensor.Size(s[:at]) * inner {
		outer, in := i/max(inner, 1), i%max(inner, 1)
		clear(line)
		for k := range min(s[at], f.n) {
			p := ((outer*s[at]+k)*inner + in) * parts
			line[k] = complex(v[p], 0)
			if parts == 2 {
				line[k] = complex(v[p], v[p+1])
			}
		}
		if o.Inverse && o.OneSided {
			mirrorSpectrum(line)
		}
		for k := range shape[at] {
			p := ((outer*shape[at]+k)*inner + in) * shape[r]
			c := f.at(line, k)
			y[p] = real(c)
			if shape[r] == 2 {
				y[p+1] = imag(c)
			}
		}
	}
	return y
}

// mirrorSpectrum completes the first half of a real signal's spectrum by its symmetry; the values that must be real for
// that are made so.
func mirrorSpectrum(line []complex128) {
	n := len(line)
	line[0] = complex(real(line[0]), 0)
	for k := n/2 + 1; k < n; k++ {
		c := line[n-k]
		line[k] = complex(real(c), -imag(c))
	}
	if n%2 == 0 {
		line[n/2] = complex(real(line[n/2]), 0)
	}
}

// fourier holds the powers of the n-th root of unity and the factor in front.
type fourier struct {
	n     int
	roots []complex128
	scale float64
}

func newFourier(n int, inverse bool) fourier {
	f := fourier{n, make([]complex128, n), 1}
	sign := -1.0
	if inverse {
		sign, f.scale = 1, 1/float64(n)
	}
	for i := range f.roots {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(n))
		f.roots[i] = complex(cos, sign*sin)
	}
	return f
}

// at is value k of the transform of n samples.
func (f fourier) at(line []complex128, k int) complex128 {
	var sum complex128
	root := 0
	for _, v := range line {
		sum += v * f.roots[root]
		if root += k; root >= f.n {
			root -= f.n
		}
	}
	return sum * complex(f.scale, 0)
}
