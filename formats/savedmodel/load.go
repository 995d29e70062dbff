package savedmodel

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/internal/tensorflow"
)

// Name and GraphName are the formats' names in errors and reports.
const (
	Name      = "SavedModel"
	GraphName = "GraphDef"
)

// The files of a SavedModel.
const (
	modelFile    = "saved_model.pb"
	variablesDir = "variables"
	assetsDir    = "assets"
)

// MetaSignatures is the key of Graph.Meta under which the model's signatures stand as in the file: a MetaGraphDef that has
// nothing else, in base64, so that a server can list what is no entry point too.
const MetaSignatures = "tensorflow.signature_def"

func init() {
	formats.Register(formats.Format{Name: Name, Detect: func(path string, head []byte) bool {
		return detectModel(path, head) || detectKeras(path, head)
	}, Load: Load, Save: Save, Directory: true, Entries: true})
	formats.Register(formats.Format{Name: GraphName, Exts: []string{".pb"}, Detect: detectGraph, Load: LoadGraph})
}

func detectModel(path string, head []byte) bool {
	if filepath.Base(path) == modelFile {
		return true
	}
	_, err := os.Stat(filepath.Join(path, modelFile))
	return head == nil && err == nil
}

func detectGraph(path string, head []byte) bool {
	return strings.EqualFold(filepath.Ext(path), ".pb") && filepath.Base(path) != modelFile && !bytes.HasPrefix(head, []byte{0x08})
}

// detectKeras looks for Keras's own files: a ZIP archive with its name, and HDF5.
func detectKeras(path string, head []byte) bool {
	ext := strings.ToLower(filepath.Ext(path))
	return ext == ".keras" || ext == ".h5" || ext == ".hdf5" || bytes.HasPrefix(head, []byte("\x89HDF\r\n\x1a\n"))
}

func refuseKeras(path string) error {
	return fmt.Errorf("%s: Keras's own files hold Python classes, which nothing but Keras reads; in Python, write a SavedModel of it: "+
		`keras.models.load_model(%q).export("saved_model")`, path, filepath.Base(path))
}

// Load reads a SavedModel from its directory, or from saved_model.pb in it. Each signature is an entry point; they share their
// weights. Operators that we do not know stay as graph.Opaque where a signature needs them.
func Load(path string, o formats.Options) (*formats.File, error) {
	if o.Inputs != nil || o.Outputs != nil {
		return nil, fmt.Errorf("%s: a SavedModel's signatures say where it begins and ends; inputs and outputs are for frozen graphs", path)
	}
	dir := path
	if st, err := os.Stat(path); err == nil && !st.IsDir() && filepath.Base(path) != modelFile {
		return nil, refuseKeras(path)
	}
	if filepath.Base(path) == modelFile {
		dir = filepath.Dir(path)
	}
	f := &formats.File{Format: Name}
	g, notes, err := load(dir, o, f)
	if err != nil {
		f.Close()
		return nil, at(dir, err)
	}
	f.Graph, f.Warnings = g, notes
	if len(g.Signatures) > 1 {
		f.Default = g.Signatures[0].Name
	}
	return f, nil
}

