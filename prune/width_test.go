package prune

import (
	"context"
	"testing"
)

// Every group keeps the share of its channels, rounded up; those that cannot be cut keep all.
func TestWidth(t *testing.T) {
	g := residualNet(t)
	for _, width := range []float64{0.5, 0.34, 1} {
		_, r, err := Channels(context.Background(), g, ChannelOptions{Width: width, AsIs: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range r.Groups {
			want := c.Channels[0]
			if c.Reason == "" {
				want = int(float64(want)*width + 0.999999)
			}
			if c.Channels[1] != want {
				t.Errorf("width %g: %s keeps %d of %d channels, want %d", width, c.Name, c.Channels[1], c.Channels[0], want)
			}
		}
	}
	if _, _, err := Channels(context.Background(), g, ChannelOptions{Width: 1.5}); err == nil {
		t.Error("a width of 1.5 is accepted")
	}
}
