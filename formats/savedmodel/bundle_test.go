package savedmodel

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/snappy"

	"github.com/tfsopt/tfsopt/codec"
	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/internal/tensorflow"
	"github.com/tfsopt/tfsopt/tensor"
)

// writeTable makes a table of one data block, whose keys share what they can.
func writeTable(entries map[string][]byte, compress bool) []byte {
	var out []byte
	block := func(b []byte) []byte {
		kind := byte(blockPlain)
		if compress {
			b, kind = snappy.Encode(nil, b), blockSnappy
		}
		h := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(len(out))), uint64(len(b)))
		out = append(append(out, b...), kind)
		out = binary.LittleEndian.AppendUint32(out, codec.MaskedCRC(out[len(out)-1-len(b):]))
		return h
	}
	body := func(keys []string, value func(string) []byte) []byte {
		var b []byte
		last := ""
		for _, k := range keys {
			n := 0
			for n < min(len(k), len(last)) && k[n] == last[n] {
				n++
			}
			v := value(k)
			for _, x := range []int{n, len(k) - n, len(v)} {
				b = binary.AppendUvarint(b, uint64(x))
			}
			b, last = append(append(b, k[n:]...), v...), k
		}
		return append(b, 0, 0, 0, 0, 1, 0, 0, 0) // one restart, at 0
	}
	data := block(body(sorted(entries), func(k string) []byte { return entries[k] }))
	meta := block(body(nil, nil))
	index := block(body([]string{"z"}, func(string) []byte { return data }))
	footer := append(meta, index...)
	footer = append(footer, make([]byte, footerSize-8-len(footer))...)
	return append(out, binary.LittleEndian.AppendUint64(footer, tableMagic)...)
}

// testEntry describes a tensor of a bundle.
func testEntry(data []byte, off int64, d int32, shape ...int64) *tensorflow.BundleEntry {
	return &tensorflow.BundleEntry{DType: d, Shape: shapeOf(shape...), Offset: off, Size: int64(len(data)), CRC: codec.MaskedCRC(data)}
}

func shapeOf(sizes ...int64) *tensorflow.Shape {
	s := &tensorflow.Shape{}
	for _, n := range sizes {
		s.Dims = append(s.Dims, &tensorflow.Dim{Size: n})
	}
	return s
}

// testBundle holds a (float32 [2]), s (two strings) and p (float32 [3, 2], in two parts).
func testBundle() (entries map[string][]byte, data []byte) {
	a := tensor.From([]float32{1, 2}, 2).Data
	lens := []byte{2, 3}
	sum := binary.LittleEndian.AppendUint32(nil, codec.MaskedCRC([]byte{2, 0, 0, 0, 3, 0, 0, 0}))
	s := append(append(slices.Clone(lens), sum...), "abcde"...)
	top, rest := tensor.From([]float32{1, 2}, 1, 2).Data, tensor.From([]float32{3, 4, 5, 6}, 2, 2).Data
	parts := []*tensorflow.SliceProto{
		{Extents: []*tensorflow.Extent{{Kind: 2, Length: 1}, {}}}, {Extents: []*tensorflow.Extent{{Kind: 2, Start: 1, Length: 2}, {}}},
	}
	entries = map[string][]byte{"": tensorflow.Encode(&tensorflow.BundleHeader{Shards: 1})}
	add := func(key string, d int32, b []byte, shape ...int64) {
		entries[key] = tensorflow.Encode(testEntry(b, int64(len(data)), d, shape...))
		data = append(data, b...)
	}
	add("a", 1, a, 2)
	add("s", dtString, s, 2)
	whole := &tensorflow.BundleEntry{DType: 1, Shape: shapeOf(3, 2), Slices: parts}
	entries["p"] = tensorflow.Encode(whole)
	for i, b := range [][]byte{top, rest} {
		key, _, size, err := sliceKey("p", parts[i], []int{3, 2})
		if err != nil {
			panic(err)
		}
		add(key, 1, b, int64(size[0]), int64(size[1]))
	}
	return entries, data
}

