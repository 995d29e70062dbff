package train

import (
	"errors"
	"fmt"
	"time"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/tensor"
)

// Options say how to train. The zero value is stochastic gradient descent with momentum 0.9, rate 0.01 on a cosine, batches
// of 64, 10 epochs, cross entropy, no augmentation.
type Options struct {
	Epochs    int      // 0: 10
	Batch     int      // samples in a step; 0: 64
	Rate      float64  // highest learning rate; 0: 0.01
	Optimizer string   // sgd or adamw; "": sgd
	Momentum  *float64 // of sgd; nil: 0.9
	Nesterov  bool
	Decay     float64 // of weights, not of biases, norms and scales
	Schedule  string  // cosine, step (a tenth after each third) or constant; "": cosine
	Warmup    float64 // epochs in which the rate rises from zero
	Clip      float64 // bound of the gradients' joint norm; 0: none

	Smoothing float64 // of labels, 0 to 1
	// ClassWeights multiply the loss of a sample by the weight of its label's class, one a class; nil: all 1. Balanced
	// chooses them so that every class counts the same: samples / (classes · samples of the class).
	ClassWeights []float64
	Balanced     bool
	Mixup        float64 // parameter of the Beta distribution that pairs are blended by; 0: none
	Augment      Augment
	Frozen       bool           // BatchNormalization keeps its statistics and uses them
	Output       int            // which output of the model is trained
	Dims         map[string]int // sizes of the inputs' named dimensions; the first dimension is the batch in any case

	Objective Objective
	// Key names what Objective, After and Prepare do: a checkpoint of a run with another one is not taken up.
	Key string
	// After, if not nil, is called after each update and may change parameters and masks. What it does must follow from
	// its arguments alone, so that a resumed run does the same.
	After func(s *State) error
	// Prepare, if not nil, sees the model before the first step of a run that is not resumed, to set masks.
	Prepare func(m *Model) error

	Held    *data.Set // labelled samples that are not trained on, scored after each epoch
	Seed    uint64
	Threads int   // 0: all cores
	Cache   int64 // bytes of prepared samples that are kept in memory; 0: DefaultCache, negative: none

	// Checkpoint is a file that holds all that a run needs to go on; it is replaced at each end of an epoch, when the
	// context is cancelled, and at least every Every. "": none. Resume goes on from it if it is there, Restart
	// replaces it; without either a checkpoint that is there is an error. A file that is none is never replaced.
	Checkpoint string
	Resume     bool
	Restart    bool
	Every      time.Duration // 0: half a minute
	Log        string        // file of JSON lines, one for each epoch; "": none
	Progress   func(Progress)
}

// State is what After sees: the step just done (from 1) of all steps, the parameters as they are now and the gradients
// that led there.
type State struct {
	Step, Steps, Epoch int
	Params             []*Param
	Grads              []*tensor.Tensor
	Samples            int // in a batch
}

// Progress tells how far a run is.
type Progress struct {
	Step, Steps, Epoch, Epochs int
	Loss, Accuracy             float64 // of the epoch so far; Accuracy in percent
	Speed                      float64 // samples a second
	Left                       time.Duration
}

// Check fails on numbers and words that make no sense, whatever the model and the data are.
func (o Options) Check() error { return o.check() }

// check sets defaults and fails on what makes no sense.
func (o *Options) check() error {
	o.Epochs = orInt(o.Epochs, 10)
	o.Batch = orInt(o.Batch, 64)
	if o.Rate == 0 {
		o.Rate = 0.01
	}
	if o.Momentum == nil {
		o.Momentum = new(0.9)
	}
	if o.Optimizer == "" {
		o.Optimizer = "sgd"
	}
	if o.Schedule == "" {
		o.Schedule = "cosine"
	}
	if o.Every == 0 {
		o.Every = 30 * time.Second
	}
	if o.Resume && o.Restart {
		return errors.New("a run resumes or restarts, not both")
	}
	if o.Resume && o.Checkpoint == "" {
		return errors.New("to resume there must be a checkpoint file")
	}
	ranges := []struct {
		name      string
		v, lo, hi float64
	}{
		{"epochs", float64(o.Epochs), 1, 1e6},
		{"batch", float64(o.Batch), 1, 1e6},
		{"learning rate", o.Rate, 1e-12, 1e6},
		{"momentum", *o.Momentum, 0, 0.99999},
		{"weight decay", o.Decay, 0, 1},
		{"warm-up", o.Warmup, 0, float64(o.Epochs)},
		{"clip", o.Clip, 0, 1e12},
		{"label smoothing", o.Smoothing, 0, 0.999},
		{"mixup", o.Mixup, 0, 100},
		{"crop", float64(o.Augment.Crop), 0, 1000},
		{"shift", float64(o.Augment.Shift), 0, 1000},
	}
	for _, r := range ranges {
		if !(r.v >= r.lo && r.v <= r.hi) {
			return fmt.Errorf("%s %g: want %g to %g", r.name, r.v, r.lo, r.hi)
		}
	}
	for i, w := range o.ClassWeights {
		if !(w >= 0 && w <= 1e6) {
			return fmt.Errorf("weight %g of class %d: want 0 to 1e6", w, i)
		}
	}
	if o.Balanced && o.ClassWeights != nil {
		return errors.New("class weights are balanced or given, not both")
	}
	return errors.Join(
		known("optimizer", o.Optimizer, optimizers, "sgd or adamw"),
		known("schedule", o.Schedule, schedules, "cosine, step or constant"),
	)
}

func orInt(v, otherwise int) int {
	if v == 0 {
		return otherwise
	}
	return v
}
