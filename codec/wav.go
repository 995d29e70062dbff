package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Sound is what a WAV file holds; the samples of the channels take turns.
type Sound struct {
	Rate, Channels int // samples a second and channel
	Samples        []int16
}

// DecodeWAV reads a RIFF/WAVE file of 16-bit linear PCM, the form that TensorFlow's DecodeWav reads. Chunks other than
// "fmt " and the first "data" are skipped. Errors name the byte.
func DecodeWAV(b []byte) (*Sound, error) {
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return nil, errors.New("byte 0: no WAV file: RIFF and WAVE are missing")
	}
	var s *Sound
	for at := 12; ; {
		if len(b)-at < 8 {
			return nil, fmt.Errorf("byte %d: the WAV file ends before its data", at)
		}
		name, size := string(b[at:at+4]), int(binary.LittleEndian.Uint32(b[at+4:]))
		at += 8
		if size > len(b)-at {
			return nil, fmt.Errorf("byte %d: chunk %q of %d bytes: the file has %d more", at-8, name, size, len(b)-at)
		}
		chunk := b[at : at+size]
		switch name {
		case "fmt ":
			var err error
			if s, err = wavFormat(chunk); err != nil {
				return nil, fmt.Errorf("byte %d: %w", at, err)
			}
		case "data":
			if s == nil {
				return nil, fmt.Errorf("byte %d: the samples come before their format", at)
			}
			n := size / 2 / s.Channels * s.Channels
			s.Samples = make([]int16, n)
			for i := range s.Samples {
				s.Samples[i] = int16(binary.LittleEndian.Uint16(chunk[2*i:]))
			}
			return s, nil
		}
		at = min(at+size+size%2, len(b))
	}
}

func wavFormat(b []byte) (*Sound, error) {
	const pcm, extensible = 1, 0xfffe
	if len(b) < 16 {
		return nil, fmt.Errorf("a format of %d bytes", len(b))
	}
	le := binary.LittleEndian
	coding, bits := le.Uint16(b), le.Uint16(b[14:])
	if coding == extensible && len(b) >= 26 {
		coding = le.Uint16(b[24:])
	}
	if coding != pcm || bits != 16 {
		return nil, fmt.Errorf("samples are %d bits in coding %d: want 16-bit linear PCM (coding 1)", bits, coding)
	}
	s := &Sound{Rate: int(le.Uint32(b[4:])), Channels: int(le.Uint16(b[2:]))}
	if s.Channels == 0 || s.Rate == 0 || s.Rate > 1<<30 {
		return nil, fmt.Errorf("%d channels of %d samples a second", s.Channels, s.Rate)
	}
	return s, nil
}
