package train

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tfsopt/tfsopt/tensor"
)

// A checkpoint is the magic, the length of a JSON header (little-endian, 8 bytes), the header, the tensors' elements as
// they lie in memory, and the SHA-256 of all that.
const checkpointMagic = "tfsopt checkpoint 2\n"

// checkpointKind begins the checkpoints of every version.
const checkpointKind = "tfsopt checkpoint "

type checkpointHeader struct {
	Run     identity
	At      position
	Tensors []checkpointTensor
}

type checkpointTensor struct {
	Name  string
	Bytes int
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
	head := checkpointHeader{Run: f.id, At: at}
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

var errNoCheckpoint = errors.New("is no checkpoint: it is left alone")

// isCheckpoint says whether there is a checkpoint at path, of any version. A file of another kind is an error.
func isCheckpoint(path string) (bool, error) {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w", path, errNoCheckpoint)
	}
	if err != nil {
		return false, err
	}
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	front := make([]byte, len(checkpointKind))
	if _, err := io.ReadFull(f, front); err != nil || string(front) != checkpointKind {
		return false, fmt.Errorf("%s: %w", path, errNoCheckpoint)
	}
	return true, nil
}

// CheckCheckpoint fails if o.Checkpoint names a file that a run must not replace: one that is no checkpoint, or a checkpoint
// that is neither to be resumed nor to be given up.
func (o Options) CheckCheckpoint() error {
	if o.Checkpoint == "" {
		return nil
	}
	there, err := isCheckpoint(o.Checkpoint)
	if there && !o.Resume && !o.Restart {
		return fmt.Errorf("%s holds the checkpoint of a run that did not end: go on from it with --resume, or begin again with --restart", o.Checkpoint)
	}
	return err
}

// RemoveCheckpoint removes a checkpoint; a file of another kind stays.
func RemoveCheckpoint(path string) error {
	if there, err := isCheckpoint(path); !there {
		return err
	}
	return os.Remove(path)
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
	if err := f.id.differs(head.Run); err != nil {
		return err
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
		if bytes.HasPrefix(b, []byte(checkpointKind)) {
			return head, nil, errors.New("the checkpoint is of another version of tfsopt, or damaged: begin again with --restart")
		}
		return head, nil, errNoCheckpoint
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
