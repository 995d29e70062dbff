package main

import (
	"bytes"
	"fmt"
	"image"
	"image/gif"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
)

// stripes draws a noisy 6 x 6 image: class 0 has horizontal, 1 vertical and 2 sloping stripes.
func stripes(r *rand.Rand, class int) []float32 {
	phase, x := r.IntN(3), make([]float32, 36)
	for p := range x {
		row, col := p/6, p%6
		x[p] = r.Float32() / 2
		if []int{row, col, row + col}[class]%3 == phase {
			x[p]++
		}
	}
	return x
}

func makeImages(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	seed, err := strconv.ParseUint(args[2], 10, 64)
	ts.Check(err)
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range n {
		m := image.NewGray(image.Rect(0, 0, 6, 6))
		for p, v := range stripes(r, i%3) {
			m.Pix[p] = uint8(v * 170)
		}
		var b bytes.Buffer
		kind := []string{"png", "gif", "bmp", "tiff"}[i/3%4]
		switch kind {
		case "png":
			ts.Check(png.Encode(&b, m))
		case "gif":
			ts.Check(gif.Encode(&b, m, nil))
		case "bmp":
			ts.Check(bmp.Encode(&b, m))
		case "tiff":
			ts.Check(tiff.Encode(&b, m, nil))
		}
		dir := filepath.Join(ts.MkAbs(args[0]), []string{"rows", "down", "slope"}[i%3])
		ts.Check(os.MkdirAll(dir, 0o777))
		ts.Check(os.WriteFile(filepath.Join(dir, fmt.Sprintf("%03d.%s", i, kind)), b.Bytes(), 0o666))
	}
}
