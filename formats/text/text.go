// Package text reads and writes models in the text form of graph.Print, as a person writes them: a network whose
// parameters still wait for their values is such a file.
package text

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
	_ "github.com/tfsopt/tfsopt/ops" // registers the operators that nodes become
)

// Name is the format's name in errors and reports.
const Name = "text"

func init() {
	formats.Register(formats.Format{
		Text: true, Entries: true,
		Name: Name, Exts: []string{".tfg"}, Detect: detect, Load: formats.Plain(Name, Load), Save: Save, Decode: Read, Encode: Write,
	})
}

// detect looks for the word that begins a graph, after blanks and comments.
func detect(path string, head []byte) bool {
	if strings.EqualFold(filepath.Ext(path), ".tfg") {
		return true
	}
	for {
		head = bytes.TrimLeft(head, " \t\r\n")
		if !bytes.HasPrefix(head, []byte("#")) {
			return bytes.HasPrefix(head, []byte(`graph "`))
		}
		_, head, _ = bytes.Cut(head, []byte("\n"))
	}
}

// Load reads a model. A mistake in the text is a *graph.ParseError, which tells line and column; a node that cannot be
// right is a *graph.OpError. Both are wrapped by the path.
func Load(path string) (*formats.File, error) {
	m, err := formats.Map(path)
	if err != nil {
		return nil, err
	}
	defer m.Close() // the graph keeps nothing of the text
	f := &formats.File{Format: Name, Bytes: int64(len(m.Data))}
	f.Graph, f.Warnings, err = Read(m.Data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// Read reads a model from memory. The warnings tell of parameters that have a rule in place of a value.
func Read(b []byte) (g *graph.Graph, warnings []string, err error) {
	g, err = graph.Parse(bytes.NewReader(b))
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(g.SortDeep(), g.Infer(), g.Check()); err != nil {
		return nil, nil, err
	}
	var wait []string
	for _, v := range g.Values() {
		if v.IsConst() && v.Meta[graph.MetaInit] != "" {
			wait = append(wait, v.Name)
		}
	}
	if len(wait) > 0 {
		warnings = append(warnings, fmt.Sprintf("%d parameters have no values before train draws them: %s",
			len(wait), strings.Join(shorten(wait), ", ")))
	}
	return g, warnings, nil
}

// shorten keeps a few names.
func shorten(names []string) []string {
	if len(names) <= 4 {
		return names
	}
	return append(names[:3:3], "…")
}

// Save writes g with its constants in full, whole or not at all.
func Save(ctx context.Context, g *graph.Graph, path string) (warnings []string, err error) {
	return nil, formats.Atomic(ctx, path, func(w io.Writer) error {
		_, err := Write(w, g)
		return err
	})
}

// Write writes g with its constants in full.
func Write(w io.Writer, g *graph.Graph) (warnings []string, err error) {
	return nil, graph.Print(w, g, graph.PrintOptions{Data: true})
}
