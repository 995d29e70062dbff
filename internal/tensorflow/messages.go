package tensorflow

// SavedModel is saved_model.pb.
type SavedModel struct {
	SchemaVersion int64        `pb:"1"`
	MetaGraphs    []*MetaGraph `pb:"2"`
}

// MetaGraph is a graph with what is needed to run it.
type MetaGraph struct {
	Info        *MetaInfo              `pb:"1"`
	Graph       *GraphDef              `pb:"2"`
	Saver       *SaverDef              `pb:"3"`
	Collections map[string]*Collection `pb:"4"`
	Signatures  map[string]*Signature  `pb:"5"`
	Assets      []*AssetFile           `pb:"6"`
	Objects     *SavedObjectGraph      `pb:"7"`
}

// MetaInfo names the meta graph by its tags.
type MetaInfo struct {
	Version          string            `pb:"1"`
	Tags             []string          `pb:"4"`
	TensorFlow       string            `pb:"5"`
	TensorFlowGit    string            `pb:"6"`
	StrippedDefaults bool              `pb:"7"`
	FunctionAliases  map[string]string `pb:"8"`
}

// SaverDef names the nodes that save and restore variables.
type SaverDef struct {
	Filename  string `pb:"1"`
	SaveOp    string `pb:"2"`
	RestoreOp string `pb:"3"`
	MaxToKeep int32  `pb:"4"`
	Sharded   bool   `pb:"5"`
	Version   int32  `pb:"7"`
}

// Collection is a list of node names or of bytes.
type Collection struct {
	Nodes *StringList `pb:"1"`
	Bytes *StringList `pb:"2"`
}

// StringList is a list of strings or bytes.
type StringList struct {
	Values []string `pb:"1"`
}

// AssetFile says which tensor holds the path of a file below assets/.
type AssetFile struct {
	Tensor   *TensorInfo `pb:"1"`
	Filename string      `pb:"2"`
}

// Signature is an entry point.
type Signature struct {
	Inputs   map[string]*TensorInfo  `pb:"1"`
	Outputs  map[string]*TensorInfo  `pb:"2"`
	Method   string                  `pb:"3"`
	Defaults map[string]*TensorProto `pb:"4"`
}

// TensorInfo is one input or output of a signature.
type TensorInfo struct {
	Name      string     `pb:"1"`
	DType     int32      `pb:"2"`
	Shape     *Shape     `pb:"3"`
	Sparse    *CooSparse `pb:"4"`
	Composite *struct{}  `pb:"5"`
}

// CooSparse names the three tensors of a sparse one.
type CooSparse struct {
	Values  string `pb:"1"`
	Indices string `pb:"2"`
	Shape   string `pb:"3"`
}

// GraphDef is a graph, with the functions that its nodes call.
type GraphDef struct {
	Nodes    []*NodeDef       `pb:"1"`
	Library  *FunctionLibrary `pb:"2"`
	Versions *Versions        `pb:"4"`
}

// Versions of the software that wrote a graph.
type Versions struct {
	Producer    int32 `pb:"1"`
	MinConsumer int32 `pb:"2"`
}

// FunctionLibrary holds functions.
type FunctionLibrary struct {
	Functions []*FunctionDef `pb:"1"`
}

// FunctionDef is a function; Ret maps the names of outputs to "node:output:index" or an argument.
type FunctionDef struct {
	Signature  *OpDef                `pb:"1"`
	Nodes      []*NodeDef            `pb:"3"`
	Ret        map[string]string     `pb:"4"`
	Attrs      map[string]*AttrValue `pb:"5"`
	ControlRet map[string]string     `pb:"6"`
	ArgAttrs   map[uint32]*ArgAttrs  `pb:"7"`
	Offset     int64                 `pb:"offset"`
}

// ArgAttrs are the attributes of a function's argument.
type ArgAttrs struct {
	Attrs map[string]*AttrValue `pb:"1"`
}

// OpDef is the signature of a function.
type OpDef struct {
	Name     string   `pb:"1"`
	Inputs   []*Arg   `pb:"2"`
	Outputs  []*Arg   `pb:"3"`
	Stateful bool     `pb:"17"`
	Controls []string `pb:"20"`
}

// Arg is an input or output of a function: one tensor unless NumberAttr or ListAttr is set.
type Arg struct {
	Name       string `pb:"1"`
	DType      int32  `pb:"3"`
	TypeAttr   string `pb:"4"`
	NumberAttr string `pb:"5"`
	ListAttr   string `pb:"6"`
}

// NodeDef is a node; inputs are "node", "node:index" or "^node", in functions also "argument" and "node:output:index".
type NodeDef struct {
	Name   string                `pb:"1"`
	Op     string                `pb:"2"`
	Inputs []string              `pb:"3"`
	Device string                `pb:"4"`
	Attrs  map[string]*AttrValue `pb:"5"`
	Offset int64                 `pb:"offset"`
}

// AttrValue is an attribute; Kind is the number of the field that is set.
type AttrValue struct {
	Kind        int           `pb:"oneof"`
	List        *AttrList     `pb:"1"`
	S           []byte        `pb:"2"`
	I           int64         `pb:"3"`
	F           float32       `pb:"4"`
	B           bool          `pb:"5"`
	Type        int32         `pb:"6"`
	Shape       *Shape        `pb:"7"`
	Tensor      *TensorProto  `pb:"8"`
	Placeholder string        `pb:"9"`
	Func        *FunctionCall `pb:"10"`
}

// The values of AttrValue.Kind.
const (
	KindList = 1 + iota
	KindS
	KindI
	KindF
	KindB
	KindType
	KindShape
	KindTensor
	KindPlaceholder
	KindFunc
)

