package kernels

import (
	"strings"
	"testing"
)

func TestSelect(t *testing.T) {
	sets := Available()
	if sets[0].Name != "generic" {
		t.Fatalf("first set is %q, want generic", sets[0].Name)
	}
	for _, want := range sets {
		got, err := Select(want.Name)
		if err != nil || got != want {
			t.Errorf("Select(%q) = %v, %v", want.Name, got, err)
		}
	}
	if best, err := Select(""); err != nil || best != sets[len(sets)-1] {
		t.Errorf("Select(\"\") = %v, %v, want %s", best, err, sets[len(sets)-1].Name)
	}
	if _, err := Select("neon2"); err == nil || !strings.Contains(err.Error(), `no set "neon2", want one of generic`) {
		t.Errorf("Select of an unknown name: %v", err)
	}
	for _, name := range []string{"avx2", "avx512", "vnni"} {
		if _, err := Select(name); err != nil && !strings.Contains(err.Error(), "needs") {
			t.Errorf("Select(%q): %v, want what is missing", name, err)
		}
	}
}
