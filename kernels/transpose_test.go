package kernels

import (
	"fmt"
	"testing"
)

func TestTranspose(t *testing.T) {
	var shapes [][2]int
	for n := 1; n < 36; n++ {
		shapes = append(shapes, [2]int{n, 17}, [2]int{19, n}, [2]int{n, n}, [2]int{32, n})
	}
	shapes = append(shapes, [2]int{0, 3}, [2]int{64, 196}, [2]int{300, 65}, [2]int{129, 128})
	for _, s := range Available() {
		t.Run(s.Name, func(t *testing.T) {
			for _, d := range shapes {
				rows, cols := d[0], d[1]
				src, dst := make([]float32, rows*cols), make([]float32, rows*cols)
				src8, dst8 := make([]byte, rows*cols), make([]byte, rows*cols)
				for i := range src {
					src[i], src8[i] = float32(i), byte(i*7+i>>8)
				}
				s.Transpose2D(dst, src, rows, cols)
				s.Transpose2DU8(dst8, src8, rows, cols)
				for r := range rows {
					for c := range cols {
						if dst[c*rows+r] != src[r*cols+c] || dst8[c*rows+r] != src8[r*cols+c] {
							t.Fatalf("%d×%d: element [%d,%d] is %g and %d, want %g and %d", rows, cols, c, r,
								dst[c*rows+r], dst8[c*rows+r], src[r*cols+c], src8[r*cols+c])
						}
					}
				}
			}
		})
	}
}

func BenchmarkTranspose(b *testing.B) {
	for _, s := range Available() {
		for _, d := range [][2]int{{64, 3136}, {3136, 64}, {512, 196}} {
			b.Run(fmt.Sprintf("%s/%dx%d", s.Name, d[0], d[1]), func(b *testing.B) {
				n := d[0] * d[1]
				src, dst := make([]float32, n), make([]float32, n)
				b.SetBytes(int64(8 * n))
				for b.Loop() {
					s.Transpose2D(dst, src, d[0], d[1])
				}
			})
			b.Run(fmt.Sprintf("%s/u8/%dx%d", s.Name, d[0], d[1]), func(b *testing.B) {
				n := d[0] * d[1]
				src, dst := make([]byte, n), make([]byte, n)
				b.SetBytes(int64(2 * n))
				for b.Loop() {
					s.Transpose2DU8(dst, src, d[0], d[1])
				}
			})
		}
	}
}

// TestTransposeStrided turns a block inside a larger matrix.
func TestTransposeStrided(t *testing.T) {
	const stride, ldd = 41, 150
	for _, s := range Available() {
		for _, d := range [][2]int{{1, 1}, {7, 9}, {8, 8}, {19, 40}, {140, 17}, {130, 3}, {3, 33}} {
			rows, cols := d[0], d[1]
			src, dst := guarded[float32](t, (rows-1)*stride+cols), guarded[float32](t, (cols-1)*ldd+rows)
			for i := range src {
				src[i] = float32(i + 1)
			}
			s.TransposeF32(dst, ldd, Strided{V: src, Stride: stride, Rows: rows, Cols: cols})
			for i, v := range dst {
				want := float32(0)
				if c, r := i/ldd, i%ldd; r < rows {
					want = src[r*stride+c]
				}
				if v != want {
					t.Fatalf("%s %d×%d: element %d is %g, want %g", s.Name, rows, cols, i, v, want)
				}
			}
		}
	}
}
