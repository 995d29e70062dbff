package data

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/tfsopt/tfsopt/codec"
)

// MaxSpool bounds the temporary file that the images of a compressed archive are unpacked into.
const MaxSpool = 64 << 30

// openTar indexes a .tar or .tar.gz. The images of a plain .tar stay in it; those of a compressed one are copied to a
// temporary file. Either way only names and offsets are kept in memory.
func openTar(name string) (*source, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	var head [2]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if string(head[:]) != gzipMagic {
		x, err := indexTar(f)
		return finish(x, f, err, f.Close)
	}
	defer f.Close()
	r, err := unzipped(f)
	if err != nil {
		return nil, err
	}
	spool, err := os.CreateTemp("", "tfsopt-*.images")
	if err != nil {
		return nil, err
	}
	gone := os.Remove(spool.Name()) == nil // where open files can be removed, nothing is left behind in any case
	x, err := spoolTar(r, spool)
	return finish(x, spool, err, func() error {
		if gone {
			return spool.Close()
		}
		return errors.Join(spool.Close(), os.Remove(spool.Name()))
	})
}

// finish makes a source of an index whose bytes are in f.
func finish(x *index, f *os.File, err error, close func() error) (*source, error) {
	var src *source
	var members []member
	if err == nil {
		stray := 0
		for _, m := range x.members {
			if m.class == "" {
				stray++
			}
		}
		src, members, err = fromMembers(x.members, stray)
	}
	if err == nil && src.n == 0 {
		err = fmt.Errorf("the archive holds no images (%s)", codec.Formats)
	}
	if err != nil {
		return nil, errors.Join(err, close())
	}
	if x.left != nil {
		src.notes = append(src.notes, leftOut(x.left))
	}
	src.close = close
	src.image = func(i int) ([]byte, error) {
		m := members[i]
		b := make([]byte, m.size)
		_, err := f.ReadAt(b, m.offset)
		return b, err
	}
	return src, nil
}

// index is what an archive holds: images, and the names of other files.
type index struct {
	members []member
	left    []string
}

// next reads the header of the next image of an archive, and its first bytes.
func (x *index) next(t *tar.Reader) (m member, head []byte, err error) {
	for {
		h, err := t.Next()
		if err != nil {
			return member{}, nil, err
		}
		name := path.Clean("/" + h.Name)[1:]
		if h.Typeflag != tar.TypeReg || hidden(path.Base(name)) || strings.HasPrefix(name, "__MACOSX/") {
			continue
		}
		head := make([]byte, codec.SniffLen)
		n, err := io.ReadFull(t, head)
		if err != nil && !(h.Size < codec.SniffLen && (err == io.EOF || err == io.ErrUnexpectedEOF)) {
			return member{}, nil, fmt.Errorf("%s: %w", name, err)
		}
		if !namedImage(name) && !codec.Sniff(head[:n]) {
			x.left = append(x.left, name)
			continue
		}
		if h.Size < 0 || h.Size > maxImageFile {
			return member{}, nil, fmt.Errorf("%s: %d bytes: the limit is %d", name, h.Size, maxImageFile)
		}
		class := path.Base(path.Dir(name))
		if class == "." || class == "/" {
			class = ""
		}
		return member{class: class, path: name, size: h.Size}, head[:n], nil
	}
}

// indexTar finds where each image lies in an uncompressed archive.
func indexTar(f *os.File) (*index, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	x, t := &index{}, tar.NewReader(f)
	for {
		m, head, err := x.next(t)
		if err == io.EOF {
			return x, nil
		}
		if err == nil {
			m.offset, err = f.Seek(0, io.SeekCurrent)
			m.offset -= int64(len(head))
		}
		if err == nil && m.size > st.Size()-m.offset {
			err = fmt.Errorf("%s: %w", m.path, io.ErrUnexpectedEOF)
		}
		if err != nil {
			return nil, err
		}
		x.members = append(x.members, m)
	}
}

// spoolTar copies the images of an archive to a file, one after the other.
func spoolTar(r io.Reader, spool *os.File) (*index, error) {
	var at int64
	x, t, w := &index{}, tar.NewReader(r), bufio.NewWriterSize(spool, 1<<20)
	for {
		m, head, err := x.next(t)
		if err == io.EOF {
			return x, w.Flush()
		}
		if err != nil {
			return nil, err
		}
		m.offset = at
		if at += m.size; at > MaxSpool {
			return nil, fmt.Errorf("the archive holds more than %d bytes of images; unpack it", int64(MaxSpool))
		}
		if _, err := io.Copy(w, io.MultiReader(bytes.NewReader(head), t)); err != nil {
			return nil, fmt.Errorf("%s: %w", m.path, err)
		}
		x.members = append(x.members, m)
	}
}
