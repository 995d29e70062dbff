package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/tensor"
)

// checkJSON looks into the one object on stdout.
func checkJSON(ts *testscript.TestScript, neg bool, args []string) {
	d := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	d.UseNumber()
	var doc any
	if err := d.Decode(&doc); err != nil {
		ts.Fatalf("stdout is no JSON: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		ts.Fatalf("stdout holds more than one object")
	}
	got, ok := follow(doc, args[0])
	if !ok {
		ts.Fatalf("there is no %s", args[0])
	}
	if holds(got, args[1]) == neg {
		b, err := json.Marshal(got)
		ts.Check(err)
		ts.Fatalf("%s is %s", args[0], b)
	}
}

func follow(doc any, path string) (any, bool) {
	for _, key := range strings.Split(path, ".") {
		switch at := doc.(type) {
		case map[string]any:
			v, ok := at[key]
			if !ok {
				return nil, false
			}
			doc = v
		case []any:
			if key == "len" {
				doc = json.Number(strconv.Itoa(len(at)))
				continue
			}
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(at) {
				return nil, false
			}
			doc = at[i]
		default:
			return nil, false
		}
	}
	return doc, true
}

func holds(got any, want string) bool {
	if bound, err := strconv.ParseFloat(strings.TrimLeft(want, "<>"), 64); err == nil && strings.ContainsAny(want, "<>") {
		n, ok := got.(json.Number)
		if !ok {
			return false
		}
		f, err := n.Float64()
		return err == nil && (want[0] == '>' && f > bound || want[0] == '<' && f < bound)
	}
	if got == nil || want == "*" {
		return want == "*" || want == "null"
	}
	return strings.ReplaceAll(fmt.Sprint(got), " ", ",") == want || fmt.Sprint(got) == want
}

// makeNPY writes a tensor whose elements are given, repeated, or 0, 1, 2, …
func makeNPY(ts *testscript.TestScript, _ bool, args []string) {
	dtype, err := tensor.ParseDType(args[1])
	ts.Check(err)
	var shape []int
	for _, s := range strings.Split(args[2], "x") {
		n, err := strconv.Atoi(s)
		ts.Check(err)
		shape = append(shape, n)
	}
	t := tensor.New(dtype, shape...)
	v := make([]float64, t.Len())
	for i := range v {
		v[i] = float64(i)
		if given := args[3:]; len(given) > 0 {
			v[i], err = strconv.ParseFloat(given[i%len(given)], 64)
			ts.Check(err)
		}
	}
	ts.Check(tensor.SetFloat64s(t, v))
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	defer f.Close()
	ts.Check(data.WriteTensor(f, t))
}

// makeStripes writes images [N,1,6,6] of three classes, horizontal, vertical and diagonal stripes under noise, and their
// labels.
func makeStripes(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	seed, err := strconv.ParseUint(args[3], 10, 64)
	ts.Check(err)
	r := rand.New(rand.NewPCG(seed, 1))
	x, y := make([]float32, n*36), make([]int64, n)
	for i := range n {
		y[i] = int64(i % 3)
		copy(x[i*36:], stripes(r, i%3))
	}
	ts.Check(data.SaveTensor(ts.MkAbs(args[0]), tensor.From(x, n, 1, 6, 6)))
	ts.Check(data.SaveTensor(ts.MkAbs(args[1]), tensor.From(y, n)))
}
