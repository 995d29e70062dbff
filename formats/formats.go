// Package formats knows the model file formats: it finds the one that a file is in, loads it into a graph and saves a
// graph by the extension of its path. The formats themselves are packages below this one that register in init.
package formats

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/tfsopt/tfsopt/graph"
)

// File is a loaded model. Constants of Graph may alias the mapped file until Close.
type File struct {
	Graph    *graph.Graph
	Format   string   // name of the format, such as "ONNX"
	Bytes    int64    // size of the model with its external data
	Warnings []string // what the graph does not hold as the file did
	Default  string   // the signature that stands for a model with several; "": the graph's own inputs and outputs do
	closers  []io.Closer
}

// CloseWith makes Close close c too.
func (f *File) CloseWith(c io.Closer) { f.closers = append(f.closers, c) }

// Close unmaps the file. Constants that alias it are invalid afterwards. It may be called twice.
func (f *File) Close() error {
	var errs []error
	for _, c := range f.closers {
		errs = append(errs, c.Close())
	}
	f.closers = nil
	return errors.Join(errs...)
}

// Format reads and writes one kind of model file. Save is nil for formats that are only read.
type Format struct {
	Name string
	Text bool // its files are text
	// Directory says that its models are directories, which are written where a path has no extension.
	Directory bool
	Entries   bool     // its files hold several entry points
	Exts      []string // lower case, with the dot; the first is the usual one
	Detect    func(path string, head []byte) bool
	Load      func(path string, o Options) (*File, error)
	Save      func(ctx context.Context, g *graph.Graph, path string) (warnings []string, err error)

	// Decode and Encode read and write a model that is one piece, which is how it is compressed; nil where it is not one
	// file. The graph may alias b. A *SyntaxError's Path is filled in by the caller.
	Decode func(b []byte) (g *graph.Graph, warnings []string, err error)
	Encode func(w io.Writer, g *graph.Graph) (warnings []string, err error)
}

var registered []Format

// Register makes a format known. Formats are asked in order of registration.
func Register(f Format) { registered = append(registered, f) }

// headSize is how much of a file Detect may look at.
const headSize = 4096

// Detect finds the format of a file or directory by its extension and first bytes. Of a compressed file it is that of
// the model inside, as far as the extensions tell.
func Detect(path string) (*Format, error) {
	head, err := readHead(path)
	if err != nil {
		return nil, err
	}
	if c, inner := compressedFile(path, head); c != nil {
		path, head = inner, nil
	}
	if f := detectIn(path, head); f != nil {
		return f, nil
	}
	return nil, unknown(path)
}

func unknown(path string) error {
	return fmt.Errorf("%s: not a model in a known format (%s)", path, strings.Join(Names(), ", "))
}

// detectIn asks the formats; nil: none fits.
func detectIn(path string, head []byte) *Format {
	ext := strings.ToLower(filepath.Ext(path))
	for _, byExt := range []bool{true, false} { // a fitting extension wins over looks
		for i := range registered {
			f := &registered[i]
			if f.hasExt(ext) == byExt && f.Detect(path, head) {
				return f
			}
		}
	}
	return nil
}

func readHead(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || st.IsDir() {
		return nil, err
	}
	head := make([]byte, headSize)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	return head[:n], nil
}

func (f *Format) hasExt(ext string) bool {
	for _, e := range f.Exts {
		if e == ext {
			return true
		}
	}
	return false
}

// Names lists the registered formats.
func Names() []string {
	var out []string
	for _, f := range registered {
		out = append(out, f.Name)
	}
	return out
}

// Load reads a model in whatever format it is, compressed by zstd or xz or not. Damage is a *SyntaxError, a node that
// cannot be right a *graph.OpError. The caller closes the File once nothing uses its constants.
func Load(path string) (*File, error) { return LoadWith(path, Options{}) }

// LoadWith is Load of what the options choose.
func LoadWith(path string, o Options) (*File, error) {
	head, err := readHead(path)
	if err != nil {
		return nil, err
	}
	if c, inner := compressedFile(path, head); c != nil {
		return Plain("compressed", func(path string) (*File, error) { return c.load(path, inner) })(path, o)
	}
	f := detectIn(path, head)
	if f == nil {
		return nil, unknown(path)
	}
	m, err := f.Load(path, o)
	if err != nil && !f.Text && isText(head) {
		line, _, _ := strings.Cut(string(head), "\n")
		return nil, &SyntaxError{Path: path, Format: f.Name, Err: fmt.Errorf("not a model: the file is text and begins %q", line[:min(len(line), 60)])}
	}
	return m, err
}

// isText says whether the head of a file is text.
func isText(head []byte) bool {
	for len(head) > 0 {
		r, n := utf8.DecodeRune(head)
		if r == utf8.RuneError && n == 1 && len(head) > utf8.UTFMax || r < ' ' && !strings.ContainsRune("\t\r\n", r) {
			return false
		}
		head = head[n:]
	}
	return true
}

// Save writes g in the format that path's extension names, compressed if .zst or .xz follows it. The file appears whole
// or not at all: see Atomic. The warnings say what differs from the model that was loaded.
func Save(ctx context.Context, g *graph.Graph, path string) (warnings []string, err error) {
	f, c, err := saver(path)
	if err != nil {
		return nil, err
	}
	if c != nil {
		return c.save(ctx, f, g, path)
	}
	return f.Save(ctx, g, path)
}

// SavesEntries reports whether what Save writes at path holds several entry points.
func SavesEntries(path string) bool {
	f, _, err := saver(path)
	return err == nil && f.Entries
}

// SavesDirectory reports whether Save writes a directory at path.
func SavesDirectory(path string) bool {
	f, _, err := saver(path)
	return err == nil && f.Directory
}

// CanSave reports whether Save knows the format that path's extension names; it does not look at the disk.
func CanSave(path string) error {
	_, _, err := saver(path)
	return err
}

// saver finds the format and, if not nil, the compression that path's extensions name.
func saver(path string) (*Format, *compression, error) {
	c, inner := compressed(path)
	ext := strings.ToLower(filepath.Ext(inner))
	var known []string
	for i := range registered {
		f := &registered[i]
		if f.Save == nil {
			continue
		}
		if f.hasExt(ext) || f.Directory && ext == "" {
			return f, c, nil
		}
		if f.Directory {
			known = append(known, "a path without extension for a "+f.Name)
		}
		known = append(known, f.Exts...)
	}
	return nil, nil, fmt.Errorf("%s: cannot write %q files (known: %s)", path, ext, strings.Join(known, ", "))
}

// SyntaxError is damage in a model file. Offset counts bytes from the start of the file at Path; -1: no single place.
type SyntaxError struct {
	Format string
	Path   string
	Offset int64
	Err    error
}

func (e *SyntaxError) Error() string {
	place := e.Format
	if e.Path != "" {
		place = e.Path + ": " + place
	}
	if e.Offset >= 0 {
		return fmt.Sprintf("%s: at byte %d: %v", place, e.Offset, e.Err)
	}
	return fmt.Sprintf("%s: %v", place, e.Err)
}

// Unwrap gives the cause.
func (e *SyntaxError) Unwrap() error { return e.Err }
