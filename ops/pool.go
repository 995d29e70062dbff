package ops

import (
	"errors"
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("", 8, MaxPool{})
	graph.Register("", 7, AveragePool{})
}

// MaxPool takes the largest element of each window of x [N,C,spatial…]; NaN wins. The optional second output has the
// int64 indices of those elements in the flattened input, spatial dimensions counted column-major if StorageOrder is
// 1. Padding never wins.
type MaxPool struct {
	AutoPad      string `attr:"auto_pad" default:"NOTSET"`
	CeilMode     bool   `attr:"ceil_mode"`
	Dilations    []int  `attr:"dilations"`
	KernelShape  []int  `attr:"kernel_shape" required:"true"`
	Pads         []int  `attr:"pads"`
	StorageOrder int    `attr:"storage_order"`
	Strides      []int  `attr:"strides"`
}

// Traits says that the indices need not be given.
func (MaxPool) Traits() graph.Traits { return graph.Traits{Optional: 1} }

// AveragePool takes the mean of each window of x [N,C,spatial…]. Padding counts as zeros if CountIncludePad is set,
// else it is left out.
type AveragePool struct {
	AutoPad         string `attr:"auto_pad" default:"NOTSET"`
	CeilMode        bool   `attr:"ceil_mode"`
	CountIncludePad bool   `attr:"count_include_pad"`
	Dilations       []int  `attr:"dilations"`
	KernelShape     []int  `attr:"kernel_shape" required:"true"`
	Pads            []int  `attr:"pads"`
	Strides         []int  `attr:"strides"`
}

func (p MaxPool) spatial() spatial {
	return spatial{p.AutoPad, p.KernelShape, p.Strides, p.Dilations, p.Pads, p.CeilMode}
}

func (p AveragePool) spatial() spatial {
	return spatial{p.AutoPad, p.KernelShape, p.Strides, p.Dilations, p.Pads, p.CeilMode}
}

// Window resolves the geometry for the full shape of the input.
func (p MaxPool) Window(x []int) (Window, error) { return p.spatial().pool(x) }

// Window resolves the geometry for the full shape of the input.
func (p AveragePool) Window(x []int) (Window, error) { return p.spatial().pool(x) }

// pool is window for the full shape [N,C,spatial…] of a pool's input, where padding must be smaller than the kernel.
func (s spatial) pool(x []int) (Window, error) {
	if len(x) < 3 {
		return Window{}, fmt.Errorf("input %v: want rank 3 or more", x)
	}
	if err := s.padding(); err != nil {
		return Window{}, err
	}
	return s.window(x[2:])
}

// padding refuses windows that could lie in the padding entirely.
func (s spatial) padding() error {
	r, err := s.resolve(len(s.kernel))
	if err != nil {
		return err
	}
	for i, p := range r.pads {
		if p >= r.extent(i%len(r.kernel)) {
			return fmt.Errorf("pads %v: %d is not below the kernel's extent", s.pads, p)
		}
	}
	return nil
}

// inferPool is the type of a pool's result.
func (s spatial) inferPool(in []graph.Fact) (graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return graph.Type{}, err
	}
	if err := s.padding(); err != nil {
		return graph.Type{}, err
	}
	x := in[0].Type
	if x.Unranked {
		x = graph.Of(x.DType, make([]graph.Dim, len(s.kernel)+2)...)
	}
	if len(x.Shape) < 3 {
		return graph.Type{}, fmt.Errorf("input of rank %d: want 3 or more", len(x.Shape))
	}
	sp, err := s.dims(x.Shape[2:])
	if err != nil {
		return graph.Type{}, err
	}
	return graph.Of(x.DType, append([]graph.Dim{x.Shape[0], x.Shape[1]}, sp...)...), nil
}

// Infer gives [N,C,spatial…], and the same as int64 for the indices.
func (p MaxPool) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	t, err := p.spatial().inferPool(in)
	if err != nil {
		return nil, err
	}
	return []graph.Type{t, graph.Of(tensor.Int64, t.Shape...)}, nil
}

// Infer gives [N,C,spatial…].
func (p AveragePool) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	t, err := p.spatial().inferPool(in)
	return []graph.Type{t}, err
}

