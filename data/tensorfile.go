package data

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/tfsopt/tfsopt/tensor"
)

// stringsFile is how string tensors are kept: the bytes of each element in base64, in row order.
type stringsFile struct {
	Shape []int    `json:"shape"`
	B64   []string `json:"b64"`
}

// LoadTensor reads one tensor: .npy, or the .json of a string tensor, {"shape": [3, 1], "b64": ["…", …]}.
func LoadTensor(path string) (*tensor.Tensor, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := readTensor(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

func readTensor(f io.ReadSeeker) (*tensor.Tensor, error) {
	var head [1]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return nil, errors.New("the file is empty")
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	if head[0] != '{' {
		return ReadNPY(f)
	}
	var s stringsFile
	d := json.NewDecoder(f)
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return nil, fmt.Errorf("string tensor: %w", err)
	}
	n, err := count(s.Shape)
	if err != nil || n != len(s.B64) {
		return nil, fmt.Errorf("string tensor: %d elements for the shape %v", len(s.B64), s.Shape)
	}
	out := make([]string, n)
	for i, e := range s.B64 {
		b, err := base64.StdEncoding.DecodeString(e)
		if err != nil {
			return nil, fmt.Errorf("string tensor: element %d: %w", i, err)
		}
		out[i] = string(b)
	}
	return tensor.FromStrings(out, s.Shape...), nil
}

// TensorExt is the file name extension that SaveTensor's format goes by.
func TensorExt(t *tensor.Tensor) string {
	if t.DType == tensor.String {
		return ".json"
	}
	return ".npy"
}

// SaveTensor writes what LoadTensor reads: .json for strings, .npy for everything else.
func SaveTensor(path string, t *tensor.Tensor) error {
	var b bytes.Buffer
	if err := WriteTensor(&b, t); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, b.Bytes(), 0o666)
}

// WriteTensor is SaveTensor into a stream.
func WriteTensor(w io.Writer, t *tensor.Tensor) error {
	if t.DType != tensor.String {
		return WriteNPY(w, t)
	}
	s := stringsFile{Shape: t.Shape, B64: make([]string, len(t.Strings))}
	if s.Shape == nil {
		s.Shape = []int{}
	}
	for i, e := range t.Strings {
		s.B64[i] = base64.StdEncoding.EncodeToString([]byte(e))
	}
	return json.NewEncoder(w).Encode(s)
}
