package engine

import (
	"errors"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/kernels"
	"github.com/tfsopt/tfsopt/tensor"
)

// filters says how the weights of a sweep lie, as the graph has them and packed: for each phase and group a packed
// matrix of taps·channels × output channels; of a depthwise sweep for each phase [tap][channel].
type filters struct {
	set        *kernels.Set
	shape      []int // M, C/group, kernel…; transposed C, M/group, kernel…
	transposed bool
	group      int
	cg, mg     int     // input and output channels of a group
	ys, xs     [][]int // the taps of each class
	depth      bool
	// Where a vector holds more than the output channels, join neighbouring pixels of a line are computed as one with
	// join·mg channels: their windows together, step columns apart, and zeros where a pixel does not look.
	join, step int
}

// newFilters fails if the groups do not divide the channels.
func newFilters(set *kernels.Set, shape []int, group int, transposed bool) (filters, error) {
	f := filters{set: set, shape: shape, transposed: transposed, group: group, join: 1}
	if len(shape) < 3 || len(shape) > 4 || group < 1 || shape[0]%group != 0 || tensor.Size(shape) == 0 {
		return f, errors.New("no such convolution")
	}
	f.cg, f.mg = shape[1], shape[0]/group
	if transposed {
		f.cg, f.mg = f.mg, f.cg
	}
	f.depth = group > 1 && f.cg == 1 && f.mg == 1
	return f, nil
}

// setClasses divides the taps among the phases of a transposed sweep. line is the width of the output if it is known.
func (f *filters) setClasses(strides, dilations []int, line graph.Dim) {
	kernel := f.kernel()
	at := func(list []int, i int) int {
		i += len(list) - 2
		if i < 0 || i >= len(list) {
			return 1
		}
		return list[i]
	}
	for i, axis := range []*[][]int{&f.ys, &f.xs} {
		if f.transposed {
			*axis = tapClasses(kernel[i], at(strides, i), at(dilations, i))
			continue
		}
		all := make([]int, kernel[i])
		for k := range all {
			all[k] = k
		}
		*axis = [][]int{all}
	}
	f.step = at(strides, 1)
	if f.group == 1 && at(dilations, 1) == 1 && (!f.transposed || f.step == 1) {
		width, _ := line.Value()
		f.join = f.joined(kernel[1], width)
	}
}

const vectorLanes = 16

// joined is how many pixels of a line to join, 1 where it would not save work.
func (f *filters) joined(width, line int) int {
	n := max(1, min(vectorLanes/f.mg, line))
	if 100*n*width < 115*(width+(n-1)*f.step) {
		return 1
	}
	return n
}

// columns is how many columns of inputs joined pixels with the given number of taps see.
func (f *filters) columns(taps int) int { return taps + (f.join-1)*f.step }

// kernel is the height and width of the kernel.
func (f *filters) kernel() [2]int {
	if len(f.shape) == 3 {
		return [2]int{1, f.shape[2]}
	}
	return [2]int{f.shape[2], f.shape[3]}
}

// size is the length of the packed weights of a phase with the given numbers of taps.
func (f *filters) size(ny, nx int) int {
	switch {
	case f.depth:
		return ny * nx * f.group
	case ny*nx == 0:
		return 0
	}
	return f.group * f.set.PackedF32(ny*f.columns(nx)*f.cg, f.join*f.mg)
}

// offset is where the packed weights of a phase begin; after the last class of y it is their whole length.
func (f *filters) offset(y, x int) int {
	at := 0
	for i, ys := range f.ys[:min(y+1, len(f.ys))] {
		for j, xs := range f.xs {
			if i == y && j == x {
				break
			}
			at += f.size(len(ys), len(xs))
		}
	}
	return at
}

// pack lays out all phases.
func (f *filters) pack(x *exec, dst, w []float32) {
	for cy, ys := range f.ys {
		for cx, xs := range f.xs {
			if len(ys)*len(xs) > 0 {
				f.packPhase(x, dst[f.offset(cy, cx):], w, [2][]int{ys, xs})
			}
		}
	}
}

