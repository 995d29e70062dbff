package optimize

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
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
	if len(ForEngine()) != len(steps) {
		t.Errorf("the engine's pipeline has %d steps of %d", len(ForEngine()), len(steps))
	}
	for _, p := range Default() {
		if i := slices.IndexFunc(steps, func(s step) bool { return s.name == p.Name() }); i < 0 || steps[i].engine {
			t.Errorf("step %q is in the default pipeline", p.Name())
		}
	}
}

// TestPipelinesKeepMeaning runs the whole pipelines on the graph of every golden.
func TestPipelinesKeepMeaning(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no goldens: %v", err)
	}
	for name, p := range map[string]graph.Pipeline{"default": Default(), "engine": ForEngine()} {
		for _, file := range files {
			t.Run(name+"/"+filepath.Base(file), func(t *testing.T) {
				b, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				before, _, _ := strings.Cut(string(b), divider)
				g := parse(t, before)
				optimized := g.Clone()
				if _, err := p.Run(t.Context(), optimized, nil); err != nil {
					t.Fatal(err)
				}
				sameMeaning(t, g, optimized, 2e-6)
				watchAll(t, g, p, 2e-6)
				if again, err := p.Run(t.Context(), optimized, nil); err != nil || slices.ContainsFunc(again, func(r graph.PassResult) bool { return r.Changes > 0 }) {
					t.Errorf("a second run changes something: %v, %v", again, err)
				}
			})
		}
	}
}
