// Package quantize turns a float graph into one that computes with 8-bit integers (or keeps its weights as such):
// it chooses which values become integers, calibrates their ranges, rounds weights with regard to the data and corrects
// biases, and writes the result as a QDQ graph.
package quantize

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// Options adjust quantization; the zero value is the documented default.
type Options struct {
	Mode        string  // static (default), dynamic, weight-only
	Calibration string  // how ranges of activations are chosen: mse (default), minmax, percentile, entropy
	Percentile  float64 // share of values inside the range, in percent, for percentile; 0: 99.99
	Weights     string  // int8 (default), int4 (the mode is then weight-only if none is given)
	BlockSize   int     // of int4 weights in the mode weight-only; 0: 32, PerChannel: one scale an output channel
	Activations string  // uint8 (default, asymmetric), int8
	PerTensor   bool    // one scale per weight tensor instead of one per output channel
	Saturation  string  // avoid (default): no pair of int8 products leaves int16 on CPUs without VNNI; allow
	Style       string  // qdq (default), qoperator
	Step        float32 // explicit step of all weights, symmetric; 0: chosen from the weights
	LayerSteps  map[string]float32
	Exclude     []string // names of nodes or operator types that stay float

	NoBiasCorrection bool
	Target           string // cpu (default), gpu: symmetric int8 activations, per-channel weights and float biases, as TensorRT wants
	IO               string // float (default), int8 or uint8: the type of the graph's inputs and outputs
	QuantizeLogits   bool
	Carry            map[string]string // outputs that are inputs of the next sample's run
	Threads          int               // 0: all cores
	CPU              string            // kernel set of calibration; results do not depend on it
	Progress         func(stage string, done, total int)

	float map[string]bool // nodes that compute in float, though their weights may be stored as integers
}

// PerChannel is the block size that gives each output channel one scale, whatever its depth.
const PerChannel = -1

// Modes, styles and calibration methods by the names of the command line.
const (
	modeStatic, modeDynamic, modeWeightOnly = "static", "dynamic", "weight-only"
	styleQDQ, styleQOperator                = "qdq", "qoperator"
	methodMSE, methodMinMax                 = "mse", "minmax"
	methodPercentile, methodEntropy         = "percentile", "entropy"
	saturationAvoid, saturationAllow        = "avoid", "allow"
)

// defaults fills in what is not said and checks the rest.
func (o Options) defaults() (Options, error) {
	if o.Mode == "" && o.Weights == "int4" {
		o.Mode = modeWeightOnly
	}
	for _, c := range []struct {
		option  string
		value   *string
		allowed []string
	}{
		{"mode", &o.Mode, []string{modeStatic, modeDynamic, modeWeightOnly}},
		{"calibration", &o.Calibration, []string{methodMSE, methodMinMax, methodPercentile, methodEntropy}},
		{"weights", &o.Weights, []string{"int8", "int4"}},
		{"activations", &o.Activations, []string{"uint8", "int8"}},
		{"style", &o.Style, []string{styleQDQ, styleQOperator}},
		{"saturation", &o.Saturation, []string{saturationAvoid, saturationAllow}},
		{"target", &o.Target, []string{"cpu", "gpu", "tpu"}},
		{"io", &o.IO, []string{"float", "int8", "uint8"}},
	} {
		if *c.value == "" {
			*c.value = c.allowed[0]
		} else if !slices.Contains(c.allowed, *c.value) {
			return o, fmt.Errorf("%s %q: want %s", c.option, *c.value, strings.Join(c.allowed, ", "))
		}
	}
	if o.Percentile == 0 {
		o.Percentile = 99.99
	}
	if o.BlockSize == 0 {
		o.BlockSize = 32
	}
	if o.Target == "gpu" {
		o.Activations, o.PerTensor = "int8", false
	}
	return o, o.check()
}

func (o Options) check() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if o.Target == "tpu" {
		fail("target tpu needs TFLite, which cannot be written yet")
	}
	if !(o.Percentile > 50 && o.Percentile <= 100) {
		fail("percentile %g: want a number above 50 and at most 100", o.Percentile)
	}
	if o.BlockSize != PerChannel && (o.BlockSize < 16 || o.BlockSize&(o.BlockSize-1) != 0) {
		fail("block size %d: want a power of two of at least 16, or %d for one scale an output channel", o.BlockSize, PerChannel)
	}
	if o.Weights == "int4" && o.Mode == modeDynamic {
		fail("int4 weights need the mode %s or %s: dynamic products take 8 bits", modeStatic, modeWeightOnly)
	}
	if o.Weights == "int4" && o.Style == styleQOperator {
		fail("style %s: its operators take weights of 8 bits, not int4", styleQOperator)
	}
	if o.Saturation == saturationAllow && (o.Mode == modeWeightOnly || o.Weights == "int4" || o.Target == "gpu") {
		fail("saturation %s: it is for 8-bit products, which mode %s, weights %s and target %s lack", saturationAllow, o.Mode, o.Weights, o.Target)
	}
	if o.Target == "gpu" && o.Style == styleQOperator {
		fail("style %s: TensorRT reads %s alone", o.Style, styleQDQ)
	}
	if !validStep(o.Step) && o.Step != 0 {
		fail("step %g: want a positive number", o.Step)
	}
	for name, s := range o.LayerSteps {
		if !validStep(s) {
			fail("step %g of layer %q: want a positive number", s, name)
		}
	}
	if o.Mode != modeStatic && (o.Style != styleQDQ || o.IO != "float" || o.Target != "cpu") {
		fail("mode %s: style, io and target are for the mode %s", o.Mode, modeStatic)
	}
	return errors.Join(errs...)
}

func validStep(s float32) bool { return s > 0 && !math.IsInf(float64(s), 0) }

// excluded reports whether a node stays float on request.
func (o Options) excluded(n *graph.Node) bool {
	return slices.Contains(o.Exclude, n.Name) || slices.Contains(o.Exclude, n.OpName())
}

// symmetric reports whether activations have zero point 0.
func (o Options) symmetric() bool { return o.Target == "gpu" }

// ends is the integer type of the graph's inputs and outputs, Undefined if they stay float.
func (o Options) ends() tensor.DType {
	switch o.IO {
	case "int8":
		return tensor.Int8
	case "uint8":
		return tensor.Uint8
	}
	return tensor.Undefined
}

// activationType is the integer type of activations.
func (o Options) activationType() tensor.DType {
	if o.Activations == "int8" {
		return tensor.Int8
	}
	return tensor.Uint8
}

func (o Options) progress(stage string, done, total int) {
	if o.Progress != nil {
		o.Progress(stage, done, total)
	}
}
