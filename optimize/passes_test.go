package optimize

import (
	"slices"
	"strings"
	"testing"
)

func TestOrder(t *testing.T) {
	if err := checkOrder(); err != nil {
		t.Error(err)
	}
	saved := steps
	defer func() { steps = saved }()
	steps = slices.Clone(saved)
	slices.Reverse(steps)
	if err := checkOrder(); err == nil || !strings.Contains(err.Error(), "must run before") {
		t.Errorf("steps backwards: %v", err)
	}
	steps = append(slices.Clone(saved), saved[0])
	if err := checkOrder(); err == nil || !strings.Contains(err.Error(), "two steps") {
		t.Errorf("a step twice: %v", err)
	}
}

func TestPipelines(t *testing.T) {
	if len(ForEngine()) != len(steps) || len(Passes()) != len(steps) {
		t.Errorf("the engine's pipeline has %d steps of %d", len(ForEngine()), len(steps))
	}
	for _, p := range Default() {
		if i := slices.IndexFunc(steps, func(s step) bool { return s.name == p.Name() }); i < 0 || steps[i].engine {
			t.Errorf("step %q is in the default pipeline", p.Name())
		}
	}
}
