package main

import (
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress is the bar of the stage that runs. The zero value shows nothing.
type progress struct {
	bar   *progressbar.ProgressBar
	stage string
}

// progress gives the callback that draws a bar on stderr; nil, which the packages take as silence, if stderr is no
// terminal or nobody wants to see it.
func (a *app) progress() func(stage string, done, total int) {
	if !a.terminal || a.quiet {
		return nil
	}
	return func(stage string, done, total int) {
		if a.bar.bar == nil || a.bar.stage != stage || a.bar.bar.GetMax() != total {
			a.clearProgress()
			a.bar = progress{a.newBar(stage, total), stage}
		}
		_ = a.bar.bar.Set(done) // a bar that cannot be drawn is no failure
	}
}

// progressOf is progress for work of one stage.
func (a *app) progressOf(stage string) func(done, total int) {
	p := a.progress()
	if p == nil {
		return nil
	}
	return func(done, total int) { p(stage, done, total) }
}

func (a *app) newBar(stage string, total int) *progressbar.ProgressBar {
	more := []progressbar.Option{progressbar.OptionShowCount(), progressbar.OptionSetWidth(30)}
	if stage == "" { // the description tells what there is to tell; a terminal of 80 columns has room for both
		more = []progressbar.Option{progressbar.OptionSetWidth(10), progressbar.OptionSetPredictTime(false)}
	}
	return progressbar.NewOptions(total, append(more,
		progressbar.OptionSetWriter(a.err),
		progressbar.OptionSetDescription(stage),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)...)
}

// clearProgress takes the bar off the screen, before something else is printed there.
func (a *app) clearProgress() {
	if a.bar.bar != nil {
		_ = a.bar.bar.Clear()
		a.bar = progress{}
	}
}
