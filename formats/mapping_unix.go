//go:build linux || darwin

package formats

import (
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

func mapFile(f *os.File, size int64) ([]byte, func([]byte) error, error) {
	if size > math.MaxInt {
		return nil, nil, fmt.Errorf("%d bytes do not fit the address space", size)
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	return data, unix.Munmap, err
}

// dropPages lets the system take the pages of a mapped file; they come back when they are read.
func dropPages(data []byte) { _ = unix.Madvise(data, unix.MADV_DONTNEED) } // advice: a refusal changes nothing
