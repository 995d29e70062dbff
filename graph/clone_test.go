package graph

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/tfsopt/tfsopt/tensor"
)

// TestCloneSharesNothing fills a graph, clones it, changes each place that the clone reaches, and looks whether the
// original noticed.
func TestCloneSharesNothing(t *testing.T) {
	g := fullGraph(2)
	want := dump(g)
	c := g.Clone()
	if got := dump(c); got != want {
		t.Fatalf("the clone differs:\n%s\nwant:\n%s", got, want)
	}
	places := 0
	visit(reflect.ValueOf(c), "graph", map[any]bool{}, func(path string, v reflect.Value) {
		places++
		old := reflect.New(v.Type()).Elem()
		old.Set(v)
		change(v)
		if dump(g) != want {
			t.Errorf("changing %s of the clone changed the original", path)
		}
		if v.Kind() == reflect.Map {
			v.SetMapIndex(reflect.ValueOf("new"), reflect.Value{})
		}
		v.Set(old)
	})
	if places < 150 {
		t.Errorf("only %d places were changed", places)
	}
}

// TestBindKeepsCopies binds a graph whose types somebody else has a plain copy of.
func TestBindKeepsCopies(t *testing.T) {
	x := NewInput("x", Of(tensor.Float32, Named("batch"), Fixed(4)))
	g := &Graph{Inputs: []*Value{x}, Outputs: []*Value{x}}
	kept := x.Type
	if err := g.Bind(map[string]int{"batch": 2}); err != nil {
		t.Fatal(err)
	}
	if got := kept.String(); got != "float32[batch,4]" {
		t.Errorf("binding changed a copy of the type: %s", got)
	}
}

// fullGraph has every field of every structure set, with bodies to the given depth.
func fullGraph(depth int) *Graph {
	if depth == 0 {
		return nil
	}
	full := func() *Value {
		elem := Of(tensor.Float32, Named("e"))
		return &Value{
			Name: "v", Meta: map[string]string{"k": "v"},
			Fact: Fact{
				Type:  Type{DType: tensor.Float32, Shape: []Dim{Named("n"), Fixed(2)}, Elem: &elem},
				Const: tensor.Scalar(float32(1)), Ints: []Dim{Fixed(1)},
			},
		}
	}
	i, f := 1, float32(2)
	tensors := tensor.Scalar(float32(1))
	op := everyKind{
		I: 1, B: true, F: 1, S: "s", IS: []int{1}, FS: []float32{1}, SS: []string{"s"}, T: tensors,
		G: fullGraph(depth - 1), Ty: full().Type, PI: &i, PF: &f,
	}
	attrs := []Attr{
		{Name: "i", Value: int64(1)},
		{Name: "f", Value: f},
		{Name: "s", Value: "s"},
		{Name: "is", Value: []int64{1}},
		{Name: "fs", Value: []float32{1}},
		{Name: "ss", Value: []string{"s"}},
		{Name: "t", Value: tensors},
		{Name: "ts", Value: []*tensor.Tensor{tensors}},
		{Name: "ty", Value: full().Type},
		{Name: "tys", Value: []Type{full().Type}},
		{Name: "b", Value: true},
		{Name: "bs", Value: []bool{true}},
		{Name: "raw", Value: []byte{1}},
		{Name: "fn", Value: Function{Name: "f", Attrs: []Attr{{Name: "is", Value: []int64{1}}}}},
		{Name: "fns", Value: []Function{{Name: "f", Attrs: []Attr{{Name: "is", Value: []int64{1}}}}}},
	}
	if depth > 1 {
		attrs = append(attrs, Attr{Name: "g", Value: fullGraph(depth - 1)}, Attr{Name: "gs", Value: []*Graph{fullGraph(depth - 1)}})
	}
	opaque := Opaque{Format: "f", Domain: "d", Type: "T", Overload: "o", Attrs: attrs, Raw: []byte{1}, Out: []Type{full().Type}}
	in, mid, out := full(), full(), full()
	nodes := []*Node{
		{Name: "a", Op: op, In: []*Value{in, nil}, Out: []*Value{mid}, Meta: map[string]string{"k": "v"}},
		{Name: "b", Op: opaque, In: []*Value{mid}, Out: []*Value{out}, Meta: map[string]string{"k": "v"}},
	}
	mid.Def, out.Def = nodes[0], nodes[1]
	state := full()
	port := func(v *Value) []Port { return []Port{{Name: "p", Value: v}} }
	return &Graph{
		Name: "g", Inputs: []*Value{in}, Outputs: []*Value{out}, Nodes: nodes, Captures: 1,
		Opsets: map[string]int{"": 13}, Meta: map[string]string{"k": "v"},
		Signatures: []Signature{{Name: "s", Method: "m", Inputs: port(in), Outputs: port(out), Next: port(mid)}},
		States:     []State{{Name: "s", Value: state, Init: tensors}},
		Unused:     []*Value{full()},
	}
}

