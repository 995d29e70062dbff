package train

import (
	"context"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// Visit is shown the gradient of one batch's mean loss over that many samples.
type Visit func(params []*Param, grads []*tensor.Tensor, samples int) error

// EachGradient goes once through set, in its order and without augmentation, and shows the gradient of each batch's mean
// loss by the weights of g, which stay as they are: grads[i] belongs to params[i] and is valid only inside visit.
// Of the options Batch, Objective, Smoothing, Frozen, Output, Threads and Cache matter, and Progress.
func (o Options) EachGradient(ctx context.Context, g *graph.Graph, set *data.Set, visit Visit) error {
	o.Epochs, o.Augment, o.Mixup = 1, Augment{}, 0
	o.Held, o.Checkpoint, o.Resume, o.Log, o.Prepare, o.After = nil, "", false, "", nil, nil
	f, err := newFit(ctx, g, set, o)
	if err != nil {
		return err
	}
	defer f.close()
	order := make([]int, set.Len())
	for i := range order {
		order[i] = i
	}
	for s := range f.batches.steps() {
		b, err := f.batches.at(order, 0, s)
		if err != nil {
			return err
		}
		loss, err := f.step.run(ctx, b, s)
		if err != nil {
			return err
		}
		if loss-loss != 0 {
			return &DivergedError{Step: s + 1, Loss: loss, Where: f.blame(ctx)}
		}
		if err := visit(f.model.Params, f.step.grads(), len(b.Index)); err != nil {
			return err
		}
		f.at.Step++
		f.at.Loss += loss
		f.at.Right += right(f.step.scores(), b.Labels, f.step.classes)
		f.seen += len(b.Index)
		f.tell(s+1, f.batches.steps())
	}
	return nil
}
