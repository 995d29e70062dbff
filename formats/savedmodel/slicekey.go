package savedmodel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"github.com/tfsopt/tfsopt/internal/tensorflow"
)

// sliceKey is the key under which a part of a partitioned tensor lies: 0, the tensor's name, the rank and for each axis the
// beginning and the length, in TensorFlow's code that sorts as its values do
// (https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/lib/strings/ordered_code.h).
func sliceKey(name string, s *tensorflow.SliceProto, shape []int) (key string, start, size []int, err error) {
	if len(s.Extents) != len(shape) {
		return "", nil, nil, fmt.Errorf("a part has %d axes, the tensor %d", len(s.Extents), len(shape))
	}
	k := orderedString(orderedUint(nil, 0), name)
	k = orderedUint(k, uint64(len(shape)))
	for i, e := range s.Extents {
		at, n, stored := e.Start, e.Length, e.Length
		if e.Kind != 2 { // the whole axis
			at, n, stored = 0, int64(shape[i]), -1
		}
		if at < 0 || n < 0 || at > int64(shape[i]) || n > int64(shape[i])-at {
			return "", nil, nil, errors.New("a part lies outside the tensor")
		}
		start, size = append(start, int(at)), append(size, int(n))
		k = orderedInt(orderedInt(k, at), stored)
	}
	return string(k), start, size, nil
}

// orderedUint appends the number of bytes that v needs, and these, the highest first.
func orderedUint(b []byte, v uint64) []byte {
	n := (bits.Len64(v) + 7) / 8
	b = append(b, byte(n))
	for i := n - 1; i >= 0; i-- {
		b = append(b, byte(v>>(8*i)))
	}
	return b
}

// orderedString appends s, its bytes 0 and 255 with one more, and an end.
func orderedString(b []byte, s string) []byte {
	for i := range len(s) {
		switch s[i] {
		case 0:
			b = append(b, 0, 0xff)
		case 0xff:
			b = append(b, 0xff, 0)
		default:
			b = append(b, s[i])
		}
	}
	return append(b, 0, 1)
}

// orderedInt appends v in as many bytes as it needs: the first bits count them, in ones.
func orderedInt(b []byte, v int64) []byte {
	x := v
	if x < 0 {
		x = ^x
	}
	n := bits.Len64(uint64(x))/7 + 1
	var buf [10]byte
	if v < 0 {
		buf[0], buf[1] = 0xff, 0xff
	}
	binary.BigEndian.PutUint64(buf[2:], uint64(v))
	out := buf[10-n:]
	header := ^uint16(0) << (16 - n) // n ones
	out[0] ^= byte(header >> 8)
	if n > 8 {
		out[1] ^= byte(header)
	}
	return append(b, out...)
}
