package quantize_test

import (
	"archive/zip"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// recorded is a case of saturation.npz: arrays by name.
type recorded map[string]*tensor.Tensor

func readRecorded(t *testing.T) map[string]recorded {
	t.Helper()
	z, err := zip.OpenReader("../testdata/interop/saturation.npz")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	all := map[string]recorded{}
	for _, f := range z.File {
		name, key, _ := strings.Cut(strings.TrimSuffix(f.Name, ".npy"), ".")
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		a, err := data.ReadNPY(r)
		if err = errors.Join(err, r.Close()); err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		if all[name] == nil {
			all[name] = recorded{}
		}
		all[name][key] = a
	}
	return all
}

// TestSaturatingSums compares the emulation of 16-bit sums, in the order that operators tell, with what ONNX Runtime's
// kernels for AVX2 gave.
func TestSaturatingSums(t *testing.T) {
	all := readRecorded(t)
	if len(all) != 12 {
		t.Fatalf("%d cases: run testdata/interop/saturation.py", len(all))
	}
	for name, c := range all {
		saturated := c.check(t, name)
		exact := name == "s8s8" || name == "u8u8" || name == "depthwise"
		if (saturated == 0) != exact {
			t.Errorf("%s: %d sums saturate", name, saturated)
		}
	}
}

// check compares the results of a case and counts those that differ from exact ones.
func (c recorded) check(t *testing.T, name string) (saturated int) {
	t.Helper()
	x, w, y := c["x"], c["w"], c["y"]
	op := tensor.Ints(c["op"])
	var m ops.Multiplier
	switch op[0] {
	case 0:
		m = ops.MatMulInteger{}
	case 1:
		m = ops.QGemm{TransB: true}
	default:
		m = ops.QLinearConv{Conv: ops.Conv{Group: int(op[1])}}
	}
	p := m.Products(w.Shape)
	narrow := !p.Wide && x.DType == tensor.Uint8 && w.DType == tensor.Int8
	xs, ws, ys := tensor.Ints(x), tensor.Ints(w), tensor.Ints(y)
	size := x.Len() / x.Shape[0]
	for i := range x.Shape[0] {
		for row := range p.Rows {
			from, per := i*size, p.K
			if op[0] == 2 {
				from += row / (p.Rows / int(op[1])) * per // the group's channels
			}
			a, b := make([]uint8, per), make([]int8, per)
			exact := 0
			for k := range per {
				at := k
				if op[0] == 2 {
					at = p.At(0, k)
				}
				u, v := xs[from+at], ws[p.At(row, k)]
				a[k], b[k] = uint8(u), int8(v)
				exact += int(u * v)
			}
			sum := exact
			if narrow {
				sum = int(ops.SaturatingDot(a, b))
			}
			if sum != exact {
				saturated++
			}
			if y.DType != tensor.Int32 {
				sum = int(min(max(math.RoundToEven(float64(sum)/256), 0), 255))
			}
			if got := ys[i*p.Rows+row]; int(got) != sum {
				t.Errorf("%s: row %d of input %d: the emulation gives %d, ONNX Runtime %d", name, row, i, sum, got)
				return saturated
			}
		}
	}
	return saturated
}
