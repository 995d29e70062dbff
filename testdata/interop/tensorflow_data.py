"""Reads what TensorFlow's models have before the network (tf.Examples, strings, sparse and ragged tensors, pictures, sound) and
TFRecord files that TensorFlow writes, and compares with TensorFlow's own answers.

    python testdata/interop/tensorflow_data.py [--only NAME] [--keep DIR] [--tfsopt bin/tfsopt] [--fixtures]

--fixtures writes what Go's tests read instead: codec/testdata/tensorflow.tfrecord and models in formats/savedmodel/testdata.
"""

import io
import os
import sys
import tempfile
import wave

import numpy as np
import tensorflow as tf
import tensorflow_check as base

model = base.model
base.MODELS.clear()


def save(path, *specs):
    """Saves a function of tensors as the only signature of a module."""

    def add(f):
        m = tf.Module()
        m.run = tf.function(f, input_signature=specs)
        tf.saved_model.save(m, path, signatures=m.run)

    return add


def spec(name, shape=(None,), dtype=tf.string):
    return tf.TensorSpec(shape, dtype, name=name)


def bytes_of(*strings):
    return np.array([s.encode() for s in strings], object)


@model(fixture=True)
def strings(path):
    @save(path, spec("s"), spec("n"))
    def run(s, n):
        low = tf.strings.lower(s)
        return {
            "lower": low, "upper": tf.strings.upper(s, "utf-8"), "strip": tf.strings.strip(s),
            "first": tf.strings.regex_replace(s, r"(\w)(\w*)", r"\2-\1", replace_global=False),
            "clean": tf.strings.regex_replace(low, r"[!-/:-@\[-`{-~]", ""), "match": tf.strings.regex_full_match(s, r".*[0-9]+.*"),
            "join": tf.strings.join([s, "x", low], separator="/"), "length": tf.strings.length(s), "chars": tf.strings.length(s, "UTF8_CHAR"),
            "bucket": tf.strings.to_hash_bucket_fast(s, 1000003), "number": tf.strings.to_number(n),
            "back": tf.strings.as_string(tf.strings.to_number(n, tf.int32)),
        }

    return {"s": bytes_of(" The Cat, SAT! ", "Straße 12\tÄÖ", "", "a" * 40, "née b2b"), "n": bytes_of("1", "-20", "300")}


@model(fixture=True)
def splits(path):
    @save(path, spec("s"))
    def run(s):
        words, fields = tf.strings.split(s), tf.strings.split(s, ",", maxsplit=2)
        return {
            "words": words.to_tensor(""), "fields": fields.to_tensor("-", shape=[None, 4]), "count": words.row_lengths(),
            "sparse": tf.sparse.to_dense(tf.compat.v1.strings.split(s, sep=" ", result_type="SparseTensor"), "?"),
        }

    return {"s": bytes_of("a b  c", "", "one,two,,three four", "  x ")}


def example(**features):
    out = {}
    for name, v in features.items():
        if isinstance(v[0], float):
            out[name] = tf.train.Feature(float_list=tf.train.FloatList(value=v))
        elif isinstance(v[0], int):
            out[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=v))
        else:
            out[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=v))
    return tf.train.Example(features=tf.train.Features(feature=out)).SerializeToString(deterministic=True)


EXAMPLES = np.array([
    example(x=[1.5, -2.0], ids=[3, 1, 4], words=[b"a", b"bb"], seq=[1.0, 2.0, 3.0, 4.0], label=[1]),
    example(x=[0.25, 8.0], words=[b"ccc"], seq=[5.0, 6.0]),
    example(x=[0.0, 1.0], ids=[1, 5], label=[7]),
], object)


@model(fixture=True)
def parse_example(path):
    @save(path, spec("examples"))
    def run(examples):
        p = tf.io.parse_example(examples, {
            "x": tf.io.FixedLenFeature((2,), tf.float32), "none": tf.io.FixedLenFeature((), tf.int64, -1),
            "ids": tf.io.VarLenFeature(tf.int64), "seq": tf.io.FixedLenSequenceFeature((2,), tf.float32, allow_missing=True),
            "words": tf.io.RaggedFeature(tf.string), "numbers": tf.io.RaggedFeature(tf.int64, value_key="label", row_splits_dtype=tf.int64),
        })
        filled, empty = tf.sparse.fill_empty_rows(p["ids"], tf.constant(9, tf.int64))
        return {
            "x": p["x"], "none": p["none"] + p["numbers"].row_lengths(), "seq": p["seq"], "words": p["words"].to_tensor("-"), "numbers": p["numbers"].to_tensor(0),
            "ids": tf.sparse.to_dense(filled), "empty": empty, "flat": tf.sparse.to_dense(tf.sparse.reshape(p["ids"], [-1, 1])),
        }

    return {"examples": EXAMPLES}


