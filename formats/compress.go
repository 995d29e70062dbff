package formats

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/tfsopt/tfsopt/graph"
)

// compression is a way to write a whole model file smaller: model.onnx.zst is model.onnx in zstd.
type compression struct {
	name, ext string
	magic     string                               // how each file begins
	check     func(b []byte) (at int64, err error) // looks at a file before it is read; nil: not needed
	reader    func(r io.Reader) (io.Reader, func(), error)
	// writers are ways to compress: which one makes the smallest file is tried where the model is small. The window is
	// a power of two, how far repeats are looked for.
	writers []writer
}

type writer func(w io.Writer, window int) (io.WriteCloser, error)

var compressions = []compression{
	{"zstd", ".zst", "\x28\xb5\x2f\xfd", nil, zstdReader, []writer{zstdWriter(zstd.SpeedBestCompression), zstdWriter(zstd.SpeedFastest)}},
	{"xz", ".xz", "\xfd7zXZ\x00", checkXZ, xzReader, []writer{xzWriter}},
}

// The windows that are written. zstd's own tool reads up to maxWindow without being asked.
const minWindow, maxWindow = 128 << 10, 128 << 20

// smallWindow is that of models which are compressed in every way.
const smallWindow = 16 << 20

// What a compressed file may unfold to: maxRatio times its size or minUnfolded, whichever is more, but never more than
// maxUnfolded. In memory it is held up to minSpool bytes, then in a temporary file without a name.
const (
	minUnfolded = 256 << 20
	maxUnfolded = 64 << 30
	maxRatio    = 1024
	minSpool    = 64 << 20
)

func unfoldLimit(size int64) int64 { return min(maxUnfolded, max(minUnfolded, maxRatio*size)) }

// compressed finds the compression of a path by its extension and gives the path without it; nil: none.
func compressed(path string) (c *compression, inner string) {
	ext := filepath.Ext(path)
	for i := range compressions {
		if strings.EqualFold(compressions[i].ext, ext) {
			return &compressions[i], strings.TrimSuffix(path, ext)
		}
	}
	return nil, path
}

// compressedFile finds the compression of a file, by its first bytes before its extension.
func compressedFile(path string, head []byte) (*compression, string) {
	c, inner := compressed(path)
	for i := range compressions {
		if bytes.HasPrefix(head, []byte(compressions[i].magic)) {
			return &compressions[i], inner
		}
	}
	return c, inner
}

// load unfolds the file at path and decodes it in the format that inner, the path without the compression, and the first
// bytes tell.
func (c *compression) load(path, inner string) (*File, error) {
	m, size, err := c.unfold(path)
	if err != nil {
		return nil, err
	}
	f, err := c.decode(path, inner, m.Data)
	if err != nil {
		m.Close()
		return nil, err
	}
	f.Bytes = size
	f.CloseWith(m)
	return f, nil
}

func (c *compression) decode(path, inner string, data []byte) (*File, error) {
	format := detectIn(inner, data[:min(len(data), headSize)])
	if format == nil || format.Decode == nil {
		return nil, fmt.Errorf("%s: the %s data holds no model in a known format (%s)", path, c.name, strings.Join(Names(), ", "))
	}
	g, warnings, err := format.Decode(data)
	if err == nil {
		return &File{Graph: g, Format: format.Name, Warnings: warnings}, nil
	}
	var s *SyntaxError
	if errors.As(err, &s) {
		s.Path, s.Format = path, format.Name+" in "+c.name
		return nil, err
	}
	return nil, fmt.Errorf("%s: %w", path, err)
}

// unfold decompresses the file at path; size is that of the file. Damage is a *SyntaxError whose offset is how far the
// compressed file had been read.
func (c *compression) unfold(path string) (m *Mapping, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	if !st.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s: not a regular file", path)
	}
	if err := c.inspect(path); err != nil {
		return nil, 0, err
	}
	in := &counter{r: f}
	s := &spool{limit: unfoldLimit(st.Size())}
	defer s.discard()
	if err = c.copyTo(s, in); err == nil {
		m, err = s.mapping()
	}
	if err != nil {
		return nil, 0, &SyntaxError{Format: c.name, Path: path, Offset: in.n, Err: err}
	}
	return m, st.Size(), nil
}