// at adds the path to an error that does not name one.
func at(path string, err error) error {
	if strings.Contains(err.Error(), path) {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}

func load(dir string, o formats.Options, f *formats.File) (*graph.Graph, []string, error) {
	m, err := formats.MapIn(dir, modelFile)
	if err != nil {
		return nil, nil, err
	}
	f.CloseWith(m)
	f.Bytes += int64(len(m.Data))
	file := filepath.Join(dir, modelFile)
	meta, err := readMeta(file, m.Data, o.Tags)
	if err != nil {
		return nil, nil, err
	}
	l := newLoader(Name, file, len(m.Data), meta.Graph)
	l.dir = dir
	if _, err := os.Stat(filepath.Join(dir, variablesDir, "variables.index")); err == nil {
		if l.vars, err = openBundle(filepath.Join(dir, variablesDir), "variables", f); err != nil {
			return nil, nil, err
		}
		if l.keys, err = l.vars.objectKeys(); err != nil {
			return nil, nil, err
		}
	}
	if err := l.setUp(meta); err != nil {
		return nil, nil, err
	}
	names, err := entryPoints(meta, o.Signature)
	if err != nil {
		return nil, nil, err
	}
	var defs []entryPoint
	for _, name := range names {
		defs = append(defs, entryPointOf(name, meta.Signatures[name]))
	}
	g, err := l.convertAll(defs)
	if err != nil {
		return nil, nil, err
	}
	g.Name = filepath.Base(filepath.Clean(dir))
	g.Meta = map[string]string{
		"tensorflow.version": versionOf(meta),
		MetaSignatures:       base64.StdEncoding.EncodeToString(tensorflow.Encode(&tensorflow.MetaGraph{Signatures: meta.Signatures})),
	}
	if meta.Info != nil {
		g.Meta["tensorflow.tags"] = strings.Join(meta.Info.Tags, ",")
	}
	return g, l.notes, g.Check()
}

func versionOf(m *tensorflow.MetaGraph) string {
	if m.Info == nil {
		return ""
	}
	return m.Info.TensorFlow
}

// readMeta decodes the file and chooses the meta graph: that with the tags, else the only one, else that for serving.
func readMeta(file string, data []byte, tags []string) (*tensorflow.MetaGraph, error) {
	var sm tensorflow.SavedModel
	if err := (tensorflow.Reader{Format: Name, Path: file}).Decode(data, 0, &sm); err != nil {
		return nil, err
	}
	var known []string
	var found []*tensorflow.MetaGraph
	for _, m := range sm.MetaGraphs {
		var own []string
		if m.Info != nil {
			own = m.Info.Tags
		}
		known = append(known, fmt.Sprintf("%q", own))
		switch {
		case tags == nil && len(sm.MetaGraphs) == 1, tags == nil && slices.Equal(own, []string{"serve"}), tags != nil && sameTags(own, tags):
			found = append(found, m)
		}
	}
	switch {
	case len(sm.MetaGraphs) == 0:
		return nil, &formats.SyntaxError{Format: Name, Path: file, Offset: 0, Err: errors.New("the model holds no graph")}
	case len(found) != 1:
		return nil, fmt.Errorf("%d graphs have the tags %q: the model's have %s", len(found), tags, strings.Join(known, ", "))
	case found[0].Graph == nil:
		return nil, &formats.SyntaxError{Format: Name, Path: file, Offset: 0, Err: errors.New("the meta graph holds no graph")}
	}
	return found[0], nil
}

func sameTags(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

// defaultSignature is the entry point that stands for a model with several.
const defaultSignature = "serving_default"

// mainOp is the collection that names the node which sets a model up.
const mainOp = "saved_model_main_op"

// initSignature and trainSignature name nodes that set a model up: they are no entry points.
const (
	initSignature  = "__saved_model_init_op"
	trainSignature = "__saved_model_train_op"
)

// entryPoints lists the signatures that can be called, that for serving first.
func entryPoints(meta *tensorflow.MetaGraph, only string) ([]string, error) {
	var names []string
	for _, name := range sorted(meta.Signatures) {
		if name == initSignature || name == trainSignature || name == defaultSignature {
			continue
		}
		names = append(names, name)
	}
	if meta.Signatures[defaultSignature] != nil {
		names = append([]string{defaultSignature}, names...)
	}
	if len(names) == 0 {
		return nil, errors.New("the model has no signature that can be called; in Python, tf.saved_model.save(model, directory, " +
			"signatures=...) or model.export(directory) write some")
	}
	if only == "" {
		return names, nil
	}
	if !slices.Contains(names, only) {
		return nil, fmt.Errorf("no signature %q: the model has %s", only, strings.Join(names, ", "))
	}
	return []string{only}, nil
}

// convertAll converts signatures, again if variables turn out to change. What is wrong with one of several is a warning.
func (l *loader) convertAll(defs []entryPoint) (*graph.Graph, error) {
	for {
		l.again = false
		l.reset()
		for _, r := range l.resources {
			r.state = nil
		}
		var errs []error
		for _, def := range defs {
			s, err := l.signature(def)
			var damage *formats.SyntaxError
			switch {
			case errors.As(err, &damage):
				return nil, err
			case err != nil:
				errs = append(errs, err)
			default:
				l.b.G.Signatures = append(l.b.G.Signatures, s)
			}
		}
		if l.again {
			continue
		}
		if len(l.b.G.Signatures) == 0 {
			return nil, errors.Join(errs...)
		}
		for _, err := range errs {
			l.note("left out: %v", err)
		}
		return l.finish()
	}
}

// finish drops what no signature needs and names what we do not know.
func (l *loader) finish() (*graph.Graph, error) {
	g := l.b.G
	for _, s := range g.Signatures {
		var in []*graph.Value
		for _, p := range s.Inputs {
			in = append(in, p.Value)
		}
		nameBatch(in)
	}
	first := g.Signatures[0]
	for _, p := range first.Outputs {
		g.Outputs = append(g.Outputs, p.Value)
	}
	prune(g)
	for _, n := range g.Nodes {
		if n.Meta[metaReason] != "" {
			l.note("node %q (%s): %s", n.Name, n.OpName(), n.Meta[metaReason])
		}
	}
	if len(g.Signatures) > 1 {
		return g, g.Infer()
	}
	return graph.Select(g, first.Name)
}

// prune drops the nodes that nothing needs.
func prune(g *graph.Graph) {
	live := map[*graph.Node]bool{}
	var todo []*graph.Value
	todo = append(todo, g.Outputs...)
	for _, s := range g.Signatures {
		for _, p := range append(append([]graph.Port{}, s.Outputs...), s.Next...) {
			todo = append(todo, p.Value)
		}
	}
	for len(todo) > 0 {
		v := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if v != nil && v.Def != nil && !live[v.Def] {
			live[v.Def] = true
			todo = append(todo, v.Def.In...)
		}
	}
	g.Remove(func(n *graph.Node) bool { return !live[n] })
}

// setUp runs the nodes that restore variables and initialize tables, as a server does when it loads the model. What fails
// there is missed only where a signature needs it.
func (l *loader) setUp(meta *tensorflow.MetaGraph) error {
	l.setup = true
	defer func() { l.setup = false }()
	var roots []string
	if meta.Saver != nil && meta.Saver.RestoreOp != "" {
		roots = append(roots, portOf(meta.Saver.RestoreOp).node)
	}
	for _, key := range []string{mainOp, "legacy_init_op"} {
		if c := meta.Collections[key]; c != nil && c.Nodes != nil {
			for _, name := range c.Nodes.Values {
				roots = append(roots, portOf(name).node)
			}
		}
	}
	if s := meta.Signatures[initSignature]; s != nil {
		for _, key := range sorted(s.Outputs) {
			roots = append(roots, portOf(s.Outputs[key].Name).node)
		}
	}
	for _, root := range roots {
		s, err := newScope(l, l.b, l.def.Nodes)
		if err != nil {
			return err
		}
		if err := l.feedAssets(s, meta.Assets); err != nil {
			return err
		}
		if s.nodes[root] == nil {
			continue
		}
		if err := s.need(nil, []string{root}); err != nil {
			l.note("setting the model up: %v", err)
		}
	}
	return nil
}
