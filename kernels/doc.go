// Package kernels holds the inner loops of the engine on plain slices: matrix products, depthwise convolution, pooling,
// elementwise functions, reductions and transposes, in float32 and in 8-bit integers. It imports nothing of ours.
//
// # Same bits everywhere
//
// A [Set] is every kernel for one instruction set: generic (Go alone), avx2, avx512, vnni. They all give the same bits,
// for any way of splitting the work over threads, because each result is defined as one order of rounded operations:
//
//   - A dot product is one chain acc = fma(a[k], b[k], acc) over k from +0. Blocks of k store and reload acc, which is
//     exact. Then come bias, residual and clamp, each rounded once. A gradient by weights is such a chain over the pixels
//     of some samples, image by image and line by line.
//   - A product with sparse weights is that chain over the weights that are stored: for finite numbers the same value.
//   - Other reductions put element i into lane i mod 16 and fold the lanes 8, 4, 2, 1 apart; so does [Set.Dot].
//   - Gradients of pools add to an element window by window in row-major order.
//   - exp, log, tanh, erf, sigmoid and gelu are polynomials of our own (gen/fit computes them), evaluated as FMA chains;
//     the scalar functions such as [Exp32] are their definitions.
//   - Clamping compares: x < lo gives lo, then x > hi gives hi. A NaN passes, and so does -0 at a bound of +0.
//   - Square root and division are correctly rounded by every CPU. Subnormals are never flushed.
//
// Only the sign and payload of a NaN are left open. The algorithm may depend on shapes, never on CPU, threads or time.
// In Go code the product of two float32 that is added to something stands in an explicit float32() conversion, since
// the compiler may otherwise fuse them; a wanted fusion is [FMA32].
//
// # Assembly
//
// The *_amd64.s files and their *_decl_amd64.go are made by avo programs in gen, a module of its own; `go generate
// ./kernels` writes them again after a change there. Polynomials are made by hand, as their coefficients are part of the
// definition: in gen, `go run ./fit -pkg kernels >../mathcoef.go` and `go run ./fit -pkg main >float/mathcoef.go`.
// Builds for other machines and with -tags noasm leave the assembly out.
package kernels
