#!/usr/bin/env python3
"""Checks classical models, as their converters write them, against ONNX Runtime: labels equal, scores within rounding."""

import base64
import json
import pathlib
import sys
import tempfile
import time
import warnings

import lightgbm
import numpy as np
import onnx
import onnxmltools
import xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as MLFloat
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn import ensemble, linear_model, naive_bayes, neighbors, neural_network, pipeline, svm, tree
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import (
    Binarizer, MinMaxScaler, Normalizer, OneHotEncoder, OrdinalEncoder, RobustScaler, StandardScaler,
)

import runtime
from tfsopt import tfsopt

RELATIVE, ABSOLUTE = 1e-5, 1e-6
LOOSE = {"NuSVC": 1e-5}  # the sum of many tanh, which ONNX Runtime approximates; absolute
ROWS, FEATURES, OPSET = 300, 6, {"": 18, "ai.onnx.ml": 3}
RNG = np.random.default_rng(0)


def table(rows=ROWS):
    """Numbers, some of them missing, and two columns of words."""
    x = RNG.normal(size=(rows, FEATURES)).astype(np.float32)
    colour = RNG.choice(["red", "green", "blue"], rows).astype(object)
    size = RNG.integers(0, 4, rows)
    y = x[:, 0] + x[:, 1] * x[:, 2] + (colour == "red") - 0.3 * size
    return x, colour, size, y.astype(np.float32)


X, COLOUR, SIZE, Y = table()
GAPS = np.where(RNG.random(X.shape) < 0.1, np.float32(np.nan), X)
TWO, THREE = (Y > 0).astype(np.int64), np.digitize(Y, [-0.7, 0.7]).astype(np.int64)
WORDS = np.array(["low", "middle", "high"])[THREE]


def models():
    """Name, what converts the model, and the inputs of each case."""
    yield from scikit()
    yield from mixed()
    yield from boosted()


def scikit():
    classifiers = {
        "logistic": linear_model.LogisticRegression(), "forest": ensemble.RandomForestClassifier(20, random_state=0),
        "extra trees": ensemble.ExtraTreesClassifier(20, random_state=0), "tree": tree.DecisionTreeClassifier(max_depth=5, random_state=0),
        "boosting": ensemble.GradientBoostingClassifier(n_estimators=10, random_state=0),
        "histograms": ensemble.HistGradientBoostingClassifier(max_iter=10, random_state=0),
        "bagging": ensemble.BaggingClassifier(n_estimators=5, random_state=0),
        "AdaBoost": ensemble.AdaBoostClassifier(n_estimators=5, random_state=0),
        "SVC": svm.SVC(), "SVC, probabilities": svm.SVC(probability=True, random_state=0), "polynomial SVC": svm.SVC(kernel="poly"),
        "NuSVC": svm.NuSVC(nu=0.2, kernel="sigmoid"), "linear SVC": svm.LinearSVC(), "SGD": linear_model.SGDClassifier(random_state=0),
        "ridge": linear_model.RidgeClassifier(), "MLP": neural_network.MLPClassifier((8,), max_iter=50, random_state=0),
        "naive Bayes": naive_bayes.GaussianNB(), "neighbours": neighbors.KNeighborsClassifier(3),
        "voting": ensemble.VotingClassifier(
            [("a", linear_model.LogisticRegression()), ("b", tree.DecisionTreeClassifier(max_depth=3, random_state=0))], voting="soft", flatten_transform=False
        ),
        "stacking": ensemble.StackingClassifier([("a", tree.DecisionTreeClassifier(max_depth=3, random_state=0))], cv=2),
    }
    for name, model in classifiers.items():
        for kind, y in ("2 classes", TWO), ("3 classes", THREE), ("words", WORDS):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                fitted = model.fit(X, y)
                plain = {"zipmap": False} if kind == "3 classes" and name != "linear SVC" else {}
                yield f"{name}, {kind}", lambda: to_onnx(fitted, X[:1], target_opset=OPSET, options={id(fitted): plain} if plain else None), {"X": X}
    regressors = {
        "linear": linear_model.LinearRegression(), "Lasso": linear_model.Lasso(0.01), "SVR": svm.SVR(), "NuSVR": svm.NuSVR(kernel="poly"),
        "forest": ensemble.RandomForestRegressor(20, random_state=0), "extra trees": ensemble.ExtraTreesRegressor(20, random_state=0),
        "boosting": ensemble.GradientBoostingRegressor(n_estimators=10, random_state=0),
        "histograms": ensemble.HistGradientBoostingRegressor(max_iter=10, random_state=0),
        "tree": tree.DecisionTreeRegressor(max_depth=6, random_state=0), "MLP": neural_network.MLPRegressor(hidden_layer_sizes=(8,), max_iter=50, random_state=0),
        "Poisson": linear_model.PoissonRegressor(),
    }
    for name, model in regressors.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield f"{name}, regression", lambda: to_onnx(model.fit(X, np.abs(Y)), X[:1], target_opset=OPSET), {"X": X}
    two = ensemble.RandomForestRegressor(5, random_state=0).fit(X, np.stack([Y, -Y * Y], 1))
    yield "forest, 2 targets", lambda: to_onnx(two, X[:1], target_opset=OPSET), {"X": X}
    yield "one class", lambda: to_onnx(svm.OneClassSVM().fit(X), X[:1], target_opset=OPSET), {"X": X}
    steps = [MinMaxScaler(), RobustScaler(), Binarizer(threshold=0.1), Normalizer("l1"), Normalizer("l2"), Normalizer("max")]
    for step in steps:
        yield f"{step}", lambda: to_onnx(step.fit(X), X[:1], target_opset=OPSET), {"X": X}


