package savedmodel

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/compress/snappy"

	"github.com/tfsopt/tfsopt/codec"
	"github.com/tfsopt/tfsopt/formats"
)

// A bundle's index is a table of LevelDB's format
// (https://github.com/google/leveldb/blob/main/doc/table_format.md): blocks of sorted entries whose keys leave out what
// they share with the key before, an index block that says where the blocks are, a footer that says where the index is.
const (
	tableMagic  = 0xdb4775248b80fb57
	footerSize  = 48
	trailerSize = 5 // of a block: its kind and checksum
	blockPlain  = 0
	blockSnappy = 1
	// maxBlock bounds what a block may unfold to. TensorFlow's blocks have 256 KB; only a single longer entry makes a larger one.
	maxBlock = 64 << 20
)

// table is an index being read.
type table struct {
	path string
	b    []byte
}

func (t table) fail(off int, format string, args ...any) error {
	return &formats.SyntaxError{Format: "variables index", Path: t.path, Offset: int64(off), Err: fmt.Errorf(format, args...)}
}

// handle is where a block lies, without its trailer.
type handle struct{ off, size uint64 }

// entries visits every entry in order, with the place of its block in the file.
func (t table) entries(visit func(key string, value []byte, block int) error) error {
	if len(t.b) < footerSize {
		return t.fail(len(t.b), "the file is truncated: %d bytes have no room for the footer", len(t.b))
	}
	at := len(t.b) - footerSize
	footer := t.b[at:]
	if m := binary.LittleEndian.Uint64(footer[footerSize-8:]); m != tableMagic {
		return t.fail(len(t.b)-8, "the file is no table or truncated: its last bytes are %#x", m)
	}
	_, rest, err := readHandle(footer) // of the block that has facts about the table: none here
	if err != nil {
		return t.fail(at, "footer: %w", err)
	}
	index, _, err := readHandle(rest)
	if err != nil {
		return t.fail(at, "footer: %w", err)
	}
	return t.block(index, at, func(_ string, value []byte) error {
		h, _, err := readHandle(value)
		if err != nil {
			return t.fail(int(index.off), "index block: %w", err)
		}
		return t.block(h, int(index.off), func(key string, value []byte) error { return visit(key, value, int(h.off)) })
	})
}

func readHandle(b []byte) (h handle, rest []byte, err error) {
	for _, p := range []*uint64{&h.off, &h.size} {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return h, nil, errors.New("the place of a block is cut off")
		}
		*p, b = v, b[n:]
	}
	return h, b, nil
}

// block visits the entries of one block; from is where its handle stands.
func (t table) block(h handle, from int, visit func(key string, value []byte) error) error {
	end := uint64(len(t.b) - footerSize)
	if h.off > end || h.size > end-h.off || end-h.off-h.size < trailerSize {
		return t.fail(from, "a block at byte %d of %d bytes lies outside the file of %d bytes", h.off, h.size, len(t.b))
	}
	off := int(h.off)
	b := t.b[h.off : h.off+h.size]
	trailer := t.b[h.off+h.size:][:trailerSize]
	want := binary.LittleEndian.Uint32(trailer[1:])
	if got := codec.MaskedCRC(t.b[h.off : h.off+h.size+1]); got != want { // the block and its type
		return t.fail(off, "the block's checksum is %08x, the file says %08x", got, want)
	}
	switch trailer[0] {
	case blockPlain:
	case blockSnappy:
		n, err := snappy.DecodedLen(b)
		if err != nil || n > maxBlock || n/256 > len(b) {
			return t.fail(off, "a block of %d bytes cannot unfold to %d", len(b), n)
		}
		if b, err = snappy.Decode(nil, b); err != nil {
			return t.fail(off, "the block does not unfold: %w", err)
		}
	default:
		return t.fail(off, "the block is compressed in way %d, which is unknown", trailer[0])
	}
	if err := blockEntries(b, visit); err != nil {
		var s *formats.SyntaxError
		if errors.As(err, &s) {
			return err
		}
		return t.fail(off, "block: %w", err)
	}
	return nil
}

// blockEntries visits the entries of a block: shared length, own length, length of the value, own part of the key, value.
func blockEntries(b []byte, visit func(key string, value []byte) error) error {
	if len(b) < 4 {
		return errors.New("it is too short")
	}
	restarts := uint64(binary.LittleEndian.Uint32(b[len(b)-4:]))
	if restarts > uint64(len(b)-4)/4 {
		return fmt.Errorf("%d restarts do not fit into %d bytes", restarts, len(b))
	}
	b = b[:uint64(len(b))-4-4*restarts]
	var key []byte
	for len(b) > 0 {
		var lens [3]uint64
		for i := range lens {
			v, n := binary.Uvarint(b)
			if n <= 0 {
				return errors.New("an entry's lengths are cut off")
			}
			lens[i], b = v, b[n:]
		}
		shared, own, size := lens[0], lens[1], lens[2]
		if shared > uint64(len(key)) || own > uint64(len(b)) || size > uint64(len(b))-own {
			return fmt.Errorf("an entry after key %q has lengths %v, which do not fit", key, lens)
		}
		key = append(key[:shared], b[:own]...)
		if err := visit(string(key), b[own:own+size]); err != nil {
			return err
		}
		b = b[own+size:]
	}
	return nil
}
