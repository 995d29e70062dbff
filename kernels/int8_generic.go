package kernels

var int8Generic = Int8Set{gemmU8S8Generic, depthwiseGeneric, quantGeneric, poolGeneric}
