package savedmodel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/tfsopt/tfsopt/codec"
	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/internal/tensorflow"
	"github.com/tfsopt/tfsopt/tensor"
)

// bundle is a set of named tensors in variables/: an index, and shards with the data, mapped when first needed.
type bundle struct {
	dir, prefix string // "variables", the index is prefix + ".index"
	file        *formats.File
	index       string
	shards      []*formats.Mapping
	entries     map[string]*entry
	read        map[string]*tensor.Tensor
}

type entry struct {
	tensorflow.BundleEntry
	block int // where the entry's block lies in the index
}

// shardName is the name of a file with data.
func shardName(prefix string, i, n int) string {
	return fmt.Sprintf("%s.data-%05d-of-%05d", prefix, i, n)
}

// maxShards bounds the shards of a bundle.
const maxShards = 1 << 16

// openBundle reads the index of a bundle. Mappings are closed with f.
func openBundle(dir, prefix string, f *formats.File) (*bundle, error) {
	b := &bundle{
		dir: dir, prefix: prefix, file: f, index: filepath.Join(dir, prefix+".index"),
		entries: map[string]*entry{}, read: map[string]*tensor.Tensor{},
	}
	m, err := formats.MapIn(dir, prefix+".index")
	if err != nil {
		return nil, err
	}
	defer m.Close()
	f.Bytes += int64(len(m.Data))
	return b, b.readIndex(m.Data)
}

// readIndex fills the entries from the bytes of the index, of which nothing is kept.
func (b *bundle) readIndex(data []byte) error {
	t := table{b.index, data}
	r := tensorflow.Reader{Format: "variables index", Path: b.index}
	err := t.entries(func(key string, value []byte, block int) error {
		if key == "" {
			return b.header(r, slices.Clone(value), block)
		}
		e := &entry{block: block}
		if err := r.Decode(slices.Clone(value), int64(block), &e.BundleEntry); err != nil {
			return err
		}
		b.entries[key] = e
		return nil
	})
	if err == nil && b.shards == nil {
		err = t.fail(0, "there is no header entry")
	}
	return err
}

func (b *bundle) header(r tensorflow.Reader, value []byte, block int) error {
	var h tensorflow.BundleHeader
	if err := r.Decode(value, int64(block), &h); err != nil {
		return err
	}
	if h.BigEndian != 0 {
		return b.fail(block, "the variables are big-endian, which is not supported")
	}
	if h.Shards < 1 || h.Shards > maxShards {
		return b.fail(block, "%d shards", h.Shards)
	}
	b.shards = make([]*formats.Mapping, h.Shards)
	return nil
}

func (b *bundle) fail(off int, format string, args ...any) error {
	return table{path: b.index}.fail(off, format, args...)
}

// shard maps a file with data.
func (b *bundle) shard(e *entry) (data []byte, path string, err error) {
	i := int(e.Shard)
	if i < 0 || i >= len(b.shards) {
		return nil, "", b.fail(e.block, "an entry lies in shard %d of %d", i, len(b.shards))
	}
	name := shardName(b.prefix, i, len(b.shards))
	path = filepath.Join(b.dir, name)
	if b.shards[i] == nil {
		m, err := formats.MapIn(b.dir, name)
		if errors.Is(err, os.ErrNotExist) {
			return nil, "", fmt.Errorf("%s: this shard of the variables is missing", path)
		}
		if err != nil {
			return nil, "", err
		}
		b.shards[i] = m
		b.file.CloseWith(m)
		b.file.Bytes += int64(len(m.Data))
	}
	return b.shards[i].Data, path, nil
}

