package kernels

import "testing"

func TestPackF32(t *testing.T) {
	for _, s := range Available() {
		for k := 1; k < 20; k++ {
			for _, n := range []int{1, 7, 8, 9, 16, 31, 32, 33, 50} {
				for _, transposed := range []bool{false, true} {
					rs, cs := n, 1
					if transposed {
						rs, cs = 1, k
					}
					checkPack(t, s, packShape{k: k, w: n, rs: rs, cs: cs})
				}
				checkPack(t, s, packShape{k: k, w: n, rs: 2, cs: 2*k + 1})
			}
		}
	}
}

func checkPack(t *testing.T, s *Set, p packShape) {
	t.Helper()
	src := make([]float32, (p.k-1)*p.rs+(p.w-1)*p.cs+1)
	for i := range src {
		src[i] = float32(i + 1)
	}
	dst := make([]float32, s.PackedF32(p.k, p.w))
	for i := range dst {
		dst[i] = -1
	}
	s.PackF32(dst, src, p.k, p.w, p.rs, p.cs)
	for i, got := range dst {
		panel, k, j := i/(s.NR*p.k), i/s.NR%p.k, i%s.NR
		want := float32(0)
		if n := panel*s.NR + j; n < p.w {
			want = src[k*p.rs+n*p.cs]
		}
		if got != want {
			t.Fatalf("%s %+v: element %d of panel %d, k %d is %g, want %g", s.Name, p, j, panel, k, got, want)
		}
	}
}
