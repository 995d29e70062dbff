package codec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

func records(t testing.TB, data ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewRecordWriter(&b)
	for _, d := range data {
		if err := w.Write([]byte(d)); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func TestMaskedCRC(t *testing.T) {
	// crc32c of 32 zeros is 8a9136aa (RFC 3720, B.4).
	want := uint32(0x8a9136aa)
	want = (want>>15 | want<<17) + 0xa282ead8
	if got := MaskedCRC(make([]byte, 32)); got != want {
		t.Errorf("%08x, want %08x", got, want)
	}
}

func TestRecords(t *testing.T) {
	want := []string{"one", "", strings.Repeat("long ", 1<<19)}
	file := records(t, want...)
	r := NewRecordReader(iotest.HalfReader(bytes.NewReader(file)), "x.tfrecord")
	for i, w := range want {
		got, at, err := r.Next()
		if err != nil || string(got) != w || string(file[at:int(at)+len(w)]) != w {
			t.Fatalf("record %d: %d bytes at %d, %v", i, len(got), at, err)
		}
	}
	if _, _, err := r.Next(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

func TestRecordsDamaged(t *testing.T) {
	file := records(t, "first", "second")
	second := recordHead + len("first") + recordFoot
	flip := func(i int) []byte {
		b := bytes.Clone(file)
		b[i] ^= 1
		return b
	}
	for _, c := range []struct {
		name   string
		file   []byte
		offset int64
		want   string
	}{
		{"length", flip(second), int64(second), "checksum of a record's length"},
		{"data", flip(second + recordHead), int64(second + recordHead), "checksum of a record of 6 bytes"},
		{"head cut off", file[:second+5], int64(second), "length has 5 of 12 bytes"},
		{"data cut off", file[:len(file)-6], int64(second + recordHead), "data has 4 of 10 bytes"},
		{"foot cut off", file[:len(file)-1], int64(second + recordHead), "data has 9 of 10 bytes"},
	} {
		r := NewRecordReader(bytes.NewReader(c.file), "x.tfrecord")
		var err error
		n := 0
		for ; err == nil; n++ {
			_, _, err = r.Next()
		}
		var e *RecordError
		if n != 2 || !errors.As(err, &e) || e.Offset != c.offset || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "x.tfrecord: byte ") {
			t.Errorf("%s: after %d records: %v", c.name, n, err)
		}
	}
}

// TestRecordLengthIsNoAllocation claims a gigabyte in a file of a few bytes.
func TestRecordLengthIsNoAllocation(t *testing.T) {
	head := binary.LittleEndian.AppendUint64(nil, MaxRecord)
	file := binary.LittleEndian.AppendUint32(head, MaskedCRC(head))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := NewRecordReader(bytes.NewReader(append(file, 1, 2, 3)), "").Next()
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; err == nil || n > 4<<20 {
		t.Errorf("%d bytes allocated, %v", n, err)
	}
	head = binary.LittleEndian.AppendUint64(nil, 1<<63)
	file = binary.LittleEndian.AppendUint32(head, MaskedCRC(head))
	if _, _, err := NewRecordReader(bytes.NewReader(file), "").Next(); err == nil || !strings.Contains(err.Error(), "the limit is") {
		t.Error(err)
	}
}

var sample = Example{
	"b": {Kind: BytesFeature, Bytes: [][]byte{[]byte("x"), {}}},
	"f": {Kind: FloatFeature, Floats: []float32{1.5, float32(math.Inf(-1))}},
	"i": {Kind: IntFeature, Ints: []int64{-1, 1 << 40}},
	"n": {},
}

func TestExample(t *testing.T) {
	got, err := ParseExample(sample.Append(nil))
	if err != nil || !reflect.DeepEqual(got, sample) {
		t.Errorf("%v, %v", got, err)
	}
	// Written by hand as a serializer does that does not pack: feature "a" with int64_list 1, 300, then the same name again with a float.
	entry := "\x0a\x01a\x12\x07\x1a\x05\x08\x01\x08\xac\x02"
	again := "\x0a\x01f\x12\x07\x12\x05\x0d\x00\x00\x80\x3f"
	features := "\x0a" + string(rune(len(entry))) + entry + "\x0a" + string(rune(len(again))) + again
	got, err = ParseExample([]byte("\x0a" + string(rune(len(features))) + features))
	want := Example{"a": {Kind: IntFeature, Ints: []int64{1, 300}}, "f": {Kind: FloatFeature, Floats: []float32{1}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("unpacked: %v, %v", got, err)
	}
	b := sample.Append(nil)
	if _, err := ParseExample(b[:len(b)-1]); err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("cut off: %v", err)
	}
}

func TestSequenceExample(t *testing.T) {
	want := SequenceExample{Context: sample, Lists: map[string][]Feature{"steps": {sample["i"], {}, sample["f"]}}}
	got, err := ParseSequenceExample(want.Append(nil))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	spec := addBytes(nil, 1, addBytes(nil, 1, "model"))
	call := PredictionLog{Kind: ClassifyLog, Request: addBytes(spec, 2, addBytes(nil, 1, addBytes(nil, 1, sample.Append(nil))))}
	if !IsSequenceExample(want.Append(nil)) || IsSequenceExample(call.Append(nil)) || IsSequenceExample(sample.Append(nil)) {
		t.Error("SequenceExamples are not told from logs and Examples")
	}
}

func TestTensorProto(t *testing.T) {
	for _, want := range []TensorProto{
		{DType: 1, Shape: []int{2, 1}, Data: []byte{0, 0, 128, 63, 0, 0, 0, 64}},
		{DType: tfString, Shape: []int{2}, Strings: []string{"a", ""}},
		{DType: 9, Shape: []int{}, Data: []byte{1, 0, 0, 0, 0, 0, 0, 0}},
	} {
		got, err := ParseTensorProto(want.Append(nil))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
	}
	shape := addBytes(addNumber(nil, 1, 3), 2, addBytes(nil, 2, addNumber(nil, 1, 3))) // int32[3]
	got, err := ParseTensorProto(addBytes(shape, 7, []byte{5, 7}))
	if want := []byte{5, 0, 0, 0, 7, 0, 0, 0, 7, 0, 0, 0}; err != nil || !bytes.Equal(got.Data, want) {
		t.Errorf("int_val: %v, %v", got, err)
	}
	for _, bad := range [][]byte{
		addBytes(shape, 4, []byte{1}),
		addBytes(shape, 7, []byte{1, 2, 3, 4}),
		addBytes(addNumber(nil, 1, 3), 2, addBytes(nil, 2, addNumber(nil, 1, 1<<30))),
		addNumber(nil, 1, 20),
	} {
		if got, err := ParseTensorProto(bad); err == nil {
			t.Errorf("%x gives %v", bad, got)
		}
	}
}

func TestPredictionLog(t *testing.T) {
	version := int64(7)
	request := PredictRequest{
		Model: "m", Signature: "s", Version: &version, Outputs: []string{"y"},
		Inputs: map[string]TensorProto{"x": {DType: 4, Shape: []int{2}, Data: []byte{1, 2}}},
	}
	want := PredictionLog{Metadata: []byte("\x0a\x00"), Kind: PredictLog, Request: request.Append(nil), Response: []byte{}}
	got, err := ParsePredictionLog(want.Append(nil))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v, %v", got, err)
	}
	back, err := ParsePredictRequest(got.Request)
	if err != nil || !reflect.DeepEqual(back, request) {
		t.Errorf("%+v, %v", back, err)
	}
	if _, err := got.Examples(); err == nil {
		t.Error("a predict_log has examples")
	}
}

func TestPredictionLogExamples(t *testing.T) {
	one, context := Example{"a": sample["i"]}, Example{"a": sample["f"], "c": sample["b"]}
	list := addBytes(addBytes(nil, 1, one.Append(nil)), 2, context.Append(nil))
	l := PredictionLog{Kind: ClassifyLog, Request: addBytes(nil, 2, addBytes(nil, 2, list))}
	got, err := l.Examples()
	if want := []Example{{"a": sample["i"], "c": sample["b"]}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}

func FuzzRecord(f *testing.F) {
	f.Add(records(f, "a", "", "bc"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, read := NewRecordReader(bytes.NewReader(b), ""), 0
		for {
			data, at, err := r.Next()
			if err != nil {
				return
			}
			if !bytes.Equal(data, b[at:int(at)+len(data)]) {
				t.Fatalf("record at %d is not what the file has", at)
			}
			if read += recordHead + len(data) + recordFoot; read > len(b) {
				t.Fatalf("%d bytes read of %d", read, len(b))
			}
		}
	})
}

func FuzzExample(f *testing.F) {
	f.Add(sample.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := ParseExample(b); err == nil {
			again, err := ParseExample(e.Append(nil))
			if err != nil || len(again) != len(e) {
				t.Fatalf("%v: %v, %v", e, again, err)
			}
		}
		if e, err := ParseSequenceExample(b); err == nil {
			if again, err := ParseSequenceExample(e.Append(nil)); err != nil || len(again.Lists) != len(e.Lists) {
				t.Fatalf("%v: %v, %v", e, again, err)
			}
		}
	})
}

func FuzzPredictionLog(f *testing.F) {
	request := PredictRequest{Inputs: map[string]TensorProto{"x": {DType: 1, Shape: []int{1}, Data: make([]byte, 4)}}}
	f.Add(PredictionLog{Kind: PredictLog, Request: request.Append(nil)}.Append(nil))
	f.Add(PredictionLog{Kind: RegressLog, Request: addBytes(nil, 2, addBytes(nil, 1, addBytes(nil, 1, sample.Append(nil))))}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParsePredictionLog(b)
		if err != nil {
			return
		}
		if r, err := ParsePredictRequest(l.Request); err == nil {
			again, err := ParsePredictRequest(r.Append(nil))
			if err != nil || len(again.Inputs) != len(r.Inputs) {
				t.Fatalf("%v: %v, %v", r, again, err)
			}
			for _, p := range r.Inputs {
				if size := len(p.Data) + 16*len(p.Strings); size > 1<<20+64*len(b) {
					t.Fatalf("%d bytes of %d", size, len(b))
				}
			}
		}
		_, _ = l.Examples()
	})
}

// TestRecordsOfTensorFlow reads a file that tensorflow_data.py --fixtures wrote, and writes it again byte for byte.
func TestRecordsOfTensorFlow(t *testing.T) {
	file, err := os.ReadFile("testdata/tensorflow.tfrecord")
	if err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	r, w := NewRecordReader(bytes.NewReader(file), "tensorflow.tfrecord"), NewRecordWriter(&again)
	var got []Example
	for {
		b, _, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		e, err := ParseExample(bytes.Clone(b))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
		if err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(again.Bytes(), file) {
		t.Error("the records written again differ from TensorFlow's")
	}
	floats := func(v ...float32) Feature { return Feature{Kind: FloatFeature, Floats: v} }
	ints := func(v ...int64) Feature { return Feature{Kind: IntFeature, Ints: v} }
	want := []Example{
		{
			"x": floats(1.5, -2), "ids": ints(3, 1, 4), "seq": floats(1, 2, 3, 4), "label": ints(1),
			"words": {Kind: BytesFeature, Bytes: [][]byte{[]byte("a"), []byte("bb")}},
		},
		{"x": floats(0.25, 8), "seq": floats(5, 6), "words": {Kind: BytesFeature, Bytes: [][]byte{[]byte("ccc")}}},
		{"x": floats(0, 1), "ids": ints(1, 5), "label": ints(7)},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