@model()
def parse_single(path):
    @save(path, spec("example", ()))
    def run(example):
        p = tf.io.parse_single_example(example, {"x": tf.io.FixedLenFeature((2,), tf.float32), "ids": tf.io.VarLenFeature(tf.int64)})
        return {"x": p["x"], "ids": tf.sparse.to_dense(p["ids"])}

    return {"example": np.array(EXAMPLES[0], object)}


@model(fixture=True)
def embeddings(path):
    table = tf.constant(np.random.default_rng(1).normal(size=(10, 3)).astype("float32"))

    @save(path, spec("ids", (None, None), tf.int64))
    def run(ids):
        s = tf.sparse.from_dense(ids)
        out = {c: tf.nn.safe_embedding_lookup_sparse(table, s, combiner=c) for c in ("sum", "mean", "sqrtn")}
        values, index = tf.unique(tf.reshape(ids, [-1]))
        n = tf.size(values)
        counts = tf.math.unsorted_segment_sum(tf.ones_like(index), index, n)
        return {**out, "values": values, "index": index, "counts": counts}

    return {"ids": np.array([[1, 0, 3], [0, 0, 0], [9, 9, 2]], "int64")}


@model(fixture=True)
def ragged(path):
    @save(path, spec("rows", (None,), tf.int64), spec("values", (None, 2), tf.float32))
    def run(rows, values):
        r = tf.RaggedTensor.from_value_rowids(values, rows, nrows=4)
        two = tf.RaggedTensor.from_row_lengths(r, [3, 0, 1])
        return {"one": r.to_tensor(), "two": two.to_tensor(-1.0), "cut": r.to_tensor(shape=[5, 1, 2]), "sum": tf.reduce_sum(r, 1)}

    return {"rows": np.array([0, 0, 2, 3, 3, 3], "int64"), "values": np.arange(12, dtype="float32").reshape(6, 2)}


def picture():
    r = np.random.default_rng(3)
    small = tf.constant(r.uniform(0, 255, (5, 6, 3)).astype("float32"))
    return tf.cast(tf.image.resize(small, (40, 56), "bicubic"), tf.uint8)


@model(tolerance=0.012)
def jpeg(path):
    """TensorFlow's own transform is the fast one, ours the exact one: 3 of 255 at most lie between them."""

    @save(path, spec("file", ()))
    def run(file):
        return {"rgb": tf.cast(tf.io.decode_jpeg(file, channels=3), tf.float32) / 255, "own": tf.cast(tf.io.decode_jpeg(file), tf.float32) / 255}

    return {"file": np.array(tf.io.encode_jpeg(picture(), quality=80).numpy(), object)}


@model()
def png(path):
    @save(path, spec("file", ()))
    def run(file):
        return {"rgb": tf.io.decode_png(file, channels=3), "float": tf.cast(tf.io.decode_image(file, 3, expand_animations=False), tf.float32) / 255}

    return {"file": np.array(tf.io.encode_png(picture()).numpy(), object)}


@model(fixture=True)
def sound(path):
    @save(path, spec("file", ()))
    def run(file):
        audio, rate = tf.audio.decode_wav(file, desired_samples=1000)
        s = tf.raw_ops.AudioSpectrogram(input=audio, window_size=300, stride=200, magnitude_squared=True)
        m = tf.raw_ops.Mfcc(spectrogram=s, sample_rate=rate, dct_coefficient_count=12, upper_frequency_limit=7000)
        return {"audio": audio, "rate": rate, "root": tf.raw_ops.AudioSpectrogram(input=audio, window_size=256, stride=300), "mfcc": m}

    t = np.arange(900) / 16000
    both = np.stack([np.sin(2 * np.pi * 440 * t) * np.exp(-8 * t), np.sin(2 * np.pi * 3000 * t * (1 + t))], 1)
    b = io.BytesIO()
    with wave.open(b, "wb") as w:
        w.setnchannels(2)
        w.setsampwidth(2)
        w.setframerate(16000)
        w.writeframes((both * 20000).astype("<i2").tobytes())
    return {"file": np.array(b.getvalue(), object)}