// bytes gives the checked data of an entry, which alias the shard.
func (b *bundle) bytes(key string, e *entry) ([]byte, error) {
	data, path, err := b.shard(e)
	if err != nil {
		return nil, err
	}
	fail := func(format string, args ...any) error {
		return &formats.SyntaxError{Format: "variables", Path: path, Offset: e.Offset, Err: fmt.Errorf("%q: "+format, append([]any{key}, args...)...)}
	}
	if e.Offset < 0 || e.Size < 0 || e.Offset > int64(len(data)) || e.Size > int64(len(data))-e.Offset {
		return nil, fail("its %d bytes lie outside the file of %d bytes", e.Size, len(data))
	}
	raw := data[e.Offset : e.Offset+e.Size : e.Offset+e.Size]
	if e.DType == dtString {
		return raw, nil // its checksum is another: see strings
	}
	if got := codec.MaskedCRC(raw); got != e.CRC {
		return nil, fail("the checksum of its data is %08x, the index says %08x", got, e.CRC)
	}
	return raw, nil
}

// tensor reads the tensor of a key; data of numbers alias the shard.
func (b *bundle) tensor(key string) (*tensor.Tensor, error) {
	if t := b.read[key]; t != nil {
		return t, nil
	}
	e := b.entries[key]
	if e == nil {
		return nil, fmt.Errorf("%s: there is no tensor %q", b.index, key)
	}
	t, err := b.load(key, e)
	if err == nil {
		b.read[key] = t
	}
	return t, err
}

func (b *bundle) load(key string, e *entry) (*tensor.Tensor, error) {
	shape, err := fixedShape(e.Shape)
	if err != nil {
		return nil, b.fail(e.block, "%q: %w", key, err)
	}
	d, err := dtypeOf(e.DType)
	if err != nil {
		return nil, b.fail(e.block, "%q: %w", key, err)
	}
	if len(e.Slices) > 0 {
		return b.assemble(key, e, &tensor.Tensor{DType: d, Shape: shape})
	}
	raw, err := b.bytes(key, e)
	if err != nil {
		return nil, err
	}
	n := tensor.Size(shape)
	if d == tensor.String {
		s, err := bundleStrings(raw, n)
		if err != nil {
			return nil, b.fail(e.block, "%q: %w", key, err)
		}
		return tensor.FromStrings(s, shape...), nil
	}
	if len(raw) != d.Bytes(n) {
		return nil, b.fail(e.block, "%q: %s%v takes %d bytes, not %d", key, d, shape, d.Bytes(n), len(raw))
	}
	return &tensor.Tensor{DType: d, Shape: shape, Data: raw}, nil
}

// bundleStrings decodes n strings: their lengths, a checksum of those, their bytes.
func bundleStrings(raw []byte, n int) ([]string, error) {
	if n > len(raw) {
		return nil, fmt.Errorf("%d strings in %d bytes", n, len(raw))
	}
	lens, rest := make([]uint64, n), raw
	var sum []byte // of each length, 4 bytes, or 8 if it needs them
	for i := range lens {
		v, m := binary.Uvarint(rest)
		if m <= 0 {
			return nil, errors.New("the lengths of its strings are cut off")
		}
		lens[i], rest = v, rest[m:]
		if v <= 1<<32-1 {
			sum = binary.LittleEndian.AppendUint32(sum, uint32(v))
		} else {
			sum = binary.LittleEndian.AppendUint64(sum, v)
		}
	}
	if len(rest) < 4 {
		return nil, errors.New("the checksum of its strings' lengths is cut off")
	}
	if got, want := codec.MaskedCRC(sum), binary.LittleEndian.Uint32(rest); got != want {
		return nil, fmt.Errorf("the checksum of its strings' lengths is %08x, the file says %08x", got, want)
	}
	rest = rest[4:]
	out := make([]string, n)
	for i, v := range lens {
		if v > uint64(len(rest)) {
			return nil, errors.New("its strings are cut off")
		}
		out[i], rest = string(rest[:v]), rest[v:]
	}
	return out, nil
}

