package onnx

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"

	"github.com/tfsopt/tfsopt/formats"
)

// external maps the files beside a model that hold its larger tensors.
type external struct {
	model string // its path
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
	m, err := e.mapped(filepath.FromSlash(location))
	if err != nil {
		return nil, err
	}
	e.files[location] = m
	e.file.CloseWith(m)
	e.file.Bytes += int64(len(m.Data))
	return m, nil
}

// mapped looks beside the model. Where the model itself is a symbolic link, as in the caches of download tools, its data
// may be a link to a file beside the one that the model's link leads to.
func (e *external) mapped(name string) (*formats.Mapping, error) {
	dir := filepath.Dir(e.model)
	m, err := formats.MapIn(dir, name)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return m, err
	}
	model, modelErr := filepath.EvalSymlinks(e.model)
	data, dataErr := filepath.EvalSymlinks(filepath.Join(dir, name))
	if modelErr != nil || dataErr != nil {
		return nil, err
	}
	beside, relErr := filepath.Rel(filepath.Dir(model), data)
	if relErr != nil || !filepath.IsLocal(beside) {
		return nil, err
	}
	return formats.MapIn(filepath.Dir(model), beside)
}
