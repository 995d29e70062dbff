package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

type runOptions struct {
	inputs []string
	dir    string
	seed   uint64
	dims   dims
}

func runCmd(a *app) *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run MODEL --input NAME=FILE.npy... [-o DIR]",
		Short: "Run one inference on .npy files",
		Long: `Run one inference. Inputs are .npy files, or the .json of a string tensor; bfloat16 and float8 are given as their bit
patterns. Numbers of another type are converted if they all fit. A model with one input needs no NAME=.

With -o every output is written to DIR under its name, made safe for file systems.`,
		Example: "  tfsopt run model.onnx --input x=x.npy -o out",
		Args:    oneModel,
		RunE:    func(cmd *cobra.Command, args []string) error { return a.infer(cmd.Context(), args[0], o) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.inputs, "input", nil, "`NAME=FILE`; once for each input")
	f.StringVarP(&o.dir, "output", "o", "", "directory for the outputs")
	f.Uint64Var(&o.seed, "seed", 0, "of random operators without a seed of their own")
	o.dims = addDims(cmd)
	return cmd
}

// outputResult is one output of a run.
type outputResult struct {
	Name  string `json:"name"`
	DType string `json:"dtype"`
	Shape []int  `json:"shape"`
	File  string `json:"file,omitempty"`
}

func (a *app) infer(ctx context.Context, path string, o runOptions) error {
	m, err := a.loadBound(path, o.dims)
	if err != nil {
		return err
	}
	defer m.Close()
	feedDefaults(m.Graph, o.inputs)
	in, err := readInputs(m.Graph.Inputs, o.inputs)
	if err != nil {
		return err
	}
	p, err := engine.Compile(ctx, m.Graph, engine.Options{Threads: a.threads})
	if err != nil {
		return at(path, err)
	}
	defer p.Close()
	call := &engine.Call{Signature: a.signature, In: in, Seed: o.seed}
	if err := p.Run(ctx, call); err != nil {
		return at(path, err)
	}
	results, err := a.writeOutputs(ctx, o.dir, m.Graph.Outputs, call.Out)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]any{"outputs": results})
	}
	if a.quiet && o.dir != "" {
		return nil
	}
	return a.printOutputs(results, call.Out)
}

// feedDefaults makes inputs of the defaults that arguments name.
func feedDefaults(g *graph.Graph, args []string) {
	for _, v := range g.Defaults() {
		if slices.ContainsFunc(args, func(arg string) bool { return strings.HasPrefix(arg, v.Name+"=") }) {
			g.OpenDefaults(v)
		}
	}
}

// readInputs assigns NAME=FILE to the model's inputs and reads the files.
func readInputs(inputs []*graph.Value, args []string) ([]*tensor.Tensor, error) {
	out := make([]*tensor.Tensor, len(inputs))
	for _, v := range inputs {
		if v.Elem != nil {
			return nil, fmt.Errorf("input %q is %s, which no file holds", v.Name, v.Type)
		}
	}
	for _, arg := range args {
		i, file, err := inputOf(inputs, arg)
		if err != nil {
			return nil, err
		}
		if out[i] != nil {
			return nil, usagef("--input %s: the input is given twice", inputs[i].Name)
		}
		t, err := data.LoadTensor(file)
		if err == nil {
			if t, err = data.As(t, inputs[i].DType); err != nil {
				err = at(file, err)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("input %q: %w", inputs[i].Name, err)
		}
		out[i] = t
	}
	var missing []string
	for i, t := range out {
		if t == nil {
			missing = append(missing, fmt.Sprintf("--input %s=FILE (%s)", inputs[i].Name, inputs[i].Type))
		}
	}
	if missing != nil {
		return nil, usagef("the model wants %s", strings.Join(missing, ", "))
	}
	return out, nil
}

// inputOf finds the input that an argument names; names may hold "=" themselves.
func inputOf(inputs []*graph.Value, arg string) (index int, file string, err error) {
	index = -1
	var names []string
	for i, v := range inputs {
		names = append(names, v.Name)
		if rest, ok := strings.CutPrefix(arg, v.Name+"="); ok && (index < 0 || len(v.Name) > len(inputs[index].Name)) {
			index, file = i, rest
		}
	}
	if index >= 0 {
		return index, file, nil
	}
	if len(inputs) == 1 && !strings.Contains(arg, "=") {
		return 0, arg, nil
	}
	name, _, named := strings.Cut(arg, "=")
	if !named {
		return 0, "", usagef("--input %s: want NAME=FILE%s", arg, oneOf("the inputs are", names))
	}
	return 0, "", usagef("--input %s: the model has no such input%s", name, oneOf("it has", names))
}

// writeOutputs writes each tensor to dir, if there is one, but none if one would replace an input.
func (a *app) writeOutputs(ctx context.Context, dir string, values []*graph.Value, out []*tensor.Tensor) ([]outputResult, error) {
	results, used := []outputResult{}, map[string]bool{}
	for i, t := range out {
		r := outputResult{Name: values[i].Name, DType: t.DType.String(), Shape: append([]int{}, t.Shape...)}
		if dir != "" {
			r.File = filepath.Join(dir, safeName(r.Name, used)+data.TensorExt(t))
			if err := a.guard(named{fmt.Sprintf("output %q:", r.Name), r.File}); err != nil {
				return nil, err
			}
		}
		results = append(results, r)
	}
	if dir != "" {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return nil, err
		}
	}
	for i, r := range results {
		if dir == "" {
			continue
		}
		err := formats.Atomic(ctx, r.File, func(w io.Writer) error { return data.WriteTensor(w, out[i]) })
		if err != nil {
			return nil, fmt.Errorf("output %q: %w", r.Name, err)
		}
	}
	return results, nil
}

