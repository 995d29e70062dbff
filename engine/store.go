package engine

import (
	"hash/maphash"
	"sync"
)

// store holds the packed weights of all programs of the process: those of equal content that are packed alike once, for as
// long as a program that uses them is open.
type store struct {
	mu    sync.Mutex
	blobs map[blobKey]*blob
}

// blobKey says what a blob holds: how it is packed, and 128 bits that stand for the content. The seeds are the process's
// own, so that no file can be made to collide.
type blobKey struct {
	kind string
	size int
	hash [2]uint64
}

var (
	packings = store{blobs: map[blobKey]*blob{}}
	seeds    = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
)

type blob struct {
	key   blobKey
	refs  int // programs; the store's lock guards it
	once  sync.Once
	value any
	bytes int
}

// unshared is below how many bytes of content a blob is not worth its place in the store.
const unshared = 1 << 10

// share gives what pack makes of content, a T of so many bytes. kind names the packing with all its parameters: equal kinds
// and contents give equal results, which nobody may change.
func share[T any](l *lowering, kind string, content []byte, pack func() (T, int)) T {
	if len(content) < unshared {
		v, n := pack()
		l.p.packed += n
		return v
	}
	key := blobKey{kind: l.p.set.Name + " " + kind, size: len(content)}
	for i, s := range seeds {
		key.hash[i] = maphash.Bytes(s, content)
	}
	b := packings.acquire(l.p, key)
	b.once.Do(func() { v, n := pack(); b.value, b.bytes = v, n })
	v, ok := b.value.(T)
	if !ok { // pack panicked in another program: let it do so here
		v, _ = pack()
	}
	if !l.p.blobs[b] {
		l.p.blobs[b] = true
		l.p.packed += b.bytes
	}
	return v
}

// acquire finds or makes a blob and counts the program among its users, once.
func (s *store) acquire(p *Program, key blobKey) *blob {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.blobs[key]
	if b == nil {
		b = &blob{key: key}
		s.blobs[key] = b
	}
	if _, ok := p.blobs[b]; !ok {
		p.blobs[b] = false
		b.refs++
	}
	return b
}

// release lets a program's blobs go.
func (s *store) release(p *Program) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for b := range p.blobs {
		if b.refs--; b.refs == 0 {
			delete(s.blobs, b.key)
		}
	}
	p.blobs = nil
}

// common is how many of a program's bytes other programs use too.
func (s *store) common(p *Program) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for b := range p.blobs {
		if b.refs > 1 {
			n += b.bytes
		}
	}
	return n
}
