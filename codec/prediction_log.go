package codec

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// LogKind is which call a PredictionLog holds.
type LogKind int

// The kinds of calls, by their field numbers.
const (
	ClassifyLog        LogKind = 2
	RegressLog         LogKind = 3
	MultiInferenceLog  LogKind = 4
	SessionRunLog      LogKind = 5
	PredictLog         LogKind = 6
	PredictStreamedLog LogKind = 7
)

func (k LogKind) String() string {
	return map[LogKind]string{
		ClassifyLog: "classify_log", RegressLog: "regress_log", MultiInferenceLog: "multi_inference_log",
		SessionRunLog: "session_run_log", PredictLog: "predict_log", PredictStreamedLog: "predict_streamed_log",
	}[k]
}

// PredictionLog is a call of a model that a server kept, or that warms one up (tensorflow_serving/apis/prediction_log.proto).
// Its parts are encoded messages.
type PredictionLog struct {
	Metadata, Request, Response []byte
	Kind                        LogKind // 0: none
}

// ParsePredictionLog reads an encoded PredictionLog, whose parts alias b; of a streamed call it gives the last request.
func ParsePredictionLog(b []byte) (PredictionLog, error) {
	var out PredictionLog
	return out, eachField(b, func(f field) error {
		if f.num < 1 || f.num > protowire.Number(PredictStreamedLog) {
			return nil
		}
		if err := f.want(protowire.BytesType); err != nil {
			return err
		}
		if f.num == 1 {
			out.Metadata = f.bytes
			return nil
		}
		out = PredictionLog{Metadata: out.Metadata, Kind: LogKind(f.num)}
		return eachField(f.bytes, func(f field) error {
			switch f.num {
			case 1:
				out.Request = f.bytes
			case 2:
				out.Response = f.bytes
			default:
				return nil
			}
			return f.want(protowire.BytesType)
		})
	})
}

// Append adds the encoded message to b.
func (l PredictionLog) Append(b []byte) []byte {
	if l.Metadata != nil {
		b = addBytes(b, 1, l.Metadata)
	}
	if l.Kind == 0 {
		return b
	}
	var call []byte
	if l.Request != nil {
		call = addBytes(call, 1, l.Request)
	}
	if l.Response != nil {
		call = addBytes(call, 2, l.Response)
	}
	return addBytes(b, protowire.Number(l.Kind), call)
}

// PredictRequest is what a Predict call asks (tensorflow_serving/apis/predict.proto).
type PredictRequest struct {
	Model, Signature string
	Label            string // of a version
	Version          *int64
	Inputs           map[string]TensorProto
	Outputs          []string // nil: all
}

// ParsePredictRequest reads an encoded PredictRequest.
func ParsePredictRequest(b []byte) (PredictRequest, error) {
	out := PredictRequest{Inputs: map[string]TensorProto{}}
	return out, eachField(b, func(f field) error {
		if f.num < 1 || f.num > 3 {
			return nil
		}
		if err := f.want(protowire.BytesType); err != nil {
			return err
		}
		switch f.num {
		case 1:
			return out.spec(f.bytes)
		case 2:
			return entry(f, func(name string, value []byte) (err error) {
				out.Inputs[name], err = ParseTensorProto(value)
				return err
			})
		}
		out.Outputs = append(out.Outputs, string(f.bytes))
		return nil
	})
}

// spec reads a ModelSpec.
func (r *PredictRequest) spec(b []byte) error {
	return eachField(b, func(f field) error {
		switch f.num {
		case 1:
			r.Model = string(f.bytes)
		case 2:
			r.Version = new(int64)
			return eachField(f.bytes, func(f field) error {
				if f.num == 1 {
					*r.Version = int64(f.bits)
				}
				return nil
			})
		case 3:
			r.Signature = string(f.bytes)
		case 4:
			r.Label = string(f.bytes)
		}
		return nil
	})
}

// Append adds the encoded message to b, inputs in the order of their names.
func (r PredictRequest) Append(b []byte) []byte {
	var spec []byte
	for _, f := range []struct {
		num protowire.Number
		s   string
	}{{1, r.Model}, {3, r.Signature}, {4, r.Label}} {
		if f.s != "" {
			spec = addBytes(spec, f.num, f.s)
		}
	}
	if r.Version != nil {
		spec = addBytes(spec, 2, addNumber(nil, 1, uint64(*r.Version)))
	}
	b = addBytes(b, 1, spec)
	for _, name := range slices.Sorted(maps.Keys(r.Inputs)) {
		b = addBytes(b, 2, addBytes(addBytes(nil, 1, name), 2, r.Inputs[name].Append(nil)))
	}
	for _, name := range r.Outputs {
		b = addBytes(b, 3, name)
	}
	return b
}

// Examples gives the tf.Examples of a classify, regress or multi-inference request, those of its context added to each.
func (l PredictionLog) Examples() ([]Example, error) {
	switch l.Kind {
	case ClassifyLog, RegressLog, MultiInferenceLog:
	default:
		return nil, fmt.Errorf("a %s has no examples", l.Kind)
	}
	var out []Example
	err := messages(l.Request, 2, func(input []byte) error { // of the request: Input
		return eachField(input, func(list field) error { // ExampleList, or ExampleListWithContext
			if list.num != 1 && list.num != 2 {
				return nil
			}
			var context Example
			if list.num == 2 {
				err := messages(list.bytes, 2, func(b []byte) (err error) {
					context, err = ParseExample(b)
					return err
				})
				if err != nil {
					return err
				}
			}
			return messages(list.bytes, 1, func(b []byte) error {
				e, err := ParseExample(b)
				for name, f := range context {
					if _, ok := e[name]; !ok {
						e[name] = f
					}
				}
				out = append(out, e)
				return err
			})
		})
	})
	return out, err
}

// messages visits the inner messages of a field's number.
func messages(b []byte, num protowire.Number, visit func(b []byte) error) error {
	return eachField(b, func(f field) error {
		if f.num != num {
			return nil
		}
		if err := f.want(protowire.BytesType); err != nil {
			return err
		}
		return visit(f.bytes)
	})
}
