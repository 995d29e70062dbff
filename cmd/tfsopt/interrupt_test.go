package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
)

// tinyModel writes a model with one Relu into a directory of its own.
func tinyModel(t *testing.T) (dir, path string) {
	t.Helper()
	dir = t.TempDir()
	path = filepath.Join(dir, "in.onnx")
	g, err := graph.Parse(strings.NewReader("graph \"g\" {\n opset \"\" 21\n input x: float32[2]\n y: float32[2] = Relu(x)\n output y\n}"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := formats.Save(t.Context(), g, path); err != nil {
		t.Fatal(err)
	}
	return dir, path
}

// TestInterrupted cancels a command before it writes.
func TestInterrupted(t *testing.T) {
	dir, in := tinyModel(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, log bytes.Buffer
	if code := run(ctx, []string{"convert", in, "-o", filepath.Join(dir, "out.onnx")}, &out, &log); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if out.Len() > 0 || !strings.Contains(log.String(), "tfsopt: interrupted") {
		t.Errorf("stdout %q, stderr %q", out.String(), log.String())
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

// TestSignal interrupts a process at work.
func TestSignal(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be sent an interrupt on Windows")
	}
	_, in := tinyModel(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "bench", in, "--duration", "1h", "--json", "--log-level", "debug")
	cmd.Args[0] = "tfsopt" // what TestMain takes for a call of the command
	var out bytes.Buffer
	cmd.Stdout = &out
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(log).ReadString('\n'); err != nil || !strings.Contains(line, "msg=begin") {
		t.Errorf("first line of the log: %q, %v", line, err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("ended with %v", err)
	}
	if !strings.Contains(out.String(), `"message": "interrupted"`) {
		t.Errorf("stdout %q", out.String())
	}
}
