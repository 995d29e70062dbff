package formats

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Mapping is a file in memory, read-only: writing to Data crashes the program. Of a large file the pages that were read
// are given back from time to time, so that a model which is read once does not count twice in the memory of the process.
type Mapping struct {
	Data  []byte
	unmap func([]byte) error
	stop  chan struct{} // nil: a small file
	ended sync.WaitGroup
}

// A file of largeFile bytes or more gives its pages back each givePeriod; whoever reads them again finds them in the
// system's cache.
const (
	largeFile  = 64 << 20
	givePeriod = 20 * time.Millisecond
)

// giveBack starts to give pages back.
func (m *Mapping) giveBack() {
	m.stop = make(chan struct{})
	data, stop := m.Data, m.stop
	m.ended.Go(func() {
		t := time.NewTicker(givePeriod)
		defer t.Stop()
		for {
			select {
			case <-stop:
				return
			case <-t.C:
				dropPages(data)
			}
		}
	})
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
	m := &Mapping{Data: data, unmap: unmap}
	if len(data) >= largeFile && unmap != nil {
		m.giveBack()
	}
	return m, nil
}

// Close releases the memory. Nothing may use Data afterwards.
func (m *Mapping) Close() error {
	if m.stop != nil {
		close(m.stop)
		m.ended.Wait()
		m.stop = nil
	}
	data := m.Data
	m.Data = nil
	if data == nil || m.unmap == nil {
		return nil
	}
	return m.unmap(data)
}