// assemble puts a partitioned tensor together.
func (b *bundle) assemble(key string, e *entry, t *tensor.Tensor) (*tensor.Tensor, error) {
	bits := t.DType.Bits()
	if bits == 0 || bits%8 != 0 {
		return nil, b.fail(e.block, "%q: a partitioned tensor of %s", key, t.DType)
	}
	total, seen := 0, map[string]bool{}
	parts := make([]*tensor.Tensor, len(e.Slices))
	starts := make([][]int, len(e.Slices))
	for i, s := range e.Slices {
		name, start, size, err := sliceKey(key, s, t.Shape)
		if err != nil {
			return nil, b.fail(e.block, "%q: %w", key, err)
		}
		if seen[name] {
			return nil, b.fail(e.block, "%q: its part at %v is there twice", key, start)
		}
		seen[name] = true
		pe := b.entries[name]
		if pe == nil || len(pe.Slices) > 0 {
			return nil, b.fail(e.block, "%q: its part at %v of size %v is missing", key, start, size)
		}
		p, err := b.load(key, pe)
		if err != nil {
			return nil, err
		}
		if p.DType != t.DType || !slices.Equal(p.Shape, size) {
			return nil, b.fail(pe.block, "%q: its part at %v is %s%v, not %s%v", key, start, p.DType, p.Shape, t.DType, size)
		}
		parts[i], starts[i] = p, start
		total += p.Len()
	}
	if total != t.Len() { // so that a short file cannot make us allocate much
		return nil, b.fail(e.block, "%q: its parts have %d elements, the tensor %d", key, total, t.Len())
	}
	t.Data = tensor.Aligned(t.DType.Bytes(total))
	for i, p := range parts {
		place(t, p, starts[i])
	}
	return t, nil
}

// place copies p into the box of t that begins at start.
func place(t, p *tensor.Tensor, start []int) {
	elem := t.DType.Bits() / 8
	eachRow(start, p, func(at []int, from, n int) {
		to := 0
		for i, x := range at {
			to = to*t.Shape[i] + x
		}
		copy(t.Data[to*elem:], p.Data[from:from+n])
	})
}

// eachRow visits the rows of part, which lies at start in a larger tensor: where the row begins there, the byte at which it
// begins in part, and its bytes.
func eachRow(start []int, part *tensor.Tensor, visit func(at []int, from, n int)) {
	rank := len(part.Shape)
	row := part.DType.Bits() / 8
	if rank > 0 {
		row *= part.Shape[rank-1]
	}
	if part.Len() == 0 {
		return
	}
	at := slices.Clone(start)
	for from := 0; from < len(part.Data); from += row {
		visit(at, from, row)
		for i := rank - 2; i >= 0; i-- {
			if at[i]++; at[i] < start[i]+part.Shape[i] {
				break
			}
			at[i] = start[i]
		}
	}
}

// objectKeys maps the full names of variables to their keys, as the tree of objects in the bundle says; a name that
// several variables share is left out.
func (b *bundle) objectKeys() (map[string]string, error) {
	const key = "_CHECKPOINTABLE_OBJECT_GRAPH"
	out := map[string]string{}
	if b.entries[key] == nil {
		return out, nil
	}
	t, err := b.tensor(key)
	if err != nil {
		return nil, err
	}
	if t.DType != tensor.String || len(t.Strings) != 1 {
		return nil, b.fail(b.entries[key].block, "%q is %s%v, want one string", key, t.DType, t.Shape)
	}
	var g tensorflow.CheckpointGraph
	r := tensorflow.Reader{Format: "tree of objects", Path: b.index}
	if err := r.Decode([]byte(t.Strings[0]), 0, &g); err != nil {
		return nil, err
	}
	twice := map[string]bool{}
	for _, n := range g.Nodes {
		for _, a := range n.Attributes {
			if a.Name != "VARIABLE_VALUE" {
				continue
			}
			if _, ok := out[a.FullName]; ok {
				twice[a.FullName] = true
			}
			out[a.FullName] = a.Key
		}
	}
	for name := range twice {
		delete(out, name)
	}
	return out, nil
}
