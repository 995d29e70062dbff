package codec

import (
	"image"
	"image/color"
)

// onScreen places the first frame of a GIF on its screen as Pillow does: transparent pixels have the colour that the
// palette gives them (black, if that is the frame's own palette), and so has the screen around the frame; without a
// transparent colour that is the palette's first.
func onScreen(m image.Image, c image.Config) *Image {
	p, ok := m.(*image.Paletted)
	if !ok || len(p.Palette) == 0 {
		return fromGo(m)
	}
	fill := 0
	for i, v := range p.Palette { // image/gif makes the transparent colour 0
		if _, _, _, alpha := v.RGBA(); alpha == 0 {
			fill = i
			p.Palette[i] = hidden(p.Palette, i, c)
		}
	}
	screen := image.NewPaletted(image.Rect(0, 0, c.Width, c.Height), p.Palette)
	for i := range screen.Pix {
		screen.Pix[i] = uint8(fill)
	}
	r := p.Rect.Intersect(screen.Rect)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		copy(screen.Pix[screen.PixOffset(r.Min.X, y):][:r.Dx()], p.Pix[p.PixOffset(r.Min.X, y):])
	}
	return fromGo(screen)
}

// hidden is the colour that the file's palette has in place i, if the frame uses that palette.
func hidden(frame color.Palette, i int, c image.Config) color.Color {
	file, ok := c.ColorModel.(color.Palette)
	if !ok || len(file) != len(frame) {
		return color.Black
	}
	for k, v := range file {
		if k != i && v != frame[k] {
			return color.Black
		}
	}
	return file[i]
}
