package train

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tfsopt/tfsopt/data"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// A checkpoint is the magic, the length of a JSON header (little-endian, 8 bytes), the header, the tensors' elements as
// they lie in memory, and the SHA-256 of all that.
const checkpointMagic = "tfsopt checkpoint 1\n"

type checkpointHeader struct {
	Fingerprint string
	At          position
	Tensors     []checkpointTensor
}

type checkpointTensor struct {
	Name  string
	Bytes int
}

// fingerprint is the same for runs that can go on from each other's checkpoints: graph, options that change results, data.
func (f *fit) fingerprint(set *data.Set) string {
	h := sha256.New()
	_ = graph.Print(h, f.model.base, graph.PrintOptions{}) // a hash does not fail
	o := f.o
	o.Objective, o.After, o.Prepare, o.Held, o.Progress = Objective{}, nil, nil, nil, nil
	o.Threads, o.Cache, o.Checkpoint, o.Resume, o.Every, o.Log = 0, 0, "", false, 0, ""
	fmt.Fprintf(h, "%+v", o)
	fmt.Fprintln(h, set.Len(), set.Name(0), set.Name(set.Len()-1))
	for i := range set.Len() {
		fmt.Fprintln(h, set.Label(i))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// blob is a named piece of memory that a checkpoint holds.
type blob struct {
	name string
	data []byte
}

// blobs lists all that a run changes; masks come as they are.
func (f *fit) blobs() []blob {
	var list []blob
	for i, p := range slices.Concat(f.model.Params, f.model.Stats) {
		list = append(list, blob{p.Name, p.Data.Data})
		if i >= len(f.slots) {
			continue
		}
		for k, s := range f.slots[i] {
			list = append(list, blob{fmt.Sprintf("%s#%d", p.Name, k), tensor.From(s, len(s)).Data})
		}
		if p.Mask != nil {
			list = append(list, blob{p.Name + "#mask", tensor.From(p.Mask, len(p.Mask)).Data})
		}
	}
	return list
}

// save replaces the checkpoint. When it fails the old one is as it was.
func (f *fit) save() error {
	f.saved = time.Now()
	if f.o.Checkpoint == "" {
		return nil
	}
	at := f.at
	if at.Step > 0 {
		at.Seconds += time.Since(f.started).Seconds()
	}
	head := checkpointHeader{Fingerprint: f.print, At: at}
	blobs := f.blobs()
	for _, b := range blobs {
		head.Tensors = append(head.Tensors, checkpointTensor{b.name, len(b.data)})
	}
	text, err := json.Marshal(head)
	if err != nil {
		return err
	}
	return replaceFile(f.o.Checkpoint, func(w io.Writer) error {
		sum := sha256.New()
		w = io.MultiWriter(w, sum)
		front := append([]byte(checkpointMagic), binary.LittleEndian.AppendUint64(nil, uint64(len(text)))...)
		for _, b := range append([]blob{{"", front}, {"", text}}, blobs...) {
			if _, err := w.Write(b.data); err != nil {
				return err
			}
		}
		_, err := w.Write(sum.Sum(nil))
		return err
	})
}

// replaceFile writes a file whole or not at all.
func replaceFile(path string, write func(io.Writer) error) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if err := errors.Join(write(tmp), tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.Rename(tmp.Name(), path)
}

// load takes up a checkpoint; false if there is none.
func (f *fit) load() (bool, error) {
	b, err := os.ReadFile(f.o.Checkpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := f.restore(b); err != nil {
		return false, fmt.Errorf("%s: %w", f.o.Checkpoint, err)
	}
	return true, nil
}

func (f *fit) restore(b []byte) error {
	head, body, err := readCheckpoint(b)
	if err != nil {
		return err
	}
	if head.Fingerprint != f.print {
		return errors.New("the checkpoint belongs to another model, other data or other options")
	}
	for _, t := range head.Tensors { // masks first: their presence is part of what blobs lists
		for _, p := range f.model.Params {
			if t.Name == p.Name+"#mask" && t.Bytes == p.Data.Len() {
				p.Mask = make([]bool, t.Bytes)
			}
		}
	}
	blobs := f.blobs()
	if len(blobs) != len(head.Tensors) {
		return fmt.Errorf("the checkpoint holds %d tensors, want %d", len(head.Tensors), len(blobs))
	}
	for i, t := range head.Tensors {
		if t.Name != blobs[i].name || t.Bytes != len(blobs[i].data) || t.Bytes > len(body) {
			return fmt.Errorf("the checkpoint's tensor %q of %d bytes does not fit %q of %d", t.Name, t.Bytes, blobs[i].name, len(blobs[i].data))
		}
		copy(blobs[i].data, body[:t.Bytes])
		body = body[t.Bytes:]
	}
	f.at = head.At
	return nil
}

// readCheckpoint splits a checkpoint after checking that it is whole.
func readCheckpoint(b []byte) (head checkpointHeader, body []byte, err error) {
	front := len(checkpointMagic) + 8
	if len(b) < front+sha256.Size || !bytes.HasPrefix(b, []byte(checkpointMagic)) {
		return head, nil, errors.New("not a checkpoint")
	}
	b, want := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if sum := sha256.Sum256(b); !bytes.Equal(sum[:], want) {
		return head, nil, errors.New("the checkpoint is damaged: its checksum is wrong")
	}
	n := binary.LittleEndian.Uint64(b[len(checkpointMagic):])
	if n > uint64(len(b)-front) {
		return head, nil, errors.New("the checkpoint is damaged: its header is longer than the file")
	}
	err = json.Unmarshal(b[front:front+int(n)], &head)
	return head, b[front+int(n):], err
}
