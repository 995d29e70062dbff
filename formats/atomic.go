package formats

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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
	mode := os.FileMode(0o666) // less what the umask takes away
	if st, err := os.Stat(path); err == nil {
		mode = st.Mode().Perm() // that of the file it replaces
	}
	name := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%08x.tmp", filepath.Base(path), rand.Uint32()))
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		var pe *os.PathError // of the temporary name, which says nothing to the user
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, fmt.Errorf("cannot write %s: %w", path, err)
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
	if err := p.f.Sync(); err != nil {
		return err
	}
	if err := p.ctx.Err(); err != nil {
		return err
	}
	return p.f.Close()
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
