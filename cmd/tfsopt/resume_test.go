package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/tensor"
)

const perceptron = `graph "net" {
  opset "" 17
  input x: float32[batch,8]
  const w1: float32[8,16] init=he
  const w2: float32[16,2] init=he
  a = MatMul(x, w1) "hidden"
  b = Relu(a) "relu"
  z = MatMul(b, w2) "head"
  output z
}
`

// TestKilled ends a training process without warning; what goes on from its checkpoint ends in the bytes of a run that
// nothing disturbed.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	r := rand.New(rand.NewPCG(1, 2))
	x, y := make([]float32, 64*8), make([]int64, 64)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	for i := range y {
		if x[i*8]*x[i*8+1] > 0 {
			y[i] = 1
		}
	}
	for name, v := range map[string]*tensor.Tensor{"x.npy": tensor.From(x, 64, 8), "y.npy": tensor.From(y, 64)} {
		if err := data.SaveTensor(in(name), v); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(in("net.tfg"), []byte(perceptron), 0o666); err != nil {
		t.Fatal(err)
	}
	args := []string{
		"train", in("net.tfg"), "--data", in("x.npy") + "," + in("y.npy"), "--epochs", "60", "--batch", "8", "--lr", "0.05",
		"--held", in("x.npy") + "," + in("y.npy"), "--optimizer", "adamw", "--mixup", "0.3", "--quiet",
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, append(args, "-o", in("out.onnx"), "--log", in("log"), "--checkpoint-every", "1ns")...)
	cmd.Args[0] = "tfsopt" // what TestMain takes for a call of the command
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if b, _ := os.ReadFile(in("log")); bytes.Count(b, []byte("\n")) >= 3 {
			break
		}
		if time.Now().After(deadline) {
			t.Error("no log of three epochs after a minute")
			break
		}
	}
	_ = cmd.Process.Kill() // if it has ended already, the next lines tell
	_ = cmd.Wait()
	if _, err := os.Stat(in("out.onnx")); err == nil {
		t.Fatal("the process ended before it was killed")
	}
	if _, err := os.Stat(in("out.onnx.ckpt")); err != nil {
		t.Fatal(err)
	}
	for _, more := range [][]string{
		{"-o", in("out.onnx"), "--log", in("log"), "--resume"},
		{"-o", in("whole.onnx"), "--log", in("whole"), "--checkpoint", "none"},
	} {
		var out, log bytes.Buffer
		if code := run(t.Context(), append(args, more...), &out, &log); code != 0 {
			t.Fatalf("exit code %d: %s", code, log.String())
		}
	}
	got, _ := os.ReadFile(in("out.onnx"))
	want, _ := os.ReadFile(in("whole.onnx"))
	if len(got) == 0 || !bytes.Equal(got, want) {
		t.Errorf("%d bytes after kill and resume, %d bytes of an undisturbed run, and they differ", len(got), len(want))
	}
	lines, _ := os.ReadFile(in("log"))
	if n := bytes.Count(lines, []byte("\n")); n != 60 {
		t.Errorf("the log has %d lines for 60 epochs", n)
	}
	if _, err := os.Stat(in("out.onnx.ckpt")); err == nil {
		t.Error("the checkpoint is still there")
	}
}
