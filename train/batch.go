package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/tensor"
)

// Streams of random numbers: each use of the seed draws from its own.
const (
	orderStream   = 0x6f72646572
	augmentStream = 0x6175676d
	mixStream     = 0x6d6978
	dropStream    = 0x64726f70
	initStream    = 0x696e6974
)

// Batch is what one step learns from.
type Batch struct {
	Index  []int            // of each sample in the set
	Labels []int            // the class that weighs most; -1 without labels
	In     []*tensor.Tensor // one a model input, [batch, …]
	Target *tensor.Tensor   // [batch, classes]; nil without labels
}

// batches prepares batches of a set.
type batches struct {
	set     *data.Set
	o       *Options
	classes int
	cache   *cache
	weights []float64 // of the classes; nil: all 1
}

// newBatches checks that labels fit.
func newBatches(set *data.Set, o *Options, classes int) (*batches, error) {
	b := &batches{set: set, o: o, classes: classes, cache: newCache(set, o.Cache)}
	if set.Len() < 1 {
		return nil, fmt.Errorf("the data has no samples")
	}
	if o.Objective.Unlabelled && !set.Labelled() {
		return b, nil
	}
	if !set.Labelled() {
		return nil, fmt.Errorf("the data has no labels, which this loss needs")
	}
	for i := range set.Len() {
		if l := set.Label(i); l < 0 || l >= max(classes, 2) {
			return nil, fmt.Errorf("%s has label %d, but the model tells %d classes apart", set.Name(i), l, max(classes, 2))
		}
	}
	return b, b.weigh()
}

// weigh finds the weights of the classes.
func (b *batches) weigh() error {
	switch {
	case b.o.Balanced:
		b.weights = balanced(b.set, b.classes)
	default:
		b.weights = b.o.ClassWeights
	}
	switch {
	case b.weights == nil:
		return nil
	case b.classes < 2:
		return errors.New("class weights need a score for each class, and the model has a single one")
	case len(b.weights) != b.classes:
		return fmt.Errorf("%d class weights for %d classes", len(b.weights), b.classes)
	}
	return nil
}

// balanced weighs each class by the inverse of its share.
func balanced(set *data.Set, classes int) []float64 {
	count := make([]int, classes)
	for i := range set.Len() {
		if l := set.Label(i); l < classes {
			count[l]++
		}
	}
	weights := make([]float64, classes)
	for i, n := range count {
		weights[i] = float64(set.Len()) / (float64(classes) * float64(max(n, 1)))
	}
	return weights
}

// steps is the number of batches in an epoch. What does not fill a batch at its end is left out; as each epoch has its own
// order, other samples miss each time.
func (b *batches) steps() int { return max(b.set.Len()/b.size(), 1) }

func (b *batches) size() int { return min(b.o.Batch, b.set.Len()) }

// order is the shuffled order of an epoch.
func (b *batches) order(epoch int) []int {
	return rand.New(rand.NewPCG(b.o.Seed^orderStream, uint64(epoch))).Perm(b.set.Len())
}

// at prepares the batch that begins at a step of an epoch.
func (b *batches) at(order []int, epoch, step int) (*Batch, error) {
	n := b.size()
	out := &Batch{Index: order[step*n : (step+1)*n], Labels: make([]int, n)}
	samples := make([][]*tensor.Tensor, n)
	err := parallel(b.o.Threads, n, func(i int) error {
		s, err := b.cache.sample(out.Index[i])
		if err != nil {
			return err
		}
		if b.o.Augment.any() {
			r := rand.New(rand.NewPCG(b.o.Seed^augmentStream, uint64(epoch)<<32|uint64(out.Index[i])))
			s = b.o.Augment.apply(s, r)
		}
		samples[i] = s
		return nil
	})
	if err != nil {
		return nil, err
	}
	out.In = stack(samples)
	if b.set.Labelled() {
		out.Target = tensor.New(tensor.Float32, n, max(b.classes, 1))
		for i, s := range out.Index {
			out.Labels[i] = b.set.Label(s)
			b.target(tensor.View[float32](out.Target)[i*max(b.classes, 1):], out.Labels[i])
		}
	} else {
		for i := range out.Labels {
			out.Labels[i] = -1
		}
	}
	if b.o.Mixup > 0 {
		b.mix(out, epoch, step)
	}
	return out, nil
}

// target writes the smoothed distribution of a label: 1-ε on the class plus ε/classes everywhere (Szegedy et al.,
// arXiv 1512.00567, section 7), times the weight of the class.
func (b *batches) target(row []float32, label int) {
	if b.classes <= 1 {
		row[0] = float32(label)
		return
	}
	row = row[:b.classes]
	for i := range row {
		row[i] = float32(b.o.Smoothing / float64(b.classes))
	}
	row[label] += float32(1 - b.o.Smoothing)
	if b.weights != nil {
		scale(row, float32(b.weights[label]))
	}
}

// mix blends each sample with another one of the batch by a share drawn from Beta(a, a) (Zhang et al., arXiv
// 1710.09412); one share a batch.
func (b *batches) mix(out *Batch, epoch, step int) {
	r := rand.New(rand.NewPCG(b.o.Seed^mixStream, uint64(epoch)<<32|uint64(step)))
	share := beta(r, b.o.Mixup)
	share = max(share, 1-share) // the larger share keeps the label that accuracy counts
	perm := r.Perm(len(out.Index))
	blend := func(t *tensor.Tensor) {
		if t == nil || t.DType != tensor.Float32 {
			return
		}
		v := tensor.View[float32](t)
		row := len(v) / len(perm)
		old := append([]float32{}, v...)
		for i, p := range perm {
			for k := range row {
				v[i*row+k] = float32(float32(share)*old[i*row+k]) + float32(float32(1-share)*old[p*row+k])
			}
		}
	}
	for _, t := range out.In {
		blend(t)
	}
	blend(out.Target)
}

// beta draws from Beta(a, a) by Jöhnk's method.
func beta(r *rand.Rand, a float64) float64 {
	for {
		x, y := math.Pow(r.Float64(), 1/a), math.Pow(r.Float64(), 1/a)
		if s := x + y; s <= 1 && s > 0 {
			return x / s
		}
	}
}

// stack joins samples [1, …] along the first dimension.
func stack(samples [][]*tensor.Tensor) []*tensor.Tensor {
	var out []*tensor.Tensor
	for i, first := range samples[0] {
		t := tensor.New(first.DType, append([]int{len(samples)}, first.Shape[1:]...)...)
		n := len(first.Data)
		for k, s := range samples {
			copy(t.Data[k*n:(k+1)*n], s[i].Data)
		}
		out = append(out, t)
	}
	return out
}

// prefetched gives the batches of an epoch from step `from` on, one ahead of the consumer. After an error nothing
// follows.
func (b *batches) prefetched(ctx context.Context, epoch, from int) <-chan fetched {
	ch := make(chan fetched)
	go func() {
		defer close(ch)
		order := b.order(epoch)
		for s := from; s < b.steps(); s++ {
			batch, err := b.at(order, epoch, s)
			select {
			case ch <- fetched{batch, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return ch
}

type fetched struct {
	*Batch
	err error
}

// parallel runs f for 0 to n-1 on several goroutines and returns the error of the lowest index.
func parallel(threads, n int, f func(i int) error) error {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	threads = min(threads, n)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for t := range threads {
		wg.Go(func() {
			for i := n * t / threads; i < n*(t+1)/threads; i++ {
				if errs[i] = f(i); errs[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
