package kernels

import (
	"fmt"
	"strings"
)

// Set is one implementation of every kernel for one instruction set. All sets give the same bits; they differ in
// speed and in the layout of packed buffers, which only the set that packed them can read.
type Set struct {
	Name string
	NR   int // columns of a packed float panel
	MR   int // most rows of one float tile
	floatSet
	Int8Set
}

// setInfo is one row of the table of sets: how to make it and what the machine lacks for it.
type setInfo struct {
	set   *Set
	lacks []string // CPU features that the set needs and this machine does not have
}

// genericSet is Go code alone: the definition of every result, and the only set where there is no assembly.
var genericSet = &Set{Name: "generic", NR: 16, MR: 4, floatSet: floatGeneric, Int8Set: int8Generic}

// Select returns the set of that name, or the best one of this machine for "". The names are generic, avx2, avx512
// and vnni (avx512 with VNNI for integers). The error says what the CPU or the build lacks.
func Select(name string) (*Set, error) {
	all := setTable()
	if name == "" {
		best := Available()
		return best[len(best)-1], nil
	}
	var names []string
	for _, s := range all {
		names = append(names, s.set.Name)
		if s.set.Name != name {
			continue
		}
		if len(s.lacks) > 0 {
			return nil, fmt.Errorf("kernels: set %q needs %s, which this machine lacks", name, strings.Join(s.lacks, ", "))
		}
		return s.set, nil
	}
	if name == "avx2" || name == "avx512" || name == "vnni" {
		return nil, fmt.Errorf("kernels: set %q needs amd64 assembly, which this build leaves out", name)
	}
	return nil, fmt.Errorf("kernels: no set %q, want one of %s", name, strings.Join(names, ", "))
}

// Available lists the sets that this machine can run, slowest first; generic is always among them.
func Available() []*Set {
	var sets []*Set
	for _, s := range setTable() {
		if len(s.lacks) == 0 {
			sets = append(sets, s.set)
		}
	}
	return sets
}
