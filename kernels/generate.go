package kernels

//go:generate go -C gen run ./float -out ../gemmf32_amd64.s -decl ../gemmf32_decl_amd64.go gemm
//go:generate go -C gen run ./float -out ../gradf32_amd64.s -decl ../gradf32_decl_amd64.go grad
//go:generate go -C gen run ./float -out ../vectorf32_amd64.s -decl ../vectorf32_decl_amd64.go vector
//go:generate go -C gen run ./float -out ../rowsf32_amd64.s -decl ../rowsf32_decl_amd64.go rows
//go:generate go -C gen run ./float -out ../transpose_amd64.s -decl ../transpose_decl_amd64.go transpose
//go:generate go -C gen run ./float -out ../poolgrad_amd64.s -decl ../poolgrad_decl_amd64.go poolgrad
//go:generate go -C gen run ./float -out ../sparsef32_amd64.s -decl ../sparsef32_decl_amd64.go sparse
//go:generate go -C gen run ./float -out ../lanesf32_amd64.s -decl ../lanesf32_decl_amd64.go lanes
