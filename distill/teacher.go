package distill

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/tfsopt/tfsopt/engine"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
	"github.com/tfsopt/tfsopt/train"
)

// teacher answers batches, from its cache where it can.
type teacher struct {
	prog  *engine.Program
	types []graph.Type // of the answers: logits, then the values asked for
	size  int          // bytes of one sample's answers
	print []byte       // of the model and of what is asked
	store *store

	computed, kept int
}

type teacherOptions struct {
	batch, threads, output int
	cache                  string
	values                 []string
	dims                   map[string]int
}

func newTeacher(ctx context.Context, g *graph.Graph, o teacherOptions) (*teacher, error) {
	b, err := train.Batched(g, o.batch, o.dims)
	if err != nil {
		return nil, err
	}
	if o.output < 0 || o.output >= len(b.Outputs) {
		return nil, fmt.Errorf("it has no output %d", o.output)
	}
	build := graph.NewBuilder(b)
	scores, err := train.Logits(build, b.Outputs[o.output])
	if err != nil {
		return nil, err
	}
	outs := []*graph.Value{scores}
	for _, name := range o.values {
		v := b.Value(name)
		if v == nil {
			return nil, fmt.Errorf("it has no value %q", name)
		}
		outs = append(outs, v)
	}
	b.Outputs, b.Signatures = nil, nil
	t := &teacher{}
	for _, v := range outs {
		shape, ok := v.Fixed()
		if !ok || len(shape) == 0 || shape[0] != o.batch || v.DType != tensor.Float32 {
			return nil, fmt.Errorf("its value %q is %s: want float32 with the batch first", v.Name, v.Type)
		}
		b.Outputs = append(b.Outputs, build.Add("answer", identity, v))
		t.types = append(t.types, v.Type)
		t.size += 4 * tensor.Size(shape[1:])
	}
	if t.prog, err = engine.Compile(ctx, b, engine.Options{Threads: o.threads, Plans: 1}); err != nil {
		return nil, err
	}
	if t.print, err = fingerprint(b); err != nil {
		return nil, err
	}
	if t.store, err = openStore(o.cache, t.print, t.size); err != nil {
		t.prog.Close()
		return nil, err
	}
	return t, nil
}

func (t *teacher) close() {
	t.prog.Close()
	t.store.close()
}

func (t *teacher) flush() error { return t.store.flush() }

// answer fills side, one tensor for each of t.types, for a batch of inputs.
func (t *teacher) answer(ctx context.Context, in, side []*tensor.Tensor) error {
	batch := side[0].Shape[0]
	keys := make([]key, batch)
	hits := 0
	for i := range keys {
		keys[i] = keyOf(in, i, batch)
		if answer, ok := t.store.get(keys[i]); ok {
			spread(side, i, answer)
			hits++
		}
	}
	if hits == batch {
		t.kept += batch
		return nil
	}
	t.computed += batch - hits
	t.kept += hits
	call := engine.Call{In: in, Out: side}
	if err := t.prog.Run(ctx, &call); err != nil {
		return fmt.Errorf("teacher: %w", err)
	}
	for i, k := range keys {
		if err := t.store.put(k, gather(side, i, t.size)); err != nil {
			return err
		}
	}
	return nil
}

// key identifies a sample by what it holds.
type key [16]byte

func keyOf(in []*tensor.Tensor, i, batch int) key {
	h := sha256.New()
	for _, t := range in {
		n := len(t.Data) / batch
		h.Write(t.Data[i*n : (i+1)*n])
	}
	return key(h.Sum(nil)[:16])
}

// spread copies one sample's answers into the batch.
func spread(side []*tensor.Tensor, i int, answer []byte) {
	for _, t := range side {
		n := len(t.Data) / t.Shape[0]
		copy(t.Data[i*n:(i+1)*n], answer)
		answer = answer[n:]
	}
}

// gather is the inverse of spread.
func gather(side []*tensor.Tensor, i, size int) []byte {
	out := make([]byte, 0, size)
	for _, t := range side {
		n := len(t.Data) / t.Shape[0]
		out = append(out, t.Data[i*n:(i+1)*n]...)
	}
	return out
}
