package evaluate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tfsopt/tfsopt/graph"
)

// columnClasses gives the classes of an output's columns as a classical model's operators name them, integers or strings;
// nil if none does.
func columnClasses(v *graph.Value) (ints []int64, texts []string) {
	for v != nil && v.Def != nil {
		for _, a := range graph.AttrsOf(v.Def.Op) {
			if !strings.HasPrefix(a.Name, "classlabels") {
				continue
			}
			if l, ok := a.Value.([]int64); ok && len(l) > 0 {
				return l, nil
			}
			if l, ok := a.Value.([]string); ok && len(l) > 0 {
				return nil, l
			}
		}
		_, name := graph.NameOf(v.Def.Op)
		if !carriers[name] && name != "Normalizer" || len(v.Def.In) == 0 {
			return nil, nil
		}
		v = v.Def.In[0]
	}
	return nil, nil
}

// scoresFit reports whether column k of an output's scores is the label k: not if the model numbers its classes otherwise. It is
// an error if both the model and the data name the classes, but in another order.
func scoresFit(v *graph.Value, known []string) (bool, error) {
	ints, texts := columnClasses(v)
	for k, l := range ints {
		if l != int64(k) {
			return false, nil
		}
	}
	if texts != nil && known != nil && !slices.Equal(texts, known) {
		return false, fmt.Errorf("output %q has the classes %q, the data has %q", v.Name, texts, known)
	}
	return true, nil
}
