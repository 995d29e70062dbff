package savedmodel

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/internal/tensorflow"
)

// LoadGraph reads a frozen graph, a GraphDef whose variables are constants. Where Options do not say where it begins and
// ends, its inputs are its placeholders, and its outputs are what depends on them and nothing reads.
func LoadGraph(path string, o formats.Options) (*formats.File, error) {
	if o.Tags != nil || o.Signature != "" {
		return nil, fmt.Errorf("%s: a frozen graph has neither tags nor signatures", path)
	}
	m, err := formats.Map(path)
	if err != nil {
		return nil, err
	}
	f := &formats.File{Format: GraphName, Bytes: int64(len(m.Data))}
	f.CloseWith(m)
	if f.Graph, f.Warnings, err = readGraph(path, m.Data, o); err != nil {
		f.Close()
		return nil, at(path, err)
	}
	return f, nil
}

func readGraph(path string, data []byte, o formats.Options) (*graph.Graph, []string, error) {
	def := &tensorflow.GraphDef{}
	if err := (tensorflow.Reader{Format: GraphName, Path: path}).Decode(data, 0, def); err != nil {
		return nil, nil, err
	}
	if len(def.Nodes) == 0 {
		return nil, nil, &formats.SyntaxError{Format: GraphName, Path: path, Offset: 0, Err: errors.New("the file holds no graph")}
	}
	l := newLoader(GraphName, path, len(data), def)
	entry := entryPoint{name: "main", inputs: frozenPorts(o.Inputs), outputs: frozenPorts(o.Outputs)}
	if o.Inputs == nil {
		for _, n := range def.Nodes {
			if n.Op == "Placeholder" || n.Op == "PlaceholderV2" {
				entry.inputs = append(entry.inputs, frozenPort(n.Name))
			}
		}
	}
	if o.Outputs == nil {
		if entry.outputs = sinks(def.Nodes, entry.inputs); len(entry.outputs) == 0 {
			return nil, nil, errors.New("nothing depends on the graph's inputs: say with --inputs and --outputs where it begins and ends")
		}
	}
	g, err := l.convertAll([]entryPoint{entry})
	if err != nil {
		return nil, nil, err
	}
	g.Signatures = nil
	return g, l.notes, g.Check()
}

func frozenPorts(names []string) (out []port) {
	for _, name := range names {
		out = append(out, frozenPort(name))
	}
	return out
}

// frozenPort is named as its node, with the number of the output unless that is 0.
func frozenPort(name string) port {
	name = strings.TrimSuffix(name, ":0")
	return port{name, &tensorflow.TensorInfo{Name: name, DType: 1}}
}

// sinks lists the nodes that depend on inputs and that no node reads.
func sinks(nodes []*tensorflow.NodeDef, inputs []port) (out []port) {
	readers, read := map[string][]string{}, map[string]bool{}
	for _, n := range nodes {
		for _, in := range n.Inputs {
			e, control := parseInput(in)
			readers[e.node] = append(readers[e.node], n.Name)
			read[e.node] = read[e.node] || !control
		}
	}
	fed := map[string]bool{}
	var todo []string
	for _, p := range inputs {
		todo = append(todo, portOf(p.info.Name).node)
	}
	depends := map[string]bool{}
	for _, name := range todo {
		fed[name] = true
	}
	for len(todo) > 0 {
		name := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !depends[name] {
			depends[name] = true
			todo = append(todo, readers[name]...)
		}
	}
	for _, n := range nodes {
		if depends[n.Name] && !read[n.Name] && !fed[n.Name] && n.Op != "NoOp" && n.Op != "Assert" {
			out = append(out, frozenPort(n.Name))
		}
	}
	return out
}
