// Command int8 writes the integer kernels' assembly: `go run ./int8 -out ../int8gemm_amd64.s gemm` in kernels/gen.
package main

import (
	"flag"
	"fmt"
	"os"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
)

func main() {
	flag.Parse()
	files := map[string]func(){"gemm": gemmFile, "dw": depthwiseFile, "quant": quantFile}
	write, ok := files[flag.Arg(0)]
	if !ok {
		fmt.Fprintln(os.Stderr, "int8: want one of gemm, dw, quant")
		os.Exit(2)
	}
	ConstraintExpr("amd64,!noasm")
	write()
	Generate()
}

// vpdpbusd adds to each int32 of d the four products of u's bytes (unsigned) and s's (signed). avo has no VNNI.
func vpdpbusd(s, u, d Op) {
	Instruction(&ir.Instruction{Opcode: "VPDPBUSD", Operands: []Op{s, u, d}, Inputs: []Op{s, u, d}, Outputs: []Op{d}})
}
