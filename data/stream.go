package data

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/tfsopt/tfsopt/tensor"
)

type streamer struct {
	batch, workers int
	yield          func(Batch, error) bool
}

type result struct {
	Sample
	err error
}

func (s *Set) stream(ctx context.Context, o streamer) {
	if o.workers <= 0 {
		o.workers = runtime.GOMAXPROCS(0)
	}
	o.batch = max(o.batch, 1)
	if s.whole {
		o.batch = 1
	}
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	queue := make(chan chan result, o.workers-1) // with the one that waits to enter: workers samples at a time
	all.Go(func() {
		defer close(queue)
		for i := range s.index {
			one := make(chan result, 1)
			select {
			case queue <- one:
			case <-ctx.Done():
				return
			}
			all.Go(func() {
				sample, err := s.Sample(i)
				one <- result{sample, err}
			})
		}
	})
	var b Batch
	for i := range s.index {
		r, err := receive(ctx, queue)
		if err == nil {
			err = b.add(r.Sample, min(o.batch, len(s.index)-i))
		}
		if err != nil {
			o.yield(Batch{}, err)
			return
		}
		if len(b.Labels) == o.batch || i == len(s.index)-1 {
			if !o.yield(b, nil) {
				return
			}
			b = Batch{}
		}
	}
}

// receive takes the next sample in order. Its place in the queue is free only once it is ready, so that what is in
// flight stays bounded.
func receive(ctx context.Context, queue <-chan chan result) (result, error) {
	if err := ctx.Err(); err != nil {
		return result{}, err
	}
	select {
	case one, ok := <-queue:
		if !ok {
			return result{}, ctx.Err()
		}
		r := <-one
		return r, r.err
	case <-ctx.Done():
		return result{}, ctx.Err()
	}
}

// add appends a sample to a batch that will hold up to n more, counting it.
func (b *Batch) add(s Sample, n int) error {
	if n == 1 && b.In == nil {
		*b = Batch{First: s.Index, In: s.In, Labels: []int{s.Label}, Names: []string{s.Name}}
		return nil
	}
	if b.In == nil {
		b.First = s.Index
		for _, t := range s.In {
			shape := append([]int{n}, t.Shape[1:]...)
			b.In = append(b.In, tensor.New(t.DType, shape...))
		}
	}
	at := len(b.Labels)
	for i, t := range s.In {
		dst := b.In[i]
		if !slices.Equal(t.Shape[1:], dst.Shape[1:]) || t.DType != dst.DType {
			return fmt.Errorf("%s has shape %v and %s has %v: samples of one batch must agree (resize= makes images so)",
				s.Name, t.Shape[1:], b.Names[0], dst.Shape[1:])
		}
		if t.DType.Bits()%8 != 0 && t.Len()*t.DType.Bits()%8 != 0 && n > 1 {
			return fmt.Errorf("samples of %d %s elements do not end on a byte: use batches of one", t.Len(), t.DType)
		}
		copy(dst.Data[at*len(t.Data):], t.Data)
		if t.DType == tensor.String {
			copy(dst.Strings[at*len(t.Strings):], t.Strings)
		}
	}
	b.Labels, b.Names = append(b.Labels, s.Label), append(b.Names, s.Name)
	return nil
}
