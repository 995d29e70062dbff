package formats

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// Directory says what a format's directories hold.
type Directory struct {
	Format string
	// Has reports whether a file, by its slash-separated path inside, belongs to such a model. A directory that holds
	// anything else is not replaced, since that would be lost.
	Has func(path string) bool
}

// Atomic writes a directory through write, which fills an empty one: it appears at path whole or, on any failure, not
// at all. An earlier model at path stays as it is until the new one takes its place, which on Linux is one step (renameat2,
// RENAME_EXCHANGE) and elsewhere two. Anything else at path is an error, and stays.
func (d Directory) Atomic(ctx context.Context, path string, write func(dir string) error) error {
	earlier, err := d.replaceable(path)
	if err != nil {
		return err
	}
	path = filepath.Clean(path)
	name := func() string {
		return filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%08x.tmp", filepath.Base(path), rand.Uint32()))
	}
	dir := name()
	if err := os.Mkdir(dir, 0o777); err != nil {
		var pe *fs.PathError // of the temporary name, which says nothing to the user
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	defer os.RemoveAll(dir) // what is left of it, or what it replaced
	if err := errors.Join(write(dir), ctx.Err()); err != nil {
		return err
	}
	if err := syncAll(dir); err != nil {
		return err
	}
	if !earlier {
		return os.Rename(dir, path)
	}
	if err := exchange(dir, path); !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	aside := name()
	if err := os.Rename(path, aside); err != nil {
		return err
	}
	if err := os.Rename(dir, path); err != nil {
		return errors.Join(err, os.Rename(aside, path))
	}
	return os.RemoveAll(aside)
}

// replaceable reports whether there is something at path, which is then a model of the format and nothing else.
func (d Directory) replaceable(path string) (earlier bool, err error) {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !st.IsDir() {
		return false, fmt.Errorf("%s: a %s goes to a directory, this is none", path, d.Format)
	}
	return true, filepath.WalkDir(path, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(path, p)
		if err == nil && !d.Has(filepath.ToSlash(rel)) {
			err = fmt.Errorf("%s: is no part of a %s; the directory is not replaced", p, d.Format)
		}
		return err
	})
}

// syncAll brings every file below dir, and the directories, onto the disk.
func syncAll(dir string) error {
	return filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := f.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrInvalid) {
			return err
		}
		return nil
	})
}
