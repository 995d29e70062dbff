package savedmodel

import (
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
)

func init() {
	convertOps(audio(2, func(c *call) graph.Op {
		return ops.DecodeWav{Channels: c.intAttr("desired_channels", -1), Samples: c.intAttr("desired_samples", -1)}
	}), "DecodeWav")
	convertOps(audio(1, func(c *call) graph.Op {
		return ops.AudioSpectrogram{Window: c.intAttr("window_size", 0), Stride: c.intAttr("stride", 0), Squared: c.boolAttr("magnitude_squared", false)}
	}), "AudioSpectrogram")
	convertOps(audio(1, func(c *call) graph.Op {
		return ops.Mfcc{
			Upper: c.floatAttr("upper_frequency_limit", 4000), Lower: c.floatAttr("lower_frequency_limit", 20),
			Bands: c.intAttr("filterbank_channel_count", 40), Coefficients: c.intAttr("dct_coefficient_count", 13),
		}
	}), "Mfcc")
}

// audio converts an operator that has a twin here, input by input.
func audio(outs int, op func(*call) graph.Op) converter {
	return func(c *call) ([]value, error) {
		in, err := c.values(0, len(c.in))
		if err != nil {
			return nil, err
		}
		return several(c.addN(outs, op(c), in...)), nil
	}
}