func (f *filters) packPhase(x *exec, dst, w []float32, taps [2][]int) {
	kernel := f.kernel()
	var at []int
	for _, ky := range taps[0] {
		for _, kx := range taps[1] {
			at = append(at, ky*kernel[1]+kx)
		}
	}
	each := kernel[0] * kernel[1]
	if f.depth {
		for t, k := range at {
			for c := range f.group {
				dst[t*f.group+c] = w[c*each+k]
			}
		}
		return
	}
	if f.join > 1 {
		rows := x.scratch.floats(len(taps[0]) * f.columns(len(taps[1])) * f.cg * f.join * f.mg)
		f.joinRows(rows, w, taps)
		n := f.join * f.mg
		f.set.PackF32(dst, rows, len(rows)/n, n, n, 1)
		return
	}
	k := len(at) * f.cg
	per := f.set.PackedF32(k, f.mg)
	x.p.pool.run(x.scratch, f.group, func(s *scratch, g int) {
		if len(at) == 1 && each == 1 {
			rs, cs := 1, f.cg
			if f.transposed {
				rs, cs = f.mg, 1
			}
			f.set.PackF32(dst[g*per:(g+1)*per], w[g*k*f.mg:], k, f.mg, rs, cs)
			return
		}
		rows := s.floats(k * f.mg)
		f.rows(rows, w[g*f.cg*f.mg*each:], at, each)
		f.set.PackF32(dst[g*per:(g+1)*per], rows, k, f.mg, f.mg, 1)
	})
}

// rows writes one group's weights as the matrix taps·channels × output channels.
func (f *filters) rows(rows, w []float32, at []int, each int) {
	stepC, stepM := each, f.cg*each
	if f.transposed {
		stepC, stepM = f.mg*each, each
	}
	for t, k := range at {
		for c := range f.cg {
			dst := rows[(t*f.cg+c)*f.mg:][:f.mg]
			src := k + c*stepC
			for m := range dst {
				dst[m] = w[src+m*stepM]
			}
		}
	}
}

// joinRows writes the matrix rows·columns·channels × pixels·output channels of joined pixels.
func (f *filters) joinRows(rows, w []float32, taps [2][]int) {
	clear(rows)
	kernel := f.kernel()
	each, nx, n := kernel[0]*kernel[1], f.columns(len(taps[1])), f.join*f.mg
	one := make([]float32, f.cg*f.mg)
	for y, ky := range taps[0] {
		for x, kx := range taps[1] {
			f.rows(one, w, []int{ky*kernel[1] + kx}, each)
			for p := range f.join {
				at := (y*nx + x + p*f.step) * f.cg
				for c := range f.cg {
					copy(rows[(at+c)*n+p*f.mg:], one[c*f.mg:(c+1)*f.mg])
				}
			}
		}
	}
}

// tapsFirst writes the weights of a convolution without groups as the matrix taps·channels × output channels.
func (f *filters) tapsFirst(dst, w []float32) {
	taps := make([]int, len(w)/(f.cg*f.mg))
	for k := range taps {
		taps[k] = k
	}
	f.rows(dst, w, taps, len(taps))
}

// bytesOf shows the bytes of numbers.
func bytesOf[T tensor.Native](v []T) []byte { return tensor.From(v, len(v)).Data }

// packFilters is the step that packs computed weights.
type packFilters struct {
	graph.Op
	filters
}

func (p packFilters) source() graph.Op { return p.Op }

// Infer gives a vector.
func (p packFilters) Infer([]graph.Fact, int) ([]graph.Type, error) {
	return []graph.Type{graph.Of(tensor.Float32, graph.Fixed(p.offset(len(p.ys), 0)))}, nil
}

func (p packFilters) exec(x *exec, in, out []*tensor.Tensor) error {
	y := x.Make(out[0], tensor.Float32, p.offset(len(p.ys), 0))
	p.pack(x, tensor.View[float32](y), tensor.View[float32](in[0]))
	return nil
}
