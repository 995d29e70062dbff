package train

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// identity is the same for runs that can go on from each other's checkpoints: SHA-256 sums of the graph, of the options that
// change results, and of the samples and labels as the run sees them, prepared.
type identity struct {
	Model, Options, Data, Held string
}

// differs says what another run has otherwise; nil if nothing.
func (d identity) differs(from identity) error {
	var what []string
	for _, p := range []struct{ name, a, b string }{
		{"another model", d.Model, from.Model},
		{"other options", d.Options, from.Options},
		{"other data, or data that is prepared otherwise", d.Data, from.Data},
		{"other held-out data", d.Held, from.Held},
	} {
		if p.a != p.b {
			what = append(what, p.name)
		}
	}
	if what == nil {
		return nil
	}
	return errors.New("the checkpoint belongs to a run with " + strings.Join(what, " and with "))
}

// identify computes the run's identity; it reads every sample once, those to train on into the cache.
func (f *fit) identify(ctx context.Context) error {
	h := sha256.New()
	if err := graph.Print(h, f.model.base, graph.PrintOptions{}); err != nil {
		return err
	}
	f.id.Model = hex.EncodeToString(h.Sum(nil))
	o := f.o
	o.Objective, o.After, o.Prepare, o.Held, o.Progress = Objective{}, nil, nil, nil, nil
	o.Threads, o.Cache, o.Checkpoint, o.Resume, o.Restart, o.Every, o.Log = 0, 0, "", false, false, 0, ""
	momentum := *o.Momentum
	o.Momentum = nil // an address says nothing
	sum := sha256.Sum256(fmt.Appendf(nil, "%+v momentum %g", o, momentum))
	f.id.Options = hex.EncodeToString(sum[:])
	var err error
	if f.id.Data, err = f.hashSet(ctx, f.batches.set, f.batches.cache.sample); err != nil || f.o.Held == nil {
		return err
	}
	f.id.Held, err = f.hashSet(ctx, f.o.Held, func(i int) ([]*tensor.Tensor, error) {
		s, err := f.o.Held.Sample(i)
		return s.In, err
	})
	return err
}

// hashSet hashes all samples in their order.
func (f *fit) hashSet(ctx context.Context, set *data.Set, sample func(int) ([]*tensor.Tensor, error)) (string, error) {
	sums := make([][sha256.Size]byte, set.Len())
	err := parallel(f.o.Threads, len(sums), func(i int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		in, err := sample(i)
		if err != nil {
			return err
		}
		h := sha256.New()
		fmt.Fprintln(h, set.Label(i)) // a hash does not fail
		for _, t := range in {
			fmt.Fprintln(h, t.DType, t.Shape, len(t.Data), len(t.Strings))
			h.Write(t.Data)
			fmt.Fprintf(h, "%q", t.Strings)
		}
		h.Sum(sums[i][:0])
		return nil
	})
	h := sha256.New()
	for _, s := range sums {
		h.Write(s[:])
	}
	return hex.EncodeToString(h.Sum(nil)), err
}
