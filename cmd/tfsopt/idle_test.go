package main

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// TestIdleFlags: a flag that the other flags leave without effect is a usage error that names it; with what it needs it is
// none, and the command fails at the model, which does not exist.
func TestIdleFlags(t *testing.T) {
	const prune, train = "prune m.onnx -o o.onnx --sparsity 0.5", "train m.onnx -o o.onnx --data x.npy,y.npy"
	const distill, evaluate = "distill --teacher t.onnx --student s.onnx -o o.onnx --data x.npy", "evaluate m.onnx --data x.npy"
	const quantize = "quantize m.onnx -o o.onnx"
	for _, c := range []struct{ command, idle, flag, useful string }{
		{quantize, "--mode codebook", "--calibration mse", "--data x.npy"},
		{quantize, "--mode codebook", "--block-size 32", "--mode weight-only --weights int4"},
		{quantize, "--mode codebook", "--no-bias-correction", "--data x.npy"},
		{quantize, "--mode dynamic", "--activations int8", "--data x.npy"},
		{quantize, "--mode dynamic", "--io float", "--data x.npy"},
		{quantize, "--mode weight-only", "--quantize-logits", "--data x.npy"},
		{quantize, "--mode weight-only", "--saturation avoid", "--mode dynamic"},
		{quantize, "--data x.npy --weights int4", "--saturation avoid", "--data x.npy"},
		{quantize, "--data x.npy", "--percentile 99", "--data x.npy --calibration percentile"},
		{quantize, "--mode dynamic", "--percentile 99", "--data x.npy --calibration percentile"},
		{quantize, "--data x.npy", "--block-size 64", "--mode weight-only --weights int4"},
		{quantize, "--mode weight-only", "--block-size 64", "--mode weight-only --weights int4"},
		{quantize, "--data x.npy --target gpu", "--per-tensor", "--data x.npy"},
		{quantize, "--data x.npy --target gpu", "--activations uint8", "--data x.npy"},
		{quantize, "--mode weight-only", "--no-bias-correction", "--mode dynamic"},
		{quantize, "--mode weight-only --weights int4 --per-tensor", "--block-size 64", "--mode weight-only --weights int4"},
		{quantize, "--data x.npy", "--bits 3", "--mode codebook"},
		{quantize, "--data x.npy,y.npy", "--epochs 2", "--data x.npy,y.npy --qat"},
		{quantize, "--data x.npy,y.npy", "--lr 0.1", "--data x.npy,y.npy --qat --epochs 1"},
		{quantize, "--data x.npy,y.npy", "--flip", "--data x.npy,y.npy --qat --epochs 1"},
		{quantize, "--data x.npy,y.npy", "--seed 3", "--data x.npy,y.npy --qat --epochs 1"},
		{quantize, "--mode dynamic", "--samples 4", "--data x.npy --mode dynamic"},
		{quantize, "--mode dynamic", "--preprocess unit", "--data x.npy --mode dynamic"},
		{prune, "--pattern channel", "--keep-first", ""},
		{prune, "--pattern channel", "--keep-last", ""},
		{prune, "--pattern channel", "--raw", ""},
		{prune, "", "--channel-multiple 2", "--pattern channel"},
		{prune, "--scope layer", "--raw", ""},
		{prune, "--criterion random", "--raw", ""},
		{prune, "--pattern 2:4", "--scope layer", ""},
		{prune, "", "--ramp none", "--data x.npy,y.npy --epochs 1"},
		{prune, "", "--lr 0.1", "--data x.npy,y.npy --epochs 1"},
		{prune, "", "--batch 8", "--data x.npy,y.npy --criterion taylor"},
		{prune, "", "--seed 8", "--criterion random"},
		{prune, "", "--checkpoint c", "--data x.npy,y.npy --epochs 1"},
		{prune, "--data x.npy --reconstruct", "--reconstruct-samples 9", "--data x.npy --pattern channel --reconstruct"},
		{train, "--optimizer adamw", "--momentum 0.5", ""},
		{train, "--optimizer adamw", "--nesterov", ""},
		{train, "--checkpoint none", "--checkpoint-every 1s", ""},
		{distill, "", "--beta 1", "--loss dkd"},
		{distill, "", "--seeds 3", "--held h.npy,y.npy --control"},
		{distill, "--optimizer adamw", "--nesterov", ""},
		{evaluate, "", "--confidence 0.9", "--reference r.onnx"},
		{evaluate, "", "--max-drop 1", "--reference r.onnx"},
		{evaluate, "", "--layers", "--reference r.onnx"},
	} {
		code, stderr := complaint(t, c.command+" "+c.idle+" "+c.flag)
		name, _, _ := strings.Cut(c.flag, " ")
		if code != exitUsage || !strings.Contains(stderr, name+" does nothing") {
			t.Errorf("%s %s %s: exit %d, %s", c.command, c.idle, c.flag, code, stderr)
		}
		if code, stderr := complaint(t, c.command+" "+c.useful+" "+c.flag); code != exitFailure || !strings.Contains(stderr, ".onnx") {
			t.Errorf("%s %s %s: exit %d, %s", c.command, c.useful, c.flag, code, stderr)
		}
	}
}

// complaint is the exit code and stderr of a command line, run in an empty folder.
func complaint(t *testing.T, line string) (code int, stderr string) {
	t.Helper()
	t.Chdir(t.TempDir())
	var b bytes.Buffer
	code = run(t.Context(), strings.Fields(line), io.Discard, &b)
	return code, b.String()
}

// TestIdleTables: the tables name flags that exist.
func TestIdleTables(t *testing.T) {
	root := newRoot(&app{})
	for verb, rows := range map[string][]idle{
		"quantize": (&quantizeOptions{}).idle(root), "prune": (&pruneOptions{}).idle(), "distill": (&distillOptions{}).idle(),
		"evaluate": (&evaluateOptions{}).idle(), "train": (&trainFlags{}).idle(),
	} {
		c, _, err := root.Find([]string{verb})
		if err != nil {
			t.Fatal(err)
		}
		var have []string
		c.Flags().VisitAll(func(f *pflag.Flag) { have = append(have, f.Name) })
		for _, r := range rows {
			for _, name := range strings.Fields(r.flags) {
				if !slices.Contains(have, name) {
					t.Errorf("%s has no flag --%s", verb, name)
				}
			}
		}
	}
}
