package prune

import (
	"context"
	"slices"
	"strings"
	"testing"
)

func TestParsePattern(t *testing.T) {
	for text, want := range map[string]pattern{
		"": {block: 1}, "unstructured": {block: 1}, "2:4": {1, 2, 4}, "1:8": {1, 1, 8}, "4x1": {block: 4}, "16x1": {block: 16},
	} {
		if got, err := parsePattern(text); err != nil || got != want {
			t.Errorf("%q gives %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"4:4", "0:4", "2:", "x1", "0x1", "1x4", "dense", "2:4:8", "65x1"} {
		if got, err := parsePattern(text); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q gives %+v, error %v", text, got, err)
		}
	}
}

func TestPatternSparsity(t *testing.T) {
	for _, c := range []struct {
		pattern    string
		given, got float64
		bad        bool
	}{
		{"2:4", 0, 0.5, false},
		{"2:4", 0.5, 0.5, false},
		{"2:4", 0.8, 0, true},
		{"1:4", 0.75, 0.75, false},
		{"unstructured", 0.8, 0.8, false},
		{"unstructured", 1, 0, true},
		{"4x1", -0.1, 0, true},
	} {
		_, err := Options{Pattern: c.pattern, Sparsity: c.given}.check()
		if (err != nil) != c.bad {
			t.Errorf("%s at %g: error %v", c.pattern, c.given, err)
		}
	}
}

// check is the sparsity that options settle on.
func (o Options) check() (float64, error) {
	o, _, err := o.defaults()
	return o.Sparsity, err
}

func prunedBy(t *testing.T, text string, o Options) *Result {
	t.Helper()
	r, err := Weights(context.Background(), parse(t, text), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// channels is a 1x2 convolution of four channels: its groups of four are the channels at one tap, two apart in memory.
const channels = `graph "channels" {
  opset "" 17
  input x: float32[batch,4,1,2]
  const w: float32[2,4,1,2] = {1, 8, 2, 7, 3, 6, 4, 5, 9, 1, 8, 9, 7, 2, 6, 8}
  y: float32[batch,2,1,1] = Conv(x, w) "conv"
  output y
}`

func TestTwoOfFour(t *testing.T) {
	r := prunedBy(t, channels, Options{Pattern: "2:4"})
	want := []float32{0, 8, 0, 7, 3, 0, 4, 0, 9, 0, 8, 9, 0, 0, 0, 8}
	if got := floats(r.Graph, "w"); !slices.Equal(got, want) {
		t.Errorf("2:4 gives %v, want %v", got, want)
	}
	if r.Sparsity != 0.5 || r.Layers[0].Zeros != 8 {
		t.Errorf("report %+v", r.Layers)
	}
}

func TestTwoOfFourProduct(t *testing.T) {
	r := prunedBy(t, net, Options{Pattern: "2:4", Include: []string{"fc"}})
	// The input channels of y = f·v are v's rows.
	if got, want := floats(r.Graph, "v"), []float32{0, 0, 0, 0, 50, 60, 70, 80}; !slices.Equal(got, want) {
		t.Errorf("2:4 gives %v, want %v", got, want)
	}
}

func TestTies(t *testing.T) {
	p, order := pattern{block: 1, keep: 2, of: 4}, make([]int, 4)
	p.least([]float64{1, 1, 1, 1}, order)
	if !slices.Equal(order, []int{3, 2, 1, 0}) {
		t.Errorf("equals go in the order %v, want the last first", order)
	}
}

func TestBlocks(t *testing.T) {
	r := prunedBy(t, net, Options{Pattern: "4x1", Sparsity: 0.5, Include: []string{"Conv"}})
	// Σ w² by column: 1+64+0.0625+81, 4+49+1/16+81, 9+36+1/64+81, 16+25+1+81: columns 2 and 3 go.
	want := []float32{1, -2, 0, 0, 8, 7, 0, 0, 0.5, 0.25, 0, 0, 9, -9, 0, 0}
	if got := floats(r.Graph, "w"); !slices.Equal(got, want) {
		t.Errorf("4x1 gives %v, want %v", got, want)
	}
}

func TestMisfitsStay(t *testing.T) {
	r := prunedBy(t, net, Options{Pattern: "4x1", Sparsity: 0.5})
	if r.Layers[1].Zeros != 0 || !strings.Contains(r.Layers[1].Kept, "2 output channels") {
		t.Errorf("a product with two outputs: %+v", r.Layers[1])
	}
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "fc") {
		t.Errorf("warnings %q", r.Warnings)
	}
	_, err := Weights(context.Background(), parse(t, net), Options{Pattern: "1:3"})
	if err == nil || !strings.Contains(err.Error(), "no layer fits the pattern 1:3") {
		t.Errorf("1:3 of four channels: error %v", err)
	}
}

// The rows after the last whole block stay.
func TestBlockRemainder(t *testing.T) {
	const text = `graph "rest" {
  opset "" 17
  input x: float32[2,2]
  const w: float32[5,2] = {1, 5, 1, 5, 1, 5, 1, 5, 0.1, 0.1}
  const b: float32[5] = {0, 0, 0, 0, 0}
  y: float32[2,5] = Gemm(x, w, b) {transB=1} "fc"
  output y
}`
	for _, solve := range []bool{false, true} {
		o := Options{Pattern: "4x1", Sparsity: 0.5, Reconstruct: solve}
		if solve {
			o.Data = samplesFor(t, parse(t, text), 20)
		}
		r := prunedBy(t, text, o)
		for i, x := range floats(r.Graph, "w") {
			if (x == 0) != (i < 8 && i%2 == 0) {
				t.Errorf("reconstruction %v: element %d is %v", solve, i, x)
			}
		}
		if len(r.Warnings) == 0 || !strings.Contains(r.Warnings[0], "the last 1 of 5") {
			t.Errorf("warnings %q", r.Warnings)
		}
	}
}
