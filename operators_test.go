package tfsopt_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	_ "github.com/tfsopt/tfsopt/ops"
)

var update = flag.Bool("update", false, "write docs/operators.md")

const (
	pagePath = "docs/operators.md"
	pageHead = `# Operators

Generated from the registry by ` + "`make generate`" + `; a test fails when it is stale.

- **since**: the opset of its domain from which the form that tfsopt keeps is valid. Older files are upgraded on load
  (docs/formats.md); a file that holds the operator is saved with at least this opset.
- **engine**: *fast* has steps of its own in the engine, at least for the usual types and ranks; *kernel* runs the
  reference kernel, naive loops, which is also what fast falls back to; *no* cannot run and only survives a round trip.
- **quantization**: what the operator says about itself. *weight N, axis A*: input N is a weight whose output channels lie
  along axis A; *bias N*: input N is a bias; *moves*: only moves data, so its output shares its input's parameters;
  *shared*: several data inputs; *activations*: takes and gives quantized activations; nothing: stays float.

`
)

// TestOperatorsPage fails if docs/operators.md is not what the registry says; with -update it writes the page.
func TestOperatorsPage(t *testing.T) {
	page := operatorsPage()
	if *update {
		if err := os.WriteFile(pagePath, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	old, err := os.ReadFile(pagePath)
	if err != nil {
		t.Fatal(err)
	}
	if strings.ReplaceAll(string(old), "\r\n", "\n") != page {
		t.Errorf("%s is stale: run make generate", pagePath)
	}
}

func operatorsPage() string {
	var b strings.Builder
	b.WriteString(pageHead)
	domains := graph.Domains()
	slices.Sort(domains)
	for _, domain := range domains {
		title := domain
		if title == "" {
			title = "ONNX"
		}
		names := graph.Registered(domain)
		fmt.Fprintf(&b, "## %s: %d operators\n\n| operator | since | engine | quantization | attributes |\n|---|---|---|---|---|\n", title, len(names))
		for _, name := range names {
			op := graph.Zero(domain, name)
			fmt.Fprintf(&b, "| %s | %d | %s | %s | %s |\n",
				name, graph.Since(op), speed(domain, name, op), quantization(op), strings.Join(graph.Attributes(domain, name), ", "))
		}
		b.WriteByte('\n')
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

func speed(domain, name string, op graph.Op) string {
	if domain != "" {
		name = domain + "." + name
	}
	if slices.Contains(engine.Lowered(), name) {
		return "fast"
	}
	if _, ok := op.(graph.Kernel); ok {
		return "kernel"
	}
	return "no"
}

func quantization(op graph.Op) string {
	q, ok := op.(graph.Quantizable)
	if !ok {
		return ""
	}
	d := q.Quant()
	var words []string
	if d.Moves {
		words = append(words, "moves")
	}
	if d.All {
		words = append(words, "shared")
	}
	if d.Weight > 0 {
		words = append(words, fmt.Sprintf("weight %d, axis %d", d.Weight, d.Axis))
	}
	if d.Bias > 0 {
		words = append(words, fmt.Sprintf("bias %d", d.Bias))
	}
	if words == nil {
		return "activations"
	}
	return strings.Join(words, "; ")
}
