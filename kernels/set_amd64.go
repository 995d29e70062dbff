//go:build amd64 && !noasm

package kernels

import "golang.org/x/sys/cpu"

var (
	avx2Set   = &Set{Name: "avx2", NR: 16, MR: 6, floatSet: floatAVX2, Int8Set: int8AVX2}
	avx512Set = &Set{Name: "avx512", NR: 32, MR: 14, floatSet: floatAVX512, Int8Set: int8AVX2}
	vnniSet   = &Set{Name: "vnni", NR: 32, MR: 14, floatSet: floatAVX512, Int8Set: int8VNNI}
)

type cpuFeature struct {
	name string
	has  bool
}

func setTable() []setInfo {
	x := &cpu.X86
	avx2 := []cpuFeature{{"AVX2", x.HasAVX2}, {"FMA", x.HasFMA}}
	avx512 := append(avx2, []cpuFeature{
		{"AVX512F", x.HasAVX512F},
		{"AVX512BW", x.HasAVX512BW},
		{"AVX512DQ", x.HasAVX512DQ},
		{"AVX512VL", x.HasAVX512VL},
	}...)
	vnni := append(avx512, cpuFeature{"AVX512VNNI", x.HasAVX512VNNI})
	return []setInfo{
		{set: genericSet},
		{avx2Set, missing(avx2)},
		{avx512Set, missing(avx512)},
		{vnniSet, missing(vnni)},
	}
}

func missing(want []cpuFeature) []string {
	var names []string
	for _, f := range want {
		if !f.has {
			names = append(names, f.name)
		}
	}
	return names
}
