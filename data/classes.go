package data

import (
	"fmt"
	"slices"
	"strings"
)

// renumber gives the classes the numbers that they have in like, if both have names.
func (s *source) renumber(like *Set) error {
	if like == nil || s.classes == nil || like.source.classes == nil {
		return nil
	}
	to, err := places("class", s.classes, like.source.classes)
	if err != nil {
		return err
	}
	for i, l := range s.labels {
		s.labels[i] = to[l]
	}
	s.classes = like.source.classes
	return nil
}

// places says where each of the names stands among the known ones; those that are not there are an error that lists both.
func places(what string, names, known []string) ([]int, error) {
	out := make([]int, len(names))
	var strange []string
	for i, n := range names {
		if out[i] = slices.Index(known, n); out[i] < 0 {
			strange = append(strange, n)
		}
	}
	if strange != nil {
		return nil, fmt.Errorf("%s %s: not in the data that numbers them: that has %s, this has %s",
			what, strings.Join(quotedNames(strange), ", "), some(known), some(names))
	}
	return out, nil
}

func quotedNames(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = fmt.Sprintf("%q", n)
	}
	return out
}
