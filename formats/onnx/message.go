package onnx

import (
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// message is a protobuf message being written: pieces of which the large ones are the tensors' own bytes.
type message struct {
	parts [][]byte
	size  int64
	open  bool // the last part is ours to append to
}

func (m *message) buf() *[]byte {
	if !m.open {
		m.parts = append(m.parts, nil)
		m.open = true
	}
	return &m.parts[len(m.parts)-1]
}

// grow appends to the small part at the end.
func (m *message) grow(f func(b []byte) []byte) {
	b := m.buf()
	n := len(*b)
	*b = f(*b)
	m.size += int64(len(*b) - n)
}

func (m *message) int(id protowire.Number, v int64) {
	m.grow(func(b []byte) []byte { return appendInt(b, id, v) })
}

// string leaves an empty string out.
func (m *message) string(id protowire.Number, s string) {
	m.grow(func(b []byte) []byte { return appendString(b, id, s) })
}

func (m *message) bytes(id protowire.Number, v []byte) {
	m.grow(func(b []byte) []byte { return appendBytes(b, id, v) })
}

// strings writes empty strings too: they stand for omitted inputs.
func (m *message) strings(id protowire.Number, list []string) {
	for _, s := range list {
		m.bytes(id, []byte(s))
	}
}

// alias writes bytes without copying them.
func (m *message) alias(id protowire.Number, v []byte) {
	m.grow(func(b []byte) []byte {
		return protowire.AppendVarint(protowire.AppendTag(b, id, protowire.BytesType), uint64(len(v)))
	})
	if len(v) > 0 {
		m.parts = append(m.parts, v)
		m.size += int64(len(v))
		m.open = false
	}
}

// message writes a nested message.
func (m *message) message(id protowire.Number, sub *message) {
	m.grow(func(b []byte) []byte {
		return protowire.AppendVarint(protowire.AppendTag(b, id, protowire.BytesType), uint64(sub.size))
	})
	if len(sub.parts) == 0 {
		return
	}
	m.parts = append(m.parts, sub.parts...)
	m.size += sub.size
	m.open = false
}

func (m *message) entry(id protowire.Number, key, value string) {
	e := &message{}
	e.string(1, key)
	e.bytes(2, []byte(value))
	m.message(id, e)
}

func (m *message) writeTo(w io.Writer) error {
	for _, p := range m.parts {
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
	return nil
}

func (m *message) all() []byte {
	out := make([]byte, 0, m.size)
	for _, p := range m.parts {
		out = append(out, p...)
	}
	return out
}
