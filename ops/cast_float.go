package ops

import (
	"fmt"
	"math"

	"github.com/tfsopt/tfsopt/tensor"
)

// narrow stores floats into a type of less than 32 bits, rounding once.
func (c conversion) narrow(dst *tensor.Tensor, v []float64) error {
	switch dst.DType {
	case tensor.Float8E8M0:
		switch c.round {
		case "up", "down", "nearest":
		default:
			return fmt.Errorf("unknown round_mode %q", c.round)
		}
		for i, e := range v {
			dst.Data[i] = c.powerOfTwo(e)
		}
		return nil
	case tensor.Float8E4M3FN, tensor.Float8E4M3FNUZ, tensor.Float8E5M2, tensor.Float8E5M2FNUZ:
		for i, e := range v {
			dst.Data[i] = tensor.ToFloat8(oddFloat32(e), dst.DType, c.saturate)
		}
		return nil
	}
	return tensor.SetFloats(dst, mapSlice(v, oddFloat32))
}

// oddFloat32 rounds to odd: an inexact result has its last bit set, so that rounding it again, to 16 bits or fewer,
// gives what rounding v at once would (Boldo and Melquiond, 2008).
func oddFloat32(v float64) float32 {
	f := float32(v)
	if float64(f) == v || v != v || math.IsInf(float64(f), 0) {
		return f
	}
	b := math.Float32bits(f)
	if f == 0 && v < 0 {
		b = 1 << 31
	}
	switch {
	case b&1 != 0:
	case math.Abs(float64(f)) > math.Abs(v):
		b--
	default:
		b++
	}
	return math.Float32frombits(b)
}

// powerOfTwo encodes 2^(code-127), 0xff being NaN, by the rules for float8e8m0 of ONNX's Cast. Negative numbers, for
// which those leave the result open, are like zero.
func (c conversion) powerOfTwo(v float64) byte {
	const nan, largest = 0xff, 0xfe
	m, e := math.Frexp(v) // v = m·2^e, m in [0.5, 1)
	code := e - 1 + 127
	if c.round == "up" && m > 0.5 || c.round == "nearest" && m >= 0.75 {
		code++
	}
	switch {
	case v != v:
		return nan
	case math.IsInf(v, 1) || v > 0 && code > largest:
		if c.saturate {
			return largest
		}
		return nan
	case v <= 0 || code < 0:
		if c.saturate {
			return 0
		}
		return nan
	}
	return byte(code)
}
