//go:build amd64 && !noasm

package kernels

// The kernels run t.tiles tiles of as many rows and columns as their names say.

//go:noescape
func gemmVNNI1x32(t *gemmTile)

//go:noescape
func gemmVNNI2x32(t *gemmTile)

//go:noescape
func gemmVNNI3x32(t *gemmTile)

//go:noescape
func gemmVNNI4x32(t *gemmTile)

//go:noescape
func gemmVNNI5x32(t *gemmTile)

//go:noescape
func gemmVNNI6x32(t *gemmTile)

//go:noescape
func gemmVNNI7x32(t *gemmTile)

//go:noescape
func gemmVNNI8x32(t *gemmTile)

//go:noescape
func gemmVNNI9x32(t *gemmTile)

//go:noescape
func gemmVNNI10x32(t *gemmTile)

//go:noescape
func gemmVNNI11x32(t *gemmTile)

//go:noescape
func gemmVNNI12x32(t *gemmTile)

//go:noescape
func gemmVNNI13x32(t *gemmTile)

//go:noescape
func gemmVNNI14x32(t *gemmTile)

//go:noescape
func gemmVNNI1x16(t *gemmTile)

//go:noescape
func gemmVNNI2x16(t *gemmTile)

//go:noescape
func gemmVNNI3x16(t *gemmTile)

//go:noescape
func gemmVNNI4x16(t *gemmTile)

//go:noescape
func gemmVNNI5x16(t *gemmTile)

//go:noescape
func gemmVNNI6x16(t *gemmTile)

//go:noescape
func gemmVNNI7x16(t *gemmTile)

//go:noescape
func gemmVNNI8x16(t *gemmTile)

//go:noescape
func gemmVNNI9x16(t *gemmTile)

//go:noescape
func gemmVNNI10x16(t *gemmTile)

//go:noescape
func gemmVNNI11x16(t *gemmTile)

//go:noescape
func gemmVNNI12x16(t *gemmTile)

//go:noescape
func gemmVNNI13x16(t *gemmTile)

//go:noescape
func gemmVNNI14x16(t *gemmTile)

//go:noescape
func gemmAVX2x1x8(t *gemmTile)

//go:noescape
func gemmAVX2x2x8(t *gemmTile)

//go:noescape
func gemmAVX2x3x8(t *gemmTile)

//go:noescape
func gemmAVX2x4x8(t *gemmTile)

//go:noescape
func gemmAVX2x1x16(t *gemmTile)

//go:noescape
func gemmAVX2x2x16(t *gemmTile)

//go:noescape
func gemmAVX2x3x16(t *gemmTile)

//go:noescape
func gemmAVX2x4x16(t *gemmTile)

//go:noescape
func gemmPairsAVX2x1x8(t *gemmTile)

//go:noescape
func gemmPairsAVX2x2x8(t *gemmTile)

//go:noescape
func gemmPairsAVX2x3x8(t *gemmTile)

//go:noescape
func gemmPairsAVX2x4x8(t *gemmTile)

//go:noescape
func gemmPairsAVX2x5x8(t *gemmTile)

//go:noescape
func gemmPairsAVX2x6x8(t *gemmTile)

//go:noescape
func gemmPairsAVX2x1x16(t *gemmTile)

//go:noescape
func gemmPairsAVX2x2x16(t *gemmTile)

//go:noescape
func gemmPairsAVX2x3x16(t *gemmTile)

//go:noescape
func gemmPairsAVX2x4x16(t *gemmTile)

//go:noescape
func gemmPairsAVX2x5x16(t *gemmTile)

//go:noescape
func gemmPairsAVX2x6x16(t *gemmTile)

// The kernels compute one block of as many channels as their names say; 3x3 whose pixels share two columns or (s2) one, or any taps.

//go:noescape
func depthwiseVNNI16(d *dwRow)

//go:noescape
func depthwiseVNNI16Masked(d *dwRow)

//go:noescape
func depthwise3x3VNNI16(d *dwRow)

//go:noescape
func depthwise3x3VNNI16Masked(d *dwRow)