// inspect runs the check, if there is one.
func (c *compression) inspect(path string) error {
	if c.check == nil {
		return nil
	}
	m, err := Map(path)
	if err != nil {
		return err
	}
	defer m.Close()
	if at, err := c.check(m.Data); err != nil {
		return &SyntaxError{Format: c.name, Path: path, Offset: at, Err: err}
	}
	return nil
}

// copyTo decompresses r into w.
func (c *compression) copyTo(w io.Writer, r io.Reader) error {
	z, done, err := c.reader(r)
	if err != nil {
		return err
	}
	defer done()
	_, err = io.Copy(w, z)
	return err
}

// save writes g in the format f, compressed.
func (c *compression) save(ctx context.Context, f *Format, g *graph.Graph, path string) (warnings []string, err error) {
	if f.Encode == nil {
		return nil, fmt.Errorf("%s: a model in %s is several files, which %s does not take", path, f.Name, c.name)
	}
	window := windowOf(g)
	p := pressing{format: f, g: g, window: window}
	if window > smallWindow || len(c.writers) == 1 {
		err = Atomic(ctx, path, func(w io.Writer) error { return p.write(w, c.writers[0]) })
		return p.warnings, atPath(path, err)
	}
	var least *bytes.Buffer
	for _, compress := range c.writers {
		b := &bytes.Buffer{}
		if err := p.write(b, compress); err != nil {
			return nil, atPath(path, err)
		}
		if least == nil || b.Len() < least.Len() {
			least = b
		}
	}
	return p.warnings, Atomic(ctx, path, func(w io.Writer) error {
		_, err := w.Write(least.Bytes())
		return err
	})
}

// atPath puts the path before an error that lacks it.
func atPath(path string, err error) error {
	if err == nil || strings.Contains(err.Error(), path) {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// pressing is a graph being written in a format, compressed.
type pressing struct {
	format   *Format
	g        *graph.Graph
	window   int
	warnings []string
}

func (p *pressing) write(w io.Writer, compress writer) error {
	out := &counter{w: w}
	z, err := compress(out, p.window)
	if err != nil {
		return err
	}
	in := &counter{w: z}
	if p.warnings, err = p.format.Encode(in, p.g); err == nil {
		err = z.Close()
	}
	if err == nil && in.n > unfoldLimit(out.n) {
		err = fmt.Errorf("%d bytes shrink to %d, which would be refused as hostile when read: save it uncompressed", in.n, out.n)
	}
	return err
}

// windowOf is the power of two that holds the constants of g, within bounds.
func windowOf(g *graph.Graph) int {
	size := minWindow - 1
	for _, v := range g.Values() {
		if v.IsConst() {
			size = min(size+v.Const.Bytes(), maxWindow-1)
		}
	}
	return 1 << bits.Len(uint(size))
}

func zstdReader(r io.Reader) (io.Reader, func(), error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, nil, err
	}
	return d, d.Close, nil
}

// zstdWriter compresses at a level. The lowest one finds few repeats, which suits numbers that hold none: it codes them
// alone, by how often each byte occurs.
func zstdWriter(level zstd.EncoderLevel) writer {
	return func(w io.Writer, window int) (io.WriteCloser, error) {
		e, err := zstd.NewWriter(w, zstd.WithEncoderLevel(level), zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(1),
			zstd.WithAllLitEntropyCompression(true))
		return blockWriter{e}, err
	}
}

// blockWriter gives each long write blocks of its own, with their own code: tensors differ in what they hold.
type blockWriter struct{ *zstd.Encoder }

// ownBlock is the length from which a write is worth a block.
const ownBlock = 2048

func (b blockWriter) Write(p []byte) (int, error) {
	if len(p) < ownBlock {
		return b.Encoder.Write(p)
	}
	if err := b.Flush(); err != nil {
		return 0, err
	}
	n, err := b.Encoder.Write(p)
	if err != nil {
		return n, err
	}
	return n, b.Flush()
}

func xzReader(r io.Reader) (io.Reader, func(), error) {
	z, err := xz.NewReader(r)
	return z, func() {}, err
}

func xzWriter(w io.Writer, window int) (io.WriteCloser, error) {
	return xz.WriterConfig{DictCap: window}.NewWriter(w)
}

// counter counts what passes through it.
type counter struct {
	r io.Reader
	w io.Writer
	n int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
