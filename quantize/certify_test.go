package quantize_test

import (
	"context"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/optimize"
	"github.com/tfsopt/tfsopt/quantize"
	"github.com/tfsopt/tfsopt/tensor"
	"github.com/tfsopt/tfsopt/train"
)

// TestEveryPairIsSafe quantizes random weights, of which one in twenty pairs would saturate, in every mode that makes
// integer products of uint8 activations.
func TestEveryPairIsSafe(t *testing.T) {
	g := network(t)
	set := data.Random(inputs(g), 8, 9)
	for name, o := range map[string]quantize.Options{
		"static":     {},
		"per tensor": {PerTensor: true},
		"qoperator":  {Style: "qoperator"},
		"logits":     {QuantizeLogits: true},
		"step":       {Step: 0.005},
		"no bias":    {NoBiasCorrection: true},
		"dynamic":    {Mode: "dynamic"},
	} {
		r, err := quantize.Quantize(context.Background(), g, set, o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if s := optimize.CheckSaturation(r.Graph); s.Pairs == 0 || s.Unsafe != 0 || warned(r) {
			t.Errorf("%s: %d of %d pairs are unsafe, warnings %q", name, s.Unsafe, s.Pairs, r.Warnings)
		}
		o.Saturation = "allow"
		if r, err = quantize.Quantize(context.Background(), g, set, o); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if s := optimize.CheckSaturation(r.Graph); s.Unsafe == 0 || !warned(r) {
			t.Errorf("%s, allowed: %d of %d pairs are unsafe, warnings %q", name, s.Unsafe, s.Pairs, r.Warnings)
		}
	}
}

// TestZeroPointsOfWeights wants one for each layer: with session.x64quantprecision=1 ONNX Runtime on CPUs without VNNI does
// not load files whose layers share them.
func TestZeroPointsOfWeights(t *testing.T) {
	g := parse(t, `graph "two" {
  opset "" 17
  input x: float32[1,4]
  const v: float32[4,4] = {random}
  h: float32[1,4] = MatMul(x, v) "first"
  const w: float32[4,4] = {random}
  y: float32[1,4] = MatMul(h, w) "second"
  output y
}`)
	set := data.Random(inputs(g), 8, 9)
	for name, o := range map[string]quantize.Options{
		"static": {}, "per tensor": {PerTensor: true}, "qoperator": {Style: "qoperator"}, "dynamic": {Mode: "dynamic"},
	} {
		r, err := quantize.Quantize(context.Background(), g, set, o)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		found := 0
		for v, readers := range r.Graph.Uses() {
			if !v.IsConst() || v.DType != tensor.Int8 || v.Const.Zeros() < v.Const.Len() {
				continue
			}
			found++
			if len(readers) > 1 {
				t.Errorf("%s: %d operators read %q", name, len(readers), v.Name)
			}
		}
		if found < 2 {
			t.Errorf("%s: %d zero points: the test shows nothing", name, found)
		}
	}
}

func warned(r *quantize.Result) bool {
	return strings.Contains(strings.Join(r.Warnings, "\n"), "without VNNI")
}

// TestTrainedPairsAreSafe trains with rounding simulated; the weights stay where every pair is safe.
func TestTrainedPairsAreSafe(t *testing.T) {
	g, set := learned(t), striped(t, 3, 120)
	for _, o := range []quantize.Options{{Mode: "static"}, {Mode: "static", PerTensor: true}, {Mode: "static", Step: 0.004}} {
		r, err := quantize.Train(context.Background(), g, o, quantize.Training{
			Options: train.Options{Epochs: 2, Rate: 0.01, Batch: 20}, Set: set, Calibration: set,
		})
		if err != nil {
			t.Fatal(err)
		}
		if s := optimize.CheckSaturation(r.Graph); s.Pairs == 0 || s.Unsafe != 0 {
			t.Errorf("%+v: %d of %d pairs are unsafe", o, s.Unsafe, s.Pairs)
		}
		o.Saturation = "allow"
		r, err = quantize.Train(context.Background(), g, o, quantize.Training{
			Options: train.Options{Epochs: 2, Rate: 0.01, Batch: 20}, Set: set, Calibration: set,
		})
		if err != nil {
			t.Fatal(err)
		}
		if s := optimize.CheckSaturation(r.Graph); s.Unsafe == 0 {
			t.Errorf("%+v, allowed: no unsafe pair: the test shows nothing", o)
		}
	}
}
