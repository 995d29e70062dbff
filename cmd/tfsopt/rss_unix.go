//go:build linux || darwin

package main

import "golang.org/x/sys/unix"

// rusageRSS is getrusage's maximum resident set: KiB on Linux, bytes on macOS.
func rusageRSS() int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return int64(u.Maxrss)
}
