package evaluate

import "encoding/json"

// Verdict is the gate's answer. The zero value means that no gate was asked for and is null in JSON.
type Verdict string

// The verdicts; see Decide.
const (
	Pass         Verdict = "PASS"
	Fail         Verdict = "FAIL"
	Inconclusive Verdict = "INCONCLUSIVE"
)

// MarshalJSON writes null for the zero value.
func (v Verdict) MarshalJSON() ([]byte, error) {
	if v == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(v))
}

// Result is what Evaluate measured. Numbers that do not apply, such as accuracy without labels, are nil and null in
// JSON. Percentages are percent, drops percentage points (positive: the model is worse than the reference).
type Result struct {
	Samples int    `json:"samples"`
	Data    string `json:"data,omitempty"`
	Output  string `json:"output"` // the output that accuracy, agreement and the error figures below speak of

	Model     Scores  `json:"model"`
	Reference *Scores `json:"reference"`

	Drop       *float64    `json:"drop"`    // top-1 of the reference minus top-1 of the model
	DropCI     *[2]float64 `json:"drop_ci"` // two-sided, at Confidence
	MaxDrop    *float64    `json:"max_drop,omitempty"`
	DropBounds *[2]float64 `json:"drop_bounds,omitempty"` // one-sided, each at Confidence: what the verdict looks at
	Confidence float64     `json:"confidence"`
	Sequential bool        `json:"sequential,omitempty"` // interval, bounds and verdict hold however often one looks

	Agreement    *float64 `json:"agreement"` // samples with the same top-1 class, in percent
	Cosine       *float64 `json:"cosine"`    // mean over samples
	SQNR         *float64 `json:"sqnr_db"`   // MaxSQNR for identical outputs
	MaxAbsError  *float64 `json:"max_abs_error"`
	MeanAbsError *float64 `json:"mean_abs_error"`

	OnlyReferenceRight *int `json:"only_reference_right"`
	OnlyModelRight     *int `json:"only_model_right"`

	Verdict       Verdict `json:"verdict"`
	SamplesNeeded *int    `json:"samples_needed"` // of an inconclusive verdict; nil if no number would decide

	Compression *float64       `json:"size_ratio,omitempty"` // bytes of the model over bytes of the reference
	Outputs     []OutputError  `json:"outputs,omitempty"`
	Histogram   *Histogram     `json:"error_histogram,omitempty"`
	Layers      []LayerError   `json:"layers,omitempty"`
	LayerCount  int            `json:"layer_samples,omitempty"` // samples that Layers come from
	Latency     *Latency       `json:"latency,omitempty"`
	Classes     []ClassChange  `json:"classes,omitempty"`
	Changes     []AnswerChange `json:"changes,omitempty"`
	Warnings    []string       `json:"warnings,omitempty"`
	Origin      *Origin        `json:"made_by,omitempty"`

	// Saturation is what the caller knows of the model's 8-bit products on CPUs without VNNI; it stands in JSON as it is.
	Saturation any `json:"saturation,omitempty"`
	// Sections are what the caller adds to the reports but JSON.
	Sections []Section `json:"-"`
}

// Scores are one model's figures. Top1 and Top5 are percent; Loss is the mean cross entropy in nats. Of models of two
// classes, 1 being the positive one, Recall and Precision are percent and AUC the area under the ROC curve, 0 to 1; of
// others they are nil.
type Scores struct {
	Path  string   `json:"path"`
	Bytes int64    `json:"bytes"`
	Top1  *float64 `json:"top1"`
	Top5  *float64 `json:"top5"` // nil with five classes or fewer
	Loss  *float64 `json:"loss"`

	Recall    *float64 `json:"recall,omitempty"`
	Precision *float64 `json:"precision,omitempty"`
	AUC       *float64 `json:"auc,omitempty"`
}

// OutputError compares one output of both models over all samples.
type OutputError struct {
	Name         string  `json:"name"`
	DType        string  `json:"dtype"`
	Shape        []int   `json:"shape"` // of one sample
	SQNR         float64 `json:"sqnr_db"`
	Cosine       float64 `json:"cosine"`
	MaxAbsError  float64 `json:"max_abs_error"`
	MeanAbsError float64 `json:"mean_abs_error"`
	Min          float64 `json:"min"` // of the reference
	Max          float64 `json:"max"`
}

// LayerError compares a value inside both graphs. Min and Max are the reference's range.
type LayerError struct {
	Name     string  `json:"name"`
	Node     string  `json:"node"`
	Op       string  `json:"op"`
	SQNR     float64 `json:"sqnr_db"`
	Cosine   float64 `json:"cosine"`
	MaxError float64 `json:"max_abs_error"`
	Min      float64 `json:"min"`
	Max      float64 `json:"max"`
	ModelMin float64 `json:"model_min"`
	ModelMax float64 `json:"model_max"`
}

// Latency is the median time of one call with Batch samples, both models in turn on the same inputs. Ratio is the
// median of the paired ratios reference/model: above 1 the model is faster.
type Latency struct {
	Batch       int      `json:"batch"`
	Runs        int      `json:"runs"`
	Threads     int      `json:"threads"`
	CPU         string   `json:"cpu"`
	ModelMS     float64  `json:"model_ms"`
	ReferenceMS *float64 `json:"reference_ms,omitempty"`
	Ratio       *float64 `json:"ratio,omitempty"`
}

// ClassChange counts the right answers of both models among the samples of one class.
type ClassChange struct {
	Class          int    `json:"class"`
	Name           string `json:"name,omitempty"`
	Samples        int    `json:"samples"`
	ReferenceRight int    `json:"reference_right"`
	ModelRight     int    `json:"model_right"`
	Lost           int    `json:"lost"`   // only the reference is right
	Gained         int    `json:"gained"` // only the model is right
}

// AnswerChange counts the samples of class Label (-1 without labels) that the reference called Reference and the model
// calls Model.
type AnswerChange struct {
	Label     int    `json:"label"`
	Reference int    `json:"reference"`
	Model     int    `json:"model"`
	Count     int    `json:"count"`
	Sample    string `json:"sample"` // the first of them
	names     [3]string
}

// MaxSQNR stands for identical values, whose ratio of signal to noise is infinite; JSON has no infinity.
const MaxSQNR = 300.0

// ExitCode is 3 for FAIL, 4 for INCONCLUSIVE, else 0.
func (r *Result) ExitCode() int {
	return map[Verdict]int{Fail: 3, Inconclusive: 4}[r.Verdict]
}
