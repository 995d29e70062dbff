package engine

import "github.com/tfsopt/tfsopt/kernels"

// columns is a matrix of float32 whose columns are summed, rows×c. Row r goes to lane r mod l of a block, where l is a
// power of two that depends on c alone; lanes fold by halves, blocks add in order. So every sum is one order of
// additions, whatever the kernels and threads.
type columns struct {
	rows, c int
	lanes   int // rows of one chunk
	chunks  int // chunks of one block
}

const (
	wideRow    = 512 // elements of a chunk, at least
	blockBytes = 128 << 10
)

func columnsOf(rows, c int) columns {
	k := columns{rows: rows, c: c, lanes: 8}
	for k.lanes*c < wideRow && k.lanes < 1024 {
		k.lanes *= 2
	}
	k.chunks = max(1, blockBytes/(4*max(1, k.lanes*c)))
	return k
}

// width is the elements of a chunk, blocks the number of blocks.
func (k columns) width() int  { return k.lanes * k.c }
func (k columns) block() int  { return k.width() * k.chunks }
func (k columns) blocks() int { return max(1, (k.rows*k.c+k.block()-1)/max(1, k.block())) }

// columnSum says what is summed: chunk adds elements a to b of the matrix, a width or at its end fewer, to the
// accumulators, of which there are sums; tmp holds extra widths.
type columnSum struct {
	sums, extra int
	chunk       func(acc [][]float32, tmp []float32, a, b int)
}

// one computes block i into dst, sums×c.
func (k columns) one(s *scratch, set *kernels.Set, dst []float32, q columnSum, i int) {
	w := k.width()
	buf := s.floats((q.sums + q.extra) * w)
	clear(buf[:q.sums*w])
	acc := make([][]float32, q.sums)
	for j := range acc {
		acc[j] = buf[j*w : (j+1)*w]
	}
	end := min((i+1)*k.block(), k.rows*k.c)
	for a := i * k.block(); a < end; a += w {
		q.chunk(acc, buf[q.sums*w:], a, min(a+w, end))
	}
	for j := range acc {
		k.fold(set, acc[j])
		copy(dst[j*k.c:(j+1)*k.c], acc[j])
	}
}

// reduce fills dst, sums×c, on all threads.
func (k columns) reduce(x *exec, dst []float32, q columnSum) {
	n, c := k.blocks(), q.sums*k.c
	parts := x.shared.floats(n * c)
	x.p.pool.run(x.scratch, n, func(s *scratch, i int) { k.one(s, x.p.set, parts[i*c:(i+1)*c], q, i) })
	copy(dst[:c], parts)
	for i := 1; i < n; i++ {
		x.p.set.Add(dst[:c], dst[:c], parts[i*c:(i+1)*c])
	}
}

// fold adds the lanes by halves into the first.
func (k columns) fold(s *kernels.Set, acc []float32) {
	for l := k.lanes / 2; l > 0; l /= 2 {
		n := l * k.c
		s.Add(acc[:n], acc[:n], acc[n:2*n])
	}
}

// sum fills dst with the sums of the columns of src.
func (k columns) sum(x *exec, dst, src []float32) { k.reduce(x, dst, k.adding(x.p.set, src)) }

func (k columns) adding(set *kernels.Set, src []float32) columnSum {
	return columnSum{sums: 1, chunk: func(acc [][]float32, _ []float32, a, b int) {
		set.Add(acc[0][:b-a], acc[0][:b-a], src[a:b])
	}}
}

// sums does so for n matrices that follow one another: small ones are a task each.
func (k columns) sums(x *exec, dst, src []float32, n int) {
	size := k.rows * k.c
	if n == 1 || k.blocks() > 1 {
		for i := range n {
			k.sum(x, dst[i*k.c:(i+1)*k.c], src[i*size:(i+1)*size])
		}
		return
	}
	per := max(1, grain/size)
	x.p.pool.run(x.scratch, (n+per-1)/per, func(s *scratch, t int) {
		for i := t * per; i < min((t+1)*per, n); i++ {
			k.one(s, x.p.set, dst[i*k.c:(i+1)*k.c], k.adding(x.p.set, src[i*size:(i+1)*size]), 0)
		}
	})
}

// wide repeats a vector of c numbers for each lane of a chunk.
func (k columns) wide(v []float32) []float32 {
	out := make([]float32, k.width())
	for i := 0; i < len(out); i += k.c {
		copy(out[i:i+k.c], v)
	}
	return out
}
