//go:build !linux && !darwin

package formats

import (
	"io"
	"os"
)

func mapFile(f *os.File, size int64) ([]byte, func([]byte) error, error) {
	data := make([]byte, size)
	_, err := io.ReadFull(f, data)
	return data, nil, err
}

func dropPages([]byte) {}
