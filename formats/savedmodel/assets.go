package savedmodel

import (
	"fmt"
	"path/filepath"

	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/internal/tensorflow"
	"github.com/tfsopt/tfsopt/tensor"
)

// maxAsset bounds the files below assets/ that are read.
const maxAsset = 256 << 20

// feedAssets gives the tensors that hold paths of assets the names of their files below assets/.
func (l *loader) feedAssets(s *scope, assets []*tensorflow.AssetFile) error {
	for _, a := range assets {
		if a.Tensor == nil {
			continue
		}
		if !filepath.IsLocal(a.Filename) {
			return fmt.Errorf("the asset %q lies outside the model's directory", a.Filename)
		}
		s.fed[portOf(a.Tensor.Name)] = value{t: tensor.FromStrings([]string{a.Filename})}
	}
	return nil
}

// asset reads a file below assets/; no link leads out of it.
func (l *loader) asset(name string) (string, error) {
	m, err := formats.MapIn(filepath.Join(l.dir, assetsDir), name)
	if err != nil {
		return "", fmt.Errorf("asset %q: %w", name, err)
	}
	defer m.Close()
	if len(m.Data) > maxAsset {
		return "", fmt.Errorf("asset %q has %d bytes, more than %d", name, len(m.Data), maxAsset)
	}
	return string(m.Data), nil
}
