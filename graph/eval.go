package graph

import (
	"context"
	"errors"
	"fmt"

	"github.com/tfsopt/tfsopt/tensor"
)

// Eval runs g with the operators' own kernels: the reference that everything faster is compared with. inputs follow
// g.Inputs. It fails with UnsupportedError if an operator has no kernel, with OpError at the node that fails.
func Eval(ctx context.Context, g *Graph, inputs []*tensor.Tensor) ([]*tensor.Tensor, error) {
	return EvalObserve(ctx, g, inputs, nil)
}

// EvalObserve is Eval; see, if not nil, is shown every value that a node makes, in order.
func EvalObserve(ctx context.Context, g *Graph, inputs []*tensor.Tensor, see func(*Value, *tensor.Tensor)) ([]*tensor.Tensor, error) {
	if missing := Unsupported(g); len(missing) > 0 {
		return nil, &UnsupportedError{missing}
	}
	if err := g.SortDeep(); err != nil {
		return nil, err
	}
	x := &Exec{Ctx: ctx}
	x.Body = func(b *Graph, in []*tensor.Tensor) ([]*tensor.Tensor, error) { return evalBody(x, b, in, nil) }
	return evalBody(x, g, inputs, see)
}

func evalBody(x *Exec, g *Graph, inputs []*tensor.Tensor, see func(*Value, *tensor.Tensor)) ([]*tensor.Tensor, error) {
	if len(inputs) != len(g.Inputs) {
		return nil, fmt.Errorf("graph %q takes %d inputs, got %d", g.Name, len(g.Inputs), len(inputs))
	}
	env := make(map[*Value]*tensor.Tensor, len(g.Nodes))
	for i, v := range g.Inputs {
		env[v] = inputs[i]
	}
	for _, s := range g.States {
		env[s.Value] = s.Init
	}
	left := make(map[*Value]int, len(g.Nodes))
	for _, n := range g.Nodes {
		for _, v := range n.In {
			left[v]++
		}
	}
	g.ports(func(p **Value) { left[*p]++ })
	for _, n := range g.Nodes {
		if err := x.Ctx.Err(); err != nil {
			return nil, err
		}
		if err := evalNode(x, n, env); err != nil {
			return nil, NodeError(n, err)
		}
		for _, v := range n.Out {
			if v != nil && see != nil {
				see(v, env[v])
			}
		}
		for _, v := range n.In {
			if left[v]--; left[v] == 0 {
				delete(env, v)
			}
		}
	}
	out := make([]*tensor.Tensor, len(g.Outputs))
	for i, v := range g.Outputs {
		if out[i] = lookup(env, v); out[i] == nil {
			return nil, fmt.Errorf("output %q was not computed", v.Name)
		}
	}
	return out, nil
}

func lookup(env map[*Value]*tensor.Tensor, v *Value) *tensor.Tensor {
	if v.IsConst() {
		return v.Const
	}
	return env[v]
}

func evalNode(x *Exec, n *Node, env map[*Value]*tensor.Tensor) error {
	in := make([]*tensor.Tensor, len(n.In))
	for i, v := range n.In {
		if v == nil {
			continue
		}
		if in[i] = lookup(env, v); in[i] == nil {
			return fmt.Errorf("input %d (%q) has no value", i, v.Name)
		}
	}
	out := make([]*tensor.Tensor, len(n.Out))
	for i, v := range n.Out {
		if v != nil {
			out[i] = &tensor.Tensor{}
		}
	}
	x.Node = n
	if err := RunKernel(x, n.Op, in, out); err != nil {
		return err
	}
	for i, v := range n.Out {
		if v != nil {
			env[v] = out[i]
		}
	}
	return nil
}

// RunKernel runs an operator's kernel; a panic in it, which hostile shapes could provoke, becomes an error.
func RunKernel(x *Exec, op Op, in, out []*tensor.Tensor) (err error) {
	k, ok := op.(Kernel)
	if !ok {
		return errors.New("the operator cannot run here")
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("inputs do not fit the operator: %v", p)
		}
	}()
	return k.Run(x, in, out)
}
