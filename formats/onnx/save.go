package onnx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// Options says how a model is written.
type Options struct {
	// ExternalAbove is the size in bytes beyond which the weights go to a file beside the model, called like it with
	// ".data" appended; 0: 2^31 - 1, protobuf's own limit.
	ExternalAbove int64
}

// Save writes g as an ONNX model: see SaveWith.
func Save(ctx context.Context, g *graph.Graph, path string) (warnings []string, err error) {
	return SaveWith(ctx, g, path, Options{})
}

// SaveWith writes g at path, whole or not at all. The opset of each domain is the lowest that holds every node, not
// below the model's own; the warnings say where it rose. A node that ONNX cannot express is a *graph.OpError.
func SaveWith(ctx context.Context, g *graph.Graph, path string, o Options) (warnings []string, err error) {
	limit := o.ExternalAbove
	if limit == 0 {
		limit = maxMessage
	}
	w, m, err := encode(g, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if m.size <= limit {
		return w.warnings, formats.Atomic(ctx, path, m.writeTo)
	}
	place := &placement{location: filepath.Base(path) + ".data"}
	if w, m, err = encode(g, place); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return w.warnings, place.save(ctx, path, m)
}

// Write encodes g into memory.
func Write(g *graph.Graph) (b []byte, warnings []string, err error) {
	w, m, err := encode(g, nil)
	if err != nil {
		return nil, nil, err
	}
	return m.all(), w.warnings, nil
}

// encodeWhole writes g to one stream, which protobuf bounds to 2^31 - 1 bytes.
func encodeWhole(out io.Writer, g *graph.Graph) (warnings []string, err error) {
	w, m, err := encode(g, nil)
	if err != nil {
		return nil, err
	}
	if m.size > maxMessage {
		return nil, fmt.Errorf("the model takes %d bytes; protobuf holds %d, and external data cannot be compressed along", m.size, maxMessage)
	}
	return w.warnings, m.writeTo(out)
}

// maxMessage is protobuf's limit, in bytes.
const maxMessage = 1<<31 - 1

type writer struct {
	warnings []string
	fixed    int // operators with fixed-point requantization
	opsets   map[string]int
	ir       int
	place    *placement
}

// nameScope gives the values of a graph their names in the file.
type nameScope struct {
	names map[*graph.Value]string
	used  map[string]bool
	outer *nameScope
	fed   []*graph.Value // what the node that holds a body gives to its captures
}

func (s *nameScope) taken(name string) bool {
	for ; s != nil; s = s.outer {
		if s.used[name] {
			return true
		}
	}
	return false
}

// name gives v its name, which shadows none from further out: ONNX forbids that.
func (s *nameScope) name(v *graph.Value) {
	name := v.Name
	for i := 1; s.outer != nil && s.taken(name) || name == ""; i++ {
		name = v.Name + "_" + strconv.Itoa(i)
	}
	s.names[v], s.used[name] = name, true
}

// encode makes the ModelProto.
func encode(g *graph.Graph, place *placement) (*writer, *message, error) {
	w := &writer{place: place}
	if err := errors.Join(g.SortDeep(), g.Check()); err != nil {
		return nil, nil, err
	}
	if err := w.versions(g); err != nil {
		return nil, nil, err
	}
	if len(g.Signatures) > 1 {
		w.warnings = append(w.warnings, "ONNX knows one entry point: the names of signatures are not kept")
	}
	for _, s := range g.States {
		if s.Init == nil {
			return nil, nil, fmt.Errorf("state %q has no initial value, which ONNX needs", s.Name)
		}
		w.warnings = append(w.warnings, fmt.Sprintf("ONNX has no variables: state %q is written as a constant, its initial value", s.Name))
	}
	body, err := w.encodeGraph(g, nil)
	if err != nil {
		return nil, nil, err
	}
	if w.fixed > 0 {
		w.warnings = append(w.warnings, fmt.Sprintf("%d operators round in fixed point, as TensorFlow Lite does: ONNX rounds "+
			"in float32, and some results differ by one step", w.fixed))
	}
	m := &message{}
	m.int(1, int64(w.ir))
	producer := g.Meta[metaPrefix+"producer_name"]
	if _, fromONNX := g.Meta[metaPrefix+"ir_version"]; !fromONNX {
		producer = "tfsopt"
	}
	m.string(2, producer)
	m.string(3, g.Meta[metaPrefix+"producer_version"])
	m.string(4, g.Meta[metaPrefix+"domain"])
	if v, err := strconv.ParseInt(g.Meta[metaPrefix+"model_version"], 10, 64); err == nil {
		m.int(5, v)
	}
	m.string(6, g.Meta[metaPrefix+"doc_string"])
	m.message(7, body)
	for _, domain := range sortedKeys(w.opsets) {
		o := &message{}
		o.string(1, domain)
		o.int(2, int64(w.opsets[domain]))
		m.message(8, o)
	}
	w.modelProps(m, g)
	return w, m, nil
}

// modelProps writes the model's metadata and what was kept as bytes.
func (w *writer) modelProps(m *message, g *graph.Graph) {
	for _, k := range sortedKeys(g.Meta) {
		if rest, ok := strings.CutPrefix(k, metaModelProp); ok {
			m.entry(14, rest, g.Meta[k])
		} else if k != metaDoc && !strings.HasPrefix(k, metaPrefix) {
			m.entry(14, k, g.Meta[k])
		}
	}
	for _, raw := range numbered(g.Meta, metaTraining) {
		if w.raised(g) {
			w.warnings = append(w.warnings, "training_info is dropped: it is written in the model's old opset")
			break
		}
		m.bytes(20, []byte(raw))
	}
	for _, raw := range numbered(g.Meta, metaConfiguration) {
		m.bytes(26, []byte(raw))
	}
}

// numbered gives meta[key.0], meta[key.1], …
func numbered(meta map[string]string, key string) (out []string) {
	for i := 0; ; i++ {
		v, ok := meta[key+"."+strconv.Itoa(i)]
		if !ok {
			return out
		}
		out = append(out, v)
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// encodeGraph writes a GraphProto: the main graph, or a body inside the scope outer without its captures.
func (w *writer) encodeGraph(g *graph.Graph, outer *nameScope) (*message, error) {
	s := &nameScope{names: map[*graph.Value]string{}, used: map[string]bool{}, outer: outer}
	inputs := g.Inputs
	if outer != nil {
		inputs = g.Inputs[:len(g.Inputs)-g.Captures]
		for i, v := range g.Inputs[len(inputs):] {
			s.names[v] = outer.names[outer.fed[i]]
		}
	}
	values := g.Values()
	for _, v := range values {
		if _, ok := s.names[v]; !ok {
			s.name(v)
		}
	}
	m := &message{}
	for _, n := range g.Nodes {
		node, err := w.encodeNode(n, s)
		if err != nil {
			return nil, graph.NodeError(n, err)
		}
		m.message(1, node)
	}
	m.string(2, graphName(g.Name))
	if err := w.encodeConstants(m, g, s); err != nil {
		return nil, err
	}
	m.string(10, g.Meta[metaDoc])
	for _, v := range inputs {
		m.message(11, encodeValue(s.names[v], v))
	}
	for _, v := range values {
		if v.Meta[metaListed] == listedInput && v.IsConst() && w.listConstants(g) {
			m.message(11, encodeValue(s.names[v], v))
		}
	}
	for _, v := range g.Outputs {
		m.message(12, encodeValue(s.names[v], v))
	}
	w.encodeInfos(m, g, s)
	for _, raw := range numbered(g.Meta, metaAnnotation) {
		m.bytes(14, []byte(raw))
	}
	m.props(16, g.Meta)
	return m, nil
}

// graphName gives a graph without a name one: ONNX's checker wants it.
func graphName(name string) string {
	if name == "" {
		return "graph"
	}
	return name
}

// encodeInfos writes value_info for the values that had one.
func (w *writer) encodeInfos(m *message, g *graph.Graph, s *nameScope) {
	for _, n := range g.Nodes {
		for _, v := range n.Out {
			if v != nil && v.Meta[metaListed] == listedInfo && typeBytes(v) != nil {
				m.message(13, encodeValue(s.names[v], v))
			}
		}
	}
}

// encodeConstants writes initializers: constants in the order of their first use, then those that nothing reads.
func (w *writer) encodeConstants(m *message, g *graph.Graph, s *nameScope) error {
	states := map[*graph.Value]*tensor.Tensor{}
	for _, st := range g.States {
		states[st.Value] = st.Init
	}
	for _, v := range g.Values() {
		t := states[v]
		if v.IsConst() {
			t = v.Const
		}
		if t == nil {
			continue
		}
		if p := w.sparse(g, v, s); p != nil {
			m.message(15, p)
			continue
		}
		p, err := encodeTensor(s.names[v], t, w.place)
		if err != nil {
			return err
		}
		p.string(12, v.Meta[metaDoc])
		p.props(16, v.Meta)
		m.message(5, p)
	}
	return nil
}

// encodeNode writes a NodeProto. Captures are dropped: bodies name outer values themselves.
func (w *writer) encodeNode(n *graph.Node, s *nameScope) (*message, error) {
	if o, ok := n.Op.(graph.Opaque); ok && o.Format != FormatName {
		return nil, fmt.Errorf("the operator is %s's own: ONNX has none like it", o.Format)
	}
	domain, name := graph.NameOf(n.Op)
	if domain == ownDomain {
		return nil, errors.New("ONNX has no such operator")
	}
	in := n.In
	if bodies := graph.Bodies(n.Op); len(bodies) > 0 {
		in = n.In[:len(n.In)-bodies[0].Captures]
		s.fed = n.In[len(in):]
	}
	for len(in) > 0 && in[len(in)-1] == nil {
		in = in[:len(in)-1]
	}
	m := &message{}
	m.strings(1, s.list(in))
	m.strings(2, s.list(n.Out))
	m.string(3, n.Name)
	m.string(4, name)
	if ops.RequantOf(n.Op) != "" {
		w.fixed++
	}
	for _, a := range graph.AttrsOf(ops.WithRequant(n.Op, "")) {
		p, err := w.encodeAttr(a, s)
		if err != nil {
			return nil, err
		}
		m.message(5, p)
	}
	m.string(6, n.Meta[metaDoc])
	m.string(7, domain)
	if o, ok := n.Op.(graph.Opaque); ok {
		m.string(8, o.Overload)
	}
	m.props(9, n.Meta)
	for _, raw := range numbered(n.Meta, metaDevice) {
		m.bytes(10, []byte(raw))
	}
	return m, nil
}

func (s *nameScope) list(values []*graph.Value) []string {
	out := make([]string, len(values))
	for i, v := range values {
		if v != nil {
			out[i] = s.names[v]
		}
	}
	return out
}
