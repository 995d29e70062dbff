package kernels

// ReluGrad sets dst = dy where y > 0 and 0 elsewhere.
func (s *Set) ReluGrad(dst, dy, y []float32) { s.reluGrad(dst, dy[:len(dst)], y[:len(dst)]) }

// ClipGrad sets dst = dy where lo < y < hi and 0 elsewhere.
func (s *Set) ClipGrad(dst, dy, y []float32, lo, hi float32) {
	s.clipGrad(dst, dy[:len(dst)], y[:len(dst)], lo, hi)
}

// Sqrt sets dst = √x.
func (s *Set) Sqrt(dst, x []float32) { s.sqrt(dst, x[:len(dst)]) }

// Dot returns Σ a·b: element i is added into lane i mod 16 by an FMA, then the lanes fold as in Sum.
func (s *Set) Dot(a, b []float32) float32 { return s.dot(a, b[:len(a)]) }

// LogSoftmax sets dst = x - max x - log Σ exp(x - max x); dst must not be x.
func (s *Set) LogSoftmax(dst, x []float32) {
	x = x[:len(dst)]
	top := s.max(x)
	sum := s.expSum(dst, x, top)
	s.addS(dst, x, -top)
	s.addS(dst, dst, -Log32(sum))
}

// SoftmaxGrad sets dst = y·(dy - Σ dy·y), the gradient of a row y of Softmax; dst must not be y.
func (s *Set) SoftmaxGrad(dst, dy, y []float32) {
	dy, y = dy[:len(dst)], y[:len(dst)]
	s.addS(dst, dy, -s.dot(dy, y))
	s.mul(dst, dst, y)
}

// LogSoftmaxGrad sets dst = dy - exp(y)·Σ dy, the gradient of a row y of LogSoftmax; dst must not be dy.
func (s *Set) LogSoftmaxGrad(dst, dy, y []float32) {
	dy = dy[:len(dst)]
	sum := s.sum(dy)
	s.exp(dst, y[:len(dst)])
	s.mulS(dst, dst, sum)
	s.sub(dst, dy, dst)
}

// NormGrad is the gradient of one row of LayerNorm. With x̂ = (x - mean)·inv and g = dy·scale,
//
//	dx = inv·(g - mean(g) - x̂·mean(g·x̂))
//
// (arXiv:1607.06450). Hat receives x̂ and DX dx, each as long as the row; neither may be an input.
type NormGrad struct {
	DY, X, Scale []float32
	Eps          float32
	Hat, DX      []float32
}

// LayerNormGrad computes g on the calling goroutine.
func (s *Set) LayerNormGrad(g *NormGrad) {
	n := len(g.X)
	hat, dx := g.Hat[:n], g.DX[:n]
	mean, inv := s.Moments(g.X, g.Eps)
	s.addS(hat, g.X, -mean)
	s.mulS(hat, hat, inv)
	s.mul(dx, g.DY[:n], g.Scale[:n])
	a, b := s.sum(dx)/float32(n), s.dot(dx, hat)/float32(n)
	s.normGrad(dx, hat, dx, a, b)
	s.mulS(dx, dx, inv)
}

func reluGradGeneric(dst, dy, y []float32) {
	for i, v := range y {
		g := float32(0)
		if v > 0 {
			g = dy[i]
		}
		dst[i] = g
	}
}

func clipGradGeneric(dst, dy, y []float32, lo, hi float32) {
	for i, v := range y {
		g := float32(0)
		if v > lo && v < hi {
			g = dy[i]
		}
		dst[i] = g
	}
}

func dotGeneric(a, b []float32) float32 {
	var l lanes16
	for i, v := range a {
		l[i%16] = FMA32(v, b[i], l[i%16])
	}
	return l.fold(addF32)
}

// normGradGeneric sets dst = (g - a) - hat·b, the product and its subtraction rounded once.
func normGradGeneric(dst, hat, g []float32, a, b float32) {
	for i, v := range g {
		dst[i] = FMA32(-b, hat[i], v-a)
	}
}