@model()
def feature_columns(path):
    """An export of TensorFlow 1 with feature columns: a parsing signature with vocabulary, hashing, buckets and embeddings."""
    fc = tf.compat.v1.feature_column
    words = fc.categorical_column_with_vocabulary_list("word", ["red", "green", "blue"], num_oov_buckets=1)
    city = fc.categorical_column_with_hash_bucket("city", 11)
    age = fc.bucketized_column(fc.numeric_column("age"), [18.0, 30.0, 65.0])
    columns = [fc.indicator_column(words), fc.embedding_column(city, 4, combiner="sqrtn"), age, fc.numeric_column("x", shape=(2,))]
    g = tf.Graph()
    with g.as_default(), tf.compat.v1.Session(graph=g) as s:
        tf.compat.v1.set_random_seed(3)
        examples = tf.compat.v1.placeholder(tf.string, (None,), name="examples")
        parsed = tf.compat.v1.io.parse_example(examples, fc.make_parse_example_spec(columns))
        x = fc.input_layer(parsed, columns)
        y = tf.matmul(x, tf.compat.v1.get_variable("head", (x.shape[1], 3)))
        s.run([tf.compat.v1.global_variables_initializer(), tf.compat.v1.tables_initializer()])
        tf.compat.v1.saved_model.simple_save(s, path, {"examples": examples}, {"y": y}, legacy_init_op=tf.compat.v1.tables_initializer())
    return {"examples": np.array([
        example(word=[b"green"], city=[b"Oslo", b"Rome"], age=[20.0], x=[1.0, 2.0]), example(word=[b"pink", b"red"], age=[70.5], x=[0.0, -1.0]),
        example(city=[b"Bern"], age=[18.0], x=[3.0, 1.0]),
    ], object)}


def record_files(work):
    """Writes labelled tf.Examples as TensorFlow does: plain, gzipped, in shards; gives their pixels and classes."""
    r = np.random.default_rng(6)
    x, y = r.normal(size=(40, 4)).astype("float32"), r.integers(0, 3, 40)
    all_of = [example(pixels=[float(v) for v in row], label=[int(c)], name=[b"%d" % c]) for row, c in zip(x, y)]
    for name, options in [("plain.tfrecord", None), ("packed.tfrecord", tf.io.TFRecordOptions("GZIP"))]:
        with tf.io.TFRecordWriter(os.path.join(work, name), options) as w:
            for e in all_of:
                w.write(e)
    os.makedirs(os.path.join(work, "shards"), exist_ok=True)
    for i in range(3):
        with tf.io.TFRecordWriter(os.path.join(work, "shards", f"set.tfrecord-{i:05d}-of-00003")) as w:
            for e in all_of[i * 14:(i + 1) * 14]:
                w.write(e)
    return x, y


def records(binary):
    """evaluate must find the accuracy that NumPy finds, from every form of the files."""
    work = tempfile.mkdtemp()
    x, y = record_files(work)
    w = np.random.default_rng(7).normal(size=(4, 3)).astype("float32")
    saved = os.path.join(work, "model")
    save(saved, spec("x", (None, 4), tf.float32))(lambda x: {"y": tf.matmul(x, w)})
    want = 100 * np.mean(np.argmax(x @ w, 1) == y)
    for data, label in [("plain.tfrecord", "label"), ("packed.tfrecord", "label"), ("shards", "name"), ("shards/set*", "label")]:
        got = base.tfsopt(binary, "evaluate", saved, "--data", os.path.join(work, data), "--features", "pixels=x", "--label", label, "--no-latency", "--json")
        if got["samples"] != 40 or abs(got["model"]["top1"] - want) > 1e-6:
            raise RuntimeError(f"{data}: top-1 {got['model']['top1']} of {got['samples']}, want {want} of 40")
    return f"top-1 {want:.1f} from 4 forms"


def fixture():
    path = os.path.join(os.path.dirname(__file__), "../../codec/testdata/tensorflow.tfrecord")
    with tf.io.TFRecordWriter(path) as w:
        for e in EXAMPLES:
            w.write(e)


if __name__ == "__main__":
    if "--fixtures" in sys.argv:
        fixture()
        base.main()
        sys.exit()
    binary = sys.argv[sys.argv.index("--tfsopt") + 1] if "--tfsopt" in sys.argv else "bin/tfsopt"
    if "--only" not in sys.argv:
        print("ok    records:", records(binary), flush=True)
    base.main()
