package codec

import (
	"encoding/binary"
	"reflect"
	"strings"
	"testing"
)

// wav is a file of 16-bit samples with an odd chunk in front of them.
func wav(channels uint16, samples ...int16) []byte {
	b := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00")
	b = binary.LittleEndian.AppendUint16(b, channels)
	b = binary.LittleEndian.AppendUint32(b, 16000)
	b = binary.LittleEndian.AppendUint32(b, 32000*uint32(channels))
	b = append(b, byte(2*channels), 0, 16, 0)
	b = append(b, "LIST\x03\x00\x00\x00abc\x00data"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(2*len(samples)))
	b, _ = binary.Append(b, binary.LittleEndian, samples)
	return b
}

func TestDecodeWAV(t *testing.T) {
	want := &Sound{Rate: 16000, Channels: 2, Samples: []int16{1, -1, 32767, -32768}}
	if got, err := DecodeWAV(wav(2, want.Samples...)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	good := wav(1, 1, 2)
	float := wav(1, 1)
	float[20] = 3
	for _, c := range []struct {
		file []byte
		want string
	}{
		{[]byte("RIFX"), "byte 0: no WAV file"},
		{good[:len(good)-1], `chunk "data" of 4 bytes: the file has 3 more`},
		{good[:40], "byte 36: the WAV file ends before its data"},
		{float, "byte 20: samples are 16 bits in coding 3"},
		{wav(0), "0 channels"},
		{append([]byte("RIFF....WAVE"), good[48:]...), "before their format"},
	} {
		if _, err := DecodeWAV(c.file); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

func FuzzWAV(f *testing.F) {
	f.Add(wav(2, 1, 2, 3, 4))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := DecodeWAV(b); err == nil && (2*len(s.Samples) > len(b) || len(s.Samples)%s.Channels != 0) {
			t.Fatalf("%d samples of %d bytes, %d channels", len(s.Samples), len(b), s.Channels)
		}
	})
}