def mixed():
    """Columns of numbers with gaps, words and integers, each prepared in its own way."""
    import pandas

    frame = pandas.DataFrame({"a": GAPS[:, 0], "b": GAPS[:, 1], "colour": COLOUR, "size": SIZE})
    numbers = pipeline.make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    types = [(c, FloatTensorType([None, 1])) for c in "ab"] + [("colour", StringTensorType([None, 1])), ("size", Int64TensorType([None, 1]))]
    inputs = {"a": GAPS[:, :1], "b": GAPS[:, 1:2], "colour": COLOUR[:, None], "size": SIZE[:, None]}
    for name, words in ("one-hot", OneHotEncoder(handle_unknown="ignore")), ("ordinal", OrdinalEncoder()):
        columns = ColumnTransformer([("n", numbers, ["a", "b"]), ("w", words, ["colour"]), ("i", OneHotEncoder(), ["size"])])
        for model, y in (linear_model.LogisticRegression(), WORDS), (ensemble.RandomForestClassifier(10, random_state=0), TWO), (linear_model.Ridge(), Y):
            fitted = pipeline.make_pipeline(columns, model).fit(frame, y)
            yield f"{name}, {type(model).__name__}", lambda: to_onnx(fitted, initial_types=types, target_opset=OPSET), inputs


def boosted():
    kind = [("X", MLFloat([None, FEATURES]))]
    for name, y in ("2 classes", TWO), ("3 classes", THREE):
        for x, gaps in (X, ""), (GAPS, ", gaps"):
            model = xgboost.XGBClassifier(n_estimators=10, max_depth=4, base_score=0.5).fit(x, y)
            yield f"xgboost, {name}{gaps}", lambda: onnxmltools.convert_xgboost(model, initial_types=kind, target_opset=15), {"X": x}
            model = lightgbm.LGBMClassifier(n_estimators=10, verbose=-1).fit(x, y)
            yield f"lightgbm, {name}{gaps}", lambda: onnxmltools.convert_lightgbm(model, initial_types=kind, target_opset=15), {"X": x}
    for x, gaps in (X, ""), (GAPS, ", gaps"):
        model = xgboost.XGBRegressor(n_estimators=10, max_depth=4, base_score=0.5).fit(x, Y)
        yield f"xgboost, regression{gaps}", lambda: onnxmltools.convert_xgboost(model, initial_types=kind, target_opset=15), {"X": x}
        model = lightgbm.LGBMRegressor(n_estimators=10, verbose=-1).fit(x, Y)
        yield f"lightgbm, regression{gaps}", lambda: onnxmltools.convert_lightgbm(model, initial_types=kind, target_opset=15), {"X": x}


def write_input(path, x):
    if x.dtype != object:
        np.save(path.with_suffix(".npy"), x)
        return path.with_suffix(".npy")
    path = path.with_suffix(".json")
    path.write_text(json.dumps({"shape": list(x.shape), "b64": [base64.b64encode(s.encode()).decode() for s in x.ravel()]}))
    return path


def read_output(path):
    if path.endswith(".npy"):
        return np.load(path)
    t = json.loads(pathlib.Path(path).read_text())
    return np.array([base64.b64decode(s).decode() for s in t["b64"]], object).reshape(t["shape"])


def columns_of(maps):
    """What a ZipMap made, as the tensor that it was made of; labels of the columns are sorted by the first row."""
    if isinstance(maps, list):
        return np.array([[row[k] for k in maps[0]] for row in maps], np.float32)
    return maps


def compare(path, inputs, tmp, absolute):
    """Says what differs between ONNX Runtime's outputs and ours, None if nothing does."""
    args = [a for name, x in inputs.items() for a in ("--input", f"{name}={write_input(tmp / f'in_{name}', x)}")]
    ours = tfsopt("run", path, *args, "-o", tmp / "out")["outputs"]
    for got, want in zip(ours, runtime.session(path).run(None, inputs), strict=True):
        x, want = read_output(got["file"]), columns_of(want)
        if x.shape != want.shape:
            return f"{got['name']}: {x.shape} for {want.shape}"
        if want.dtype.kind in "fc":
            same = np.isclose(x, want, rtol=RELATIVE, atol=absolute, equal_nan=True)
        else:
            same = x == want
        if not same.all():
            at = tuple(np.argwhere(~same)[0])
            return f"{got['name']}: {(~same).sum()} of {same.size} differ, at {at} {x[at]} for {want[at]}"
    return None


def main():
    start, wrong, count = time.time(), 0, 0
    print(f"classical models against ONNX Runtime, {ROWS} rows each: labels equal, scores within {RELATIVE} + {ABSOLUTE}", flush=True)
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        for name, convert, inputs in models():
            count += 1
            path, again = tmp / "model.onnx", tmp / "again.onnx"
            try:
                onnx.save(convert(), path)
                error = compare(path, inputs, tmp, LOOSE.get(name.split(",")[0], ABSOLUTE))
                tfsopt("convert", path, "-o", again)
                kinds = [[o.type for o in runtime.session(p).get_outputs()] for p in (path, again)]
                if not error and kinds[0] != kinds[1]:
                    error = f"saved with outputs {kinds[1]} for {kinds[0]}"
            except Exception as e:
                error = f"{type(e).__name__}: {e}".strip()
            if error:
                wrong += 1
                print(f"  {name}: WRONG: {error}", flush=True)
    print(f"  {count} models, {wrong} wrong, {time.time() - start:.0f} s", flush=True)
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
