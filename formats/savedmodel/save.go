package savedmodel

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/internal/tensorflow"
	"github.com/tfsopt/tfsopt/optimize"
	"github.com/tfsopt/tfsopt/tensor"
)

// writer makes the GraphDef of a graph.
type writer struct {
	def   *tensorflow.GraphDef
	refs  map[*graph.Value]string
	known map[string]string // small constants by their contents
	names map[string]bool
	count map[string]int
	begin []string // what the init op runs
}

// directory says which files a SavedModel has.
var directory = formats.Directory{Format: Name, Has: func(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return path == modelFile || path == "fingerprint.pb" || path == "keras_metadata.pb" ||
		first == variablesDir || first == assetsDir || first == "assets.extra"
}}

// maxMessage is the most bytes that protobuf reads.
const maxMessage = 1<<31 - 1

// Save writes a SavedModel: a directory whose graph holds weights as constants, each entry point under its name. What TensorFlow
// cannot express is an error that names all nodes.
func Save(ctx context.Context, g *graph.Graph, path string) (warnings []string, err error) {
	m, err := encode(ctx, g)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	b := tensorflow.Encode(&tensorflow.SavedModel{SchemaVersion: 1, MetaGraphs: []*tensorflow.MetaGraph{m}})
	if len(b) > maxMessage {
		return nil, fmt.Errorf("%s: the model takes %d bytes, a SavedModel's graph at most 2 GB", path, len(b))
	}
	return nil, directory.Atomic(ctx, path, func(dir string) error {
		return os.WriteFile(filepath.Join(dir, modelFile), b, 0o666)
	})
}

// encode makes the meta graph of a clone of g.
func encode(ctx context.Context, g *graph.Graph) (*tensorflow.MetaGraph, error) {
	c := g.Clone()
	if len(c.Signatures) == 0 {
		c.Signatures = []graph.Signature{{Name: defaultSignature, Method: predictMethod, Inputs: portsFor(c.Inputs), Outputs: portsFor(c.Outputs)}}
	}
	if err := lower(c, rewriters); err != nil {
		return nil, err
	}
	for _, p := range []graph.Pass{optimize.Transpose{}, optimize.Dead{}} {
		if _, err := p.Apply(ctx, c); err != nil {
			return nil, err
		}
	}
	rewriters := maps.Clone(rewriters)
	rewriters["Transpose"] = (*lowering).unmoved
	if err := lower(c, rewriters); err != nil { // a Softmax may go along another axis now
		return nil, err
	}
	if _, err := (optimize.Identity{}).Apply(ctx, c); err != nil {
		return nil, err
	}
	if err := c.Sort(); err != nil {
		return nil, err
	}
	w := &writer{
		def:  &tensorflow.GraphDef{Versions: &tensorflow.Versions{Producer: producer}},
		refs: map[*graph.Value]string{}, known: map[string]string{}, names: map[string]bool{}, count: map[string]int{},
	}
	m := &tensorflow.MetaGraph{
		Info:  &tensorflow.MetaInfo{Tags: []string{"serve"}, TensorFlow: "2.21.0", StrippedDefaults: true},
		Graph: w.def, Signatures: map[string]*tensorflow.Signature{},
	}
	w.states(c)
	if err := w.graph(c, m); err != nil {
		return nil, err
	}
	if w.begin != nil {
		init := w.named("init", "NoOp", nil, w.begin...)
		m.Collections = map[string]*tensorflow.Collection{mainOp: {Nodes: &tensorflow.StringList{Values: []string{init}}}}
	}
	return m, nil
}

// producer is the version of GraphDef that is written: that of TensorFlow 2.21.
const producer = 2500

// predictMethod is what a signature for serving is for.
const predictMethod = "tensorflow/serving/predict"

func portsFor(values []*graph.Value) (out []graph.Port) {
	for _, v := range values {
		out = append(out, graph.Port{Name: v.Name, Value: v})
	}
	return out
}

// graph writes inputs, nodes and signatures.
func (w *writer) graph(g *graph.Graph, m *tensorflow.MetaGraph) error {
	for _, v := range g.Inputs {
		a := attrs{"dtype": elements(v.DType), "shape": {Kind: tensorflow.KindShape, Shape: shapeFor(v.Type)}}
		w.refs[v] = w.named(v.Name, "Placeholder", a)
	}
	var errs []error
	for _, n := range g.Nodes {
		if err := w.emit(n); err != nil {
			errs = append(errs, err)
		}
	}
	if errs != nil {
		return errors.Join(errs...)
	}
	for _, s := range g.Signatures {
		def := &tensorflow.Signature{Method: s.Method, Inputs: map[string]*tensorflow.TensorInfo{}, Outputs: map[string]*tensorflow.TensorInfo{}}
		for _, p := range s.Inputs {
			def.Inputs[p.Name] = w.info(p.Value, w.ref(p.Value))
		}
		after := w.assign(g, s)
		for _, p := range s.Outputs {
			ref := w.ref(p.Value)
			if after != nil {
				ref = w.named(p.Name, "Identity", attrs{"T": elements(p.Value.DType)}, append([]string{ref}, after...)...)
			}
			def.Outputs[p.Name] = w.info(p.Value, ref)
		}
		m.Signatures[s.Name] = def
	}
	return nil
}

