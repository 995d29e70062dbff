package graph_test

import (
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
	_ "github.com/tfsopt/tfsopt/ops"
)

const twoEntries = `graph "two" {
  opset "" 17
  input a: float32[n]
  input b: float32[n]
  state "s" s: float32[1] = float32[1] {1}
  c: float32[n] = Relu(a)
  d: float32[n] = Add(c, b)
  e: float32[n] = Mul(d, s)
  output e
  signature "whole" "m" {
    input "b" = a
    input "other" = b
    output "e" = e
  }
  signature "tail" "m" {
    input "c" = c
    input "b" = b
    output "d" = d
  }
  signature "short" "m" {
    input "a" = a
    output "d" = d
  }
}`

func TestSelect(t *testing.T) {
	parse := func(text string) *graph.Graph {
		g, err := graph.Parse(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Check(); err != nil {
			t.Fatal(err)
		}
		return g
	}
	g := parse(twoEntries)
	text := func(g *graph.Graph) string {
		var b strings.Builder
		if err := graph.Print(&b, g, graph.PrintOptions{}); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	before := text(g)
	names := func(list []*graph.Value) (out string) {
		for _, v := range list {
			out += v.Name + " "
		}
		return out
	}
	for name, want := range map[string][3]string{"whole": {"b other ", "e ", "Relu Add Mul "}, "tail": {"c b ", "d ", "Add "}} {
		c, err := graph.Select(g, name)
		if err != nil {
			t.Fatal(err)
		}
		ops := ""
		for _, n := range c.Nodes {
			ops += n.OpName() + " "
		}
		if got := [3]string{names(c.Inputs), names(c.Outputs), ops}; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		if err := c.Check(); err != nil || len(c.States) != 1 || len(c.Signatures) != 1 {
			t.Errorf("%s: %v, %d states, %d signatures", name, err, len(c.States), len(c.Signatures))
		}
		if again := text(parse(text(c))); again != text(c) {
			t.Errorf("%s: the text form does not hold it:\n%s", name, again)
		}
	}
	if text(g) != before {
		t.Error("Select changed the graph")
	}
	for name, want := range map[string]string{"none": `the model has "whole", "tail", "short"`, "short": `signature "short": its outputs need "b"`} {
		if _, err := graph.Select(g, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

func TestCheckLooksAtSignatures(t *testing.T) {
	for change, want := range map[[2]string]string{
		{`input "other" = b`, `input "b" = b`}:                             `signature "whole": input "b" is there twice`,
		{`input "other" = b`, `input "other" = a`}:                         `feeds "a", as another does`,
		{`input "other" = b`, `input "other" = s`}:                         `input "other" feeds a state`,
		{`output "e" = e`, "output \"e\" = e\n next \"q\" = e"}:            `next "q": there is no such state`,
		{`signature "tail"`, `signature "whole"`}:                          `two signatures are named "whole"`,
		{`"s" s: float32[1] = float32[1]`, `"s" s: int64[1] = float32[1]`}: `state "s" of int64[1] begins as float32[1]`,
	} {
		g, err := graph.Parse(strings.NewReader(strings.Replace(twoEntries, change[0], change[1], 1)))
		if err == nil {
			err = g.Check()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", change[1], err, want)
		}
	}
}
