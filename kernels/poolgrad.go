package kernels

import "fmt"

// PoolGrad is the way back through one row of windows in NHWC: for pixel i of N, and each of C channels, what came to
// the window at X[i·Step + tap] is added to DX at the same places, tap by tap in order and pixel by pixel.
type PoolGrad struct {
	N, C   int
	DY     []float32 // [N][C]
	X, DX  []float32 // X only for MaxPoolGrad
	Step   int       // elements between the inputs of neighbouring windows: strideW·C
	Taps   []int     // element offset of each tap for pixel 0; at least one
	Window float32   // AddPoolGrad divides by it
	Once   bool      // no two windows share a tap: DX is set, not added to
	Gate   bool      // MaxPoolGrad takes a maximum that is not above 0 for one whose DY is 0
}

// gradTable is the kernels of the gradients of pooling.
type gradTable struct {
	maxPoolGrad, addPoolGrad func(g *PoolGrad)
}

// MaxPoolGrad adds all of DY to the first tap that is not less than the others (which is one that is NaN, if it comes
// before the maximum).
func (s *Set) MaxPoolGrad(g *PoolGrad) {
	if g.check("MaxPoolGrad", len(g.X)) {
		s.maxPoolGrad(g)
	}
}

// AddPoolGrad adds DY/Window to each tap.
func (s *Set) AddPoolGrad(g *PoolGrad) {
	if g.check("AddPoolGrad", len(g.DX)) {
		s.addPoolGrad(g)
	}
}

func (g *PoolGrad) check(name string, x int) bool {
	if g.N <= 0 || g.C <= 0 {
		return false
	}
	if len(g.Taps) == 0 || len(g.DY) < g.N*g.C || x < len(g.DX) {
		panic(fmt.Sprintf("kernels: %s: %d taps, DY %d, X %d, DX %d for %d×%d", name, len(g.Taps), len(g.DY), x, len(g.DX), g.N, g.C))
	}
	checkTaps(name, &poolRow{g.DY, g.DX, g.N, g.C, g.Step, g.Taps})
	return true
}

var gradGeneric = gradTable{maxPoolGrad: maxPoolGradGeneric, addPoolGrad: addPoolGradGeneric}

func maxPoolGradGeneric(g *PoolGrad) {
	for i := range g.N {
		for c := range g.C {
			x, dx := g.X[i*g.Step+c:], g.DX[i*g.Step+c:]
			top := x[g.Taps[0]]
			for _, tap := range g.Taps[1:] {
				top = maxF32(top, x[tap])
			}
			dy := g.DY[i*g.C+c]
			if g.Gate && !(top > 0) {
				dy = 0
			}
			for _, tap := range g.Taps {
				part := float32(0)
				if !(x[tap] < top) {
					part, dy = dy, 0
				}
				g.add(&dx[tap], part)
			}
		}
	}
}

// add adds to an element of DX, which is 0 before where windows share nothing.
func (g *PoolGrad) add(dx *float32, v float32) {
	if g.Once {
		*dx = 0
	}
	*dx += v
}

func addPoolGradGeneric(g *PoolGrad) {
	for i := range g.N {
		for c := range g.C {
			v := g.DY[i*g.C+c] / g.Window
			for _, tap := range g.Taps {
				g.add(&g.DX[i*g.Step+tap+c], v)
			}
		}
	}
}
