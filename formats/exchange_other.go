//go:build !linux

package formats

import "errors"

// exchange has no such step here.
func exchange(_, _ string) error { return errors.ErrUnsupported }
