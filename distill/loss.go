package distill

import (
	"errors"
	"fmt"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/ops"
	"github.com/tfsopt/tfsopt/tensor"
	"github.com/tfsopt/tfsopt/train"
)

// loss joins the label's part, the teacher's part and the hints. Side 0 is the teacher's logits, the rest its values.
func (o *Options) loss(te *teacher) func(t *train.Task) *graph.Value {
	alpha, hints, attention := *o.Alpha, o.Hints, o.Attention
	return func(t *train.Task) *graph.Value {
		switch {
		case t.Logits == nil:
			fail(t, errors.New("the student's output scores no classes"))
			return t.Scalar("none", 0)
		case !sameShape(t.Logits, t.Side[0]):
			fail(t, fmt.Errorf("the teacher's output is %s, the student's is %s", t.Side[0].Type, t.Logits.Type))
			return t.Scalar("none", 0)
		}
		soft := train.KL
		if o.Decoupled {
			soft = o.decoupled
		}
		var parts []*graph.Value
		if alpha > 0 {
			parts = append(parts, t.Scale(soft(t, t.Side[0], t.Logits, o.Temperature), alpha))
		}
		if alpha < 1 {
			parts = append(parts, t.Scale(train.CrossEntropy(t), 1-alpha))
		}
		for i, h := range append(append([]Hint{}, hints...), attention...) {
			student := t.Value(h.Student)
			if student == nil {
				fail(t, fmt.Errorf("the student has no value %q", h.Student))
				break
			}
			imitate := hint
			if i >= len(hints) {
				imitate = attend
			}
			parts = append(parts, t.Scale(imitate(t, t.Side[1+i], student), h.Weight))
		}
		sum := parts[0]
		for _, p := range parts[1:] {
			sum = t.Add("loss", ops.Add{}, sum, p)
		}
		return sum
	}
}

func fail(t *train.Task, err error) {
	if t.Err == nil {
		t.Err = err
	}
}

func sameShape(a, b *graph.Value) bool {
	x, ok := a.Fixed()
	y, ok2 := b.Fixed()
	if !ok || !ok2 || len(x) != len(y) {
		return false
	}
	for i := range x {
		if x[i] != y[i] {
			return false
		}
	}
	return true
}

// decoupled is the loss of Zhao et al. (arXiv 2203.08679): the divergence between the two-way distributions (label's class,
// all others), plus Beta times that among the other classes, both at the temperature and times its square.
func (o *Options) decoupled(t *train.Task, teacher, student *graph.Value, temperature float64) *graph.Value {
	const far = 1000 // takes a class out of a softmax
	away := t.Scale(t.Target, -far)
	others := train.KL(t, t.Add("teacher_others", ops.Add{}, teacher, away), t.Add("student_others", ops.Add{}, student, away), temperature)
	two := func(z *graph.Value) (hit, miss *graph.Value) {
		logP := t.Add("log_probability", ops.LogSoftmax{Axis: -1}, t.Scale(z, 1/temperature))
		p := t.Add("probability", ops.Exp{}, logP)
		axis := t.Const("axis", tensor.From([]int64{-1}, 1))
		hit = t.Add("hit", ops.ReduceSum{}, t.Add("masked", ops.Mul{}, p, t.Target), axis)
		tiny := t.Scalar("tiny", 1e-7)
		miss = t.Add("miss", ops.Add{}, t.Add("rest", ops.Sub{}, t.Scalar("one", 1), hit), tiny)
		return t.Add("hit_safe", ops.Add{}, hit, tiny), miss
	}
	th, tm := two(teacher)
	sh, sm := two(student)
	part := func(p, q *graph.Value) *graph.Value {
		ratio := t.Add("log_ratio", ops.Sub{}, t.Add("log", ops.Log{}, p), t.Add("log", ops.Log{}, q))
		return t.Total(t.Add("part", ops.Mul{}, p, ratio))
	}
	target := t.Scale(t.Add("target_part", ops.Add{}, part(th, sh), part(tm, sm)), temperature*temperature/float64(t.Batch))
	return t.Add("decoupled", ops.Add{}, target, t.Scale(others, o.Beta))
}

// hint is the mean squared difference between the teacher's features and the student's after a learned 1x1 adapter
// (Romero et al., arXiv 1412.6550): [N,C,…] values are adapted over C, others over their last dimension.
func hint(t *train.Task, teacher, student *graph.Value) *graph.Value {
	a, _ := teacher.Fixed()
	b, ok := student.Fixed()
	if !ok || len(a) != len(b) || len(a) < 2 {
		fail(t, fmt.Errorf("a hint pairs %q, %s, with the teacher's %s: want equal ranks of at least 2", student.Name, student.Type, teacher.Type))
		return t.Scalar("none", 0)
	}
	axis := len(a) - 1
	if len(a) > 3 {
		axis = 1
	}
	for i := range a {
		if i != axis && a[i] != b[i] {
			fail(t, fmt.Errorf("a hint pairs %q, %s, with the teacher's %s: want the same but for dimension %d", student.Name, student.Type, teacher.Type, axis))
			return t.Scalar("none", 0)
		}
	}
	in, out := b[axis], a[axis]
	if axis == 1 && len(a) > 3 {
		shape := append([]int{out, in}, ones(len(a)-2)...)
		student = t.Add("adapted", ops.Conv{AutoPad: "NOTSET", Group: 1}, student, t.Param("adapter_"+student.Name, eye(out, in, shape)))
	} else {
		student = t.Add("adapted", ops.MatMul{}, student, t.Param("adapter_"+student.Name, eye(in, out, []int{in, out})))
	}
	return train.MSE(t, student, teacher)
}

func ones(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = 1
	}
	return s
}

// eye spreads n rows over m columns evenly: the identity if they are equal.
func eye(n, m int, shape []int) *tensor.Tensor {
	v := make([]float32, n*m)
	for i := range max(n, m) {
		v[i*n/max(n, m)*m+i*m/max(n, m)] = 1
	}
	return tensor.From(v, shape...)
}

// attend compares attention maps: the sum of squares over channels of [N,C,H,W], normalised to length one, by the mean
// over the batch of the squared distance (Zagoruyko and Komodakis, arXiv 1612.03928).
func attend(t *train.Task, teacher, student *graph.Value) *graph.Value {
	a, _ := teacher.Fixed()
	b, ok := student.Fixed()
	if !ok || len(a) != 4 || len(b) != 4 || a[2] != b[2] || a[3] != b[3] {
		fail(t, fmt.Errorf("attention pairs %q, %s, with the teacher's %s: want [N,C,H,W] of one size", student.Name, student.Type, teacher.Type))
		return t.Scalar("none", 0)
	}
	attention := func(v *graph.Value) *graph.Value {
		axes := func(list ...int64) *graph.Value { return t.Const("axes", tensor.From(list, len(list))) }
		q := t.Add("energy", ops.ReduceSum{Keepdims: true}, t.Add("square", ops.Mul{}, v, v), axes(1))
		norm := t.Add("norm", ops.ReduceSum{Keepdims: true}, t.Add("square", ops.Mul{}, q, q), axes(1, 2, 3))
		return t.Add("attention", ops.Div{}, q, t.Add("length", ops.Sqrt{}, t.Add("safe", ops.Add{}, norm, t.Scalar("tiny", 1e-12))))
	}
	d := t.Add("distance", ops.Sub{}, attention(student), attention(teacher))
	return t.Scale(t.Total(t.Add("square", ops.Mul{}, d, d)), 1/float64(t.Batch))
}
