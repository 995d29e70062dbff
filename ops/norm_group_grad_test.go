package ops

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() {
	affine := tensors(spread(1, 3, 4, 2, 3), spread(2, 4), spread(3, 4))
	line := tensors(spread(1, 2, 6, 3), spread(2, 6), spread(3, 6))
	for name, in := range map[string][]*tensor.Tensor{"planes": affine, "line": line} {
		fixed := append(in[:3:3], spread(4, in[1].Len()), within(5, 0.5, 2, in[1].Len()))
		gradCases(BatchNormalization{Epsilon: 1e-2, Momentum: 0.9}, gradCase{name: name, in: fixed, fixed: []int{3, 4}})
		gradCases(BatchNormalization{Epsilon: 1e-2, Momentum: 0.9, TrainingMode: true}, gradCase{name: name + ", training", in: fixed, fixed: []int{3, 4}})
		gradCases(InstanceNormalization{Epsilon: 1e-2}, gradCase{name: name, in: in})
		for _, groups := range []int{1, 2, in[1].Len()} {
			gradCases(GroupNormalization{Epsilon: 1e-2, NumGroups: groups, StashType: 1}, gradCase{name: fmt.Sprint(name, groups), in: in})
		}
		for _, size := range []int{1, 2, 3, 5} {
			gradCases(LRN{Alpha: 0.5, Beta: 0.75, Bias: 1, Size: size}, gradCase{name: fmt.Sprint(name, size), in: in[:1]})
		}
	}
	for _, training := range []bool{false, true} {
		for name, x := range map[string]*tensor.Tensor{"features": spread(1, 5, 3), "one channel": spread(1, 5, 1), "vector": spread(1, 5)} {
			c := 1
			if name == "features" {
				c = 3
			}
			gradCases(BatchNormalization{Epsilon: 1e-2, Momentum: 0.9, TrainingMode: training}, gradCase{
				name: name, in: tensors(x, spread(2, c), spread(3, c), spread(4, c), within(5, 0.5, 2, c)), fixed: []int{3, 4},
			})
		}
	}
}

func TestRunningMomentsHaveNoGradient(t *testing.T) {
	b := graph.NewBuilder(&graph.Graph{})
	var in []*graph.Value
	for i, x := range tensors(spread(1, 2, 3), spread(2, 3), spread(3, 3), spread(4, 3), spread(5, 3)) {
		in = append(in, graph.NewInput(fmt.Sprintf("in%d", i), graph.TypeOf(x)))
	}
	out := b.AddN("bn", 3, BatchNormalization{Epsilon: 1e-5, TrainingMode: true}, in...)
	out[0].Def.Op.(graph.Differentiable).Grad(b, out[0].Def, []*graph.Value{nil, in[1], nil})
	if b.Err == nil || !strings.Contains(b.Err.Error(), "running mean") {
		t.Errorf("error %v, want one on the running mean", b.Err)
	}
}
