package main

// peakRSS is the most memory, in bytes, that this process has held.
func peakRSS() int64 { return rusageRSS() }
