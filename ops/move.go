package ops

import (
	"encoding/binary"
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// maxBytes bounds what one output may take, so that a few hostile numbers in a shape input cannot exhaust the memory.
const maxBytes = 1 << 32

// elems shows a tensor's elements as units that are moved without being looked at: `width` bytes each or, when width
// is 0, strings. Types of less than a byte are unpacked, one element a byte; done packs them again.
type elems struct {
	t     *tensor.Tensor
	width int
	data  []byte
}

// source opens t for reading.
func source(t *tensor.Tensor) elems {
	e := elems{t: t, width: t.Bits() / 8, data: t.Data}
	if t.DType == tensor.String {
		return e
	}
	if b := t.Bits(); b < 8 {
		n := t.Len()
		e.width, e.data = 1, make([]byte, n)
		per, mask := 8/b, byte(1<<b-1)
		for i := range e.data {
			e.data[i] = t.Data[i/per] >> (i % per * b) & mask
		}
	}
	return e
}

// target gives out the type and shape and opens it for writing; call done at the end. The elements are not cleared.
func target(x *graph.Exec, out *tensor.Tensor, d tensor.DType, shape []int) (elems, error) {
	if err := checkSize(d, shape); err != nil {
		return elems{}, err
	}
	e := elems{t: x.Make(out, d, shape...), width: d.Bits() / 8}
	switch e.data = e.t.Data; {
	case d == tensor.String:
	case d.Bits() == 0:
		return elems{}, fmt.Errorf("elements of type %s cannot be moved", d)
	case d.Bits() < 8:
		e.width, e.data = 1, make([]byte, e.t.Len())
	}
	return e, nil
}

// checkSize refuses shapes that no honest model asks for.
func checkSize(d tensor.DType, shape []int) error {
	n, err := tensor.CheckedSize(shape)
	if err != nil {
		return err
	}
	if d == tensor.String && n > maxBytes/16 || d.Bytes(n) > maxBytes {
		return fmt.Errorf("a %s tensor of shape %v would take more than %d bytes", d, shape, maxBytes)
	}
	return nil
}

// done packs what was written into the tensor.
func (e elems) done() {
	if b := e.t.Bits(); b > 0 && b < 8 {
		clear(e.t.Data)
		for i, v := range e.data {
			tensor.SetBits(e.t.Data, i, b, v)
		}
	}
}

// clear sets every element to zero, false or "".
func (e elems) clear() {
	clear(e.data)
	clear(e.t.Strings)
}

// move copies n elements of src from index `from` on to index `to`.
func (e elems) move(to int, src elems, from, n int) {
	if e.width == 0 {
		copy(e.t.Strings[to:to+n], src.t.Strings[from:from+n])
		return
	}
	copy(e.data[to*e.width:(to+n)*e.width], src.data[from*e.width:(from+n)*e.width])
}

// fill sets every element to element `from` of src.
func (e elems) fill(src elems, from int) {
	if e.width == 0 {
		for i := range e.t.Strings {
			e.t.Strings[i] = src.t.Strings[from]
		}
		return
	}
	if len(e.data) == 0 {
		return
	}
	e.move(0, src, from, 1)
	for n := e.width; n < len(e.data); n *= 2 {
		copy(e.data[n:], e.data[:n])
	}
}

// view says where in a tensor the elements of some shape lie: at + sum of index·step.
type view struct {
	at   int
	step []int
}

// dense is the view of a contiguous tensor.
func dense(shape []int) view {
	v := view{step: make([]int, len(shape))}
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		v.step[i] = n
		n *= shape[i]
	}
	return v
}

// strided copies the elements of shape from where sv finds them in src to where ev puts them in e.
func (e elems) strided(shape []int, ev view, src elems, sv view) {
	n := tensor.Size(shape)
	if n == 0 {
		return
	}
	last := len(shape) - 1
	if last < 0 {
		e.move(ev.at, src, sv.at, 1)
		return
	}
	run := shape[last]
	index := make([]int, last)
	a, b := ev.at, sv.at
	for range n / run {
		if ev.step[last] == 1 && sv.step[last] == 1 {
			e.move(a, src, b, run)
		} else {
			e.line(run, view{a, ev.step[last:]}, src, view{b, sv.step[last:]})
		}
		for d := last - 1; d >= 0; d-- {
			index[d]++
			a += ev.step[d]
			b += sv.step[d]
			if index[d] < shape[d] {
				break
			}
			a -= ev.step[d] * index[d]
			b -= sv.step[d] * index[d]
			index[d] = 0
		}
	}
}

// line copies n elements along one dimension.
func (e elems) line(n int, to view, src elems, from view) {
	a, b := to.at, from.at
	for range n {
		switch e.width {
		case 0:
			e.t.Strings[a] = src.t.Strings[b]
		case 1:
			e.data[a] = src.data[b]
		case 4:
			binary.NativeEndian.PutUint32(e.data[a*4:], binary.NativeEndian.Uint32(src.data[b*4:]))
		case 8:
			binary.NativeEndian.PutUint64(e.data[a*8:], binary.NativeEndian.Uint64(src.data[b*8:]))
		default:
			e.move(a, src, b, 1)
		}
		a += to.step[0]
		b += from.step[0]
	}
}

// copyTo makes out a copy of t under another shape of the same size. The items of sequences and optionals are never
// written to, so that they are shared.
func copyTo(x *graph.Exec, out, t *tensor.Tensor, shape []int) {
	if t.DType == tensor.Sequence || t.DType == tensor.Optional {
		*out = tensor.Tensor{DType: t.DType, Items: append([]*tensor.Tensor(nil), t.Items...)}
		return
	}
	o := x.Make(out, t.DType, shape...)
	copy(o.Data, t.Data)
	copy(o.Strings, t.Strings)
}
