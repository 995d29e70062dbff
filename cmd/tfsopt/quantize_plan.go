package main

import (
	"strconv"

	"github.com/tfsopt/tfsopt/quantize"
)

// quantizePlan is the result of quantize --dry-run.
type quantizePlan struct {
	Input    modelFile       `json:"input"`
	Memory   quantize.Memory `json:"memory"`
	Warnings []string        `json:"warnings"`
}

// planQuantize prints what --dry-run asks for.
func (a *app) planQuantize(path string, o quantizeOptions) error {
	m, err := a.load(path)
	if err != nil {
		return err
	}
	defer m.Close()
	r := quantizePlan{Warnings: append([]string{}, m.Warnings...)}
	if r.Input, err = describe(path, m.Bytes); err != nil {
		return err
	}
	set, err := o.openData(m.Graph)
	if err != nil {
		return err
	}
	if set != nil {
		defer set.Close()
	}
	if r.Memory, err = quantize.Plan(m.Graph, set, o.Options); err != nil {
		return at(path, err)
	}
	if set != nil {
		r.Warnings = append(r.Warnings, set.Warnings()...)
	}
	a.warn(r.Warnings...)
	if a.json {
		return a.printJSON(r)
	}
	return a.printMemory(r.Memory)
}

func (a *app) printMemory(m quantize.Memory) error {
	rows := [][]string{
		{"calibration samples", strconv.Itoa(m.Samples)},
		{"layers", strconv.Itoa(m.Layers)},
		{"observed activations", strconv.Itoa(m.Activations)},
	}
	for _, part := range []struct {
		what  string
		bytes int64
	}{
		{"weights while they are rounded", m.Weights},
		{"histograms", m.Histograms},
		{"statistics of layers", m.Statistics},
		{"compiled model", m.Program},
		{"samples decoded ahead", m.Prefetch},
		{"activations kept, after the statistics", m.Kept},
		{"together", m.Total},
	} {
		rows = append(rows, []string{part.what, bytesText(part.bytes)})
	}
	return a.table([]column{text("memory beside the model"), number("")}, rows)
}
