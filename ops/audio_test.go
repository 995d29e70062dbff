package ops

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/tfsopt/tfsopt/tensor"
)

// wavFile is a mono file of 16-bit samples.
func wavFile(rate uint32, samples ...int16) *tensor.Tensor {
	b := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00")
	b = binary.LittleEndian.AppendUint32(b, rate)
	b = binary.LittleEndian.AppendUint32(b, 2*rate)
	b = append(b, "\x02\x00\x10\x00data"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(2*len(samples)))
	b, _ = binary.Append(b, binary.LittleEndian, samples)
	return text(string(b)).Reshape()
}

func init() {
	register(DecodeWav{Channels: -1, Samples: -1}, opCase{
		in: tensors(wavFile(8000, 16384, -32768)), out: tensors(shaped([]int{2, 1}, float32(0.5), -1), tensor.Scalar(int32(8000))),
	})
	register(DecodeWav{Channels: 2, Samples: 3}, opCase{
		name: "wanted", in: tensors(wavFile(8000, 16384, -32768)),
		out: tensors(shaped([]int{3, 2}, float32(0.5), 0.5, -1, -1, 0, 0), tensor.Scalar(int32(8000))),
	})
	// Two windows of three samples, filled to four: Hann's weights are 0, 0.75, 0.75. Of 0.75·(0, 2, 4, 0) the transform is 0.75·(6, -4-2i, 2).
	register(AudioSpectrogram{Window: 3, Stride: 2, Squared: true}, opCase{
		in: tensors(shaped([]int{5, 1}, float32(9), 2, 4, 0, 0)), out: tensors(shaped([]int{1, 2, 3}, float32(20.25), 11.25, 2.25, 0, 0, 0)), tol: 1e-6,
	})
	register(AudioSpectrogram{Window: 3, Stride: 2}, opCase{
		name: "roots", in: tensors(shaped([]int{3, 2}, float32(9), 0, 2, 0, 4, 0)),
		out: tensors(shaped([]int{2, 1, 3}, float32(4.5), float32(0.75*math.Sqrt(20)), 1.5, 0, 0, 0)), tol: 1e-6,
	})
	// One band of which frequency 1 is the centre (all else is left out): ln 3, times sqrt 2.
	hz := float32(1000)
	upper := float32(700 * (math.Exp(2*math.Log1p(float64(hz)/700)) - 1)) // 1000 Hz lies in the middle, in mel
	register(Mfcc{Upper: upper, Lower: 0, Bands: 1, Coefficients: 1}, opCase{
		in:  tensors(shaped([]int{1, 1, 4}, float32(100), 9, 0, 0), tensor.Scalar(int32(6000))),
		out: tensors(shaped([]int{1, 1, 1}, float32(math.Sqrt2*math.Log(3)))), tol: 1e-5,
	})
}

// TestFFT compares with the sum that defines the transform.
func TestFFT(t *testing.T) {
	for _, n := range []int{1, 2, 8, 64} {
		line := make([]complex128, n)
		for i := range line {
			line[i] = complex(float64(i*i%7), float64(i%3))
		}
		f := newFourier(n, false)
		want := make([]complex128, n)
		for k := range want {
			want[k] = f.at(line, k)
		}
		fft(line, f.roots)
		for k, w := range want {
			if d := line[k] - w; math.Hypot(real(d), imag(d)) > 1e-9 {
				t.Errorf("length %d, value %d: %v, want %v", n, k, line[k], w)
			}
		}
	}
}
