package kernels

type floatSet struct{}

var floatGeneric floatSet
