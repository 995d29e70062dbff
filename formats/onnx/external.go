package onnx

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/tfsopt/tfsopt/formats"
)

// external maps the files beside a model that hold its larger tensors.
type external struct {
	dir   string
	file  *formats.File
	files map[string]*formats.Mapping
}

// external gives the bytes of one tensor. The location is relative to the model and may not lead out of its directory.
func (e *external) external(t *tensorProto) ([]byte, error) {
	var location string
	offset, length := int64(0), int64(-1)
	for _, kv := range t.external {
		var err error
		switch kv[0] {
		case "location":
			location = kv[1]
		case "offset":
			offset, err = strconv.ParseInt(kv[1], 10, 64)
		case "length":
			length, err = strconv.ParseInt(kv[1], 10, 64)
		}
		if err != nil {
			return nil, t.fail("tensor %q: external data %s: %w", t.name, kv[0], err)
		}
	}
	m, err := e.open(location)
	if err != nil {
		return nil, t.fail("tensor %q: external data: %w", t.name, err)
	}
	size := int64(len(m.Data))
	if length < 0 {
		length = size - offset
	}
	if offset < 0 || length < 0 || offset > size || length > size-offset {
		return nil, t.fail("tensor %q: external data at %d, %d bytes, is outside of %q, which has %d", t.name, offset, length, location, size)
	}
	return m.Data[offset : offset+length : offset+length], nil
}

func (e *external) open(location string) (*formats.Mapping, error) {
	if location == "" {
		return nil, errors.New("no location")
	}
	if !filepath.IsLocal(filepath.FromSlash(location)) {
		return nil, fmt.Errorf("location %q leads out of the model's directory", location)
	}
	if m := e.files[location]; m != nil {
		return m, nil
	}
	path, err := filepath.EvalSymlinks(filepath.Join(e.dir, filepath.FromSlash(location)))
	if err != nil {
		return nil, err
	}
	m, err := formats.Map(path)
	if err != nil {
		return nil, err
	}
	e.files[location] = m
	e.file.Hold(m)
	e.file.Bytes += int64(len(m.Data))
	return m, nil
}
