package train

import (
	"sync"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/tensor"
)

// DefaultCache is how many bytes of prepared samples are kept in memory unless Options.Cache says otherwise.
const DefaultCache = 1 << 30

// cache keeps prepared samples, so that images are decoded once. Whole numbers from 0 to 255 are kept as bytes.
type cache struct {
	set  *data.Set
	mu   sync.Mutex
	left int64
	kept map[int][]packed
}

type packed struct {
	dtype tensor.DType
	shape []int
	bytes []byte // if small, each element as a byte
	small bool
}

func newCache(set *data.Set, limit int64) *cache {
	if limit == 0 {
		limit = DefaultCache
	}
	return &cache{set: set, left: limit, kept: map[int][]packed{}}
}

// sample gives the tensors of a sample, [1, …] each; they are the caller's to change.
func (c *cache) sample(i int) ([]*tensor.Tensor, error) {
	c.mu.Lock()
	kept, ok := c.kept[i]
	c.mu.Unlock()
	if ok {
		out := make([]*tensor.Tensor, len(kept))
		for k, p := range kept {
			out[k] = p.unpack()
		}
		return out, nil
	}
	s, err := c.set.Sample(i)
	if err != nil {
		return nil, err
	}
	list, size := make([]packed, len(s.In)), int64(0)
	out := make([]*tensor.Tensor, len(s.In))
	for k, t := range s.In {
		list[k] = pack(t)
		size += int64(len(list[k].bytes))
		out[k] = t.Clone()
	}
	c.mu.Lock()
	if c.left >= size {
		c.left -= size
		c.kept[i] = list
	}
	c.mu.Unlock()
	return out, nil
}

func pack(t *tensor.Tensor) packed {
	p := packed{dtype: t.DType, shape: t.Shape, bytes: t.Data}
	if t.DType != tensor.Float32 {
		return p
	}
	v := tensor.View[float32](t)
	small := make([]byte, len(v))
	for i, x := range v {
		b := byte(min(max(x, 0), 255))
		if float32(b) != x {
			p.bytes = append([]byte{}, t.Data...)
			return p
		}
		small[i] = b
	}
	p.bytes, p.small = small, true
	return p
}

func (p packed) unpack() *tensor.Tensor {
	t := tensor.New(p.dtype, p.shape...)
	if !p.small {
		copy(t.Data, p.bytes)
		return t
	}
	v := tensor.View[float32](t)
	for i, b := range p.bytes {
		v[i] = float32(b)
	}
	return t
}
