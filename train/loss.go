package train

import (
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
)

// Objective is what a training step makes smaller. The zero value is cross entropy against the labels.
type Objective struct {
	// Loss builds the scalar loss; nil: CrossEntropy of Logits and Target.
	Loss func(t *Task) *graph.Value
	// Side are the types of further inputs of the step, such as a teacher's answers, their first dimension for the batch
	// set to anything; Fill computes them for a batch.
	Side []graph.Type
	Fill func(b *Batch, side []*tensor.Tensor) error
	// Unlabelled tells that the loss does not read Target, so that data without labels will do.
	Unlabelled bool
}

// Task is what a loss can be built from.
type Task struct {
	*graph.Builder
	Batch  int
	Logits *graph.Value // [batch, classes], before softmax or sigmoid
	Target *graph.Value // [batch, classes], each row a distribution; of one class: the probability
	Side   []*graph.Value
	model  *Model
	opened *opened
}

// Value finds a value of the model by name; nil if it has none.
func (t *Task) Value(name string) *graph.Value { return t.G.Value(name) }

// Param adds a parameter of the objective's own, such as an adapter between two layers. It is trained with the model
// and not saved with it.
func (t *Task) Param(name string, init *tensor.Tensor) *graph.Value {
	p := &Param{Name: name, Data: aligned(init), Weight: len(init.Shape) > 1}
	v := graph.NewInput(t.Fresh(name), graph.TypeOf(init))
	t.model.Params = append(t.model.Params, p)
	t.opened.value[p] = v
	t.G.Inputs = append(t.G.Inputs, v)
	return v
}

// Scalar is a float32 constant.
func (t *Task) Scalar(name string, x float64) *graph.Value {
	return t.Const(name, tensor.Scalar(float32(x)))
}

// Scale multiplies by a number.
func (t *Task) Scale(v *graph.Value, by float64) *graph.Value {
	return t.Add("scaled", ops.Mul{}, v, t.Scalar("factor", by))
}

// Total sums all elements to a scalar.
func (t *Task) Total(v *graph.Value) *graph.Value {
	return t.Add("total", ops.ReduceSum{}, v)
}

// CrossEntropy is the mean over the batch of -sum target·log softmax(logits), in nats. With one class it is the binary
// form, softplus(z) - target·z.
func CrossEntropy(t *Task) *graph.Value {
	var each *graph.Value
	if shape, _ := t.Logits.Fixed(); shape[1] == 1 {
		each = t.Add("binary", ops.Sub{}, t.Add("softplus", ops.Softplus{}, t.Logits), t.Add("hit", ops.Mul{}, t.Target, t.Logits))
		return t.Scale(t.Total(each), 1/float64(t.Batch))
	}
	each = t.Add("log_likelihood", ops.Mul{}, t.Target, t.Add("log_probability", ops.LogSoftmax{Axis: -1}, t.Logits))
	return t.Scale(t.Total(each), -1/float64(t.Batch))
}

// KL is the mean over the batch of the divergence KL(softmax(teacher/T) ‖ softmax(logits/T)) times T², so that its
// gradient does not fade with T (Hinton et al., arXiv 1503.02531, section 2). Both are [batch, classes].
func KL(t *Task, teacher, logits *graph.Value, temperature float64) *graph.Value {
	logP := t.Add("teacher_log", ops.LogSoftmax{Axis: -1}, t.Scale(teacher, 1/temperature))
	logQ := t.Add("student_log", ops.LogSoftmax{Axis: -1}, t.Scale(logits, 1/temperature))
	p := t.Add("teacher_probability", ops.Exp{}, logP)
	each := t.Add("divergence", ops.Mul{}, p, t.Add("log_ratio", ops.Sub{}, logP, logQ))
	return t.Scale(t.Total(each), temperature*temperature/float64(t.Batch))
}

// MSE is the mean of the squared differences of two values of one shape.
func MSE(t *Task, a, b *graph.Value) *graph.Value {
	d := t.Add("difference", ops.Sub{}, a, b)
	shape, _ := d.Fixed()
	return t.Scale(t.Total(t.Add("square", ops.Mul{}, d, d)), 1/float64(tensor.Size(shape)))
}

// Logits finds the scores [batch, classes] that lie before the softmax or sigmoid of an output of b's graph; shapes
// must be fixed. It fails if the output does not score classes.
func Logits(b *graph.Builder, out *graph.Value) (*graph.Value, error) {
	v := out
	for v.Def != nil && (v.Def.OpName() == "Identity" || v.Def.OpName() == "Flatten" && flat(v.Def.In[0])) {
		v = v.Def.In[0]
	}
	if v.Def != nil {
		switch v.Def.OpName() {
		case "Softmax", "LogSoftmax", "Sigmoid":
			v = v.Def.In[0]
		}
	}
	shape, ok := v.Fixed()
	if !ok || len(shape) < 2 || !v.DType.IsFloat() {
		return nil, fmt.Errorf("output %q is %s: want scores [batch, classes]", out.Name, out.Type)
	}
	if n := tensor.Size(shape[2:]); n != 1 {
		return nil, fmt.Errorf("output %q is %s: want one score a class", out.Name, out.Type)
	}
	if len(shape) > 2 {
		v = b.Add("scores", ops.Reshape{}, v, b.Const("scores_shape", tensor.From([]int64{int64(shape[0]), int64(shape[1])}, 2)))
	}
	return v, b.Err
}

// flat reports whether Flatten changes nothing but trailing dimensions of 1.
func flat(v *graph.Value) bool {
	shape, ok := v.Fixed()
	return ok && len(shape) >= 2 && tensor.Size(shape[2:]) == 1
}