//go:noescape
func depthwise3x3s2VNNI16(d *dwRow)

//go:noescape
func depthwise3x3s2VNNI16Masked(d *dwRow)

//go:noescape
func depthwiseVNNI32(d *dwRow)

//go:noescape
func depthwiseVNNI32Masked(d *dwRow)

//go:noescape
func depthwise3x3VNNI32(d *dwRow)

//go:noescape
func depthwise3x3VNNI32Masked(d *dwRow)

//go:noescape
func depthwise3x3s2VNNI32(d *dwRow)

//go:noescape
func depthwise3x3s2VNNI32Masked(d *dwRow)

//go:noescape
func depthwiseVNNI64(d *dwRow)

//go:noescape
func depthwiseVNNI64Masked(d *dwRow)

//go:noescape
func depthwise3x3VNNI64(d *dwRow)

//go:noescape
func depthwise3x3VNNI64Masked(d *dwRow)

//go:noescape
func depthwise3x3s2VNNI64(d *dwRow)

//go:noescape
func depthwise3x3s2VNNI64Masked(d *dwRow)

//go:noescape
func depthwiseRowAVX2(d *dwRow)

// AVX2 kernels take whole blocks of 32 elements.

//go:noescape
func quantizeF32AVX2(q *quantArgs)

//go:noescape
func dequantizeU8AVX2(q *quantArgs)

//go:noescape
func dequantizeS8AVX2(q *quantArgs)

//go:noescape
func dequantizeI32AVX2(q *quantArgs)

//go:noescape
func requantI32AVX2(q *quantArgs)

//go:noescape
func i32ToF32ScaleAVX2(q *quantArgs)

//go:noescape
func i32ToF32ScaleBiasAVX2(q *quantArgs)

//go:noescape
func addU8AVX2(q *quantArgs)

//go:noescape
func addS8AVX2(q *quantArgs)

//go:noescape
func mulU8AVX2(q *quantArgs)

//go:noescape
func mulS8AVX2(q *quantArgs)

//go:noescape
func minMaxF32AVX2(q *quantArgs)

//go:noescape
func rowSumU8AVX2(q *quantArgs)

//go:noescape
func maxRowsU8AVX2(q *poolArgs)

//go:noescape
func maxRowsS8AVX2(q *poolArgs)

//go:noescape
func sumRowsU8AVX2(q *poolArgs)

//go:noescape
func sumRowsS8AVX2(q *poolArgs)

// AVX-512 kernels take any number of elements.

//go:noescape
func quantizeF32AVX512(q *quantArgs)

//go:noescape
func dequantizeU8AVX512(q *quantArgs)

//go:noescape
func dequantizeS8AVX512(q *quantArgs)

//go:noescape
func dequantizeI32AVX512(q *quantArgs)

//go:noescape
func requantI32AVX512(q *quantArgs)

//go:noescape
func i32ToF32ScaleAVX512(q *quantArgs)

//go:noescape
func i32ToF32ScaleBiasAVX512(q *quantArgs)

//go:noescape
func addU8AVX512(q *quantArgs)

//go:noescape
func addS8AVX512(q *quantArgs)

//go:noescape
func mulU8AVX512(q *quantArgs)

//go:noescape
func mulS8AVX512(q *quantArgs)

//go:noescape
func minMaxF32AVX512(q *quantArgs)

//go:noescape
func rowSumU8AVX512(q *quantArgs)

//go:noescape
func maxRowsU8AVX512(q *poolArgs)

//go:noescape
func maxRowsS8AVX512(q *poolArgs)

//go:noescape
func sumRowsU8AVX512(q *poolArgs)

//go:noescape
func sumRowsS8AVX512(q *poolArgs)

// lookupVBMI needs AVX512_VBMI.
//
//go:noescape
func lookupVBMI(q *quantArgs)

// peakVNNI issues 20·n independent VPDPBUSD of 64 multiply-adds each: this core's limit, for benchmarks.
func peakVNNI(n int)

// peakPairs issues 12·n independent steps of gemmPairsAVX2, of 32 multiply-adds each: this core's limit, for benchmarks.
func peakPairs(n int)
