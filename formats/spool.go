package formats

import (
	"fmt"
	"os"
)

// spool takes bytes whose number is not known before: in memory, from minSpool on in a temporary file, up to limit.
type spool struct {
	limit int64
	size  int64
	b     []byte
	f     *os.File // nil: all is in b
}

func (s *spool) Write(p []byte) (int, error) {
	s.size += int64(len(p))
	if s.size > s.limit {
		return 0, fmt.Errorf("unfolds to more than %d bytes: too much for the size of the file", s.limit)
	}
	if s.f == nil && s.size <= minSpool {
		s.b = append(s.b, p...)
		return len(p), nil
	}
	if s.f == nil {
		f, err := os.CreateTemp("", "tfsopt-*")
		if err != nil {
			return 0, err
		}
		s.f = f
		_ = os.Remove(f.Name()) // where that is possible at once, a crash leaves nothing after
		if _, err := f.Write(s.b); err != nil {
			return 0, err
		}
		s.b = nil
	}
	return s.f.Write(p)
}

// mapping gives what was written. The spool may be discarded afterwards.
func (s *spool) mapping() (*Mapping, error) {
	if s.f == nil {
		return &Mapping{Data: s.b[:len(s.b):len(s.b)]}, nil
	}
	if _, err := s.f.Seek(0, 0); err != nil {
		return nil, err
	}
	data, unmap, err := mapFile(s.f, s.size)
	return &Mapping{Data: data, unmap: unmap}, err
}

// discard removes the temporary file, whose mapping stays.
func (s *spool) discard() {
	if s.f != nil {
		s.f.Close()
		_ = os.Remove(s.f.Name())
	}
}
