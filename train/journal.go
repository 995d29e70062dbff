package train

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
)

// Number is a float that JSON can hold: null for NaN and infinities.
type Number float64

// MarshalJSON gives null for what JSON lacks.
func (n Number) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(n)) || math.IsInf(float64(n), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON reads null as NaN.
func (n *Number) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) {
		*n = Number(math.NaN())
		return nil
	}
	return json.Unmarshal(b, (*float64)(n))
}

// journal is the log of a run, JSON lines.
type journal struct {
	file *os.File
	size int64
}

// open begins the log at path, keeping its first `keep` bytes: what a resumed run had written before its checkpoint.
func (j *journal) open(path string, keep int64) error {
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	if st, err := f.Stat(); err != nil || st.Size() < keep {
		f.Close()
		return fmt.Errorf("%s: the log is shorter than the run that is resumed had written", path)
	}
	if err := f.Truncate(keep); err != nil {
		f.Close()
		return err
	}
	if _, err := f.Seek(keep, 0); err != nil {
		f.Close()
		return err
	}
	j.file, j.size = f, keep
	return nil
}

// write appends a line and gives the log's size.
func (j *journal) write(v any) (int64, error) {
	if j.file == nil {
		return 0, nil
	}
	line, err := json.Marshal(v)
	if err != nil {
		return j.size, err
	}
	n, err := j.file.Write(append(line, '\n'))
	j.size += int64(n)
	return j.size, err
}

func (j *journal) close() {
	if j.file != nil {
		j.file.Close()
	}
}
