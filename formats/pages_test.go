//go:build linux

package formats

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// resident is the memory of mapped files that the process holds, in KB.
func resident(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	m := regexp.MustCompile(`RssFile:\s+(\d+) kB`).FindSubmatch(b)
	if m == nil {
		t.Skip("the kernel does not tell RssFile")
	}
	n, _ := strconv.Atoi(string(m[1]))
	return n
}

// TestPagesGivenBack checks that a large file that was read does not stay in the process, and reads the same again.
func TestPagesGivenBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(path, bytes.Repeat([]byte("page"), largeFile/4), 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := Map(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.stop == nil {
		t.Skip("files are not mapped here")
	}
	before := resident(t)
	if n := bytes.Count(m.Data, []byte("page")); n != largeFile/4 {
		t.Fatalf("%d pieces", n)
	}
	for range 200 {
		time.Sleep(givePeriod)
		if resident(t) < before+largeFile/1024/4 {
			break
		}
	}
	if after := resident(t); after > before+largeFile/1024/4 {
		t.Errorf("%d KB of mapped files before, %d after", before, after)
	}
	if n := bytes.Count(m.Data, []byte("page")); n != largeFile/4 {
		t.Errorf("read again: %d pieces", n)
	}
}
