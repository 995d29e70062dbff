package tensorflow

// StructuredValue is what a trace takes and gives, as nested Python structures. The zero value is None.
type StructuredValue struct {
	Kind   int             `pb:"oneof"`
	None   *struct{}       `pb:"1"`
	Number float64         `pb:"11"`
	Int    int64           `pb:"12"` // zigzag in files
	String string          `pb:"13"`
	Bool   bool            `pb:"14"`
	Spec   *TensorSpec     `pb:"33"`
	List   *StructuredList `pb:"51"`
	Tuple  *StructuredList `pb:"52"`
	Dict   *StructuredDict `pb:"53"`
}

// TensorSpec is the type of a tensor.
type TensorSpec struct {
	Name  string `pb:"1"`
	Shape *Shape `pb:"2"`
	DType int32  `pb:"3"`
}

// StructuredList is a list or tuple.
type StructuredList struct {
	Values []*StructuredValue `pb:"1"`
}

// StructuredDict is a dict.
type StructuredDict struct {
	Fields map[string]*StructuredValue `pb:"1"`
}
