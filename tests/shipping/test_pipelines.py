"""Pipelines with our estimators, converted by skl2onnx.

Answers for: onnx/_registration.py, onnx/_skl2onnx.py.
"""

import importlib.util
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import skl2onnx
from numpy.testing import assert_allclose
from runtimes import assert_same, quick_classifier, quick_regressor, run
from skl2onnx.common.data_types import (
    BooleanTensorType,
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skbackprop import BackpropMLPClassifier, BackpropMLPRegressor, TabularEncoder
from skbackprop.onnx import _registration, register_with_skl2onnx, to_onnx
from skbackprop.onnx._export import CLASSES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(5)
N = 80
X = RNG.normal(2, 3, size=(N, 4))
LABELS = {
    "two": X[:, 0] > 2,
    "integers": RNG.integers(3, size=N) * 5,
    "strings": np.array(["no", "yes", "é"])[RNG.integers(3, size=N)],
    "labels": (X[:, :2] > 2).astype(int),
}
#: An option that every classifier of a pipeline has.
PLAIN = {"zipmap": False}
ROUNDING = 1e-6
QUICK = {"max_iter": 2, "random_state": 0}


def classifier(hidden=(4,), activation="relu"):
    return BackpropMLPClassifier(hidden, activation, **QUICK)


def scaled(estimator):
    return make_pipeline(StandardScaler(), estimator)


def converted(model, types=None, options=PLAIN, opset=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        if types is None:
            types = [("X", FloatTensorType([None, X.shape[1]]))]
        return skl2onnx.convert_sklearn(
            model, initial_types=types, options=options, target_opset=opset
        )


def assert_converts(model, y, atol=ROUNDING, **parameters):
    single = X.astype(np.float32)
    model.fit(single, y)
    made = converted(model, **parameters)
    assert_same(run(made, {"X": single}), model, single, atol=atol)
    return made


@pytest.mark.parametrize("y", LABELS.values(), ids=LABELS)
def test_a_scaler_and_a_classifier(y):
    if y.dtype == bool:  # skl2onnx knows no labels of booleans
        y = y.astype(int)
    assert_converts(scaled(classifier()), y)


@pytest.mark.parametrize("opset", [13, 17, 21])
def test_operators_are_those_of_older_opsets_too(opset):
    versions = {"": opset, "ai.onnx.ml": 3}
    for activation in ("gelu", "mish", "selu"):
        model = scaled(classifier(activation=activation))
        made = assert_converts(model, LABELS["strings"], opset=versions)
        assert all(each.version <= versions[each.domain] for each in made.opset_import)


def test_booleans_become_integers():
    model = scaled(classifier()).fit(X, LABELS["two"])
    made = converted(model, [("X", DoubleTensorType([None, 4]))])
    label = run(made, {"X": X})["label"]
    assert label.dtype == np.int64
    assert (label == model.predict(X)).all()


def test_labels_that_skl2onnx_has_no_place_for():
    y = LABELS["integers"].astype(np.uint64) + np.uint64(2**63)
    model = classifier().fit(X, y)
    with pytest.raises(ValueError, match=f"classes_ has {2**63 + 10}, which"):
        converted(model)


def test_doubles_stay_doubles():
    for estimator in (classifier(activation="gelu"), classifier((), "relu")):
        model = scaled(estimator).fit(X, LABELS["strings"])
        made = converted(model, [("X", DoubleTensorType([None, 4]))])
        assert_same(run(made, {"X": X}), model, X, atol=1e-13)


@pytest.mark.parametrize("quantile", [0.5, [0.2, 0.8]])
@pytest.mark.parametrize("n_targets", [1, 2])
def test_regressors(n_targets, quantile):
    for estimator in (
        BackpropMLPRegressor((4,), loss="quantile", quantile=quantile, **QUICK),
        quick_regressor(loss="quantile", quantile=quantile),
    ):
        assert_converts(
            scaled(estimator), X[:, :n_targets].squeeze(), options=None, atol=1e-6
        )


def test_dictionaries_of_probabilities():
    """What skl2onnx makes without an option."""
    single = X.astype(np.float32)
    model = scaled(classifier()).fit(single, LABELS["strings"])
    first = run(converted(model, options=None), {"X": single})["output_probability"][0]
    assert [*first] == ["no", "yes", "é"]
    assert_allclose([*first.values()], model.predict_proba(single[:1])[0], atol=1e-6)
    columns = converted(model, options={"zipmap": "columns"})
    names = [each.name for each in columns.graph.output]
    assert names == ["output_label", "sno", "syes", "sé"]


def test_places_of_labels():
    """The option nocl leaves out what the classes are called."""
    model = classifier().fit(X, LABELS["strings"])
    types = [("X", DoubleTensorType([None, 4]))]
    made = converted(model, types, options=PLAIN | {"nocl": True})
    place = run(made, {"X": X})["label"]
    assert (model.classes_[place] == model.predict(X)).all()


@pytest.mark.parametrize("y", [LABELS["integers"], LABELS["strings"] == "no"])
@pytest.mark.parametrize(
    "estimator", [classifier(), quick_classifier()], ids=["one", "ensemble"]
)
def test_calibration_is_of_decisions(estimator, y):
    model = CalibratedClassifierCV(clone(estimator), cv=2)
    assert_converts(model, y.astype(int))


@pytest.mark.parametrize("y", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize(
    "estimator", [classifier(), quick_classifier()], ids=["one", "ensemble"]
)
def test_decisions_that_are_beyond_doubt(estimator, y):
    """Logarithms of probabilities that float32 has no place for."""
    model = clone(estimator).fit(X, y)
    if hasattr(model, "_bag"):
        topology, thetas = model._bag
        while np.abs(model.decision_function(X)).max() < 200:
            for theta in thetas:
                for each in (group[-1] for group in topology.views(theta)):
                    each *= 1.5
    types = [("X", DoubleTensorType([None, 4]))]
    made = converted(model, types, options=PLAIN | {"raw_scores": True})
    decisions = run(made, {"X": X})["probabilities"]
    expected = model.decision_function(X)
    if expected.ndim == 1:
        assert_allclose(decisions[:, 0], -decisions[:, 1])
        decisions = decisions[:, 1]
    assert_allclose(decisions, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "model",
    [
        GridSearchCV(scaled(classifier()), {"standardscaler__with_mean": [True]}, cv=2),
        BaggingClassifier(classifier(), n_estimators=2),
        VotingClassifier(
            [("a", scaled(classifier())), ("b", LogisticRegression())],
            voting="soft",
            flatten_transform=False,
        ),
    ],
    ids=["search", "bag", "vote"],
)
def test_models_of_models(model):
    assert_converts(model, LABELS["strings"])


# Tables

FRAME = pd.DataFrame(
    {
        "a": X[:, 0].astype(np.float32),
        "city": np.array(["u", "v", "w"])[RNG.integers(3, size=N)],
        "rooms": RNG.integers(1, 5, size=N),
        "old": X[:, 1] > 2,
        "b": X[:, 2].astype(np.float32),
    }
)
TYPES = {
    "a": FloatTensorType,
    "city": StringTensorType,
    "rooms": Int64TensorType,
    "old": BooleanTensorType,
    "b": FloatTensorType,
}


def types_of(frame, width=1):
    return [(name, TYPES[name]([None, width])) for name in frame]


def inputs_of(frame):
    return {
        name: frame[[name]].to_numpy(object if name == "city" else None)
        for name in frame
    }


def test_transformers_of_columns():
    some = FRAME[["a", "city", "rooms"]]
    model = make_pipeline(
        ColumnTransformer(
            [
                ("numbers", StandardScaler(), ["a", "rooms"]),
                ("city", OneHotEncoder(), ["city"]),
            ]
        ),
        classifier(),
    ).fit(some, LABELS["strings"])
    made = converted(model, types_of(some))
    assert_same(run(made, inputs_of(some)), model, some, atol=ROUNDING)


@pytest.mark.parametrize(
    "model",
    [
        quick_classifier(categorical_features=["city", "rooms", "old"]),
        quick_classifier(max_one_hot=3),
        make_pipeline(TabularEncoder(max_one_hot=2), classifier()),
    ],
    ids=["codes", "one-hot", "encoder"],
)
def test_tables_go_in_as_they_are(model):
    model.fit(FRAME, LABELS["strings"])
    made = converted(model, types_of(FRAME))
    assert_same(run(made, inputs_of(FRAME)), model, FRAME, atol=ROUNDING)


def test_several_columns_in_a_tensor():
    """One of which says nothing."""
    some = FRAME[["a", "b", "city"]].assign(town=FRAME["city"].to_numpy()[::-1])
    some.insert(1, "constant", np.float32(1))
    model = quick_classifier().fit(some, LABELS["two"])
    types = [("X", FloatTensorType([None, 3])), ("T", StringTensorType([None, 2]))]
    made = converted(model, types)
    inputs = {
        "X": some[["a", "constant", "b"]].to_numpy(),
        "T": some[["city", "town"]].to_numpy(object),
    }
    probabilities = run(made, inputs)["probabilities"]
    assert np.abs(probabilities - model.predict_proba(some)).max() < ROUNDING


@pytest.mark.parametrize(
    ("types", "error", "message"),
    [
        ({"a": StringTensorType}, TypeError, "'a' held numbers in fit"),
        ({"city": FloatTensorType}, TypeError, "'city' held strings in fit"),
        ({}, ValueError, "has 2 columns, and its inputs hold 4"),
        ({"day": FloatTensorType}, TypeError, "'day' held dates in fit"),
    ],
)
def test_tensors_that_are_not_those_of_the_table(types, error, message):
    some = FRAME[["a", "city"]]
    if "day" in types:
        some = some.assign(day=pd.date_range("2024-01-01", periods=N))
    model = quick_classifier(dates="numbers").fit(some, LABELS["two"])
    width = 1 if types else 2
    types = [(n, (TYPES | types)[n]([None, width])) for n in some]
    with pytest.raises(error, match=message):
        converted(model, types)


def test_a_network_takes_no_text():
    model = classifier().fit(X[:, :1], LABELS["two"])
    with pytest.raises(TypeError, match="takes numbers only"):
        converted(model, [("X", StringTensorType([None, 1]))])


def test_the_number_of_columns_must_be_known():
    model = classifier().fit(X, LABELS["two"])
    with pytest.raises(ValueError, match="'X' must have a known number of columns"):
        converted(model, [("X", FloatTensorType([None, None]))])


def test_both_ways_give_the_same_nodes():
    model = classifier().fit(X, LABELS["strings"])
    ours, theirs = (
        to_onnx(model),
        converted(model, [("X", DoubleTensorType([None, 4]))]),
    )
    kinds = [
        sorted(node.op_type for node in each.graph.node if node.op_type != "Cast")
        for each in (ours, theirs)
    ]
    names = [set(each) - {"Identity"} for each in kinds]
    assert names[0] == names[1]
    assert abs(len(kinds[0]) - len(kinds[1])) <= 2  # of Identity


# Registration


def test_skl2onnx_is_told_when_it_comes_and_not_imported_before():
    program = """
import sys, skbackprop
skbackprop.onnx.register_with_skl2onnx()
print("skl2onnx" in sys.modules, len([f for f in sys.meta_path if "_Fi" in str(f)]))
import importlib.util
importlib.util.find_spec("skl2onnx")
from skl2onnx.common._registration import _converter_pool
print(*[name for name in _converter_pool if name.startswith("Skbackprop")])
"""
    process = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    first, second = process.stdout.splitlines()
    assert first == "False 1"
    assert set(second.split()) == {f"Skbackprop{each.__name__}" for each in CLASSES}


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Another module in the place of skl2onnx, and how often it has been told."""
    told = []
    (tmp_path / "a_converter.py").write_text("name = 'the module'\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(_registration, "_LIBRARY", "a_converter")
    monkeypatch.setattr(_registration, "_register", lambda: told.append(1))
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    yield told
    sys.modules.pop("a_converter", None)


def test_whoever_comes_first(library):
    """To register again is as good as once; nothing is left among the finders."""
    before = [*sys.meta_path]
    register_with_skl2onnx()
    register_with_skl2onnx()
    assert len(sys.meta_path) == len(before) + 1
    assert importlib.util.find_spec("a_converter") is not None
    assert importlib.import_module("a_converter").name == "the module"
    assert (library, sys.meta_path) == ([1], before)
    register_with_skl2onnx()
    assert (library, sys.meta_path) == ([1, 1], before)


def test_a_library_that_is_not_there(library, monkeypatch):
    monkeypatch.setattr(_registration, "_LIBRARY", "not_installed_here")
    register_with_skl2onnx()
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("not_installed_here")
    assert library == []


def test_convergence_is_not_asked_for():
    """The fits of this module end early; nothing else may be hidden by that."""
    with pytest.warns(ConvergenceWarning):
        classifier().fit(X, LABELS["two"])
