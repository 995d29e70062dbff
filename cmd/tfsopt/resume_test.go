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

// learnable writes a network in text form, the same trained a little, and samples of two classes.
func learnable(t *testing.T) (in func(name string) string) {
	t.Helper()
	dir := t.TempDir()
	in = func(name string) string { return filepath.Join(dir, name) }
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
	succeeds(t, "train", in("net.tfg"), "-o", in("net.onnx"), "--data", in("x.npy")+","+in("y.npy"), "--epochs", "2", "--quiet")
	return in
}

// succeeds runs a command in this process.
func succeeds(t *testing.T, args ...string) {
	t.Helper()
	var out, log bytes.Buffer
	if code := run(t.Context(), args, &out, &log); code != 0 {
		t.Fatalf("%v: exit code %d: %s", args, code, log.String())
	}
}

// killed starts a command and ends it without warning after three epochs.
func killed(t *testing.T, log string, args ...string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Args[0] = "tfsopt" // what TestMain takes for a call of the command
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if b, _ := os.ReadFile(log); bytes.Count(b, []byte("\n")) >= 3 {
			break
		}
		if time.Now().After(deadline) {
			t.Error("no log of three epochs after a minute")
			break
		}
	}
	_ = cmd.Process.Kill() // if it has ended already, the caller sees its output
	_ = cmd.Wait()
}

// TestKilled ends a process that trains; what goes on from its checkpoint ends in the bytes of a run that nothing disturbed.
func TestKilled(t *testing.T) {
	in := learnable(t)
	for _, verb := range [][]string{
		{"train", in("net.tfg"), "--optimizer", "adamw", "--mixup", "0.3"},
		{"prune", in("net.onnx"), "--sparsity", "0.6"},
		{"prune", in("net.onnx"), "--sparsity", "0.6", "--criterion", "taylor", "--ramp", "none"},
		{"distill", "--teacher", in("net.onnx"), "--width", "0.5"},
		{"quantize", in("net.onnx"), "--qat"},
	} {
		t.Run(verb[0], func(t *testing.T) {
			dir := t.TempDir()
			at := func(name string) string { return filepath.Join(dir, name) }
			set := in("x.npy") + "," + in("y.npy")
			args := append(verb, "--data", set, "--held", set, "--epochs", "60", "--batch", "8", "--lr", "0.02", "--quiet")
			for tries := 0; ; tries++ {
				killed(t, at("log"), append(args, "-o", at("out.onnx"), "--log", at("log"), "--checkpoint-every", "1ns")...)
				if os.Remove(at("out.onnx")) != nil {
					break
				}
				if _ = os.Remove(at("log")); tries == 5 {
					t.Fatal("the process always ended before it was killed")
				}
			}
			if _, err := os.Stat(at("out.onnx.ckpt")); err != nil {
				t.Fatal(err)
			}
			succeeds(t, append(args, "-o", at("out.onnx"), "--log", at("log"), "--resume")...)
			succeeds(t, append(args, "-o", at("whole.onnx"), "--log", at("whole"), "--checkpoint", "none")...)
			got, _ := os.ReadFile(at("out.onnx"))
			want, _ := os.ReadFile(at("whole.onnx"))
			if len(got) == 0 || !bytes.Equal(got, want) {
				t.Errorf("%d bytes after kill and resume, %d bytes of an undisturbed run, and they differ", len(got), len(want))
			}
			lines, _ := os.ReadFile(at("log"))
			if n := bytes.Count(lines, []byte("\n")); n != 60 {
				t.Errorf("the log has %d lines for 60 epochs", n)
			}
			if _, err := os.Stat(at("out.onnx.ckpt")); err == nil {
				t.Error("the checkpoint is still there")
			}
		})
	}
}
