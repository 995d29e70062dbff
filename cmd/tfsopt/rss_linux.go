package main

import (
	"bytes"
	"os"
	"strconv"
)

// peakRSS is the most memory, in bytes, that this process has held. The kernel's VmHWM is asked for and not getrusage,
// whose figure a process inherits from the one that started it.
func peakRSS() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return rusageRSS() * 1024
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
			if f := bytes.Fields(rest); len(f) == 2 {
				kib, _ := strconv.ParseInt(string(f[0]), 10, 64) // the kernel's own number
				return kib * 1024
			}
		}
	}
	return rusageRSS() * 1024
}
