package distill

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/tfsopt/tfsopt/ops"
)

var identity = ops.Identity{}

// store keeps a teacher's answers in a file: the magic, the teacher's fingerprint and the size of an answer, then
// records of key, answer and CRC-32. It only grows, up to maxStore; a record that a crash cut short, and all after it,
// is dropped when the file is opened again. A file of another teacher starts anew.
type store struct {
	file  *os.File
	w     *bufio.Writer
	at    map[key]int64
	size  int
	end   int64
	dirty bool
}

const (
	storeMagic = "tfsopt teacher 1\n"
	maxStore   = 4 << 30
)

func openStore(path string, print []byte, size int) (*store, error) {
	s := &store{at: map[key]int64{}, size: size}
	if path == "" {
		return s, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, err
	}
	head := append(append([]byte(storeMagic), print...), binary.LittleEndian.AppendUint64(nil, uint64(size))...)
	s.file, s.end = f, int64(len(head))
	if err := s.index(head); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	s.w = bufio.NewWriter(f)
	return s, nil
}

func (s *store) record() int64 { return int64(len(key{}) + s.size + 4) }

// index reads the keys and cuts off what is damaged.
func (s *store) index(head []byte) error {
	r := bufio.NewReaderSize(s.file, 1<<20)
	old := make([]byte, len(head))
	n, err := io.ReadFull(r, old)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if n > 0 && !bytes.HasPrefix(old[:n], []byte(storeMagic)[:min(n, len(storeMagic))]) {
		return errors.New("is no store of a teacher's answers: it is left alone")
	}
	if !bytes.Equal(old, head) {
		if err := s.file.Truncate(0); err != nil {
			return err
		}
		_, err := s.file.WriteAt(head, 0)
		return errors.Join(err, s.seek())
	}
	rec := make([]byte, s.record())
	for {
		if _, err := io.ReadFull(r, rec); err != nil {
			break
		}
		body := rec[:len(rec)-4]
		if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(rec[len(body):]) {
			break
		}
		s.at[key(body[:len(key{})])] = s.end + int64(len(key{}))
		s.end += s.record()
	}
	return errors.Join(s.file.Truncate(s.end), s.seek())
}

func (s *store) seek() error {
	_, err := s.file.Seek(s.end, io.SeekStart)
	return err
}

// get finds an answer.
func (s *store) get(k key) ([]byte, bool) {
	at, ok := s.at[k]
	if !ok {
		return nil, false
	}
	if s.dirty && s.flush() != nil {
		return nil, false
	}
	b := make([]byte, s.size)
	if _, err := s.file.ReadAt(b, at); err != nil {
		return nil, false
	}
	return b, true
}

// put keeps an answer, unless it is there or the store is full.
func (s *store) put(k key, answer []byte) error {
	if s.file == nil || s.end+s.record() > maxStore {
		return nil
	}
	if _, ok := s.at[k]; ok {
		return nil
	}
	rec := append(append(make([]byte, 0, s.record()), k[:]...), answer...)
	rec = binary.LittleEndian.AppendUint32(rec, crc32.ChecksumIEEE(rec))
	if _, err := s.w.Write(rec); err != nil {
		return fmt.Errorf("%s: %w", s.file.Name(), err)
	}
	s.at[k] = s.end + int64(len(k))
	s.end += s.record()
	s.dirty = true
	return nil
}

func (s *store) flush() error {
	if s.file == nil {
		return nil
	}
	s.dirty = false
	return s.w.Flush()
}

// close keeps the file if it holds answers.
func (s *store) close() {
	if s.file == nil {
		return
	}
	_ = s.flush() // what is lost is computed again
	s.file.Close()
	if len(s.at) == 0 {
		_ = os.Remove(s.file.Name())
	}
}
