package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
)

// Window is the resolved geometry of a convolution or pooling over the spatial dimensions: one number for each of
// them. Output position o reads input positions o*Stride - Begin + k*Dilation for k in [0, Kernel); positions outside
// of [0, In) are padding. End is the padding after the last element.
type Window struct {
	Kernel, Strides, Dilations, Begin, End []int
	In, Out                                []int
}

// spatial holds the attributes that convolutions and pools share, as the file gives them.
type spatial struct {
	autoPad                          string
	kernel, strides, dilations, pads []int
	ceil                             bool
}

// maxExtent bounds attributes and spatial sizes and so keeps the arithmetic on them from overflowing.
const maxExtent = math.MaxInt32

// resolve fills in defaults for n spatial dimensions and checks each attribute.
func (s spatial) resolve(n int) (spatial, error) {
	var err error
	if len(s.kernel) != n {
		return s, fmt.Errorf("kernel_shape %v does not fit %d spatial dimensions", s.kernel, n)
	}
	for _, k := range s.kernel {
		if k < 1 || k > maxExtent {
			return s, fmt.Errorf("kernel_shape %v is not positive", s.kernel)
		}
	}
	if s.strides, err = perAxis("strides", s.strides, n, 1); err != nil {
		return s, err
	}
	if s.dilations, err = perAxis("dilations", s.dilations, n, 1); err != nil {
		return s, err
	}
	switch s.autoPad {
	case "", "NOTSET":
		s.autoPad = "NOTSET"
	case "VALID":
		s.pads = nil
	case "SAME_UPPER", "SAME_LOWER":
		s.pads = nil
	default:
		return s, fmt.Errorf("auto_pad %q is unknown", s.autoPad)
	}
	s.pads, err = perAxis("pads", s.pads, 2*n, -maxExtent)
	return s, err
}

// perAxis checks a list of n numbers of at least `least`; an absent list is all ones, or zeros where those are allowed.
func perAxis(name string, v []int, n, least int) ([]int, error) {
	if len(v) == 0 {
		v = make([]int, n)
		for i := range v {
			v[i] = max(least, 0)
		}
		return v, nil
	}
	if len(v) != n {
		return nil, fmt.Errorf("%s %v: want %d numbers", name, v, n)
	}
	for _, x := range v {
		if x < least || x > maxExtent {
			return nil, fmt.Errorf("%s %v: %d is out of range", name, v, x)
		}
	}
	return v, nil
}

// extent is the reach of the kernel along dimension i, dilation included.
func (s spatial) extent(i int) int { return (s.kernel[i]-1)*s.dilations[i] + 1 }

// axis gives padding and output size of dimension i of a resolved s for an input of size in.
func (s spatial) axis(i, in int) (begin, end, out int, err error) {
	n := len(s.kernel)
	begin, end = s.pads[i], s.pads[n+i]
	stride, ext := s.strides[i], s.extent(i)
	if in > maxExtent {
		return 0, 0, 0, fmt.Errorf("spatial dimension %d of size %d is too large", i, in)
	}
	if s.autoPad == "SAME_UPPER" || s.autoPad == "SAME_LOWER" {
		out = ceilDiv(in, stride)
		total := max((out-1)*stride+ext-in, 0)
		begin = total / 2
		if s.autoPad == "SAME_LOWER" {
			begin = total - begin
		}
		return begin, total - begin, out, nil
	}
	room := in + begin + end - ext
	if room < 0 {
		return 0, 0, 0, fmt.Errorf("kernel of extent %d exceeds the padded size %d of spatial dimension %d", ext, in+begin+end, i)
	}
	out = room/stride + 1
	if s.ceil {
		out = ceilDiv(room, stride) + 1
		if (out-1)*stride >= in+begin { // a window may not start in the padding after the input
			out--
		}
	}
	return begin, end, out, nil
}

// window resolves the geometry for spatial input sizes.
func (s spatial) window(in []int) (Window, error) {
	s, err := s.resolve(len(in))
	if err != nil {
		return Window{}, err
	}
	w := Window{
		Kernel: s.kernel, Strides: s.strides, Dilations: s.dilations, In: append([]int{}, in...),
		Begin: make([]int, len(in)), End: make([]int, len(in)), Out: make([]int, len(in)),
	}
	for i, n := range in {
		if w.Begin[i], w.End[i], w.Out[i], err = s.axis(i, n); err != nil {
			return Window{}, err
		}
	}
	return w, nil
}

// dims is window for dimensions that may be symbolic: a symbol survives where the formula divides it exactly by the
// stride.
func (s spatial) dims(in []graph.Dim) ([]graph.Dim, error) {
	s, err := s.resolve(len(in))
	if err != nil {
		return nil, err
	}
	out := make([]graph.Dim, len(in))
	for i, d := range in {
		if n, ok := d.Value(); ok {
			_, _, o, err := s.axis(i, n)
			if err != nil {
				return nil, err
			}
			out[i] = graph.Fixed(o)
			continue
		}
		slack := s.pads[i] + s.pads[len(in)+i] - s.extent(i) // out = floor((n + slack) / stride) + 1
		if s.autoPad[0] == 'S' || slack < 0 && slack >= -s.strides[i] && (!s.ceil || slack == -s.strides[i]) {
			out[i] = d.Div(graph.Fixed(s.strides[i]))
		}
	}
	return out, nil
}

// ceilDiv is a/b rounded up, for b > 0.
func ceilDiv(a, b int) int {
	q := a / b
	if a%b > 0 {
		q++
	}
	return q
}

// cell is one element that a window covers: its offset in the input's spatial block and in the kernel's.
type cell struct{ in, k int }

// taps visits the output positions in row-major order with the elements inside of the input that each covers, and
// with how many its window has when padding counts. The slice is valid during the visit only.
func (w Window) taps(visit func(o int, taps []cell, padded int)) {
	total := 1
	for _, n := range w.Out {
		total *= n
	}
	index := make([]int, len(w.Out))
	var a, b []cell
	for o := range total {
		a = append(a[:0], cell{})
		padded := 1
		for d, i := range index {
			start := i*w.Strides[d] - w.Begin[d]
			step := w.Dilations[d]
			lo := max(0, ceilDiv(-start, step))
			hi := min(w.Kernel[d], ceilDiv(w.In[d]-start, step))
			padded *= min(w.Kernel[d], ceilDiv(w.In[d]+w.End[d]-start, step))
			b = b[:0]
			for _, t := range a {
				for k := lo; k < hi; k++ {
					b = append(b, cell{t.in*w.In[d] + start + k*step, t.k*w.Kernel[d] + k})
				}
			}
			a, b = b, a
		}
		visit(o, a, padded)
		for d := len(index) - 1; d >= 0; d-- {
			if index[d]++; index[d] < w.Out[d] {
				break
			}
			index[d] = 0
		}
	}
}
