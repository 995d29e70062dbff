//go:build !linux

package evaluate

import "runtime"

// resident is the memory that the Go runtime holds from the system, less what it gave back: there is no portable way to
// ask for the resident set.
func resident() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys - m.HeapReleased)
}
