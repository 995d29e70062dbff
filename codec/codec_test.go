package codec

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func read(t testing.TB, name string) *Image {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	im, err := Decode(b, 0)
	if err != nil {
		t.Fatal(name, err)
	}
	return im
}

func same(t *testing.T, what string, got, want *Image) {
	t.Helper()
	if got.W != want.W || got.H != want.H || got.C != want.C {
		t.Fatalf("%s: %dx%dx%d, want %dx%dx%d", what, got.W, got.H, got.C, want.W, want.H, want.C)
	}
	for i := range want.Pix {
		if got.Pix[i] != want.Pix[i] {
			p := i / want.C
			t.Fatalf("%s: (%d, %d) channel %d is %d, want %d", what, p%want.W, p/want.W, i%want.C, got.Pix[i], want.Pix[i])
		}
	}
}

// The pictures consist of blocks whose inverse DCT is exact, so libjpeg's pixels must be met to the bit.
func TestUpsamplingIsLibjpegs(t *testing.T) {
	for _, name := range []string{"420", "422", "444", "420narrow", "420low"} {
		same(t, name, read(t, name+".jpg"), read(t, name+".png"))
	}
}

// All ratios against real arithmetic: chroma rounds twice at most, so a channel is off by less than 3.
func TestUpsamplingInRealNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for ratio, s := range chroma {
		for _, size := range [][2]int{{1, 1}, {2, 3}, {5, 4}, {16, 16}, {33, 17}} {
			m := image.NewYCbCr(image.Rect(0, 0, size[0], size[1]), ratio)
			for _, p := range [][]uint8{m.Y, m.Cb, m.Cr} {
				for i := range p {
					p[i] = uint8(r.IntN(256))
				}
			}
			got := fromYCbCr(m)
			for i := range size[0] * size[1] {
				x, y := i%size[0], i/size[0]
				cb, cr := interpolate(m, m.Cb, s, [2]int{x, y})-128, interpolate(m, m.Cr, s, [2]int{x, y})-128
				l := float64(m.Y[y*m.YStride+x])
				want := [3]float64{l + 1.402*cr, l - 0.344136*cb - 0.714136*cr, l + 1.772*cb}
				for c, w := range want {
					if d := float64(got.Pix[3*i+c]) - min(max(w, 0), 255); math.Abs(d) >= 3 {
						t.Fatalf("%v %v: pixel (%d, %d) channel %d is off by %v", ratio, size, x, y, c, d)
					}
				}
			}
		}
	}
}

// interpolate is the triangle filter between chroma centres, clamped at the border, where libjpeg uses it.
func interpolate(m *image.YCbCr, plane []uint8, s, at [2]int) float64 {
	b := m.Bounds()
	n := [2]int{(b.Dx() + s[0] - 1) / s[0], (b.Dy() + s[1] - 1) / s[1]}
	var index [2][2]int
	var weight [2]float64
	for d := range 2 {
		near := at[d] / s[d]
		far, w := near, 0.0
		smooth := s[0] == 1 || s[0] == 2 && n[0] > 2
		if s[d] == 2 && smooth {
			far, w = min(max(near-1+2*(at[d]%2), 0), n[d]-1), 0.25
		}
		index[d], weight[d] = [2]int{near, far}, w
	}
	sum := 0.0
	for i, wx := range []float64{1 - weight[0], weight[0]} {
		for j, wy := range []float64{1 - weight[1], weight[1]} {
			sum += wx * wy * float64(plane[index[1][j]*m.CStride+index[0][i]])
		}
	}
	return sum
}

func TestResizeIsPillows(t *testing.T) {
	im := read(t, "noise.png")
	for _, f := range []Filter{Bilinear, Bicubic, Nearest} {
		for _, s := range [][2]int{{9, 7}, {40, 31}, {23, 5}, {11, 17}, {6, 29}} {
			got, err := Resize(im, s[0], s[1], f)
			if err != nil {
				t.Fatal(err)
			}
			same(t, fmt.Sprint(f, s), got, read(t, fmt.Sprintf("noise_%s_%dx%d.png", f, s[0], s[1])))
		}
	}
	same(t, "gray", Gray(im), read(t, "noise_gray.png"))
}

