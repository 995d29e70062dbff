package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tfsopt/tfsopt/codec"
)

// records writes records to a new file.
func records(ts *testscript.TestScript, path string, list [][]byte) {
	var b bytes.Buffer
	w := codec.NewRecordWriter(&b)
	for _, r := range list {
		ts.Check(w.Write(r))
	}
	ts.Check(os.WriteFile(path, b.Bytes(), 0o666))
}

// numbers reads N and SEED.
func numbers(ts *testscript.TestScript, args []string) (int, *rand.Rand) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	seed, err := strconv.ParseUint(args[1], 10, 64)
	ts.Check(err)
	return n, rand.New(rand.NewPCG(seed, 1))
}

func makeRecords(ts *testscript.TestScript, _ bool, args []string) {
	n, r := numbers(ts, args[1:])
	var list [][]byte
	for i := range n {
		x := stripes(r, i%3)
		m := image.NewGray(image.Rect(0, 0, 6, 6))
		for p, v := range x {
			m.Pix[p] = uint8(v * 170)
		}
		var b bytes.Buffer
		ts.Check(png.Encode(&b, m))
		list = append(list, codec.Example{
			"image":  {Kind: codec.BytesFeature, Bytes: [][]byte{b.Bytes()}},
			"pixels": {Kind: codec.FloatFeature, Floats: x},
			"class":  {Kind: codec.IntFeature, Ints: []int64{int64(i % 3)}},
			"name":   {Kind: codec.BytesFeature, Bytes: [][]byte{[]byte([]string{"a", "b", "c"}[i%3])}},
		}.Append(nil))
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o777))
	for i := range 2 {
		records(ts, filepath.Join(dir, fmt.Sprintf("set.tfrecord-%05d-of-00002", i)), list[i*n/2:(i+1)*n/2])
	}
}

func makeLog(ts *testscript.TestScript, _ bool, args []string) {
	n, r := numbers(ts, args[1:])
	var list [][]byte
	for i := range n {
		x := codec.TensorProto{DType: 1, Shape: []int{1, 1, 6, 6}}
		var err error
		x.Data, err = binary.Append(nil, binary.LittleEndian, stripes(r, i%3))
		ts.Check(err)
		request := codec.PredictRequest{Model: "m", Inputs: map[string]codec.TensorProto{"x": x}}
		list = append(list, codec.PredictionLog{Kind: codec.PredictLog, Request: request.Append(nil)}.Append(nil))
	}
	records(ts, ts.MkAbs(args[0]), list)
}
