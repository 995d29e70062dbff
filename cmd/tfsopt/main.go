// Command tfsopt makes trained models smaller and faster to serve, and says what that cost. Commands only read flags
// and print; what they do is in the packages.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	_ "github.com/tfsopt/tfsopt/formats/onnx" // the formats that Load and Save know
	_ "github.com/tfsopt/tfsopt/formats/savedmodel"
	_ "github.com/tfsopt/tfsopt/formats/text"
)

func main() { os.Exit(mainCode()) }

// mainCode runs the command line. The first interrupt cancels the work, which then leaves no partial file; the second
// one kills the process as if nobody listened.
func mainCode() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return run(ctx, os.Args[1:], os.Stdout, os.Stderr)
}
