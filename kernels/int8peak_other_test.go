//go:build !amd64 || noasm

package kernels

import "testing"

// reportMACs adds multiply-adds per second.
func reportMACs(b *testing.B, _ *Set, macs int) {
	b.ReportMetric(float64(macs)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GMAC/s")
}