// AttrList is a list as an attribute.
type AttrList struct {
	S      [][]byte        `pb:"2"`
	I      []int64         `pb:"3"`
	F      []float32       `pb:"4"`
	B      []bool          `pb:"5"`
	Type   []int32         `pb:"6"`
	Shape  []*Shape        `pb:"7"`
	Tensor []*TensorProto  `pb:"8"`
	Func   []*FunctionCall `pb:"9"`
}

// FunctionCall names a function with the attributes of its call.
type FunctionCall struct {
	Name  string                `pb:"1"`
	Attrs map[string]*AttrValue `pb:"2"`
}

// Shape is a TensorShapeProto; a size of -1 is unknown.
type Shape struct {
	Dims        []*Dim `pb:"2"`
	UnknownRank bool   `pb:"3"`
}

// Dim is one dimension.
type Dim struct {
	Size int64  `pb:"1"`
	Name string `pb:"2"`
}

// TensorProto is a tensor: Content, or one of the lists, whose last element is repeated.
type TensorProto struct {
	DType    int32     `pb:"1"`
	Shape    *Shape    `pb:"2"`
	Content  []byte    `pb:"4"`
	Floats   []float32 `pb:"5"`
	Doubles  []float64 `pb:"6"`
	Ints     []int64   `pb:"7"`
	Strings  []string  `pb:"8"`
	Complex  []float32 `pb:"9"`
	Int64s   []int64   `pb:"10"`
	Bools    []bool    `pb:"11"`
	Complex2 []float64 `pb:"12"`
	Halves   []int64   `pb:"13"`
	Uint32s  []uint32  `pb:"16"`
	Uint64s  []uint64  `pb:"17"`
	Float8s  []byte    `pb:"18"`
	Offset   int64     `pb:"offset"`
}

// SavedObjectGraph is the tree of objects that tf.saved_model.load rebuilds.
type SavedObjectGraph struct {
	Nodes     []*SavedObject               `pb:"1"`
	Functions map[string]*ConcreteFunction `pb:"2"`
}

// SavedObject is one object; Kind is the number of the field that says what it is.
type SavedObject struct {
	Children []*ObjectReference `pb:"1"`
	User     *UserObject        `pb:"4"`
	Asset    *SavedAsset        `pb:"5"`
	Function *SavedFunction     `pb:"6"`
	Variable *SavedVariable     `pb:"7"`
	Bare     *BareFunction      `pb:"8"`
	Constant *SavedConstant     `pb:"9"`
	Resource *SavedResource     `pb:"10"`
}

// ObjectReference is an edge of the tree of objects.
type ObjectReference struct {
	Node int32  `pb:"1"`
	Name string `pb:"2"`
}

// UserObject is an object of a class.
type UserObject struct {
	Identifier string    `pb:"1"`
	Version    *Versions `pb:"2"`
	Metadata   string    `pb:"3"`
}

// SavedAsset is an index into MetaGraph.Assets.
type SavedAsset struct {
	Index int32 `pb:"1"`
}

// SavedFunction is a tf.function with its traces.
type SavedFunction struct {
	Concrete []string `pb:"1"`
}

// SavedVariable is a variable.
type SavedVariable struct {
	DType     int32  `pb:"1"`
	Shape     *Shape `pb:"2"`
	Trainable bool   `pb:"3"`
	Name      string `pb:"6"`
}

// BareFunction is a trace by itself.
type BareFunction struct {
	Name     string   `pb:"1"`
	Keywords []string `pb:"2"`
	Allowed  int64    `pb:"3"`
}

// SavedConstant names a constant's operation.
type SavedConstant struct {
	Operation string `pb:"1"`
}

// SavedResource is a resource such as a table.
type SavedResource struct {
	Device string `pb:"1"`
}

// ConcreteFunction is a trace; BoundInputs are the objects that its last arguments are.
type ConcreteFunction struct {
	BoundInputs []int32          `pb:"2"`
	Input       *StructuredValue `pb:"3"`
	Output      *StructuredValue `pb:"4"`
}

// CheckpointGraph is the tree of objects that a bundle of variables keeps under the key "_CHECKPOINTABLE_OBJECT_GRAPH".
type CheckpointGraph struct {
	Nodes []*CheckpointObject `pb:"1"`
}

// CheckpointObject is one object of a bundle.
type CheckpointObject struct {
	Children   []*ObjectReference `pb:"1"`
	Attributes []*SavedAttribute  `pb:"2"`
}

// SavedAttribute says under which key of the bundle an object's tensor lies.
type SavedAttribute struct {
	Name     string `pb:"1"`
	FullName string `pb:"2"`
	Key      string `pb:"3"`
}

// BundleHeader is the first entry of a bundle's index.
type BundleHeader struct {
	Shards    int32     `pb:"1"`
	BigEndian int32     `pb:"2"`
	Version   *Versions `pb:"3"`
}

// BundleEntry says where a tensor lies. CRC is masked. A tensor with Slices lies in pieces, under keys of their own.
type BundleEntry struct {
	DType  int32         `pb:"1"`
	Shape  *Shape        `pb:"2"`
	Shard  int32         `pb:"3"`
	Offset int64         `pb:"4"`
	Size   int64         `pb:"5"`
	CRC    uint32        `pb:"6,fixed"`
	Slices []*SliceProto `pb:"7"`
}

// SliceProto is a box within a tensor.
type SliceProto struct {
	Extents []*Extent `pb:"1"`
}

// Extent is a box along one axis; Kind is 2 if it has a length, else it is the whole axis.
type Extent struct {
	Kind   int   `pb:"oneof"`
	Start  int64 `pb:"1"`
	Length int64 `pb:"2"`
}
