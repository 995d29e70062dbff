// Package tfsopt makes trained models smaller and faster to serve and measures what that cost. The program is
// cmd/tfsopt; docs/architecture.md shows the way through the packages.
package tfsopt
