package main

import (
	"os"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/tfsopt/tfsopt/kernels"
)

// version is set by the release build: -ldflags "-X main.version=v1.2.3".
var version string

// build says which program this is and what it runs on.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	CPU      string `json:"cpu"` // kernel set
}

func versionCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version, and the kernels that this machine gets",
		Example: "  tfsopt version --json",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			b, err := thisBuild()
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(b)
			}
			return a.printf("tfsopt %s %s %s %s/%s, kernels %s\n", b.Version, b.Revision, b.Go, b.OS, b.Arch, b.CPU)
		},
	}
}

func thisBuild() (build, error) {
	set, err := kernels.Select(os.Getenv("TFSOPT_CPU"))
	if err != nil {
		return build{}, err
	}
	b := build{Version: version, Revision: "unknown", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: set.Name}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b, nil
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.Revision = s.Value
		}
	}
	return b, nil
}
