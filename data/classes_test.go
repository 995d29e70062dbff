package data

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/tensor"
)

// TestLike opens sets whose classes and categories are some of those of a first set: the first one's numbers hold.
func TestLike(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"all.csv": "a,c,y\n1,red,cat\n2,green,dog\n3,blue,owl\n", "some.csv": "a,c,y\n4,red,owl\n5,green,dog\n",
		"class.csv": "a,c,y\n4,red,fox\n", "value.csv": "a,c,y\n4,pink,cat\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	open := func(name string, like *Set) (*Set, error) {
		return Open(Options{Path: filepath.Join(dir, name), LabelColumn: "y", Preprocess: "none:onehot=c", Like: like})
	}
	all, err := open("all.csv", nil)
	if err != nil {
		t.Fatal(err)
	}
	part, err := open("some.csv", all)
	if err != nil {
		t.Fatal(err)
	}
	if part.Label(0) != 2 || part.Label(1) != 1 || !slices.Equal(part.Classes(), all.Classes()) {
		t.Errorf("labels %d and %d of classes %v, want 2 and 1 of %v", part.Label(0), part.Label(1), part.Classes(), all.Classes())
	}
	for i, want := range [][]float32{{4, 0, 0, 1}, {5, 0, 1, 0}} { // blue, green, red
		s, err := part.Sample(i)
		if err != nil {
			t.Fatal(err)
		}
		if got := tensor.View[float32](s.In[0]); !slices.Equal(got, want) {
			t.Errorf("sample %d is %v, want %v", i, got, want)
		}
	}
	for name, want := range map[string][]string{
		"class.csv": {`class "fox"`, "that has cat, dog, owl, this has fox"},
		"value.csv": {`column "c": value "pink"`, "that has blue, green, red, this has pink"},
	} {
		_, err := open(name, all)
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v, want %q", name, err, w)
			}
		}
	}
}
