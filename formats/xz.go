package formats

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// xzWalk goes through an .xz file (format 1.2.1, https://tukaani.org/xz/xz-file-format.txt) without unpacking it. The
// reader allocates the dictionary that each block asks for, up to 4 GiB, before it has looked at the block.
type xzWalk struct {
	b        []byte
	at       int
	unfolded int64 // bytes of the blocks so far
	dicts    int64 // bytes of their dictionaries
}

// checkXZ refuses files that ask for dictionaries out of proportion, and those whose structure is damaged; at is where.
func checkXZ(b []byte) (at int64, err error) {
	w := &xzWalk{b: b}
	for w.at < len(b) {
		if err := w.stream(); err != nil {
			return int64(w.at), err
		}
		for len(w.rest()) >= 4 && binary.LittleEndian.Uint32(w.rest()) == 0 {
			w.at += 4 // padding between streams
		}
	}
	return 0, nil
}

func (w *xzWalk) rest() []byte { return w.b[min(w.at, len(w.b)):] }

// take skips n bytes and gives them.
func (w *xzWalk) take(n int) ([]byte, error) {
	b := w.rest()
	if n > len(b) {
		return nil, fmt.Errorf("the file ends %d bytes too early", n-len(b))
	}
	w.at += n
	return b[:n], nil
}

// checkSizes are the bytes after a block, by the type of check.
var checkSizes = [16]int{0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64}

func (w *xzWalk) stream() error {
	head, err := w.take(12)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")) {
		w.at -= 12
		return errors.New("no xz stream begins here")
	}
	check := checkSizes[head[7]&15]
	for {
		b := w.rest()
		if len(b) == 0 {
			return errors.New("the file ends before its index")
		}
		if b[0] == 0 {
			return w.index()
		}
		if err := w.block(check); err != nil {
			return err
		}
	}
}

// block skips one block of LZMA2 chunks.
func (w *xzWalk) block(check int) error {
	head, err := w.take(4 * (int(w.rest()[0]) + 1))
	if err != nil {
		return err
	}
	dict, err := blockDictionary(head)
	if err != nil {
		return err
	}
	start := w.at
	for more := true; more; {
		if more, err = w.chunk(); err != nil {
			return err
		}
	}
	if w.dicts += dict; w.dicts > minUnfolded+2*w.unfolded {
		return fmt.Errorf("dictionaries of %d bytes for %d bytes of data: too much", w.dicts, w.unfolded)
	}
	pad := (4 - (w.at-start)%4) % 4
	_, err = w.take(pad + check)
	return err
}

// blockDictionary gives the size of the dictionary that a block header asks for.
func blockDictionary(head []byte) (int64, error) {
	flags, at := head[1], 2
	if flags&3 != 0 {
		return 0, fmt.Errorf("a block with %d filters; LZMA2 alone is known", 1+flags&3)
	}
	for _, present := range []byte{0x40, 0x80} { // compressed and uncompressed size
		if flags&present != 0 {
			_, n := binary.Uvarint(head[at:])
			if n <= 0 {
				return 0, errors.New("a size in a block's header is damaged")
			}
			at += n
		}
	}
	if at+3 > len(head) || head[at] != 0x21 || head[at+1] != 1 || head[at+2] > 40 {
		return 0, errors.New("a block that is not LZMA2")
	}
	if head[at+2] == 40 {
		return 1<<32 - 1, nil
	}
	return int64(2|head[at+2]&1) << (head[at+2]/2 + 11), nil
}

// chunk skips one chunk; more is false after the last one.
func (w *xzWalk) chunk() (more bool, err error) {
	control, err := w.take(1)
	if err != nil {
		return false, err
	}
	c := control[0]
	size := 4 // of the sizes in the header, and of the properties
	switch {
	case c == 0:
		return false, nil
	case c == 1 || c == 2:
		size = 2
	case c < 0x80:
		return false, errors.New("an unknown LZMA2 chunk")
	case c >= 0xc0:
		size = 5
	}
	h, err := w.take(size)
	if err != nil {
		return false, err
	}
	unfolded := int(binary.BigEndian.Uint16(h)) + 1
	packed := unfolded
	if c >= 0x80 {
		unfolded += int(c&0x1f) << 16
		packed = int(binary.BigEndian.Uint16(h[2:])) + 1
	}
	w.unfolded += int64(unfolded)
	_, err = w.take(packed)
	return true, err
}

// index skips the index and the footer after it.
func (w *xzWalk) index() error {
	start := w.at
	w.at++
	records, err := w.number()
	for ; err == nil && records > 0; records-- {
		if _, err = w.number(); err == nil {
			_, err = w.number()
		}
	}
	if err != nil {
		return err
	}
	_, err = w.take((4-(w.at-start)%4)%4 + 4 + 12)
	return err
}

func (w *xzWalk) number() (uint64, error) {
	v, n := binary.Uvarint(w.rest())
	if n <= 0 {
		return 0, errors.New("a number of the index is damaged")
	}
	w.at += n
	return v, nil
}
