package onnx

import (
	"context"
	"io"
	"path/filepath"

	"github.com/tfsopt/tfsopt/formats"
)

const (
	externalMin   = 1024 // smaller tensors stay in the model, as with onnx.save_model
	externalAlign = 4096 // so that readers can map each tensor by itself
)

// placement lays tensors out in the file beside a model.
type placement struct {
	location string
	data     [][]byte
	offsets  []int64
	size     int64
}

func (p *placement) add(data []byte) (offset int64) {
	offset = (p.size + externalAlign - 1) / externalAlign * externalAlign
	p.data, p.offsets = append(p.data, data), append(p.offsets, offset)
	p.size = offset + int64(len(data))
	return offset
}

func (p *placement) writeTo(w io.Writer) error {
	at := int64(0)
	pad := make([]byte, externalAlign)
	for i, d := range p.data {
		if _, err := w.Write(pad[:p.offsets[i]-at]); err != nil {
			return err
		}
		if _, err := w.Write(d); err != nil {
			return err
		}
		at = p.offsets[i] + int64(len(d))
	}
	return nil
}

// save writes both files completely before either gets its name.
func (p *placement) save(ctx context.Context, path string, m *message) error {
	data, err := formats.Create(ctx, filepath.Join(filepath.Dir(path), p.location))
	if err != nil {
		return err
	}
	defer data.Discard()
	model, err := formats.Create(ctx, path)
	if err != nil {
		return err
	}
	defer model.Discard()
	for _, step := range []func() error{
		func() error { return p.writeTo(data) }, data.Flush,
		func() error { return m.writeTo(model) }, model.Flush,
		data.Commit, model.Commit,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
