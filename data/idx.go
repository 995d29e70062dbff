package data

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/tfsopt/tfsopt/tensor"
)

// idxTypes are the element types of the IDX format (Y. LeCun, "The MNIST database").
var idxTypes = map[byte]npyHeader{
	0x08: {dtype: tensor.Uint8, size: 1}, 0x09: {dtype: tensor.Int8, size: 1}, 0x0b: {dtype: tensor.Int16, size: 2},
	0x0c: {dtype: tensor.Int32, size: 4}, 0x0d: {dtype: tensor.Float32, size: 4}, 0x0e: {dtype: tensor.Float64, size: 8},
}

// isIDX reports whether a file of more than one element may begin like this.
func isIDX(head []byte) bool {
	if len(head) < 8 || head[0] != 0 || head[1] != 0 || head[3] == 0 {
		return false
	}
	_, ok := idxTypes[head[2]]
	return ok
}

// ReadIDX reads an IDX file, the format of MNIST: two zero bytes, the type, the number of dimensions, the dimensions and
// the elements, all big-endian.
func ReadIDX(r io.Reader) (*tensor.Tensor, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil || head[0] != 0 || head[1] != 0 {
		return nil, errors.New("not an IDX file")
	}
	h, ok := idxTypes[head[2]]
	if !ok {
		return nil, fmt.Errorf("IDX element type %#x is unknown", head[2])
	}
	dims := make([]byte, 4*int(head[3]))
	if _, err := io.ReadFull(r, dims); err != nil {
		return nil, errors.New("the IDX header is cut off")
	}
	shape := make([]int, head[3])
	for i := range shape {
		shape[i] = int(binary.BigEndian.Uint32(dims[4*i:]))
	}
	n, err := count(shape)
	if err == nil && n*h.size > MaxUnpacked {
		err = fmt.Errorf("shape %v takes more than %d bytes", shape, MaxUnpacked)
	}
	if err != nil {
		return nil, fmt.Errorf("IDX: %w", err)
	}
	raw, err := readExactly(r, int64(n*h.size))
	if err != nil {
		return nil, fmt.Errorf("IDX of shape %v: %w", shape, err)
	}
	h.swap = true
	return h.tensor(raw, shape), nil
}

// openIDX reads an IDX file, gzipped or not, into memory.
func openIDX(path string) (*array, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := unzipped(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	t, err := ReadIDX(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return inMemory(path, t)
}

const gzipMagic = "\x1f\x8b"

// unzipped looks through gzip if the file is compressed.
func unzipped(f io.Reader) (*bufio.Reader, error) {
	r := bufio.NewReaderSize(f, 1<<16)
	if head, _ := r.Peek(2); string(head) != gzipMagic {
		return r, nil
	}
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	return bufio.NewReaderSize(z, 1<<16), nil
}
