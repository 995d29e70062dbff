package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	graph.Register("com.microsoft", 1, MatMulNBits{})
	graph.RegisterAs("com.microsoft", "Gelu", 1, MicrosoftGelu{})
}

// MatMulNBits is a [..,K] times the transpose of a weight [N,K] of 2, 4 or 8 bits in blocks of BlockSize along K.
// Inputs: a, the weight [N,blocks,BlockSize·Bits/8] packed from the low bits, scales [N,blocks], optional zero points
// (packed like the weight with each row padded to a byte, or numbers of a's type; else 2^(Bits-1)), optional g_idx
// [K], the block of each k, and optional bias [N]. Accuracy_level permits other runtimes to round a; it has no
// effect here.
type MatMulNBits struct {
	K             int `attr:"K" required:"true"`
	N             int `attr:"N" required:"true"`
	AccuracyLevel int `attr:"accuracy_level"`
	Bits          int `attr:"bits" default:"4"`
	BlockSize     int `attr:"block_size" required:"true"`
}

// MicrosoftGelu is x·(1+erf(x/√2))/2, ONNX's Gelu before it was ONNX's.
type MicrosoftGelu struct{ unary }

// Run computes in float64 and rounds once.
func (MicrosoftGelu) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	return mapUnary(x, in[0], out[0], func(v float64) float64 { return v * 0.5 * (1 + math.Erf(v/math.Sqrt2)) })
}

func (m MatMulNBits) check() error {
	if m.Bits != 2 && m.Bits != 4 && m.Bits != 8 {
		return fmt.Errorf("bits %d: want 2, 4 or 8", m.Bits)
	}
	if m.K < 1 || m.N < 1 || m.K > maxExtent || m.N > maxExtent || m.BlockSize < 1 || m.BlockSize > maxExtent || m.BlockSize*m.Bits%8 != 0 {
		return fmt.Errorf("K %d, N %d, block_size %d do not fit", m.K, m.N, m.BlockSize)
	}
	return nil
}

// Infer gives a's shape with N in place of K.
func (m MatMulNBits) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 3, 6); err != nil {
		return nil, err
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	t, err := inferMatMul(in[0].Type, graph.Of(in[0].DType, graph.Fixed(m.K), graph.Fixed(m.N)), in[0].DType)
	return []graph.Type{t}, err
}

// Run dequantizes the weight, accumulates in float64 and rounds once.
func (m MatMulNBits) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	if err := m.check(); err != nil {
		return err
	}
	s, err := newMatShape(in[0].Shape, []int{m.K, m.N})
	if err != nil {
		return err
	}
	w, err := m.weight(in)
	if err != nil {
		return err
	}
	a, err := floats(in[0])
	if err != nil {
		return err
	}
	r := multiply(s, a, transpose(w, m.N, m.K))
	if b := optional(in, 5); b != nil {
		if b.Len() != m.N {
			return fmt.Errorf("bias has %d elements for %d columns", b.Len(), m.N)
		}
		bias := tensor.Float64s(b)
		for i := range r {
			r[i] += bias[i%m.N]
		}
	}
	return tensor.SetFloat64s(x.Make(out[0], in[0].DType, s.out...), r)
}

// weight gives the real weight [N,K].
func (m MatMulNBits) weight(in []*tensor.Tensor) ([]float64, error) {
	perRow := ceilDiv(m.K, m.BlockSize)
	packed, scales := in[1].Data, tensor.Float64s(in[2])
	if len(packed) != m.N*perRow*(m.BlockSize*m.Bits/8) || len(scales) != m.N*perRow {
		return nil, fmt.Errorf("%d bytes of weight and %d scales do not fit %d blocks of %d", len(packed), len(scales), m.N*perRow, m.BlockSize)
	}
	zeros := make([]float64, m.N*perRow)
	zeroRow := ceilDiv(perRow*m.Bits, 8) * 8 / m.Bits // elements in a row of packed zero points
	zp := optional(in, 3)
	for i := range zeros {
		switch {
		case zp == nil:
			zeros[i] = float64(int(1) << (m.Bits - 1))
		case zp.IsFloat() && zp.Len() == len(zeros):
			zeros[i] = tensor.Float64s(zp.Reshape(zp.Len()))[i]
		case zp.DType == tensor.Uint8 && zp.Len() == m.N*zeroRow*m.Bits/8:
			zeros[i] = float64(lowBits(zp.Data, i/perRow*zeroRow+i%perRow, m.Bits))
		default:
			return nil, fmt.Errorf("zero points %s%v do not fit %d blocks", zp.DType, zp.Shape, len(zeros))
		}
	}
	var group []int64
	if g := optional(in, 4); g != nil {
		if group = tensor.Ints(g); len(group) < m.K {
			return nil, fmt.Errorf("g_idx has %d elements for K %d", len(group), m.K)
		}
	}
	w := make([]float64, m.N*m.K)
	for i := range w {
		n, k := i/m.K, i%m.K
		block := k / m.BlockSize
		if group != nil {
			if block = int(group[k]); block < 0 || block >= perRow {
				return nil, fmt.Errorf("g_idx[%d] is %d, there are %d blocks", k, block, perRow)
			}
		}
		q := lowBits(packed, n*perRow*m.BlockSize+k, m.Bits)
		w[i] = (float64(q) - zeros[n*perRow+block]) * scales[n*perRow+block]
	}
	return w, nil
}

// lowBits is element i of unsigned data of the given width, packed from the low bits.
func lowBits(b []byte, i, width int) byte {
	per := 8 / width
	return b[i/per] >> (i % per * width) & byte(1<<width-1)
}

// Cost counts the multiply-adds.
func (MatMulNBits) Cost(in, out []graph.Type) graph.Cost { return matCost(in[0], out[0]) }
