//go:build amd64 && !noasm

package kernels

import (
	"testing"
	"time"
)

// reportMACs adds multiply-adds per second, and for VNNI their share of what the core could do, measured at once.
func reportMACs(b *testing.B, s *Set, macs int) {
	rate := float64(macs) * float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate/1e9, "GMAC/s")
	if s != vnniSet {
		return
	}
	best := 0.0
	for range 20 {
		start := time.Now()
		peakVNNI(10000)
		best = max(best, 10000*20*64/time.Since(start).Seconds())
	}
	b.ReportMetric(100*rate/best, "%peak")
}
