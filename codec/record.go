package codec

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// MaxRecord bounds the length of a record that RecordReader reads, in bytes.
const MaxRecord = 1 << 30

// RecordError says where in a file a record is damaged.
type RecordError struct {
	Path   string
	Offset int64 // of what is damaged, in bytes of the uncompressed file
	Err    error
}

func (e *RecordError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("byte %d: %v", e.Offset, e.Err)
	}
	return fmt.Sprintf("%s: byte %d: %v", e.Path, e.Offset, e.Err)
}

func (e *RecordError) Unwrap() error { return e.Err }

// recordHead and recordFoot are the bytes before a record's data (length, checksum of the length) and after it (checksum).
const (
	recordHead = 12
	recordFoot = 4
)

// RecordReader reads the records of a TFRecord file (https://www.tensorflow.org/tutorials/load_data/tfrecord): for each a
// uint64 length, its masked crc32c, the data and their masked crc32c, little-endian.
type RecordReader struct {
	r      *bufio.Reader
	path   string
	offset int64 // of the next record
	buf    []byte
}

// NewRecordReader reads records from r, which is not compressed; path names it in errors.
func NewRecordReader(r io.Reader, path string) *RecordReader {
	return &RecordReader{r: bufio.NewReaderSize(r, 1<<16), path: path}
}

// Next gives the next record's data, valid until the next call, and the offset at which they begin; io.EOF after the last one.
// What is cut off or does not match its checksum is a *RecordError. Memory follows the bytes that are there, not the length
// that is claimed.
func (r *RecordReader) Next() (data []byte, offset int64, err error) {
	var head [recordHead]byte
	n, err := io.ReadFull(r.r, head[:])
	if err == io.EOF {
		return nil, 0, io.EOF
	}
	if err != nil {
		return nil, 0, r.fail(r.offset, cut(err, "a record's length", n, recordHead))
	}
	if !IsRecord(head[:]) {
		return nil, 0, r.fail(r.offset, errors.New("the checksum of a record's length is wrong: the file is damaged, or no TFRecord file"))
	}
	size := binary.LittleEndian.Uint64(head[:])
	at := r.offset + recordHead
	if size > MaxRecord {
		return nil, 0, r.fail(r.offset, fmt.Errorf("a record of %d bytes: the limit is %d", size, MaxRecord))
	}
	whole := int(size) + recordFoot
	r.buf = r.buf[:0]
	for len(r.buf) < whole {
		part := min(whole-len(r.buf), max(1<<20, len(r.buf)))
		have := len(r.buf)
		r.buf = append(r.buf, make([]byte, part)...)
		if n, err := io.ReadFull(r.r, r.buf[have:]); err != nil {
			return nil, 0, r.fail(at, cut(err, "a record's data", have+n, whole))
		}
	}
	data = r.buf[:size]
	if got, want := MaskedCRC(data), binary.LittleEndian.Uint32(r.buf[size:]); got != want {
		return nil, 0, r.fail(at, fmt.Errorf("the checksum of a record of %d bytes is %08x, the file says %08x", size, got, want))
	}
	r.offset = at + int64(whole)
	return data, at, nil
}

func (r *RecordReader) fail(offset int64, err error) error { return &RecordError{r.path, offset, err} }

// cut words the end of a file in the middle of something; other errors stay.
func cut(err error, what string, got, want int) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("the file is cut off: %s has %d of %d bytes: %w", what, got, want, io.ErrUnexpectedEOF)
	}
	return err
}

// RecordSniffLen is how many bytes IsRecord looks at.
const RecordSniffLen = recordHead

// IsRecord reports whether a file with these first bytes is a TFRecord file.
func IsRecord(head []byte) bool {
	return len(head) >= recordHead && MaskedCRC(head[:8]) == binary.LittleEndian.Uint32(head[8:])
}

// RecordWriter writes a TFRecord file.
type RecordWriter struct{ w io.Writer }

// NewRecordWriter writes records to w.
func NewRecordWriter(w io.Writer) *RecordWriter { return &RecordWriter{w} }

// Write adds one record.
func (w *RecordWriter) Write(data []byte) error {
	if len(data) > MaxRecord {
		return fmt.Errorf("a record of %d bytes: the limit is %d", len(data), MaxRecord)
	}
	head := binary.LittleEndian.AppendUint64(nil, uint64(len(data)))
	head = binary.LittleEndian.AppendUint32(head, MaskedCRC(head))
	for _, b := range [][]byte{head, data, binary.LittleEndian.AppendUint32(nil, MaskedCRC(data))} {
		if _, err := w.w.Write(b); err != nil {
			return err
		}
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// MaskedCRC is crc32c as TensorFlow stores it: turned and shifted, since sums over data that hold sums are weak.
func MaskedCRC(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}