func (p MaxPool) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	w, err := p.Window(in[0].Shape)
	if err != nil {
		return err
	}
	if p.StorageOrder != 0 && p.StorageOrder != 1 {
		return fmt.Errorf("storage_order %d is neither 0 nor 1", p.StorageOrder)
	}
	v := tensor.Float64s(in[0])
	if v == nil && in[0].Len() > 0 {
		return fmt.Errorf("no maximum of %s", in[0].DType)
	}
	shape := append(append([]int{}, in[0].Shape[:2]...), w.Out...)
	at, err := w.largest(v)
	if err != nil {
		return err
	}
	best := make([]float64, len(at))
	for i, j := range at {
		best[i] = v[j]
	}
	if len(out) > 1 && out[1] != nil {
		if p.StorageOrder == 1 {
			columnMajor(at, w.In)
		}
		copy(tensor.View[int64](x.Make(out[1], tensor.Int64, shape...)), at)
	}
	if out[0] == nil {
		return nil
	}
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, shape...), best)
}

// largest gives for each window of v [blocks,In…] the index of its largest element, the first of equal ones; NaN is the
// largest. It fails where a window has no element.
func (w Window) largest(v []float64) ([]int64, error) {
	inSize, outSize, empty := tensor.Size(w.In), tensor.Size(w.Out), false
	at := make([]int64, len(v)/max(inSize, 1)*outSize)
	w.taps(func(o int, taps []cell, _ int) {
		empty = empty || len(taps) == 0
		if empty {
			return
		}
		for nc := range len(at) / outSize {
			m := nc*inSize + taps[0].in
			for _, t := range taps[1:] {
				i := nc*inSize + t.in
				if v[i] > v[m] || v[i] != v[i] && v[m] == v[m] {
					m = i
				}
			}
			at[nc*outSize+o] = int64(m)
		}
	})
	if empty {
		return nil, errors.New("a window covers only padding")
	}
	return at, nil
}

// columnMajor turns row-major indices into a block of the given shape, repeated, into column-major ones.
func columnMajor(at []int64, shape []int) {
	size := int64(tensor.Size(shape))
	for i, v := range at {
		rest, step, r := v%size, int64(1), v-v%size
		coords := make([]int64, len(shape))
		for d := len(shape) - 1; d >= 0; d-- {
			coords[d] = rest % int64(shape[d])
			rest /= int64(shape[d])
		}
		for d, c := range coords {
			r += c * step
			step *= int64(shape[d])
		}
		at[i] = r
	}
}

// Run sums in float64 and rounds once.
func (p AveragePool) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	w, err := p.Window(in[0].Shape)
	if err != nil {
		return err
	}
	if !in[0].IsFloat() {
		return fmt.Errorf("no mean of %s", in[0].DType)
	}
	v := tensor.Float64s(in[0])
	shape := append(append([]int{}, in[0].Shape[:2]...), w.Out...)
	mean := make([]float64, tensor.Size(shape))
	w.average(v, mean, p.CountIncludePad)
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, shape...), mean)
}

// average stores the mean of each window of v [blocks,In…] in mean [blocks,Out…].
func (w Window) average(v, mean []float64, countPad bool) {
	inSize, outSize := tensor.Size(w.In), tensor.Size(w.Out)
	w.taps(func(o int, taps []cell, padded int) {
		n := len(taps)
		if countPad {
			n = padded
		}
		for nc := range len(mean) / max(outSize, 1) {
			sum := 0.0
			for _, t := range taps {
				sum += v[nc*inSize+t.in]
			}
			mean[nc*outSize+o] = sum / float64(max(n, 1))
		}
	})
}

// Quant says that the output shares the input's parameters.
func (MaxPool) Quant() graph.Quant { return graph.Quant{Moves: true} }

// Quant says that input and output have parameters of their own.
func (AveragePool) Quant() graph.Quant { return graph.Quant{} }

// Cost counts one comparison for each element of a window.
func (p MaxPool) Cost(_, out []graph.Type) graph.Cost { return poolCost(p.KernelShape, out[0]) }

// Links keeps channels apart; the positions that MaxPool also gives count through all channels, which then stay.
func (MaxPool) Links(in, out []graph.Fact) []graph.Link {
	if len(out) > 1 && out[1].Given() {
		return nil
	}
	return channelwise(in, out)
}

// Cost counts one addition for each element of a window.
func (p AveragePool) Cost(_, out []graph.Type) graph.Cost { return poolCost(p.KernelShape, out[0]) }

// Twin is QLinearAveragePool.
func (o AveragePool) Twin(_ *graph.Node, in []graph.Linear, out graph.Linear) (graph.Op, []*graph.Value) {
	return activationTwin("QLinearAveragePool", o, in, out)
}

// Links keeps channels apart.
func (AveragePool) Links(in, out []graph.Fact) []graph.Link { return channelwise(in, out) }

func poolCost(kernel []int, out graph.Type) graph.Cost {
	o, ok := out.Fixed()
	if !ok {
		return graph.Cost{}
	}
	return graph.Cost{Ops: int64(tensor.Size(o)) * int64(tensor.Size(kernel))}
}
