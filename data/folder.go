package data

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tfsopt/tfsopt/codec"
)

// maxImageFile bounds what is read of one image file.
const maxImageFile = 1 << 28

// imageNames are extensions of files that must be images: what is broken among them is an error, never left out.
var imageNames = []string{".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".pbm", ".pgm", ".ppm"}

// namedImage reports whether a file's name says that it is an image to be read. What others are, their content says.
func namedImage(name string) bool {
	return slices.Contains(imageNames, strings.ToLower(path.Ext(name)))
}

// sniffImage reports whether a file begins as an image that can be read.
func sniffImage(file string) bool {
	if st, err := os.Stat(file); err != nil || !st.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	var head [codec.SniffLen]byte
	n, _ := io.ReadFull(f, head[:])
	return codec.Sniff(head[:n])
}

// leftOut notes the files among images that are none.
func leftOut(files []string) string {
	slices.Sort(files)
	what := "files that are no images which can be read are"
	if len(files) == 1 {
		what = "file that is no image which can be read is"
	}
	return fmt.Sprintf("%d %s left out: %s", len(files), what, some(files))
}

// openFolder reads a directory of images.
func openFolder(dir string) (*source, error) {
	labels, err := os.Open(filepath.Join(dir, "labels.tsv"))
	if err == nil {
		defer labels.Close()
		return readLabelsTSV(dir, labels)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	files, left, err := listImages(dir)
	if err != nil {
		return nil, err
	}
	root := ""
	for {
		inner := onlyFolder(files, root)
		if inner == "" || !hasFolders(files, inner) {
			break
		}
		root = inner
	}
	src, err := classed(dir, files, root)
	if err == nil && left != nil {
		src.notes = append(src.notes, leftOut(left))
	}
	return src, err
}

// maxDepth bounds how deep folders are searched, so that links in a circle end.
const maxDepth = 16

// hidden reports whether a file or folder is passed over in silence.
func hidden(name string) bool { return strings.HasPrefix(name, ".") || name == "__MACOSX" }

// listImages gives the sorted paths of all images below dir, with slashes, relative to it, and those of the other files
// whose names do not begin with a dot. Links are followed.
func listImages(dir string) (files, left []string, err error) {
	var walk func(rel string, depth int) error
	walk = func(rel string, depth int) error {
		entries, err := os.ReadDir(filepath.Join(dir, filepath.FromSlash(rel)))
		if err != nil {
			return err
		}
		for _, e := range entries {
			name := path.Join(rel, e.Name())
			folder := e.IsDir()
			if e.Type()&fs.ModeSymlink != 0 {
				st, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name)))
				folder = err == nil && st.IsDir()
			}
			switch {
			case folder && depth == maxDepth:
				return fmt.Errorf("%s: folders are nested more than %d deep", name, maxDepth)
			case folder && !hidden(e.Name()):
				if err := walk(name, depth+1); err != nil {
					return err
				}
			case folder || hidden(e.Name()):
			case namedImage(name) || sniffImage(filepath.Join(dir, filepath.FromSlash(name))):
				files = append(files, name)
			default:
				left = append(left, name)
			}
		}
		return nil
	}
	err = walk("", 0)
	slices.Sort(files)
	return files, left, err
}

// onlyFolder is the folder below root (ending in a slash, or empty) that holds all files, or "".
func onlyFolder(files []string, root string) string {
	if len(files) == 0 {
		return ""
	}
	first, _, ok := strings.Cut(files[0][len(root):], "/")
	folder := root + first + "/"
	if !ok || slices.ContainsFunc(files, func(f string) bool { return !strings.HasPrefix(f, folder) }) {
		return ""
	}
	return folder
}

// hasFolders reports whether every file below root lies in a further folder.
func hasFolders(files []string, root string) bool {
	return !slices.ContainsFunc(files, func(f string) bool { return !strings.Contains(f[len(root):], "/") })
}

