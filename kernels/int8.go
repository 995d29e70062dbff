package kernels

type Int8Set struct{}

var int8Generic = Int8Set{}
