package codec

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"
)

// Formats names what Decode reads.
const Formats = "JPEG, PNG, GIF, BMP, TIFF, WebP, PBM, PGM or PPM"

// formats are the image formats by their first bytes; ? stands for any byte.
var formats = []struct {
	magic  string
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
	pixels func(image.Image, image.Config) *Image
}{
	{"\xff\xd8", jpeg.DecodeConfig, jpeg.Decode, plain},
	{"\x89PNG\r\n\x1a\n", png.DecodeConfig, png.Decode, plain},
	{"GIF8?a", gif.DecodeConfig, gif.Decode, onScreen},
	{"BM????\x00\x00\x00\x00", bmp.DecodeConfig, bmp.Decode, plain},
	{"II*\x00", tiff.DecodeConfig, tiff.Decode, plain},
	{"MM\x00*", tiff.DecodeConfig, tiff.Decode, plain},
	{"RIFF????WEBPVP8", webp.DecodeConfig, webp.Decode, fromWebP},
}

// SniffLen is how many bytes Sniff looks at.
const SniffLen = 16

// Sniff reports whether a file with these first bytes is an image that Decode reads.
func Sniff(b []byte) bool {
	for _, f := range formats {
		if begins(b, f.magic) {
			return true
		}
	}
	return isPNM(b)
}

func plain(m image.Image, _ image.Config) *Image { return fromGo(m) }

func begins(b []byte, magic string) bool {
	if len(b) < len(magic) {
		return false
	}
	for i := range magic {
		if magic[i] != '?' && magic[i] != b[i] {
			return false
		}
	}
	return true
}

// Decode reads an image file of one of the Formats, which it tells by the first bytes. The picture's size is taken from
// the header and refused before anything is allocated for it if it has more than maxPixels pixels (0: DefaultMaxPixels).
// Gray files give one channel, all others three; alpha is dropped, CMYK becomes RGB, of 16-bit samples the high byte is
// kept, EXIF orientation is ignored (each as Pillow does). Of a GIF it reads the first frame, of a
// TIFF the first page.
func Decode(b []byte, maxPixels int) (*Image, error) {
	if maxPixels <= 0 {
		maxPixels = DefaultMaxPixels
	}
	for _, f := range formats {
		if !begins(b, f.magic) {
			continue
		}
		c, err := f.config(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		if err := checkPixels(c.Width, c.Height, maxPixels); err != nil {
			return nil, err
		}
		m, err := f.decode(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		return f.pixels(m, c), nil
	}
	if isPNM(b) {
		return decodePNM(b, maxPixels)
	}
	if len(b) == 0 {
		return nil, errors.New("the file is empty")
	}
	return nil, errors.New("neither " + Formats)
}

func checkPixels(w, h, maxPixels int) error {
	if w <= 0 || h <= 0 || w > maxPixels/h {
		return fmt.Errorf("image of %dx%d pixels: the limit is %d pixels", w, h, maxPixels)
	}
	return nil
}

// fromWebP takes lossy pictures as libwebp does.
func fromWebP(m image.Image, _ image.Config) *Image {
	switch m := m.(type) {
	case *image.YCbCr:
		return fromVP8(m)
	case *image.NYCbCrA:
		return fromVP8(&m.YCbCr)
	}
	return fromGo(m)
}