// classed makes the folders below root the classes. Without any the set is unlabelled.
func classed(dir string, files []string, root string) (*source, error) {
	folders, err := os.ReadDir(filepath.Join(dir, filepath.FromSlash(root)))
	if err != nil {
		return nil, err
	}
	var empty []string
	for _, d := range folders {
		name := d.Name()
		if d.IsDir() && !hidden(name) &&
			!slices.ContainsFunc(files, func(f string) bool { return strings.HasPrefix(f, root+name+"/") }) {
			empty = append(empty, name)
		}
	}
	if len(files) == 0 {
		if len(empty) > 0 {
			return nil, fmt.Errorf("there are no images (%s) in its folders %s", codec.Formats, some(empty))
		}
		return nil, fmt.Errorf("there are no images (%s)", codec.Formats)
	}
	members := make([]member, 0, len(files))
	stray := 0
	for _, f := range files {
		class, _, ok := strings.Cut(f[len(root):], "/")
		if !ok {
			class = ""
			stray++
		}
		members = append(members, member{class: class, path: f})
	}
	src, _, err := fromMembers(members, stray)
	if err != nil {
		return nil, err
	}
	if src.labels != nil && len(empty) > 0 {
		return nil, fmt.Errorf("there are no images (%s) in its class folders %s; remove them", codec.Formats, some(empty))
	}
	src.image = func(i int) ([]byte, error) {
		return readLimited(filepath.Join(dir, filepath.FromSlash(src.name(i))), maxImageFile)
	}
	return src, nil
}

// some joins the first few names.
func some(names []string) string {
	if len(names) > 5 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:5], ", "), len(names)-5)
	}
	return strings.Join(names, ", ")
}

// member is one image of a folder or an archive.
type member struct {
	class, path string // class is "" outside of all folders
	offset      int64  // in an archive
	size        int64
}

// fromMembers sorts images by class, then path, and numbers the classes. Images outside of the class folders are left
// out with a note; if there are no class folders the set is unlabelled. The source lacks its image function; its samples
// are those kept, in their order.
func fromMembers(all []member, stray int) (src *source, kept []member, err error) {
	src = &source{}
	if stray > 0 && stray < len(all) {
		src.notes = append(src.notes, fmt.Sprintf("%d images beside the class folders are left out", stray))
		all = slices.DeleteFunc(all, func(m member) bool { return m.class == "" })
	}
	slices.SortFunc(all, func(a, b member) int {
		if c := strings.Compare(a.class, b.class); c != 0 {
			return c
		}
		return strings.Compare(a.path, b.path)
	})
	src.n, src.name = len(all), func(i int) string { return all[i].path }
	if len(all) == 0 || stray == len(all) {
		return src, all, nil
	}
	for i, m := range all {
		if i > 0 && m.path == all[i-1].path {
			return nil, nil, fmt.Errorf("%s is there twice", m.path)
		}
		if i == 0 || m.class != all[i-1].class {
			src.classes = append(src.classes, m.class)
		}
		src.labels = append(src.labels, len(src.classes)-1)
	}
	if !slices.IsSortedFunc(src.classes, byNumber) {
		src.notes = append(src.notes, "the class folders are numbered in the order of their names as text, so that 10 comes before 2")
	}
	return src, all, nil
}

// byNumber compares names that are integers by value, and takes all others as equal.
func byNumber(a, b string) int {
	x, err1 := strconv.Atoi(a)
	y, err2 := strconv.Atoi(b)
	if err1 != nil || err2 != nil {
		return 0
	}
	return x - y
}

// readLabelsTSV reads lines "file<tab>index"; the files must lie in the directory.
func readLabelsTSV(dir string, f *os.File) (*source, error) {
	src := &source{}
	var files []string
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimPrefix(strings.TrimRight(lines.Text(), "\r"), "\ufeff")
		if strings.TrimSpace(line) == "" {
			continue
		}
		file, label, ok := strings.Cut(line, "\t")
		index, err := strconv.Atoi(strings.TrimSpace(label))
		if !ok || err != nil {
			return nil, fmt.Errorf("labels.tsv:%d: %.80q: want file, tab, class index", n, line)
		}
		if !filepath.IsLocal(filepath.FromSlash(file)) {
			return nil, fmt.Errorf("labels.tsv:%d: %q is not inside the directory", n, file)
		}
		files, src.labels = append(files, file), append(src.labels, index)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("labels.tsv: %w", err)
	}
	full := func(i int) string { return filepath.Join(dir, filepath.FromSlash(files[i])) }
	src.n, src.name = len(files), func(i int) string { return files[i] }
	src.check = func(i int) error { _, err := os.Stat(full(i)); return err }
	src.image = func(i int) ([]byte, error) { return readLimited(full(i), maxImageFile) }
	return src, nil
}
