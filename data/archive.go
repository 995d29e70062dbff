package data

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
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
		members, err := indexTar(f)
		return finish(members, f, err, f.Close)
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
	members, err := spoolTar(r, spool)
	return finish(members, spool, err, func() error {
		if gone {
			return spool.Close()
		}
		return errors.Join(spool.Close(), os.Remove(spool.Name()))
	})
}

// finish makes a source of indexed members whose bytes are in f.
func finish(members []member, f *os.File, err error, close func() error) (*source, error) {
	var src *source
	if err == nil {
		stray := 0
		for _, m := range members {
			if m.class == "" {
				stray++
			}
		}
		src, members, err = fromMembers(members, stray)
	}
	if err == nil && src.n == 0 {
		err = errors.New("the archive holds no JPEG or PNG images")
	}
	if err != nil {
		return nil, errors.Join(err, close())
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

// wanted reads the header of the next image of an archive.
func wanted(t *tar.Reader) (member, error) {
	for {
		h, err := t.Next()
		if err != nil {
			return member{}, err
		}
		name := path.Clean("/" + h.Name)[1:]
		if h.Typeflag != tar.TypeReg || !isImage(name) || strings.HasPrefix(name, "__MACOSX/") {
			continue
		}
		if h.Size < 0 || h.Size > maxImageFile {
			return member{}, fmt.Errorf("%s: %d bytes: the limit is %d", name, h.Size, maxImageFile)
		}
		class := path.Base(path.Dir(name))
		if class == "." || class == "/" {
			class = ""
		}
		return member{class: class, path: name, size: h.Size}, nil
	}
}

// indexTar finds where each image lies in an uncompressed archive.
func indexTar(f *os.File) ([]member, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var out []member
	t := tar.NewReader(f)
	for {
		m, err := wanted(t)
		if err == io.EOF {
			return out, nil
		}
		if err == nil {
			m.offset, err = f.Seek(0, io.SeekCurrent)
		}
		if err == nil && m.size > st.Size()-m.offset {
			err = fmt.Errorf("%s: %w", m.path, io.ErrUnexpectedEOF)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
}

// spoolTar copies the images of an archive to a file, one after the other.
func spoolTar(r io.Reader, spool *os.File) ([]member, error) {
	var out []member
	var at int64
	t, w := tar.NewReader(r), bufio.NewWriterSize(spool, 1<<20)
	for {
		m, err := wanted(t)
		if err == io.EOF {
			return out, w.Flush()
		}
		if err != nil {
			return nil, err
		}
		m.offset = at
		if at += m.size; at > MaxSpool {
			return nil, fmt.Errorf("the archive holds more than %d bytes of images; unpack it", int64(MaxSpool))
		}
		if _, err := io.Copy(w, t); err != nil {
			return nil, fmt.Errorf("%s: %w", m.path, err)
		}
		out = append(out, m)
	}
}
