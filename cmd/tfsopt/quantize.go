package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/quantize"
)

type quantizeOptions struct {
	quantize.Options
	out    string
	data   dataFlags
	dryRun bool
	steps  []string
	values []string
	qat    bool
	force  bool
	learn  trainFlags
	book   codebookFlags
}

// calibrationSamples is how many samples calibrate unless --samples says otherwise: more change ranges little.
const calibrationSamples = 512

func quantizeCmd(a *app) *cobra.Command {
	var o quantizeOptions
	cmd := &cobra.Command{
		Use:   "quantize MODEL -o OUT --data D",
		Short: "Make a model compute with 8-bit integers",
		Long: `Quantize a model. Mode static calibrates the ranges of activations on samples of --data; dynamic finds them while the
model runs and weight-only leaves them float, so these two need no data. With codebook the weights of each layer share a
few values and the file holds small indices; packed (.onnx.zst, .onnx.xz) it is the smallest form. It can do without data,
but with --data, unlabelled, the values and the weights' choice among them follow what the layers compute.

With --qat the model is then trained on --data, which must have labels, with the effect of rounding simulated: that
recovers what rounding loses, with 4-bit weights above all. --samples then says how many samples calibrate; all train.

--step sets the step of the weights, of all layers or as LAYER=STEP of one. With --values it needs no model and shows
what the step does to single numbers.`,
		Example: `  tfsopt quantize model.onnx -o small.onnx --data images \
      --preprocess imagenet:resize=256,crop=224
  tfsopt quantize model.onnx -o small.onnx --mode weight-only --weights int4
  tfsopt quantize model.onnx -o small.onnx --weights int4 --data photos \
      --qat --epochs 8 --lr 0.001 --flip --crop 4
  tfsopt quantize pruned.onnx -o small.onnx.zst --mode codebook \
      --data photos --samples 512
  tfsopt quantize --step 0.1 --values 3.14159`,
		Args: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("values") {
				return nil
			}
			return oneModel(cmd, args)
		},
	}
	quantizeFlags(cmd, &o)
	o.addTraining(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := parseSteps(&o); err != nil {
			return err
		}
		if err := refuseIdle(cmd, o.idle(cmd)); err != nil {
			return err
		}
		if cmd.Flags().Changed("values") {
			return a.stepValues(o.Step, append(o.values, args...))
		}
		if err := o.checkCodebook(); err != nil {
			return err
		}
		if err := o.checkTraining(a, cmd); err != nil {
			return err
		}
		return a.quantize(cmd.Context(), args[0], o)
	}
	return cmd
}

// quantizeFlags adds the flags.
func quantizeFlags(cmd *cobra.Command, o *quantizeOptions) {
	addOutput(cmd, &o.out)
	o.data.add(cmd, calibrationSamples)
	addState(cmd, &o.data.axes, &o.data.carried)
	o.book.add(cmd)
	choiceVar(cmd, &o.Mode, "mode", words{"what becomes integer", []string{"static", "dynamic", "weight-only", "codebook"}})
	choiceVar(cmd, &o.Calibration, "calibration", words{"how ranges are chosen", []string{"mse", "minmax", "percentile", "entropy"}})
	choiceVar(cmd, &o.Weights, "weights", words{"type of weights", []string{"int8", "int4"}})
	choiceVar(cmd, &o.Activations, "activations", words{"type of activations", []string{"uint8", "int8"}})
	choiceVar(cmd, &o.Saturation, "saturation", words{"sums that overflow 16 bits on CPUs without VNNI", []string{"avoid", "allow"}})
	choiceVar(cmd, &o.Style, "style", words{"how integer operators are written", []string{"qdq", "qoperator"}})
	choiceVar(cmd, &o.Target, "target", words{"what the model will run on", []string{"cpu", "gpu", "tpu"}})
	choiceVar(cmd, &o.IO, "io", words{"type of the model's inputs and outputs", []string{"float", "int8", "uint8"}})
	f := cmd.Flags()
	f.Float64Var(&o.Percentile, "percentile", 99.99, "share of values inside the range, for --calibration percentile")
	f.IntVar(&o.BlockSize, "block-size", 32, "weights that share a scale, for --weights int4 in the mode weight-only (-1: one an output channel)")
	f.BoolVar(&o.PerTensor, "per-tensor", false, "one scale a weight tensor instead of one an output channel")
	f.BoolVar(&o.NoBiasCorrection, "no-bias-correction", false, "leave biases as they are")
	f.BoolVar(&o.QuantizeLogits, "quantize-logits", false, "quantize the last layer's output and softmax too")
	f.StringArrayVar(&o.Exclude, "exclude", nil, "`NAME` of a node, or operator, that stays float; may be repeated")
	f.StringArrayVar(&o.steps, "step", nil, "`STEP` of the weights, or LAYER=STEP; may be repeated")
	f.StringSliceVar(&o.values, "values", nil, "`NUMBERS` to quantize with --step, without a model")
	f.BoolVar(&o.force, "force", false, "write a result that is broken on the calibration data")
	f.BoolVar(&o.dryRun, "dry-run", false, "say how much memory it would take, and write nothing")
}

