package data

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/tfsopt/tfsopt/tensor"
)

// npyArray reads an .npy file's header and leaves its rows where they are, unless their order in the file or their
// type does not allow that.
func npyArray(name string, r io.ReaderAt, size int64) (*array, error) {
	section := io.NewSectionReader(r, 0, size)
	h, err := readNPYHeader(section)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	n, err := count(h.shape)
	if err == nil && int64(n)*int64(h.size) > size-h.offset {
		err = fmt.Errorf(".npy of shape %v and %d bytes an element: cut off after %d bytes", h.shape, h.size, size-h.offset)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if h.fortran || h.dtype == tensor.String || len(h.shape) == 0 || n == 0 {
		t, err := ReadNPY(io.NewSectionReader(r, 0, size))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return inMemory(name, t)
	}
	row := int64(n / h.shape[0] * h.size)
	return &array{name: name, dtype: h.dtype, shape: h.shape, rows: func(from, n int) (*tensor.Tensor, error) {
		raw := tensor.Aligned(n * int(row))
		if _, err := r.ReadAt(raw, h.offset+int64(from)*row); err != nil {
			return nil, err
		}
		return h.tensor(raw, append([]int{n}, h.shape[1:]...)), nil
	}}, nil
}

// openNPY opens one array; close lets its file go.
func openNPY(path string) (a *array, close func() error, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	st, err := f.Stat()
	if err == nil {
		a, err = npyArray(path, f, st.Size())
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return a, f.Close, nil
}

// labelNames are the arrays of an .npz that can hold the labels.
var labelNames = []string{"y", "labels", "label"}

// openNPZ reads an .npz with features and perhaps labels.
func openNPZ(path string, inputs []Input) (*source, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	src, err := readNPZ(f, inputs)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	src.close = f.Close
	return src, nil
}

func readNPZ(f *os.File, inputs []Input) (*source, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	arrays, err := npzArrays(f, st.Size())
	if err != nil {
		return nil, err
	}
	isInput := func(a *array) bool {
		return slices.ContainsFunc(inputs, func(in Input) bool { return in.Name == a.name })
	}
	var labels *array
	features := slices.DeleteFunc(arrays, func(a *array) bool {
		if labels != nil || !slices.Contains(labelNames, a.name) || isInput(a) {
			return false
		}
		labels = a
		return true
	})
	for i, a := range features {
		if a.name == "x" && len(inputs) <= 1 && !slices.ContainsFunc(features, isInput) {
			features = features[i : i+1]
			break
		}
	}
	if len(inputs) > 0 && (len(features) > 1 || len(inputs) > 1) {
		if features, err = match(features, inputs); err != nil {
			return nil, err
		}
	}
	return arraySource(features, labels, inputs)
}

// npzArrays opens every array of a zip file, in the order of the file.
func npzArrays(r io.ReaderAt, size int64) ([]*array, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("not an .npz file: %w", err)
	}
	var out []*array
	for _, m := range z.File {
		name, ok := strings.CutSuffix(m.Name, ".npy")
		if !ok {
			continue
		}
		a, err := npzArray(name, m, r, size)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	if len(out) == 0 {
		return nil, errors.New("the .npz holds no arrays")
	}
	return out, nil
}

// npzArray leaves a stored member in the file and unpacks a compressed one.
func npzArray(name string, m *zip.File, r io.ReaderAt, size int64) (*array, error) {
	if m.Method == zip.Store {
		at, err := m.DataOffset()
		n := int64(m.UncompressedSize64)
		if err != nil || n < 0 || n > size || at > size-n {
			return nil, fmt.Errorf("%s: its place in the .npz is not inside it", name)
		}
		return npyArray(name, io.NewSectionReader(r, at, n), n)
	}
	open, err := m.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer open.Close()
	b, err := io.ReadAll(io.LimitReader(open, MaxUnpacked+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(b) > MaxUnpacked {
		return nil, fmt.Errorf("%s: larger than %d bytes when unpacked; save it with numpy.savez, uncompressed", name, MaxUnpacked)
	}
	return npyArray(name, bytes.NewReader(b), int64(len(b)))
}

// MaxUnpacked bounds what a compressed array may take in memory.
const MaxUnpacked = 4 << 30