// Half-pixel centres put outputs at -1/4, 1/4, 3/4 and 5/4 of two inputs.
func TestResizeTF(t *testing.T) {
	got, err := ResizeTF(&FloatImage{W: 2, H: 2, C: 1, Pix: []float32{0, 4, 8, 12}}, 4, 4)
	if err != nil {
		t.Fatal(err)
	}
	want := []float32{0, 1, 3, 4, 2, 3, 5, 6, 6, 7, 9, 10, 8, 9, 11, 12}
	if !slices.Equal(got.Pix, want) {
		t.Errorf("got %v, want %v", got.Pix, want)
	}
	// Shrinking by 4 takes two neighbours, where an antialiasing filter would take eight.
	got, err = ResizeTF(&FloatImage{W: 8, H: 1, C: 1, Pix: []float32{100, 0, 2, 100, 100, 4, 8, 100}}, 2, 1)
	if err != nil || !slices.Equal(got.Pix, []float32{1, 6}) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestResizeErrors(t *testing.T) {
	im := NewRaster[uint8](2, 2, 1)
	for _, c := range []struct {
		w, h int
		f    Filter
		want string
	}{{0, 1, Bilinear, "0x1"}, {1, MaxSide + 1, TF, "sides must be"}, {2, 2, "lanczos7", `filter "lanczos7"`}} {
		if _, err := Resize(im, c.w, c.h, c.f); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := im.Crop(1, 0, 2, 2); err == nil {
		t.Error("a crop outside of the image succeeded")
	}
}

func TestCrop(t *testing.T) {
	im := &Image{W: 3, H: 2, C: 1, Pix: []uint8{1, 2, 3, 4, 5, 6}}
	got, err := im.Crop(1, 1, 2, 1)
	if err != nil || !slices.Equal(got.Pix, []uint8{5, 6}) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestDecodePNG(t *testing.T) {
	at := image.Rect(0, 0, 2, 1)
	for _, c := range []struct {
		m    image.Image
		c    int
		want []uint8
	}{
		{&image.Gray{Pix: []uint8{7, 9}, Stride: 2, Rect: at}, 1, []uint8{7, 9}},
		{&image.Gray16{Pix: []uint8{7, 200, 9, 1}, Stride: 4, Rect: at}, 1, []uint8{7, 9}},
		{&image.NRGBA{Pix: []uint8{10, 20, 30, 0, 40, 50, 60, 128}, Stride: 8, Rect: at}, 3, []uint8{10, 20, 30, 40, 50, 60}},
		{&image.Paletted{Pix: []uint8{1, 0}, Stride: 2, Rect: at, Palette: color.Palette{color.Gray{3}, color.RGBA{1, 2, 3, 255}}}, 3, []uint8{1, 2, 3, 3, 3, 3}},
	} {
		var b bytes.Buffer
		if err := png.Encode(&b, c.m); err != nil {
			t.Fatal(err)
		}
		got, err := Decode(b.Bytes(), 0)
		if err != nil || got.C != c.c || !slices.Equal(got.Pix, c.want) {
			t.Errorf("%T: got %v, %v", c.m, got, err)
		}
	}
}

func TestRGBAndFloats(t *testing.T) {
	im := &Image{W: 2, H: 1, C: 1, Pix: []uint8{3, 200}}
	if got := RGB(im); got.C != 3 || !slices.Equal(got.Pix, []uint8{3, 3, 3, 200, 200, 200}) {
		t.Errorf("got %v", got)
	}
	if got := Floats(im); !slices.Equal(got.Pix, []float32{3, 200}) {
		t.Errorf("got %v", got)
	}
}

func TestDecodeRefuses(t *testing.T) {
	var huge bytes.Buffer // a PNG header that claims 60000x60000 pixels
	huge.WriteString("\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR")
	ihdr := []byte{0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60, 8, 2, 0, 0, 0}
	huge.Write(ihdr)
	sum := crc32.ChecksumIEEE(append([]byte("IHDR"), ihdr...))
	huge.Write([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
	whole, err := os.ReadFile(filepath.Join("testdata", "420.jpg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, want string
		b          []byte
	}{
		{"huge", "60000x60000", huge.Bytes()},
		{"empty", "empty", nil},
		{"text", "neither", []byte("hello")},
		{"cut off", "EOF", whole[:len(whole)/2]},
	} {
		if _, err := Decode(c.b, 0); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := Decode(whole, 61*37-1); err == nil {
		t.Error("an image above the limit was decoded")
	}
	if _, err := Decode(whole, 61*37); err != nil {
		t.Error(err)
	}
}

func FuzzJPEG(f *testing.F) {
	m := image.NewNRGBA(image.Rect(0, 0, 19, 11))
	for i := range m.Pix {
		m.Pix[i] = uint8(i * 7)
	}
	var j, p, g bytes.Buffer
	if err := jpeg.Encode(&j, m, nil); err != nil {
		f.Fatal(err)
	}
	if err := png.Encode(&p, m); err != nil {
		f.Fatal(err)
	}
	if err := jpeg.Encode(&g, image.NewGray(m.Rect), nil); err != nil {
		f.Fatal(err)
	}
	for _, b := range [][]byte{j.Bytes(), p.Bytes(), g.Bytes(), nil, []byte("\xff\xd8\xff")} {
		f.Add(b)
	}
	for _, n := range []string{
		"420.jpg", "422.jpg", "444.jpg", "420narrow.jpg", "formats.bmp", "formats.lzw.tiff", "formats.lossy.webp",
		"formats.lossless.webp", "formats.alpha.webp", "formats.clear.gif", "formats.ppm",
	} {
		b, err := os.ReadFile(filepath.Join("testdata", n))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		im, err := Decode(b, 1<<16)
		if err != nil {
			return
		}
		if im.C != 1 && im.C != 3 || len(im.Pix) != im.W*im.H*im.C || im.W*im.H > 1<<16 {
			t.Fatalf("%dx%dx%d with %d bytes", im.W, im.H, im.C, len(im.Pix))
		}
	})
}

func BenchmarkDecodeJPEG(b *testing.B) {
	m := image.NewNRGBA(image.Rect(0, 0, 256, 256))
	for i := range m.Pix {
		m.Pix[i] = uint8(i * i >> 9)
	}
	var j bytes.Buffer
	if err := jpeg.Encode(&j, m, nil); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Decode(j.Bytes(), 0); err != nil {
			b.Fatal(err)
		}
	}
}