// parseSteps reads --step.
func parseSteps(o *quantizeOptions) error {
	for _, s := range o.steps {
		layer, number := "", s
		if i := strings.LastIndexByte(s, '='); i >= 0 {
			layer, number = s[:i], s[i+1:]
		}
		step, err := strconv.ParseFloat(number, 32)
		if err != nil || !(step > 0) || step > 1e30 {
			return usagef("--step %s: want a positive number or LAYER=STEP", s)
		}
		if layer == "" {
			o.Step = float32(step)
			continue
		}
		if o.LayerSteps == nil {
			o.LayerSteps = map[string]float32{}
		}
		o.LayerSteps[layer] = float32(step)
	}
	return nil
}

func (a *app) quantize(ctx context.Context, path string, o quantizeOptions) error {
	switch {
	case o.out == "" && !o.dryRun:
		return errNoOutput
	case o.data.path == "" && o.Mode == "static":
		return usagef("mode static calibrates on data: give --data (the modes dynamic and weight-only need none; " +
			"--data random tries things out without meaning)")
	}
	o.Threads, o.Progress = a.threads, a.progress()
	var err error
	if o.Carry, err = o.data.carry(); err != nil {
		return err
	}
	if len(o.Carry) > 0 && (o.qat || o.Mode == "codebook") {
		return usagef("--carry goes with calibration: not with --qat and not with --mode codebook")
	}
	if o.Mode != "codebook" {
		if err := usage(o.Options.Check()); err != nil {
			return err
		}
	}
	if o.dryRun {
		return a.planQuantize(path, o)
	}
	if err := canWrite(ctx, o.learn.reports); err != nil {
		return err
	}
	r, err := a.rewrite(ctx, path, o.out, func(m *formats.File, r *change) (*graph.Graph, error) {
		q, err := a.quantized(ctx, m.Graph, r, &o)
		if err != nil {
			return nil, err
		}
		r.Warnings = append(r.Warnings, q.Warnings...)
		if err := a.refuseBroken(ctx, m.Graph, &o, r, q.Result); err != nil {
			return nil, err
		}
		r.addResult(q.Result)
		r.Curve = q.Curve
		return q.Graph, nil
	})
	if err != nil {
		return err
	}
	o.learn.done(a)
	if err := a.conclusion(ctx, r, &o.learn, "Quantization"); err != nil || a.json || a.quiet {
		return err
	}
	for _, e := range r.Ends {
		if err := a.printf("%s is %s: x = (q - %d) * %v\n", e.Name, e.DType, e.Zero, e.Scale); err != nil {
			return err
		}
	}
	return a.printLayers(r.Layers)
}

// openData opens the calibration data; nil if there is none, which the modes that need none allow.
func (o *quantizeOptions) openData(g *graph.Graph) (*data.Set, error) {
	if o.data.path == "" {
		return nil, nil
	}
	return o.data.open(dataInputs(g))
}

// addResult takes over what quantization tells of layers, outputs and what is left.
func (r *change) addResult(q *quantize.Result) {
	r.Layers = append(r.Layers, layers(q.Layers)...)
	r.Outputs = outputs(q.Outputs)
	for _, l := range q.Left {
		r.Left = append(r.Left, leftFloat{l.Name, l.Node, l.Op, l.Why, l.Bytes, l.Share})
	}
	for _, e := range q.Ends {
		r.Ends = append(r.Ends, integerEnd{e.Name, e.DType.String(), e.Scale, e.Zero})
	}
}

func layers(list []quantize.Layer) []layer {
	out := []layer{}
	for _, l := range list {
		sqnr, worst := finite(l.SQNR), finite(l.WorstSQNR)
		if l.SQNR == 0 { // not measured
			sqnr = missing
		}
		if l.WorstSQNR == 0 {
			worst = missing
		}
		out = append(out, layer{
			Name: l.Name, Op: l.Op, Precision: l.Precision, SQNR: sqnr,
			layerStep: &layerStep{
				finite(l.MaxError), finite(l.MeanError), finite(l.HalfStep), finite(100 * l.Clipped), l.Worst, worst,
			},
		})
	}
	return out
}

// stepValue is one number under an explicit step.
type stepValue struct {
	X     float32 `json:"x"`
	Q     int64   `json:"q"`
	Back  float32 `json:"value"` // q times step
	Error float32 `json:"error"`
}

// stepValues shows what an explicit step does to numbers.
func (a *app) stepValues(step float32, texts []string) error {
	if step == 0 {
		return usagef("--values needs one --step, as in --step 0.1")
	}
	var values []float32
	for _, s := range texts {
		x, err := strconv.ParseFloat(s, 32)
		if err != nil || x-x != 0 { // NaN and infinities
			return usagef("--values %s: want finite numbers", s)
		}
		values = append(values, float32(x))
	}
	if len(values) == 0 {
		return usagef("--values: there is no number")
	}
	results := []stepValue{}
	var rows [][]string
	for _, v := range quantize.StepValues(step, values) {
		results = append(results, stepValue(v))
		rows = append(rows, []string{
			float32Text(v.X), strconv.FormatInt(v.Q, 10), float32Text(v.Back), float32Text(v.Error),
		})
	}
	if a.json {
		return a.printJSON(map[string]any{"step": step, "half_step": step / 2, "values": results})
	}
	return a.table([]column{number("x"), number("q"), number("value"), number("error")}, rows)
}

func float32Text(v float32) string { return strconv.FormatFloat(float64(v), 'g', 6, 32) }
