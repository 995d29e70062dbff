package evaluate

import (
	"bytes"
	"os"
	"strconv"
)

// resident is the process's resident memory in bytes, the second field of /proc/self/statm (proc(5)); 0 if unknown.
func resident() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	f := bytes.Fields(b)
	if len(f) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(f[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
