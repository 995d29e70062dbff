package quantize_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/quantize"
)

// TestCorrectResumes looks at the passes of bias correction: layers that do not stand before one another share one, and all
// that find what the last one kept read no samples.
func TestCorrectResumes(t *testing.T) {
	g := network(t)
	set := data.Random(inputs(g), 8, 1)
	passes, _, added := quantize.Correct(t, g, set, 1<<30)
	want := "[[conv1] [depthwise] [project] [e1 e3] [fc]]"
	if got := fmt.Sprint(passes); got != want {
		t.Errorf("passes %s, want %s", got, want)
	}
	// 8,192 bytes hold the input's integers and those after the pooling, but not those between.
	for budget, want := range map[int]int{1 << 30: 4, 8192: 4, 0: 0} {
		_, bare, same := quantize.Correct(t, g, set, budget)
		if bare != want {
			t.Errorf("%d passes read no samples where %d bytes are kept, want %d", bare, budget, want)
		}
		if diff := cmp.Diff(added, same); diff != "" {
			t.Errorf("other corrections where %d bytes are kept: %s", budget, diff)
		}
	}
}
