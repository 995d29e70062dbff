package ops

import (
	"errors"
	"fmt"
	"sort"

	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

func init() { graph.Register("", 11, NonMaxSuppression{}) }

// NonMaxSuppression picks for each batch element and class the boxes of the highest scores that overlap no box picked
// before by more than a threshold (intersection over union). Inputs: boxes [N, B, 4], scores [N, C, B], the most boxes
// for each class (default 0), the overlap threshold (default 0), and optionally the score that a box must exceed.
// Boxes are two opposite corners (y1, x1, y2, x2) or, with CenterPoint, (x centre, y centre, width, height). Output:
// rows of (batch, class, box).
type NonMaxSuppression struct {
	CenterPoint bool `attr:"center_point_box"`
}

// Infer leaves the number of rows open.
func (NonMaxSuppression) Infer(in []graph.Fact, _ int) ([]graph.Type, error) {
	if err := want(in, 2, 5); err != nil {
		return nil, err
	}
	if err := errors.Join(rank(in, 0, 3), rank(in, 1, 3)); err != nil {
		return nil, err
	}
	return []graph.Type{graph.Of(tensor.Int64, graph.Dim{}, graph.Fixed(3))}, nil
}

// box holds the corners, smaller coordinates first.
type box struct{ y1, x1, y2, x2 float32 }

func (o NonMaxSuppression) box(v []float32) box {
	if o.CenterPoint {
		return box{v[1] - v[3]/2, v[0] - v[2]/2, v[1] + v[3]/2, v[0] + v[2]/2}
	}
	return box{min(v[0], v[2]), min(v[1], v[3]), max(v[0], v[2]), max(v[1], v[3])}
}

// overlap is the intersection over the union of two boxes.
func (b box) overlap(c box) float32 {
	area := func(b box) float32 { return (b.y2 - b.y1) * (b.x2 - b.x1) }
	h := min(b.y2, c.y2) - max(b.y1, c.y1)
	w := min(b.x2, c.x2) - max(b.x1, c.x1)
	if h <= 0 || w <= 0 || area(b) <= 0 || area(c) <= 0 {
		return 0
	}
	return h * w / (area(b) + area(c) - h*w)
}

// Run is greedy; of equal scores the first box wins.
func (o NonMaxSuppression) Run(x *graph.Exec, in, out []*tensor.Tensor) error {
	boxes, scores := in[0].Shape, in[1].Shape
	if len(boxes) != 3 || len(scores) != 3 || boxes[2] != 4 || boxes[0] != scores[0] || boxes[1] != scores[2] {
		return fmt.Errorf("boxes of shape %v, scores of shape %v", boxes, scores)
	}
	most, overlap := int64(0), float32(0)
	var least *float32
	for i, t := range in[2:] {
		switch {
		case t == nil:
		case t.Len() != 1:
			return fmt.Errorf("input %d has %d elements", i+2, t.Len())
		case i == 0:
			most = tensor.Ints(t)[0]
		case i == 1:
			overlap = tensor.Floats(t)[0]
		default:
			least = &tensor.Floats(t)[0]
		}
	}
	b, s, n := tensor.Floats(in[0]), tensor.Floats(in[1]), boxes[1]
	if len(b) != in[0].Len() || len(s) != in[1].Len() {
		return fmt.Errorf("boxes of %s, scores of %s", in[0].DType, in[1].DType)
	}
	var rows []int64
	all := make([]box, n)
	for batch := range boxes[0] {
		for i := range all {
			all[i] = o.box(b[(batch*n+i)*4:])
		}
		for class := range scores[1] {
			row := s[(batch*scores[1]+class)*n:][:n]
			for _, i := range suppress(all, ranked(row, least), most, overlap) {
				rows = append(rows, int64(batch), int64(class), int64(i))
			}
		}
	}
	return tensor.SetInts(x.Make(out[0], tensor.Int64, len(rows)/3, 3), rows)
}

// ranked orders the boxes whose score exceeds least, if that is given, by score.
func ranked(scores []float32, least *float32) []int {
	var order []int
	for i, s := range scores {
		if least == nil || s > *least {
			order = append(order, i)
		}
	}
	sort.SliceStable(order, func(i, j int) bool { return scores[order[i]] > scores[order[j]] })
	return order
}

func suppress(all []box, order []int, most int64, overlap float32) []int {
	var kept []int
	for _, i := range order {
		if int64(len(kept)) >= most {
			break
		}
		free := true
		for _, k := range kept {
			free = free && !(all[i].overlap(all[k]) > overlap)
		}
		if free {
			kept = append(kept, i)
		}
	}
	return kept
}