// states makes a variable of each state, which the model's init op sets.
func (w *writer) states(g *graph.Graph) {
	for _, s := range g.States {
		a := attrs{"dtype": elements(s.Value.DType), "shared_name": text(s.Name), "shape": {Kind: tensorflow.KindShape, Shape: shapeFor(s.Value.Type)}}
		h := w.named("variable/"+s.Name, "VarHandleOp", a)
		w.refs[s.Value] = w.named(s.Value.Name, "ReadVariableOp", attrs{"dtype": elements(s.Value.DType)}, h)
		if s.Init != nil {
			w.begin = append(w.begin, "^"+w.named("init/"+s.Name, "AssignVariableOp", attrs{"dtype": elements(s.Value.DType)}, h, w.constant("init/"+s.Name+"/value", s.Init)))
		}
		w.known["handle:"+s.Name] = h
	}
}

// assign writes what a call makes of the states; the results are control inputs of its outputs.
func (w *writer) assign(g *graph.Graph, s graph.Signature) (after []string) {
	for _, p := range s.Next {
		name := w.named("assign/"+p.Name, "AssignVariableOp", attrs{"dtype": elements(p.Value.DType)}, w.known["handle:"+p.Name], w.ref(p.Value))
		after = append(after, "^"+name)
	}
	return after
}

func (w *writer) info(v *graph.Value, ref string) *tensorflow.TensorInfo {
	if !strings.Contains(ref, ":") {
		ref += ":0"
	}
	return &tensorflow.TensorInfo{Name: ref, DType: typeNumber(v.DType), Shape: shapeFor(v.Type)}
}

func shapeFor(t graph.Type) *tensorflow.Shape {
	if t.Unranked {
		return &tensorflow.Shape{UnknownRank: true}
	}
	s := &tensorflow.Shape{}
	for _, d := range t.Shape {
		n, ok := d.Value()
		if !ok {
			n = -1
		}
		s.Dims = append(s.Dims, &tensorflow.Dim{Size: int64(n)})
	}
	return s
}

// ref is the reference of a value; constants are written when they are first read.
func (w *writer) ref(v *graph.Value) string {
	r, ok := w.refs[v]
	if !ok && v.IsConst() {
		r = w.constant(v.Name, v.Const)
		w.refs[v] = r
	}
	return r
}

func (w *writer) inputs(n *graph.Node) []string {
	var out []string
	for _, v := range n.In {
		if v != nil {
			out = append(out, w.ref(v))
		}
	}
	return out
}

// smallConst bounds the constants that are written once for all readers of the same contents.
const smallConst = 256

func (w *writer) constant(name string, t *tensor.Tensor) string {
	key := ""
	if len(t.Data) <= smallConst && t.DType != tensor.String {
		key = fmt.Sprint(t.DType, t.Shape, string(t.Data))
		if r := w.known[key]; r != "" {
			return r
		}
	}
	p := &tensorflow.TensorProto{DType: typeNumber(t.DType), Shape: shapeFor(graph.TypeOf(t)), Content: t.Data, Strings: t.Strings}
	r := w.named(name, "Const", attrs{"dtype": elements(t.DType), "value": {Kind: tensorflow.KindTensor, Tensor: p}})
	if key != "" {
		w.known[key] = r
	}
	return r
}

func (w *writer) ints(v ...int64) string { return w.constant("const", tensor.From(v, len(v))) }

func (w *writer) int32(v int32) string { return w.constant("axis", tensor.Scalar(v)) }

// node writes a node under the IR node's name, or with a number.
func (w *writer) node(n *graph.Node, op string, a attrs, in ...string) []string {
	return []string{w.named(n.Name, op, a, in...)}
}

func (w *writer) named(name, op string, a attrs, in ...string) string {
	name = w.fresh(name)
	w.def.Nodes = append(w.def.Nodes, &tensorflow.NodeDef{Name: name, Op: op, Inputs: in, Attrs: a})
	return name
}

// fresh makes an unused name of the letters that TensorFlow takes.
func (w *writer) fresh(name string) string {
	ok := func(r rune, first bool) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || !first && strings.ContainsRune("_-/", r)
	}
	var b strings.Builder
	for i, r := range name {
		if i == 0 && !ok(r, true) && ok(r, false) {
			b.WriteByte('n')
		}
		if !ok(r, false) {
			r = '_'
			if i == 0 {
				r = 'n'
			}
		}
		b.WriteRune(r)
	}
	base := b.String()
	if base == "" {
		base = "n"
	}
	out := base
	for w.names[out] {
		w.count[base]++
		out = fmt.Sprintf("%s_%d", base, w.count[base])
	}
	w.names[out] = true
	return out
}