func openTestBundle(t testing.TB, index, data []byte) (*bundle, error) {
	t.Helper()
	dir := t.TempDir()
	for name, b := range map[string][]byte{"v.index": index, shardName("v", 0, 1): data} {
		if b == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := &formats.File{}
	t.Cleanup(func() { f.Close() })
	return openBundle(dir, "v", f)
}

func TestBundle(t *testing.T) {
	entries, data := testBundle()
	for _, compress := range []bool{false, true} {
		b, err := openTestBundle(t, writeTable(entries, compress), data)
		if err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string]*tensor.Tensor{
			"a": tensor.From([]float32{1, 2}, 2), "s": tensor.FromStrings([]string{"ab", "cde"}, 2),
			"p": tensor.From([]float32{1, 2, 3, 4, 5, 6}, 3, 2),
		} {
			if got, err := b.tensor(key); err != nil || !got.Equal(want) {
				t.Errorf("%s: %v, %v; want %v", key, got, err, want)
			}
		}
	}
}

// TestBundleDamage changes one thing each: the error says what is wrong, in which file and where.
func TestBundleDamage(t *testing.T) {
	entries, data := testBundle()
	index := writeTable(entries, false)
	flipped := slices.Clone(index)
	flipped[20] ^= 1
	wrong := slices.Clone(data)
	wrong[0] ^= 1
	otherShard := writeTable(map[string][]byte{"": entries[""], "a": tensorflow.Encode(&tensorflow.BundleEntry{DType: 1, Shape: shapeOf(2), Shard: 7})}, false)
	outside := writeTable(map[string][]byte{"": entries[""], "a": tensorflow.Encode(&tensorflow.BundleEntry{DType: 1, Shape: shapeOf(2), Offset: 1 << 40, Size: 8})}, false)
	huge := writeTable(map[string][]byte{"": entries[""], "a": tensorflow.Encode(&tensorflow.BundleEntry{
		DType: 1, Shape: shapeOf(1<<20, 1<<18), CRC: codec.MaskedCRC(nil),
	})}, false)
	for name, c := range map[string]struct {
		index, data []byte
		want        string
		offset      int64
	}{
		"truncated index":  {index[:len(index)-10], data, "no table or truncated", int64(len(index) - 18)},
		"short index":      {index[:10], data, "truncated", 10},
		"flipped index":    {flipped, data, "checksum", 0},
		"flipped data":     {index, wrong, "checksum", 0},
		"truncated data":   {index, data[:4], "outside the file", 0},
		"missing shard":    {index, nil, "shard of the variables is missing", -1},
		"unknown shard":    {otherShard, data, "shard 7 of 1", 0},
		"outside":          {outside, data, "outside the file", 1 << 40},
		"huge":             {huge, data, "takes 1099511627776 bytes", 0},
		"without a header": {writeTable(map[string][]byte{"a": entries["a"]}, false), data, "no header", 0},
	} {
		b, err := openTestBundle(t, c.index, c.data)
		if err == nil {
			_, err = b.tensor("a")
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
			continue
		}
		var s *formats.SyntaxError
		if c.offset >= 0 && (!errors.As(err, &s) || s.Offset != c.offset || s.Path == "") {
			t.Errorf("%s: %v, want offset %d", name, err, c.offset)
		}
	}
}

// TestOrderedInt compares with the bytes that TensorFlow's ordered code gives.
func TestOrderedInt(t *testing.T) {
	for v, want := range map[int64]string{
		0: "\x80", 1: "\x81", 63: "\xbf", 64: "\xc0\x40", -1: "\x7f", -64: "\x40", -65: "\x3f\xbf", 8191: "\xdf\xff", 8192: "\xe0\x20\x00",
	} {
		if got := string(orderedInt(nil, v)); got != want {
			t.Errorf("%d: %x, want %x", v, got, want)
		}
	}
}

func FuzzBundle(f *testing.F) {
	entries, data := testBundle()
	f.Add(writeTable(entries, false), data)
	f.Add(writeTable(entries, true), data)
	f.Fuzz(func(t *testing.T, index, data []byte) {
		b, err := openTestBundle(t, index, data)
		if err != nil {
			return
		}
		if _, err := b.objectKeys(); err != nil {
			return
		}
		for key := range b.entries {
			if x, err := b.tensor(key); err == nil && x.Bytes() > 16*(len(index)+len(data))+4096 {
				t.Errorf("%d bytes from %d", x.Bytes(), len(index)+len(data))
			}
		}
	})
}
