package prune

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/graph"
)

func TestBisect(t *testing.T) {
	asked := map[float64]bool{}
	x, err := Bisect(0, 1, 1e-6, func(x float64) (bool, error) {
		ok := x*x >= 0.5
		asked[x] = ok
		return ok, nil
	})
	if err != nil || math.Abs(x-math.Sqrt(0.5)) > 1e-6 || !asked[x] {
		t.Errorf("least x with x² ≥ ½ is %v, %v, enough: %v", x, err, asked[x])
	}
	if x, err := Bisect(0, 1, 0.1, func(float64) (bool, error) { return true, nil }); x != 0 || err != nil {
		t.Errorf("always enough: %v, %v", x, err)
	}
	if _, err := Bisect(0, 1, 0.1, func(float64) (bool, error) { return false, nil }); !errors.Is(err, ErrNotEnough) {
		t.Errorf("never enough: %v", err)
	}
	broken := errors.New("broken")
	if _, err := Bisect(0, 1, 0.1, func(x float64) (bool, error) { return x == 1, map[bool]error{true: nil, false: broken}[x == 1] }); !errors.Is(err, broken) {
		t.Errorf("a failing cost: %v", err)
	}
}

func TestCosts(t *testing.T) {
	const pooled = 4 * 4 * 4 // operations of the pooling
	g := parse(t, net)
	bytes, err := Bytes(context.Background(), g)
	if err != nil || bytes != 4*(16+4+8+2) {
		t.Errorf("dense: %v bytes, %v", bytes, err)
	}
	flops, err := FLOPs(nil)(context.Background(), g)
	if err != nil || flops != 2*(16*16+8)+pooled {
		t.Errorf("dense: %v FLOPs, %v", flops, err)
	}
	m := NewMask(4, 4, 1, 1)
	for i := range 12 {
		m.Prune(i)
	}
	if g, err = (Masks{"w": m}).Apply(g); err != nil {
		t.Fatal(err)
	}
	if bytes, err = Bytes(context.Background(), g); err != nil || bytes != 4*12+4*(4+8+2) {
		t.Errorf("12 of 16 are zero: %v bytes, %v", bytes, err)
	}
	if flops, err = FLOPs(nil)(context.Background(), g); err != nil || flops != 2*(16*4+8)+pooled {
		t.Errorf("12 of 16 are zero: %v FLOPs, %v", flops, err)
	}
}

func TestTarget(t *testing.T) {
	o := Options{Target: &Target{Name: "FLOPs", Limit: 280, Cost: FLOPs(nil)}}
	r := prunedBy(t, net, o)
	if got, err := FLOPs(nil)(context.Background(), r.Graph); err != nil || got > 280 || got < 200 {
		t.Errorf("%v FLOPs, %v, want little below 280", got, err)
	}
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Target: &Target{Name: "ms", Limit: 1, Cost: func(context.Context, *graph.Graph) (float64, error) { return 5, nil }}}, "still 5"},
		{Options{Target: &Target{Name: "ms", Limit: 1, Cost: func(context.Context, *graph.Graph) (float64, error) { return 0, fmt.Errorf("no clock") }}}, "no clock"},
		{Options{Target: o.Target, Sparsity: 0.5}, "want one of them"},
		{Options{Target: o.Target, Pattern: "2:4"}, "2:4 is fixed"},
		{Options{Target: &Target{Name: "bytes", Cost: Bytes}}, "positive limit"},
	} {
		if _, err := Weights(context.Background(), parse(t, net), c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q in it", c.o, err, c.want)
		}
	}
}
