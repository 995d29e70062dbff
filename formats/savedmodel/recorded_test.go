package savedmodel_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/codec"
	"github.com/tfsopt/tfsopt/formats"
	"github.com/tfsopt/tfsopt/graph"
	"github.com/tfsopt/tfsopt/tensor"
)

// recorded is a request with the reply of TensorFlow Serving's own core.
type recorded struct {
	Rest, Body, Reply string
	Status            int
}

// recordedCall is what classify and regress requests hold.
type recordedCall struct {
	Signature string           `json:"signature_name"`
	Context   map[string]any   `json:"context"`
	Examples  []map[string]any `json:"examples"`
}

// TestRecordedExamples answers the classify and regress requests that were recorded, from their tf.Examples on: the same results, and
// for Examples that do not fit the same words.
func TestRecordedExamples(t *testing.T) {
	dir := filepath.Join(shared(t), "conformance", "tfserving")
	b, err := os.ReadFile(filepath.Join(dir, "recorded.json"))
	if err != nil {
		t.Skip(err)
	}
	var all []recorded
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	models := map[string]string{"hp2": "half_plus_two_cpu", "hp3": "half_plus_three", "tf2": "half_plus_two_tf2_cpu"}
	results, errs := 0, 0
	for _, r := range all {
		name, method, _ := strings.Cut(strings.TrimPrefix(r.Rest, "POST /v1/models/"), ":")
		if models[name] == "" || method != "classify" && method != "regress" {
			continue
		}
		want := struct {
			Results []any
			Error   string
		}{}
		if err := json.Unmarshal([]byte(r.Reply), &want); err != nil {
			t.Fatal(err)
		}
		words, _, _ := strings.Cut(want.Error, "\n")
		if want.Error != "" && !strings.HasPrefix(words, "Name: ") { // the front refuses it
			continue
		}
		path := filepath.Join(dir, "servables", "tensorflow", "testdata", "saved_model_"+models[name], "00000123")
		got, err := r.answer(t, path)
		if want.Error != "" {
			if errs++; err == nil || !strings.Contains(err.Error(), words) {
				t.Errorf("%s %s: %v, want %q", r.Rest, r.Body, err, words)
			}
			continue
		}
		results++
		if scores := scoresOf(want.Results); err != nil || fmt.Sprint(got) != fmt.Sprint(scores) {
			t.Errorf("%s %s: %v, %v, want %v", r.Rest, r.Body, got, err, scores)
		}
	}
	if results < 4 || errs < 5 {
		t.Errorf("%d results and %d errors were recorded", results, errs)
	}
}

// scoresOf takes the numbers out of [["", 12.0], …] and of 42.0.
func scoresOf(results []any) (out []float64) {
	for _, r := range results {
		for {
			list, ok := r.([]any)
			if !ok {
				break
			}
			r = list[len(list)-1]
		}
		out = append(out, r.(float64))
	}
	return out
}

// answer runs the signature of a request.
func (r recorded) answer(t *testing.T, path string) ([]float64, error) {
	var call recordedCall
	d := json.NewDecoder(bytes.NewReader([]byte(r.Body)))
	d.UseNumber()
	if err := d.Decode(&call); err != nil {
		t.Fatal(r.Body, err)
	}
	var examples []string
	for _, e := range call.Examples {
		full := maps.Clone(call.Context)
		if full == nil {
			full = map[string]any{}
		}
		maps.Copy(full, e)
		example := codec.Example{}
		for name, v := range full {
			example[name] = featureOf(t, v)
		}
		examples = append(examples, string(example.Append(nil)))
	}
	f, err := formats.LoadWith(path, formats.Options{Signature: call.Signature})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out, err := graph.Eval(t.Context(), f.Graph, []*tensor.Tensor{tensor.FromStrings(examples, len(examples))})
	if err != nil {
		return nil, err
	}
	return tensor.Float64s(out[0]), nil
}

// featureOf reads a feature as TensorFlow Serving's REST front does.
func featureOf(t *testing.T, v any) codec.Feature {
	switch v := v.(type) {
	case []any:
		return featureOf(t, v[0])
	case bool:
		return codec.Feature{Kind: codec.IntFeature, Ints: []int64{1}}
	case string:
		return codec.Feature{Kind: codec.BytesFeature, Bytes: [][]byte{[]byte(v)}}
	case map[string]any:
		b, err := base64.StdEncoding.DecodeString(v["b64"].(string))
		if err != nil {
			t.Fatal(err)
		}
		return codec.Feature{Kind: codec.BytesFeature, Bytes: [][]byte{b}}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return codec.Feature{Kind: codec.IntFeature, Ints: []int64{n}}
		}
		x, err := v.Float64()
		if err != nil {
			t.Fatal(err)
		}
		return codec.Feature{Kind: codec.FloatFeature, Floats: []float32{float32(x)}}
	}
	t.Fatalf("feature %v", v)
	return codec.Feature{}
}
