package evaluate

import (
	"fmt"
	"strings"
)

// Origin is what made a report: the command line, the program's version and the SHA-256 of each model, in hexadecimal.
type Origin struct {
	Command string     `json:"command"`
	Version string     `json:"version"`
	Files   []FileHash `json:"files"`
}

// FileHash is a file with its SHA-256 in hexadecimal.
type FileHash struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
}

// String says it in a sentence, "" of nil.
func (o *Origin) String() string {
	if o == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Made by tfsopt %s: %s", o.Version, o.Command)
	for _, f := range o.Files {
		fmt.Fprintf(&b, "; SHA-256 of %s: %s", f.Path, f.SHA256)
	}
	return b.String()
}
