package optimize

import (
	"context"
	"fmt"
	"slices"

	"github.com/tfsopt/tfsopt/graph"
)

// fileGrowth is how many bytes a folded node may add to a file, engineGrowth how many to a program.
const (
	fileGrowth   = 1 << 10
	engineGrowth = 256 << 20
)

// step is a pass at its place. Its name is unique; a pass that runs twice has two.
type step struct {
	name   string
	engine bool // only for the engine: not in files
	final  bool // right only while weights stay as they are: not before training
	pass   graph.Pass
}

// Name is the step's name, which logs and errors show.
func (s step) Name() string { return s.name }

// steps is every pass in the order in which they run.
var steps = []step{
	{name: "unread", pass: Dead{}},
	{name: "shapes", pass: Shapes{}},
	{name: "fold", pass: Fold{Growth: fileGrowth}},
	{name: "inline", pass: Inline{}},
	{name: "shapes-inlined", pass: Shapes{}},
	{name: "fold-inlined", pass: Fold{Growth: fileGrowth}},
	{name: "fold-all", engine: true, pass: Fold{Growth: engineGrowth, Codebooks: true}},
	{name: "identity", pass: Identity{}},
	{name: "transpose", pass: Transpose{}},
	{name: "clip", pass: Clip{}},
	{name: "gemm", pass: Gemm{}},
	{name: "batchnorm", final: true, pass: BatchNorm{}},
	{name: "pad", pass: Pad{}},
	{name: "dedup", final: true, pass: Dedup{}},
	{name: "layernorm", engine: true, pass: LayerNorm{}},
	{name: "gelu", engine: true, pass: Gelu{}},
	{name: "hardswish", engine: true, pass: HardSwish{}},
	{name: "splitnorm", engine: true, pass: SplitNorm{}},
	{name: "qlinear", engine: true, pass: QLinear{}},
	{name: "fold-weights", engine: true, pass: Fold{Growth: engineGrowth, Weights: true, Codebooks: true}},
	{name: "dedup-late", engine: true, pass: Dedup{}},
	{name: "dead", pass: Dead{}},
}

// order says which steps must come before which, and why.
var order = []struct{ before, after, why string }{
	{"unread", "identity", "a Dropout whose mask nobody reads is an identity"},
	{"shapes", "fold", "known shapes are constants that fold"},
	{"fold", "inline", "a condition on shapes becomes constant"},
	{"inline", "shapes-inlined", "the branch's own shapes are known once it stands in the graph"},
	{"shapes-inlined", "fold-inlined", "known shapes are constants that fold"},
	{"fold-inlined", "identity", "computed pads, steps and shapes become constants"},
	{"fold-all", "batchnorm", "weights must be constant to take a normalization"},
	{"identity", "transpose", "nothing stands between two transposes"},
	{"transpose", "clip", "nothing stands between two clamps"},
	{"transpose", "batchnorm", "nothing stands between a product and its normalization"},
	{"identity", "clip", "nothing stands between two clamps"},
	{"identity", "gemm", "nothing stands between MatMul and Add"},
	{"identity", "batchnorm", "nothing stands between a product and its normalization"},
	{"gemm", "batchnorm", "a bias must be in the Gemm before what follows can be folded"},
	{"clip", "pad", "one clamp tells whether a MaxPool's input can be negative"},
	{"batchnorm", "dedup", "weights with two readers do not fold"},
	{"batchnorm", "pad", "a normalization may stand between Pad and what takes it"},
	{"dedup", "layernorm", "x - mean is computed once"},
	{"clip", "hardswish", "its clamp is one node"},
	{"dedup", "hardswish", "its input is one value"},
	{"batchnorm", "splitnorm", "only what found no product is split"},
	{"dedup", "qlinear", "a value that is quantized twice the same has one reader"},
	{"pad", "qlinear", "integers are not padded with real zeros"},
	{"qlinear", "fold-weights", "weights stay quantized where integers can use them"},
	{"fold-weights", "dedup-late", "new constants, zero points above all, are kept once"},
	{"fold-weights", "dead", "what was folded is gone"},
}

func init() {
	if err := checkOrder(); err != nil {
		panic(err)
	}
}

func checkOrder() error {
	place := map[string]int{}
	for i, s := range steps {
		if _, twice := place[s.name]; twice {
			return fmt.Errorf("optimize: two steps are named %q", s.name)
		}
		place[s.name] = i
	}
	for _, o := range order {
		before, ok := place[o.before]
		after, ok2 := place[o.after]
		if !ok || !ok2 || before >= after {
			return fmt.Errorf("optimize: %q must run before %q: %s", o.before, o.after, o.why)
		}
	}
	return nil
}

// Apply runs the pass on a graph whose types are inferred.
func (s step) Apply(ctx context.Context, g *graph.Graph) (int, error) {
	pass := s.pass
	if slices.ContainsFunc(g.Nodes, awaits) {
		if _, ok := pass.(Identity); ok {
			pass = Identity{Training: true}
		}
		if s.final {
			return 0, nil
		}
	}
	return pass.Apply(ctx, g)
}

// awaits reports whether a node reads a constant that is still to be drawn: what is true of its value is not true later.
func awaits(n *graph.Node) bool {
	return slices.ContainsFunc(n.In, func(v *graph.Value) bool { return v != nil && v.Awaits() })
}

// Default is what optimize and quantize run: its result is a file that any runtime takes, in the opset that it had.
func Default() graph.Pipeline {
	var p graph.Pipeline
	for _, s := range steps {
		if !s.engine {
			p = append(p, s)
		}
	}
	return p
}

// ForTraining is Default without what would be wrong once weights change: normalizations stay, equal constants stay apart.
func ForTraining() graph.Pipeline {
	var p graph.Pipeline
	for _, s := range Default() {
		s := s.(step)
		if s.final {
			continue
		}
		if _, ok := s.pass.(Identity); ok {
			s.pass = Identity{Training: true}
		}
		p = append(p, s)
	}
	return p
}

// ForEngine is every pass: Default with what helps our own engine, operators that files of the model's opset may not have,
// integer operators, and no thought of the file's size.
func ForEngine() graph.Pipeline {
	var p graph.Pipeline
	for _, s := range steps {
		p = append(p, s)
	}
	return p
}