// reserved are names that Windows keeps for devices.
var reserved = map[string]bool{"con": true, "prn": true, "aux": true, "nul": true}

func init() {
	for _, port := range []string{"com", "lpt"} {
		for i := range 10 {
			reserved[fmt.Sprintf("%s%d", port, i)] = true
		}
	}
}

// maxName keeps a name with its extension below what file systems take.
const maxName = 200

// safeName makes a file name of a tensor's name that every file system takes and that is not in used yet, not even in
// other case.
func safeName(name string, used map[string]bool) string {
	safe := []byte(name)
	for i, c := range safe {
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.' && i > 0
		if !ok {
			safe[i] = '_'
		}
	}
	if len(safe) > maxName {
		safe = safe[:maxName]
	}
	base := string(safe)
	if stem, _, _ := strings.Cut(strings.ToLower(base), "."); base == "" || reserved[stem] {
		base = "_" + base
	}
	out := base
	for i := 1; used[strings.ToLower(out)]; i++ {
		out = fmt.Sprintf("%s_%d", base, i)
	}
	used[strings.ToLower(out)] = true
	return out
}

func (a *app) printOutputs(results []outputResult, out []*tensor.Tensor) error {
	var rows [][]string
	for i, r := range results {
		low, high, top := span(out[i])
		rows = append(rows, []string{r.Name, r.DType, fmt.Sprint(r.Shape), low, high, top, r.File})
	}
	return a.table([]column{text("output"), text("type"), text("shape"), number("min"), number("max"), number("argmax"), text("file")}, rows)
}

// shownRows is how many rows of an output the table gives the greatest element of.
const shownRows = 8

// span gives the least and the greatest element and, for each row of the first dimension, where in the row its greatest
// element is; empty for what has none. A tensor of one dimension is one row.
func span(t *tensor.Tensor) (low, high, top string) {
	if t.DType.Bits() == 0 || !t.DType.IsFloat() && !t.DType.IsInt() || t.Len() == 0 {
		return "", "", ""
	}
	v := tensor.Float64s(t)
	rows := 1
	if len(t.Shape) > 1 {
		rows = t.Shape[0]
	}
	lo, hi := math.Inf(1), math.Inf(-1)
	var at []string
	for row := range slices.Chunk(v, len(v)/rows) {
		best, index := math.Inf(-1), 0
		for i, x := range row {
			lo = min(lo, x)
			if x > best {
				best, index = x, i
			}
		}
		hi = max(hi, best)
		if len(at) < shownRows {
			at = append(at, strconv.Itoa(index))
		}
	}
	top = strings.Join(at, " ")
	if rows > shownRows {
		top += " …"
	}
	return fmt.Sprintf("%.6g", lo), fmt.Sprintf("%.6g", hi), top
}
