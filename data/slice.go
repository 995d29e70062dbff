package data

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// slice is a part of a set: start:stop:step, or all but that.
type slice struct {
	start, stop *int // nil: from the beginning, to the end; negative: from the end
	step        int
	not         bool
}

// splitPath separates a path from its slice. A path that exists as it stands has none.
func splitPath(path string) (string, slice, error) {
	all := slice{step: 1}
	at := strings.LastIndexByte(path, '#')
	if at < 0 {
		return path, all, nil
	}
	if _, err := os.Stat(path); err == nil {
		return path, all, nil
	}
	s, err := parseSlice(path[at+1:])
	if err != nil {
		return "", all, fmt.Errorf("data %s: %w", path, err)
	}
	return path[:at], s, nil
}

func parseSlice(text string) (slice, error) {
	s := slice{step: 1}
	rest, not := strings.CutPrefix(text, "!")
	s.not = not
	parts := strings.Split(rest, ":")
	if len(parts) < 2 || len(parts) > 3 {
		return s, fmt.Errorf("slice %q: want start:stop, start:stop:step or either after a !", text)
	}
	var numbers [3]*int
	for i, p := range parts {
		if p = strings.TrimSpace(p); p == "" {
			continue
		}
		n, err := strconv.Atoi(p)
		if err != nil {
			return s, fmt.Errorf("slice %q: %q is not an integer", text, p)
		}
		numbers[i] = &n
	}
	s.start, s.stop = numbers[0], numbers[1]
	if numbers[2] != nil {
		s.step = *numbers[2]
	}
	if s.step <= 0 {
		return s, fmt.Errorf("slice %q: the step must be positive", text)
	}
	return s, nil
}

// of gives the selected indices of n samples, ascending.
func (s slice) of(n int) []int {
	bound := func(v *int, none int) int {
		if v == nil {
			return none
		}
		if *v < 0 {
			return max(*v+n, 0)
		}
		return min(*v, n)
	}
	start, stop := bound(s.start, 0), bound(s.stop, n)
	var out []int
	for i := range n {
		in := i >= start && i < stop && (i-start)%s.step == 0
		if in != s.not {
			out = append(out, i)
		}
	}
	return out
}

// spread chooses k of the indices (all if k is 0 or not below their number), one from each of k equal stretches. Which
// one is pseudo-random, since a fixed stride would meet only some classes of a set in which they take turns.
func spread(index []int, k int) []int {
	n := len(index)
	if k <= 0 || k >= n {
		return index
	}
	out := make([]int, k)
	for i := range out {
		from, to := i*n/k, (i+1)*n/k
		out[i] = index[from+int(mix(uint64(i))%uint64(to-from))]
	}
	return out
}

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
