package formats

import (
	"bufio"
	"context"
	"io"
	"os"
	"path/filepath"
)

// Pending is an output file that does not exist yet: what is written goes to a temporary file in the same directory.
type Pending struct {
	w    *bufio.Writer
	f    *os.File
	path string
	ctx  context.Context
}

// Create begins the output file path. Until Commit the earlier file stays as it is.
func Create(ctx context.Context, path string) (*Pending, error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-"+filepath.Base(path)+"-*")
	if err != nil {
		return nil, err
	}
	return &Pending{w: bufio.NewWriterSize(f, 1<<16), f: f, path: path, ctx: ctx}, nil
}

// writeStep bounds how much is written between two looks at the context.
const writeStep = 16 << 20

// Write appends to the file; it fails once the context is done.
func (p *Pending) Write(b []byte) (int, error) {
	done := 0
	for {
		if err := p.ctx.Err(); err != nil {
			return done, err
		}
		n, err := p.w.Write(b[:min(len(b), writeStep)])
		done += n
		if b = b[n:]; err != nil || len(b) == 0 {
			return done, err
		}
	}
}

// Flush brings everything onto the disk, still under the temporary name.
func (p *Pending) Flush() error {
	if err := p.w.Flush(); err != nil {
		return err
	}
	if err := p.f.Chmod(fileMode(p.path)); err != nil {
		return err
	}
	if err := p.f.Sync(); err != nil {
		return err
	}
	if err := p.ctx.Err(); err != nil {
		return err
	}
	return p.f.Close()
}

// fileMode keeps the permissions of the file that is replaced.
func fileMode(path string) os.FileMode {
	if st, err := os.Stat(path); err == nil {
		return st.Mode().Perm()
	}
	return 0o644
}

// Commit gives the flushed file its name, replacing an earlier one.
func (p *Pending) Commit() error {
	if err := os.Rename(p.f.Name(), p.path); err != nil {
		return err
	}
	p.path = ""
	return nil
}

// Discard removes the temporary file unless it was committed. It is meant for defer.
func (p *Pending) Discard() {
	if p.path != "" {
		p.f.Close()
		os.Remove(p.f.Name())
	}
}

// Atomic writes a file through write: it appears at path whole, or on any failure (disk full, context done) not at
// all, and an earlier file at path stays untouched.
func Atomic(ctx context.Context, path string, write func(io.Writer) error) error {
	p, err := Create(ctx, path)
	if err != nil {
		return err
	}
	defer p.Discard()
	if err := write(p); err != nil {
		return err
	}
	if err := p.Flush(); err != nil {
		return err
	}
	return p.Commit()
}
