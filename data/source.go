package data

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/tfsopt/tfsopt/codec"
)

// openSource finds out by its content, or for CSV by its name, what a path is.
func openSource(path string, p Preprocess, o Options) (*source, error) {
	st, err := os.Stat(path)
	if err != nil {
		if x, y, ok := strings.Cut(path, ","); ok && errors.Is(err, os.ErrNotExist) {
			if beside := filepath.Join(filepath.Dir(x), y); !isFile(y) && isFile(beside) {
				y = beside
			}
			return openPair(x, y)
		}
		if files, bad := filepath.Glob(path); bad == nil && len(files) > 0 {
			return openRecords(files, o)
		}
		return nil, plain(err)
	}
	if st.IsDir() {
		return openDir(path, o)
	}
	kind, err := sniff(path)
	if err != nil {
		return nil, err
	}
	switch kind {
	case kindNPY, kindIDX:
		return openPair(path, "")
	case kindZip:
		return openNPZ(path, o.Inputs)
	case kindTar:
		return openTar(path)
	case kindRecords:
		return openRecords([]string{path}, o)
	}
	switch strings.ToLower(filepath.Ext(strings.TrimSuffix(path, ".gz"))) {
	case ".csv":
		return openCSV(path, p, o)
	case ".tar", ".tgz": // older than the mark that sniff looks for
		return openTar(path)
	}
	if isRecordName(path) { // its first bytes are damaged, or it is empty
		return openRecords([]string{path}, o)
	}
	return nil, errors.New("neither .npy, .npz, IDX, CSV, TFRecord, .tar nor .tar.gz")
}

func isRecordName(path string) bool {
	ext := strings.ToLower(filepath.Ext(strings.TrimSuffix(path, ".gz")))
	return ext == ".tfrecord" || ext == ".tfrecords"
}

// openDir reads a directory of TFRecord files or of images.
func openDir(dir string, o Options) (*source, error) {
	files, left, err := recordFiles(dir)
	if err != nil {
		return nil, err
	}
	if files == nil {
		return openFolder(dir)
	}
	src, err := openRecords(files, o)
	if err == nil && left != nil {
		src.notes = append(src.notes, fmt.Sprintf("files that are no TFRecord files are left out: %s", some(left)))
	}
	return src, err
}

// plain takes the path out of an error whose path is already said.
func plain(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

type kind int

const (
	kindUnknown kind = iota
	kindNPY
	kindIDX
	kindZip
	kindTar
	kindRecords
)

// sniff looks at the first bytes of a file, after decompression.
func sniff(path string) (kind, error) {
	f, err := os.Open(path)
	if err != nil {
		return kindUnknown, err
	}
	defer f.Close()
	r, err := unzipped(f)
	if err != nil {
		return kindUnknown, err
	}
	head, err := r.Peek(512)
	if err != nil && err != io.EOF {
		return kindUnknown, err
	}
	switch {
	case strings.HasPrefix(string(head), npyMagic):
		return kindNPY, nil
	case strings.HasPrefix(string(head), "PK\x03\x04"), strings.HasPrefix(string(head), "PK\x05\x06"):
		return kindZip, nil
	case len(head) == 512 && string(head[257:262]) == "ustar":
		return kindTar, nil
	case codec.IsRecord(head):
		return kindRecords, nil
	case isIDX(head):
		return kindIDX, nil
	}
	return kindUnknown, nil
}

// openPair reads features and, if y is not "", labels, each from .npy or IDX.
func openPair(x, y string) (*source, error) {
	features, closeX, err := openArray(x)
	if err != nil {
		return nil, err
	}
	var labels *array
	closeY := func() error { return nil }
	if y != "" {
		if labels, closeY, err = openArray(y); err != nil {
			return nil, errors.Join(err, closeX())
		}
	}
	src, err := arraySource([]*array{features}, labels, nil)
	if err != nil {
		return nil, errors.Join(err, closeX(), closeY())
	}
	src.close = func() error { return errors.Join(closeX(), closeY()) }
	return src, nil
}

func openArray(path string) (*array, func() error, error) {
	kind, err := sniff(path)
	switch {
	case err != nil:
		return nil, nil, err
	case kind == kindNPY:
		return openNPY(path)
	case kind == kindIDX:
		a, err := openIDX(path)
		return a, func() error { return nil }, err
	}
	return nil, nil, fmt.Errorf("%s: neither .npy nor an IDX file", path)
}
