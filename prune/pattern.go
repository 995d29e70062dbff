package prune

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// pattern is the shape of what is cut: blocks of `block` neighbouring rows at one column, or, if of is not 0, all but
// keep of each `of` neighbouring columns of a row.
type pattern struct {
	block    int
	keep, of int
}

// parsePattern reads unstructured, N:M or Bx1.
func parsePattern(text string) (pattern, error) {
	bad := fmt.Errorf("pattern %q: want unstructured, N:M (as 2:4) or Bx1 (as 4x1)", text)
	if text == "" || text == "unstructured" {
		return pattern{block: 1}, nil
	}
	if a, b, ok := strings.Cut(text, ":"); ok {
		n, err1 := strconv.Atoi(a)
		m, err2 := strconv.Atoi(b)
		if err1 != nil || err2 != nil || n < 1 || m <= n || m > 64 {
			return pattern{}, bad
		}
		return pattern{block: 1, keep: n, of: m}, nil
	}
	a, ok := strings.CutSuffix(text, "x1")
	b, err := strconv.Atoi(a)
	if !ok || err != nil || b < 1 || b > 64 {
		return pattern{}, bad
	}
	return pattern{block: b}, nil
}

func (p pattern) String() string {
	switch {
	case p.of != 0:
		return fmt.Sprintf("%d:%d", p.keep, p.of)
	case p.block > 1:
		return fmt.Sprintf("%dx1", p.block)
	}
	return "unstructured"
}

// sparsity checks a wanted share of zeros; 0 becomes what an N:M pattern implies.
func (p pattern) sparsity(s float64) (float64, error) {
	if p.of != 0 {
		exact := 1 - float64(p.keep)/float64(p.of)
		if s != 0 && !(math.Abs(s-exact) < 1e-9) {
			return 0, fmt.Errorf("sparsity %g: the pattern %v gives %g and nothing else", s, p, exact)
		}
		return exact, nil
	}
	if !(s >= 0 && s < 1) {
		return 0, fmt.Errorf("sparsity %g: want a share of at least 0 and below 1", s)
	}
	return s, nil
}

// misfit says why a matrix cannot be cut in this pattern, "" if it can.
//
// What is left of the rows of an ungrouped layer after its last whole block is never cut.
//
// N:M groups are neighbouring input channels at one kernel tap, which is what the sparse tensor cores' compilers ask for
// (TensorRT Developer Guide, "Structured Sparsity"); blocks are neighbouring output channels of one group, as in
// XNNPACK's sparse products.
func (p pattern) misfit(m *matrix) string {
	if p.of != 0 && m.channels%p.of != 0 {
		return fmt.Sprintf("%d input channels do not divide into groups of %d", m.channels, p.of)
	}
	if m.run%p.block != 0 && (m.run != m.rows() || m.run < p.block) {
		return fmt.Sprintf("%d output channels do not divide into blocks of %d", m.run, p.block)
	}
	return ""
}

// units sums the scores [rows][k] of each block: [rows/block][k].
func (p pattern) units(m *matrix, scores []float64) []float64 {
	if p.block == 1 {
		return scores
	}
	k, rows := m.k(), p.whole(m)
	out := make([]float64, rows/p.block*k)
	for r := range rows {
		to := out[r/p.block*k:][:k]
		for i, s := range scores[r*k : (r+1)*k] {
			to[i] += s
		}
	}
	return out
}

// whole is how many rows lie in blocks.
func (p pattern) whole(m *matrix) int { return m.rows() - m.rows()%p.block }

// prune marks a unit.
func (p pattern) prune(mask *Mask, m *matrix, unit int) {
	r, i := unit/m.k()*p.block, unit%m.k()
	for b := range p.block {
		mask.Prune(m.row[r+b] + m.col[i])
	}
}

// groups marks all but the `keep` best of each group of columns; of equals the later goes.
func (p pattern) groups(mask *Mask, m *matrix, scores []float64) {
	order := make([]int, p.of)
	for at := 0; at < len(scores); at += p.of {
		p.least(scores[at:at+p.of], order)
		for _, j := range order[:p.of-p.keep] {
			e := at + j
			mask.Prune(m.row[e/m.k()] + m.col[e%m.k()])
		}
	}
}

// least puts the indices of a group's scores in ascending order, the later of equals first.
func (p pattern) least(scores []float64, order []int) {
	for j := range order {
		i := j
		for ; i > 0 && scores[order[i-1]] >= scores[j]; i-- {
			order[i] = order[i-1]
		}
		order[i] = j
	}
}