// visit calls at for each place that can be changed: numbers, strings, dimensions, elements, maps. Tensors are shared.
func visit(v reflect.Value, path string, seen map[any]bool, at func(string, reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() || v.Type() == reflect.TypeFor[*tensor.Tensor]() {
			return
		}
		if v.Kind() == reflect.Pointer {
			if seen[v.Interface()] {
				return
			}
			seen[v.Interface()] = true
		}
		visit(v.Elem(), path, seen, at)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[Dim]() {
			if v.CanSet() {
				at(path, v)
			}
			return
		}
		for i := range v.NumField() {
			visit(v.Field(i), path+"."+v.Type().Field(i).Name, seen, at)
		}
	case reflect.Slice:
		for i := range v.Len() {
			if e := v.Index(i); e.Kind() == reflect.Pointer {
				at(fmt.Sprintf("%s[%d]", path, i), e)
			}
			visit(v.Index(i), fmt.Sprintf("%s[%d]", path, i), seen, at)
		}
	default:
		if v.CanSet() {
			at(path, v)
		}
	}
}

func change(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("changed")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Float32:
		v.SetFloat(77)
	case reflect.Int, reflect.Int64:
		v.SetInt(77)
	case reflect.Uint8:
		v.SetUint(7)
	case reflect.Map:
		v.SetMapIndex(reflect.ValueOf("new"), reflect.Zero(v.Type().Elem()))
	case reflect.Struct:
		v.Set(reflect.ValueOf(Fixed(77)))
	case reflect.Pointer:
		v.SetZero()
	default:
		panic(v.Kind())
	}
}

// dump writes everything that a graph reaches, pointers as the order in which they are met, tensors by address.
func dump(g *Graph) string {
	var b strings.Builder
	numbers := map[any]int{}
	var write func(v reflect.Value)
	write = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if t, ok := v.Interface().(*tensor.Tensor); ok {
				fmt.Fprintf(&b, "tensor %p ", t)
				return
			}
			if n, ok := numbers[v.Interface()]; ok || v.IsNil() {
				fmt.Fprint(&b, "#", n, " ")
				return
			}
			numbers[v.Interface()] = len(numbers) + 1
			write(v.Elem())
		case reflect.Interface:
			fmt.Fprint(&b, v.Elem().Type(), " ")
			write(v.Elem())
		case reflect.Struct:
			if d, ok := v.Interface().(Dim); ok {
				fmt.Fprint(&b, d, " ")
				return
			}
			for i := range v.NumField() {
				if !v.Type().Field(i).IsExported() {
					continue
				}
				fmt.Fprint(&b, v.Type().Field(i).Name, ":")
				write(v.Field(i))
			}
		case reflect.Slice:
			fmt.Fprint(&b, "[")
			for i := range v.Len() {
				write(v.Index(i))
			}
			fmt.Fprint(&b, "] ")
		default:
			fmt.Fprint(&b, v.Interface(), " ")
		}
	}
	write(reflect.ValueOf(g))
	return b.String()
}
