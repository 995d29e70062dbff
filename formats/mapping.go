package formats

import (
	"fmt"
	"os"
	"path/filepath"
)

// Mapping is a file in memory, read-only: writing to Data crashes the program.
type Mapping struct {
	Data  []byte
	unmap func([]byte) error
}

// Map maps a regular file; where the system cannot, it reads it. An empty file gives empty Data.
func Map(path string) (*Mapping, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return mapOpened(f, path)
}

// MapIn is Map for a file in dir; no symbolic link may lead out of it.
func MapIn(dir, name string) (*Mapping, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	return mapOpened(f, filepath.Join(dir, name))
}

// mapOpened maps f and closes it.
func mapOpened(f *os.File, path string) (*Mapping, error) {
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	if st.Size() == 0 {
		return &Mapping{}, nil
	}
	data, unmap, err := mapFile(f, st.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &Mapping{Data: data, unmap: unmap}, nil
}

// Close releases the memory. Nothing may use Data afterwards.
func (m *Mapping) Close() error {
	data := m.Data
	m.Data = nil
	if data == nil || m.unmap == nil {
		return nil
	}
	return m.unmap(data)
}
