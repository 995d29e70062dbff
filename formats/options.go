package formats

import (
	"fmt"
	"strings"
)

// Options choose among what a model file holds. Formats refuse those that mean nothing to them.
type Options struct {
	Tags            []string // of the meta graph in a SavedModel; nil: the only one, else that for serving
	Signature       string   // the entry point that is kept; "": all
	Inputs, Outputs []string // where a frozen graph begins and ends; nil: found where there is no doubt
}

// Plain makes the Load of a format whose files hold one graph and leave nothing to choose.
func Plain(name string, load func(path string) (*File, error)) func(string, Options) (*File, error) {
	return func(path string, o Options) (*File, error) {
		var refused []string
		for _, c := range []struct {
			what string
			set  bool
		}{{"tags", o.Tags != nil}, {"inputs", o.Inputs != nil}, {"outputs", o.Outputs != nil}} {
			if c.set {
				refused = append(refused, c.what)
			}
		}
		if refused != nil {
			return nil, fmt.Errorf("%s: %s: there is nothing to choose in a file of this format (%s)", path, strings.Join(refused, ", "), name)
		}
		return load(path)
	}
}
