package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tfsopt": main})
}

// TestScript runs the command lines of testdata/script. Beside testscript's own commands there are
//
//	code N tfsopt ARG…      the command ends with exit code N
//	cut IN OUT              the first half of a file
//	mkmodel IN.txt OUT      a graph's text form becomes a model file
//	mknpy OUT TYPE SHAPE V… a tensor, as "1x4"; values repeat, none counts up
//	nolitter                no temporary file is left in the working directory
//	mkstripes X Y N SEED    N images and labels of three classes that a small network can learn
//	mkimages DIR N SEED     the like as N image files, in a folder for each class: down, rows, slope
//	mkrecords DIR N SEED    the like as tf.Examples in two shards: image (PNG), pixels (floats), class (integer), name (text)
//	mklog OUT N SEED        the pixels as N logged Predict calls, whose input is x
//	json PATH VALUE         stdout is one JSON object that has this at PATH, as "outputs.0.name"; VALUE may be
//	                        "*" (anything), ">N", "<N" or null
//
// and the condition [shared], which says that the project's shared data is there, as $SHARED.
func TestScript(t *testing.T) {
	shared := os.Getenv("TFSOPT_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "..", "shared")
	}
	shared, err := filepath.Abs(shared)
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("SHARED", shared)
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond != "shared" {
				return false, errors.New("unknown condition " + cond)
			}
			_, err := os.Stat(filepath.Join(shared, "models"))
			return err == nil && !testing.Short(), nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"code": exitsWith, "cut": cutFile, "mkmodel": makeModel, "mknpy": makeNPY, "mkstripes": makeStripes,
			"mkimages": makeImages, "mkrecords": makeRecords, "mklog": makeLog,
			"json": checkJSON, "nolitter": noLitter,
		},
	})
}

func exitsWith(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func makeModel(ts *testscript.TestScript, _ bool, args []string) {
	g, err := graph.Parse(strings.NewReader(ts.ReadFile(args[0])))
	ts.Check(err)
	ts.Check(g.Infer())
	_, err = formats.Save(context.Background(), g, ts.MkAbs(args[1]))
	ts.Check(err)
}

// TestSafeName gives names to tensors that file systems would refuse or mix up.
func TestSafeName(t *testing.T) {
	used := map[string]bool{}
	for _, c := range [][2]string{
		{"logits", "logits"},
		{"a/b:0", "a_b_0"},
		{"a_b:0", "a_b_0_1"},
		{"A/b:0", "A_b_0_2"},
		{"../../etc/passwd", "_._.._etc_passwd"},
		{"", "_"},
		{"con", "_con"},
		{"LPT1.x", "_LPT1.x"},
		{"größe", "gr____e"},
		{strings.Repeat("x", 300), strings.Repeat("x", 200)},
	} {
		if got := safeName(c[0], used); got != c[1] {
			t.Errorf("%q: got %q, want %q", c[0], got, c[1])
		}
	}
}

func cutFile(ts *testscript.TestScript, _ bool, args []string) {
	b, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b[:len(b)/2], 0o666))
}

// noLitter looks for the hidden files that whole files are written to before they get their names.
func noLitter(ts *testscript.TestScript, _ bool, _ []string) {
	list, err := os.ReadDir(ts.MkAbs("."))
	ts.Check(err)
	for _, e := range list {
		if name := e.Name(); name[0] == '.' && name != ".tmp" { // testscript's own
			ts.Fatalf("left behind: %s", name)
		}
	}
}
