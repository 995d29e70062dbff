package main

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
)

// fullDisk takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// TestStdoutFull: a result that cannot be printed is a failure, told on stderr in any case.
func TestStdoutFull(t *testing.T) {
	_, in := tinyModel(t)
	for _, args := range [][]string{{"version"}, {"inspect", in}, {"inspect", in, "--json"}, {"bench", in, "--duration", "1ms"}} {
		var log bytes.Buffer
		if code := run(t.Context(), args, fullDisk{}, &log); code != 1 {
			t.Errorf("%v: exit code %d", args, code)
		}
		if !strings.Contains(log.String(), "no space left on device") {
			t.Errorf("%v: stderr %q", args, log.String())
		}
	}
}

// TestProgress: bars are for terminals and patient people alone, and leave nothing after.
func TestProgress(t *testing.T) {
	for _, a := range []*app{{}, {terminal: true, quiet: true}} {
		if a.progress() != nil || a.progressOf("x") != nil {
			t.Errorf("a bar with terminal=%v and quiet=%v", a.terminal, a.quiet)
		}
	}
	var screen bytes.Buffer
	a := &app{terminal: true, err: &screen}
	draw := a.progress()
	draw("calibrate", 1, 3)
	if s := screen.String(); !strings.Contains(s, "calibrate") || !strings.Contains(s, "1/3") {
		t.Errorf("screen %q", s)
	}
	draw("correct", 1, 3)
	if s := screen.String(); !strings.Contains(s, "correct") {
		t.Errorf("screen %q", s)
	}
	a.clearProgress()
	lines := strings.Split(screen.String(), "\r")
	if last := lines[len(lines)-1]; strings.TrimSpace(last) != "" {
		t.Errorf("left on the screen: %q", last)
	}
}

func TestNumberTexts(t *testing.T) {
	for _, c := range []struct {
		v    float64
		want string
	}{{0, "0 B"}, {999, "999 B"}, {999.7, "1 kB"}, {4955097, "4.96 MB"}, {1e15, "1 PB"}, {12345678, "12.3 MB"}} {
		if got := siText(c.v, "B"); got != c.want {
			t.Errorf("%g: got %q, want %q", c.v, got, c.want)
		}
	}
	for _, v := range []float64{math.NaN(), math.Inf(1)} {
		if b, err := finite(v).MarshalJSON(); err != nil || string(b) != "null" {
			t.Errorf("%g: %s, %v", v, b, err)
		}
	}
	if b, err := finite(1.5).MarshalJSON(); err != nil || string(b) != "1.5" {
		t.Errorf("1.5: %s, %v", b, err)
	}
}
