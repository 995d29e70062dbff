package optimize

import "testing"

// TestAwaits optimizes a network whose constants are still to be drawn: all of them stay, apart from each other.
func TestAwaits(t *testing.T) {
	g := parse(t, `graph "net" {
  opset "" 17
  input x: float32[2,4]
  const v: float32[4,4] init=he
  const w: float32[4,4] init=he
  const b: float32[4] init=zero
  const s: float32[4] init=one
  a: float32[2,4] = MatMul(x, v)
  c: float32[2,4] = Add(a, b)
  d: float32[4,4] = Transpose(w) {perm=[1,0]}
  e: float32[2,4] = MatMul(c, d)
  y: float32[2,4] = Mul(e, s)
  output y
}
`)
	if _, err := Default().Run(t.Context(), g, nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"v", "w", "b", "s"} {
		if v := g.Value(name); v == nil || !v.Awaits() {
			t.Errorf("%s is gone:\n%s", name, g)
		}
	}
}
