package ops

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/tfsopt/tfsopt/codec"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("tfsopt", 1, DecodeWav{}, AudioSpectrogram{}) }

// DecodeWav decodes the bytes of a WAV file, one string, to float32 samples [samples, channels] from -1 to 1 and the int32 rate, as
// TensorFlow's operator does. Of Samples and Channels -1 means as the file has; missing samples are 0, missing channels the last one.
type DecodeWav struct {
	Channels int `attr:"desired_channels" default:"-1"`
	Samples  int `attr:"desired_samples" default:"-1"`
}

// Infer gives the shape as far as the attributes say.
func (o DecodeWav) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := wantStrings(in, 1); err != nil {
		return nil, err
	}
	if o.Channels < -1 || o.Samples < -1 {
		return nil, fmt.Errorf("%d samples of %d channels", o.Samples, o.Channels)
	}
	if n, ok := in[0].Fixed(); ok && tensor.Size(n) != 1 {
		return nil, fmt.Errorf("input 0: want one string, got %s", in[0].Type)
	}
	sound := graph.Of(tensor.Float32, graph.Dim{}, graph.Dim{})
	for i, n := range []int{o.Samples, o.Channels} {
		if n >= 0 {
			sound.Shape[i] = graph.Fixed(n)
		}
	}
	return []graph.Type{sound, graph.Of(tensor.Int32)}, nil
}

// Run decodes the file.
func (o DecodeWav) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	if in[0].Len() != 1 {
		return fmt.Errorf("want one string, got %v", in[0].Shape)
	}
	s, err := codec.DecodeWAV([]byte(in[0].Strings[0]))
	if err != nil {
		return err
	}
	have := len(s.Samples) / s.Channels
	n, channels := have, s.Channels
	if o.Samples >= 0 {
		n = o.Samples
	}
	if o.Channels >= 0 {
		channels = o.Channels
	}
	if err := checkSize(tensor.Float32, []int{n, channels}); err != nil {
		return err
	}
	if out[0] != nil {
		v := tensor.View[float32](x.Make(out[0], tensor.Float32, n, channels))
		clear(v)
		for i := range min(n, have) {
			for c := range channels {
				v[i*channels+c] = float32(s.Samples[i*s.Channels+min(c, s.Channels-1)]) / 32768
			}
		}
	}
	if len(out) > 1 && out[1] != nil {
		tensor.View[int32](x.Make(out[1], tensor.Int32))[0] = int32(s.Rate)
	}
	return nil
}

// AudioSpectrogram gives the magnitude of each frequency in windows of samples [samples, channels]: [channels, windows, 1+N/2], N being
// the power of two from Window on. Windows begin every Stride samples and are weighted by a periodic Hann window; Squared gives
// the squares. It is TensorFlow's operator of that name.
type AudioSpectrogram struct {
	Window  int  `attr:"window_size" required:"true"`
	Stride  int  `attr:"stride" required:"true"`
	Squared bool `attr:"magnitude_squared"`
}

// maxFrame bounds the window, in samples.
const maxFrame = 1 << 24

// length is N.
func (o AudioSpectrogram) length() int { return 1 << bits.Len(uint(o.Window-1)) }

// windows is how many windows n samples have.
func (o AudioSpectrogram) windows(n int) int {
	if n < o.Window {
		return 0
	}
	return 1 + (n-o.Window)/o.Stride
}

// Infer checks the window and gives the shape.
func (o AudioSpectrogram) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 1, 1); err != nil {
		return nil, err
	}
	if o.Window < 2 || o.Window > maxFrame || o.Stride < 1 {
		return nil, fmt.Errorf("windows of %d samples every %d", o.Window, o.Stride)
	}
	if in[0].DType != tensor.Float32 || !in[0].Unranked && len(in[0].Shape) != 2 {
		return nil, fmt.Errorf("input 0: want float32[samples,channels], got %s", in[0].Type)
	}
	t := graph.Of(tensor.Float32, graph.Dim{}, graph.Dim{}, graph.Fixed(1+o.length()/2))
	if !in[0].Unranked {
		t.Shape[0] = in[0].Shape[1]
		if n, ok := in[0].Shape[0].Value(); ok {
			t.Shape[1] = graph.Fixed(o.windows(n))
		}
	}
	return []graph.Type{t}, nil
}

// Run transforms each window in float64.
func (o AudioSpectrogram) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	shape, err := shapeOf(o, in)
	if err != nil {
		return err
	}
	if err := checkSize(tensor.Float32, shape); err != nil {
		return err
	}
	samples, channels, width := tensor.Floats(in[0]), shape[0], shape[2]
	y := tensor.View[float32](x.Make(out[0], tensor.Float32, shape...))
	hann := make([]float64, o.Window)
	for i := range hann {
		hann[i] = 0.5 - float64(0.5*math.Cos(2*math.Pi*float64(i)/float64(o.Window)))
	}
	line, roots := make([]complex128, o.length()), newFourier(o.length(), false).roots
	for c := range channels {
		for w := range shape[1] {
			clear(line)
			for i, h := range hann {
				line[i] = complex(float64(samples[(w*o.Stride+i)*channels+c])*h, 0)
			}
			fft(line, roots)
			row := y[(c*shape[1]+w)*width:]
			for k := range width {
				re, im := real(line[k]), imag(line[k])
				row[k] = float32(float64(re*re) + float64(im*im))
				if !o.Squared {
					row[k] = float32(math.Sqrt(float64(row[k])))
				}
			}
		}
	}
	return nil
}

// fft transforms a line, whose length is a power of two, in place (Cooley, Tukey 1965); roots are the powers of the root of unity of
// that order. Products are rounded before they are added, so that every CPU gives the same bits.
func fft(line, roots []complex128) {
	n := len(line)
	shift := 64 - bits.Len(uint(n-1))
	for i := range line {
		if j := int(bits.Reverse64(uint64(i)) >> shift); n > 1 && i < j {
			line[i], line[j] = line[j], line[i]
		}
	}
	for half := 1; half < n; half *= 2 {
		for at := 0; at < n; at += 2 * half {
			for k := range half {
				a, b, r := line[at+k], line[at+k+half], roots[k*(n/(2*half))]
				turned := complex(float64(real(b)*real(r))-float64(imag(b)*imag(r)), float64(real(b)*imag(r))+float64(imag(b)*real(r)))
				line[at+k], line[at+k+half] = a+turned, a-turned
			}
		}
	}
}
