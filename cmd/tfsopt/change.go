package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/tfsopt/tfsopt/evaluate"
	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/train"
)

// modelFile is a model on disk. Bytes counts external data too.
type modelFile struct {
	Path   string `json:"path"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// change is the result of the verbs that make one model of another. Compression is input bytes by output bytes.
type change struct {
	Input       modelFile    `json:"input"`
	Output      *modelFile   `json:"output,omitempty"`
	Compression float64      `json:"compression,omitempty"`
	Seconds     float64      `json:"seconds"`
	PeakRSS     int64        `json:"peak_rss_bytes"`
	Layers      []layer      `json:"layers"`
	Warnings    []string     `json:"warnings"`
	Passes      []passResult `json:"passes,omitempty"`
	Dump        string       `json:"dump,omitempty"`

	Outputs []outputSQNR `json:"outputs,omitempty"` // of quantization, where there are samples
	Left    []leftFloat  `json:"float,omitempty"`   // constants that quantization left real
	Ends    []integerEnd `json:"io,omitempty"`      // inputs and outputs that became integers

	Curve []train.Epoch `json:"curve,omitempty"` // of verbs that train
	Held  *heldScore    `json:"held,omitempty"`
	Worth *worth        `json:"teacher_worth,omitempty"`

	Origin *evaluate.Origin `json:"made_by,omitempty"`
}

// integerEnd is an input or output of integers q, which stand for (q - zero_point) * scale.
type integerEnd struct {
	Name  string  `json:"name"`
	DType string  `json:"dtype"`
	Scale float32 `json:"scale"`
	Zero  int     `json:"zero_point"`
}

// layer is what became of one operator.
type layer struct {
	Name      string `json:"name"`
	Op        string `json:"op"`
	Precision string `json:"precision,omitempty"`
	SQNR      finite `json:"sqnr_db"`
	*layerStep
	*layerCut
}

// layerStep is the error of a layer's weights against half their step.
type layerStep struct {
	MaxError  finite `json:"max_error"`
	MeanError finite `json:"mean_error"`
	HalfStep  finite `json:"half_step"`
	Clipped   finite `json:"clipped"` // percent
	Worst     int    `json:"worst_channel"`
	WorstSQNR finite `json:"worst_sqnr_db"` // of that channel's weights
}

// layerCut is what pruning took from a layer. Pairs hold what was before and after.
type layerCut struct {
	Sparsity finite    `json:"sparsity"` // percent of the weights that are zero, or of the multiply-adds that went
	Elements int       `json:"elements,omitempty"`
	NormLost finite    `json:"norm_lost"`      // percent of the squared norm
	Kept     string    `json:"kept,omitempty"` // why nothing could be cut
	Channels *[2]int   `json:"channels,omitempty"`
	MACs     *[2]int64 `json:"macs,omitempty"`
	Bytes    *[2]int64 `json:"bytes,omitempty"`
}

// leftFloat is a constant that is still real numbers and a notable part of the model.
type leftFloat struct {
	Name  string  `json:"name"`
	Node  string  `json:"node"`
	Op    string  `json:"op"`
	Why   string  `json:"why"`
	Bytes int     `json:"bytes"`
	Share float64 `json:"share"` // percent of the bytes of all constants
}

type passResult struct {
	Pass    string  `json:"pass"`
	Changes int     `json:"changes"`
	Seconds float64 `json:"seconds"`
}

// finite is a number that JSON can hold, or null.
type finite float64

// missing is a number that was not measured.
var missing = finite(math.NaN())

// MarshalJSON gives null for NaN and infinities, which an exact result has as its SQNR.
func (f finite) MarshalJSON() ([]byte, error) {
	if math.IsNaN(float64(f)) || math.IsInf(float64(f), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(f))
}

// rewriter turns the loaded model into the graph to save and adds what it did to the result. Its errors name the file
// that they speak of.
type rewriter func(m *formats.File, r *change) (*graph.Graph, error)

// rewrite loads in, applies f and saves the result at out, whole or not at all.
func (a *app) rewrite(ctx context.Context, in, out string, f rewriter) (*change, error) {
	start := time.Now()
	if out != "" {
		if err := checkOutput(ctx, out); err != nil {
			return nil, err
		}
	}
	m, err := a.load(in)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	defer sparing(m.Bytes)()
	r := &change{Layers: []layer{}, Warnings: append([]string{}, m.Warnings...)}
	if r.Input, err = describe(in, m.Bytes); err != nil {
		return nil, err
	}
	before := constants(m.Graph)
	g, err := f(m, r)
	if err != nil {
		return nil, err
	}
	if out != "" {
		if err := r.save(ctx, g, out); err != nil {
			return nil, err
		}
		if r.Output.Bytes > r.Input.Bytes+headerBytes && filepath.Ext(in) == filepath.Ext(out) {
			r.Warnings = append(r.Warnings, growth(before, g, r.Input.Bytes, r.Output.Bytes))
		}
	}
	r.Seconds, r.PeakRSS = time.Since(start).Seconds(), peakRSS()
	a.warn(r.Warnings...)
	return r, nil
}

// largeModel is the size from which memory matters more than the time to collect garbage, of which sparePercent is then
// allowed. Little of the heap holds pointers, so that collecting is cheap.
const largeModel, sparePercent = 256 << 20, 10

// sparing collects garbage more often while a large model is worked on; the caller calls what it returns afterwards.
func sparing(size int64) func() {
	if size < largeModel {
		return func() {}
	}
	before := debug.SetGCPercent(sparePercent)
	return func() { debug.SetGCPercent(before) }
}

// headerBytes is by how much a file may grow without a word: producers write names and versions of their own.
const headerBytes = 64

// save writes the graph and measures the file by loading it again.
func (r *change) save(ctx context.Context, g *graph.Graph, out string) error {
	warnings, err := formats.Save(ctx, g, out)
	r.Warnings = append(r.Warnings, warnings...)
	if err != nil {
		return err
	}
	written, err := formats.Load(out)
	if err != nil {
		return fmt.Errorf("what was written does not load: %w", err)
	}
	size := written.Bytes
	if err := written.Close(); err != nil {
		return err
	}
	o, err := describe(out, size)
	if err != nil {
		return err
	}
	r.Output, r.Compression = &o, float64(r.Input.Bytes)/float64(max(o.Bytes, 1))
	return nil
}

// checkOutput finds out before the work whether a model can be written at path at all.
func checkOutput(ctx context.Context, path string) error {
	if err := formats.CanSave(path); err != nil {
		return usageError{err}
	}
	if formats.SavesDirectory(path) { // whether it may take the place of what is there is found when it is written
		if _, err := os.Stat(filepath.Dir(filepath.Clean(path))); err != nil {
			return err
		}
		return nil
	}
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return usagef("%s is a directory", path)
	}
	p, err := formats.Create(ctx, path)
	if err != nil {
		return err
	}
	p.Discard()
	return nil
}

func describe(path string, size int64) (modelFile, error) {
	h := sha256.New()
	err := filepath.WalkDir(path, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if p != path { // of a model that is a directory, the names of its files count too
			rel, err := filepath.Rel(path, p)
			if err != nil {
				return err
			}
			fmt.Fprintf(h, "%s\x00", filepath.ToSlash(rel))
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(h, f)
		return err
	})
	return modelFile{path, size, hex.EncodeToString(h.Sum(nil))}, err
}

// at puts a model's path before an error that does not name it.
func at(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", path, err)
}

// report prints the result.
func (a *app) report(r *change) error {
	if a.json {
		return a.printJSON(r)
	}
	if a.quiet || r.Output == nil {
		return nil
	}
	size := fmt.Sprintf("%.2f times smaller", r.Compression)
	if r.Compression < 1 {
		size = fmt.Sprintf("%.2f times larger", 1/r.Compression)
	}
	if filepath.Ext(r.Input.Path) == ".tfg" { // text is no size to compare with
		return a.printf("%s: %s, %.1f s, peak memory %s\n", r.Output.Path, bytesText(r.Output.Bytes), r.Seconds, bytesText(r.PeakRSS))
	}
	return a.printf("%s: %s, %s: %s, %s, %.1f s, peak memory %s\n", r.Input.Path, bytesText(r.Input.Bytes),
		r.Output.Path, bytesText(r.Output.Bytes), size, r.Seconds, bytesText(r.PeakRSS))
}
