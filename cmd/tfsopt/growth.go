package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tfsopt/tfsopt/graph"
)

// constants are the sizes of a graph's constants by name, those of bodies among them.
func constants(g *graph.Graph) map[string]int {
	sizes := map[string]int{}
	g.Walk(func(n *graph.Node) {
		for _, v := range n.In {
			if v.IsConst() {
				sizes[v.Name] = v.Const.Bytes()
			}
		}
	})
	return sizes
}

// growth says why a file became larger than the one that it was made of; before are the constants of that.
func growth(before map[string]int, g *graph.Graph, from, to int64) string {
	type added struct {
		name  string
		bytes int
	}
	var news []added
	more := 0
	after := constants(g)
	for name, n := range after {
		more += n
		if n > before[name] {
			news = append(news, added{name, n - before[name]})
		}
	}
	for _, n := range before {
		more -= n
	}
	slices.SortFunc(news, func(a, b added) int { return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.name, b.name)) })
	var names []string
	for _, a := range news[:min(3, len(news))] {
		names = append(names, fmt.Sprintf("%q, %s", a.name, bytesText(int64(a.bytes))))
	}
	why := fmt.Sprintf("its constants take %s more", bytesText(int64(more)))
	switch {
	case more <= 0:
		why = fmt.Sprintf("names and nodes take %s more, its constants %s less", bytesText(to-from-int64(more)), bytesText(int64(-more)))
	case int64(more) < (to-from)/2:
		why += fmt.Sprintf(" and names and nodes %s", bytesText(to-from-int64(more)))
	}
	if names != nil && more > 0 {
		why += ", the largest new ones being " + strings.Join(names, ", ")
	}
	return fmt.Sprintf("the file grew from %s to %s: %s", bytesText(from), bytesText(to), why)
}
