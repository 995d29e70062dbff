package graph

import (
	"fmt"
	"strings"
)

// OpError is a failure at a node: node "conv_12" (Conv): input 1: want rank 4, got 2.
type OpError struct {
	Node, Op string
	Err      error
}

func (e *OpError) Error() string { return fmt.Sprintf("node %q (%s): %v", e.Node, e.Op, e.Err) }

// Unwrap gives the cause.
func (e *OpError) Unwrap() error { return e.Err }

// NodeError wraps err with the node's name and operator, once.
func NodeError(n *Node, err error) error {
	if err == nil {
		return nil
	}
	return &OpError{Node: n.Name, Op: n.OpName(), Err: err}
}

// PassError is a failure inside a pass.
type PassError struct {
	Pass string
	Err  error
}

func (e *PassError) Error() string { return fmt.Sprintf("pass %s: %v", e.Pass, e.Err) }

// Unwrap gives the cause.
func (e *PassError) Unwrap() error { return e.Err }

// NameError is an option that names what the graph does not have: exclude "conv9": the graph has no such node.
type NameError struct{ Option, Name, Problem string }

func (e *NameError) Error() string { return fmt.Sprintf("%s %q: %s", e.Option, e.Name, e.Problem) }

// OpName is the operator's name with its domain unless that is ONNX's own: "Conv", "com.microsoft.Gelu".
func (n *Node) OpName() string {
	domain, name := NameOf(n.Op)
	if domain == "" {
		return name
	}
	return domain + "." + name
}

// Unsupported lists every operator that a graph holds, bodies too, and that cannot run, each once, in order of
// appearance.
func Unsupported(g *Graph) []string {
	var out []string
	seen := map[string]bool{}
	g.Walk(func(n *Node) {
		if _, ok := n.Op.(Kernel); !ok && !seen[n.OpName()] {
			seen[n.OpName()] = true
			out = append(out, n.OpName())
		}
	})
	return out
}

// UnsupportedError names all operators that a model needs and this program lacks.
type UnsupportedError struct{ Ops []string }

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%d operators cannot run here: %s", len(e.Ops), strings.Join(e.Ops, ", "))
}
