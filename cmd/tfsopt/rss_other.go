//go:build !linux && !darwin

package main

// peakRSS is 0: unknown on this system.
func peakRSS() int64 { return 0 }
