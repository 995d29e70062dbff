package ops

import (
	"fmt"
	"math"
)

// transform is what becomes of the scores of a row.
type transform int

// Numbered as TreeEnsemble's post_transform.
const (
	postNone transform = iota
	postSoftmax
	postLogistic
	postSoftmaxZero
	postProbit
)

var transforms = map[string]transform{
	"NONE": postNone, "SOFTMAX": postSoftmax, "LOGISTIC": postLogistic, "SOFTMAX_ZERO": postSoftmaxZero, "PROBIT": postProbit,
}

// named finds what an attribute's text stands for.
func named[T any](attribute string, known map[string]T, text string) (T, error) {
	v, ok := known[text]
	if !ok {
		return v, fmt.Errorf("attribute %s: unknown value %q", attribute, text)
	}
	return v, nil
}

// applyTransform changes scores as ONNX Runtime does: logistic and probit in float32, softmax in the scores' type.
// SOFTMAX_ZERO leaves out of the sum what is within 1e-7 of 0.
func applyTransform[T mlFloat](s []T, post transform) {
	switch post {
	case postLogistic:
		for i, v := range s {
			s[i] = T(logistic32(float32(v)))
		}
	case postProbit:
		for i, v := range s {
			s[i] = T(probit32(float32(v)))
		}
	case postSoftmax, postSoftmaxZero:
		softmaxScores(s, post == postSoftmaxZero)
	}
}

func softmaxScores[T mlFloat](s []T, skipZero bool) {
	var top, sum T
	for i, v := range s {
		if i == 0 || v > top {
			top = v
		}
	}
	for i, v := range s {
		if skipZero && v <= 1e-7 && v >= -1e-7 {
			s[i] = v * T(math.Exp(float64(-top)))
			continue
		}
		s[i] = T(math.Exp(float64(v - top)))
		sum += s[i]
	}
	for i := range s {
		s[i] /= sum
	}
}

func logistic32(v float32) float32 {
	r := 1 / (1 + float32(math.Exp(-math.Abs(float64(v)))))
	if v < 0 {
		return 1 - r
	}
	return r
}

// probit32 is √2·erfinv(2p-1) with Winitzki's approximation of erfinv, as ONNX Runtime has it.
func probit32(p float32) float32 {
	var a, pi float32 = 0.147, math.Pi // variables: constants would fold in more than float32
	x := 2*p - 1
	log := float32(math.Log(float64((1 - x) * (1 + x))))
	v := 2/float32(pi*a) + float32(0.5*log)
	root := float32(math.Sqrt(float64(float32(v*v) - float32(float32(1/a)*log))))
	r := float32(math.Sqrt2) * float32(math.Sqrt(float64(root-v)))
	if x < 0 {
		return -r
	}
	return r
}

// pair makes the scores of two classes of one: by LOGISTIC, or its complement, -s if negated, else 1-s.
func pair[T mlFloat](s T, negated bool, post transform) (no, yes T) {
	switch {
	case post == postLogistic:
		return T(logistic32(float32(-s))), T(logistic32(float32(s)))
	case negated:
		return -s, s
	}
	return 1 - s, s
}
