"""Single networks as ONNX: formulas, kinds of outputs, and what is refused.

Answers for: onnx/__init__.py, onnx/_activations.py, onnx/_export.py, onnx/_graph.py,
onnx/_networks.py, onnx/_outputs.py.
"""

import builtins
import json
import warnings
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import reference
import scipy.sparse as sp
from helpers import SQUARED
from numpy.testing import assert_allclose, assert_array_equal
from runtimes import assert_predicts_the_same, assert_same, run
from scipy.special import erfc
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skbackprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    Network,
    TabularEncoder,
    TabularMLPClassifier,
)
from skbackprop._layers import HIDDEN_ACTIVATIONS, LOSSES
from skbackprop.core.activations import Activation
from skbackprop.onnx import _export, make_inputs, to_onnx
from skbackprop.onnx._activations import FORMULAS, activate
from skbackprop.onnx._graph import ModelGraph, tensor_type
from skbackprop.onnx._networks import network
from skbackprop.onnx._outputs import outputs_of

RNG = np.random.default_rng(3)
N = 60
X = RNG.standard_normal((N, 5))
LABELS = RNG.integers(3, size=N)
TYPES = [np.float32, np.float64]
#: What rounding leaves, in several layers.
ROUNDING = {np.float32: 2e-6, np.float64: 2e-14}
#: The losses that a regressor has.
REGRESSIONS = [
    name
    for name in LOSSES
    if any(rule.accepts(name) for rule in BackpropMLPRegressor._rules["loss"])
]


def fitted(estimator, y, dtype=np.float64):
    """After an epoch or two: any parameters will do."""
    estimator.set_params(max_iter=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(X.astype(dtype), y)


def formula(kind, z):
    """What the nodes of an activation make of z, run alone."""
    graph = ModelGraph({"z", "a"})
    graph.name(activate(graph, kind, "z", z.dtype.type), "a")
    kind, shape = tensor_type(z.dtype), [None, z.shape[1]]
    made, answers = (
        [onnx.helper.make_tensor_value_info(name, kind, shape)] for name in ("z", "a")
    )
    model = onnx.helper.make_model(
        onnx.helper.make_graph(graph.nodes, "g", made, answers, graph.constants),
        opset_imports=[onnx.helper.make_opsetid("", 13)],
        ir_version=8,
    )
    return run(model, {"z": z})["a"]


# Formulas


def test_every_activation_has_a_formula():
    assert set(FORMULAS) == set(Activation)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("kind", Activation)
def test_formulas_are_those_of_the_reference(kind, dtype):
    """Also where e^z overflows, and of NaN, which stays one."""
    sizes = np.concatenate([np.linspace(0, 12, 481), np.geomspace(1e-30, 80, 200)])
    z = np.concatenate([-sizes, sizes]).astype(dtype)[:, None]
    function = getattr(reference, kind.name.lower())
    if kind == Activation.SOFTMAX:
        z = np.hstack([z, -2 * z, z[::-1], np.zeros_like(z)])
    a, expected = formula(kind, z), function(z.astype(np.float64))
    assert a.dtype == dtype
    scale = np.maximum(1, np.abs(expected) if kind == Activation.EXP else np.abs(z))
    steps = 80 if kind == Activation.EXP else 6  # its relative error grows with z
    assert_allclose((a - expected) / scale, 0, atol=steps * np.finfo(dtype).eps)
    if kind != Activation.EXP:
        huge = np.array([[-1e4, 1e4]], dtype).reshape(-1, 1 + (a.shape[1] > 1))
        expected = function(huge.astype(float))
        # Some runtimes leave a little of exp(-1e4).
        assert_allclose(formula(kind, huge), expected, rtol=1e-6, atol=1e-290)
    assert np.isnan(formula(kind, np.full((3, a.shape[1]), np.nan, dtype))).all()


def test_a_small_probability_is_as_exact_as_a_large_one():
    z = np.linspace(-80, 10, 500, dtype=np.float32)[:, None]
    exact = 1 / (1 + np.exp(-z.astype(np.float64)))
    assert_allclose(formula(Activation.SIGMOID, z), exact, rtol=5e-6)


def test_gelu_in_double_is_as_exact_in_its_tail():
    z = -np.linspace(0, 30, 400)[:, None]
    exact = z * erfc(-z * np.sqrt(0.5)) / 2
    assert_allclose(formula(Activation.GELU, z), exact, rtol=1e-11)


# Networks


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("activation", HIDDEN_ACTIVATIONS)
def test_activations_of_hidden_layers(activation, dtype):
    mlp = fitted(BackpropMLPClassifier((6, 4), activation), LABELS, dtype)
    model = assert_predicts_the_same(mlp, X.astype(dtype), atol=ROUNDING[dtype])
    (each,) = model.graph.input
    assert each.name == "X"
    assert each.type.tensor_type.elem_type == tensor_type(dtype)


TARGETS = {
    "two classes": LABELS > 0,
    "strings": np.array(["no", "yes", "perhaps"])[LABELS],
    "two strings": np.array(["", "é"])[LABELS // 2],
    "integers": LABELS * 2**40 - 7,
    "unsigned": LABELS.astype(np.uint64) + np.uint64(2**63),
    "small integers": LABELS.astype(np.int8),
    "floats": LABELS.astype(np.float64),
    "objects": np.array(["a", "b", "c"], dtype=object)[LABELS],
    "one class": np.full(N, "only"),
    "labels": (X[:, :3] > 0).astype(int),
}


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("y", TARGETS.values(), ids=TARGETS)
def test_kinds_of_labels(y, dtype):
    mlp = fitted(BackpropMLPClassifier(()), y, dtype)
    model = assert_predicts_the_same(
        mlp, X.astype(dtype), atol=ROUNDING[dtype], constant=len(mlp.classes_) == 1
    )
    said = {each.key: json.loads(each.value) for each in model.metadata_props}
    assert said["skbackprop.classes"] == mlp.classes_.tolist()


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("hidden", [(), (6, 4)])
@pytest.mark.parametrize("loss", REGRESSIONS)
def test_losses_of_a_regressor(loss, hidden, n_targets, dtype):
    y = np.abs(X[:, :n_targets]).squeeze()
    mlp = fitted(BackpropMLPRegressor(hidden, loss=loss), y, dtype)
    assert_predicts_the_same(mlp, X.astype(dtype), atol=ROUNDING[dtype])


@pytest.mark.parametrize("n_targets", [1, 2])
def test_several_quantiles_increase(n_targets):
    """An untrained network's would not."""
    mlp = BackpropMLPRegressor((4,), loss="quantile", quantile=[0.1, 0.5, 0.9])
    fitted(mlp, X[:, :n_targets].squeeze())
    assert (np.diff(mlp._outputs(X).reshape(N, -1, 3), axis=2) < 0).any()
    assert_predicts_the_same(mlp, X, atol=1e-14)


def test_a_layer_of_its_own_activation_each():
    mlp = fitted(BackpropMLPRegressor((3, 3, 3), ["tanh", "relu", "gelu"]), X[:, 0])
    assert_predicts_the_same(mlp, X, atol=1e-14)


def test_parameters_that_somebody_has_assigned_are_shipped():
    mlp = fitted(BackpropMLPRegressor((3,)), X[:, 0])
    before = mlp.predict(X)
    mlp.coefs_[0] = mlp.coefs_[0] * 2
    mlp.out_activation_ = "relu"
    assert np.abs(mlp.predict(X) - before).max() > 0.1
    assert_predicts_the_same(mlp, X, atol=1e-14)


@pytest.mark.parametrize("rows", [1, 9])
def test_any_number_of_rows(rows):
    mlp = fitted(BackpropMLPClassifier((3,)), LABELS)
    assert_predicts_the_same(mlp, X[:rows], atol=1e-14)


def test_inputs_of_another_type_are_cast():
    mlp = fitted(BackpropMLPClassifier((3,)), LABELS)
    single = X.astype(np.float32)
    model = assert_predicts_the_same(mlp, single, atol=1e-14, input_dtype="float32")
    assert make_inputs(model, X)["X"].dtype == np.float32


def test_a_model_of_sparse_rows_takes_dense_ones():
    mlp = BackpropMLPClassifier((3,), solver="lbfgs", alpha=10.0, random_state=0)
    mlp.fit(sp.csr_array(X), LABELS)
    model = assert_predicts_the_same(mlp, X, atol=1e-14)
    assert_array_equal(make_inputs(model, sp.csr_array(X))["X"], X)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("y", [LABELS, LABELS > 0, LABELS > 5, X[:, :2]])
def test_rows_that_predict_refuses_are_answered_by_nan(y, bad):
    """Though relu makes 0 of it, and a saturated unit says what it likes."""
    kind = BackpropMLPRegressor if np.ndim(y) == 2 else BackpropMLPClassifier
    mlp = fitted(kind((3,)), y, np.float32)
    for W in mlp.coefs_:
        W[...] = -np.abs(W)
    rows = X.astype(np.float32)
    rows[3, 1] = bad
    with pytest.raises(ValueError):
        mlp.predict(rows)
    outputs = run(to_onnx(mlp), {"X": rows})
    numbers = outputs.get("probabilities", outputs.get("variable"))
    assert np.isnan(numbers[3]).all()
    assert np.isfinite(np.delete(numbers, 3, axis=0)).all()
    if "label" in outputs:
        assert outputs["label"][3] == mlp.classes_[0]


# What is refused


@pytest.mark.parametrize("class_", [BackpropMLPClassifier, TabularMLPClassifier])
def test_an_estimator_that_is_not_fitted(class_):
    with pytest.raises(NotFittedError, match="not fitted"):
        to_onnx(class_())
    with pytest.raises(NotFittedError, match="not fitted"):
        to_onnx(TabularEncoder())


class Child(BackpropMLPClassifier):
    """It might predict something else."""


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (LogisticRegression(), r"Got LogisticRegression\(\), of type Logistic"),
        (make_pipeline(BackpropMLPClassifier()), r"skl2onnx\.to_onnx\(pipeline, X\)"),
        (Network([1, 1], (), **SQUARED), "among BackpropMLPClassifier, Backprop"),
        (BackpropMLPClassifier, "of type ABCMeta|of type type"),
        (Child(), "may predict otherwise"),
        (None, "Got None"),
    ],
)
def test_other_objects(other, message):
    with pytest.raises(TypeError, match=message):
        to_onnx(other)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"missing": None}, "'missing' parameter of to_onnx must be a str. Got None"),
        ({"input_dtype": "int8"}, "'input_dtype' .* None or float32, float64"),
    ],
)
def test_parameters_that_are_not_allowed(parameters, message):
    mlp = fitted(BackpropMLPClassifier(()), LABELS)
    with pytest.raises(ValueError, match=message):
        to_onnx(mlp, **parameters)


def test_without_onnx_the_error_says_what_to_install(monkeypatch):
    mlp, real_import = fitted(BackpropMLPClassifier(()), LABELS), builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] == "onnx":
            raise ImportError("No module named 'onnx'")
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r'pip install "skbackprop\[onnx\]"'):
        to_onnx(mlp)


def test_layers_that_are_not_dense():
    """There is no such kind yet: docs/extending_layers.md adds one."""
    topology = SimpleNamespace(kinds=(0, 1), views=lambda theta: ([], []))
    with pytest.raises(ValueError, match="dense layers only"):
        network(ModelGraph(set()), topology, np.zeros(1), "x")


def test_a_model_beyond_the_format(monkeypatch):
    monkeypatch.setattr(_export, "_MOST_BYTES", 1000)
    mlp = fitted(BackpropMLPClassifier((100,)), LABELS)
    with pytest.raises(ValueError, match="bytes of parameters"):
        to_onnx(mlp)


# The model


def test_what_a_model_declares():
    model = to_onnx(fitted(BackpropMLPClassifier((3,)), LABELS))
    assert {each.domain: each.version for each in model.opset_import} == {
        "": 21,
        "ai.onnx.ml": 4,
    }
    assert model.ir_version == 10
    assert (model.producer_name, model.graph.name) == (
        "skbackprop",
        "BackpropMLPClassifier",
    )
    rows = [
        each.type.tensor_type.shape.dim[0].dim_param
        for each in [*model.graph.input, *model.graph.output]
    ]
    assert rows == ["n"] * 3


def test_equal_constants_are_kept_once():
    graph = ModelGraph(set())
    one = graph.constant(np.float32(1))
    assert graph.constant(np.float32(1)) == one
    others = [np.float64(1), np.ones(1, np.float32), np.int32(1), np.array(["1"])]
    assert len({one, *(graph.constant(each) for each in others)}) == 5
    assert graph.constant(np.int64(1)) == graph.constant(np.int32(1))


def test_a_fit_meanwhile_changes_nothing(monkeypatch):
    """In another thread, say: the model is of one moment."""
    mlp = fitted(BackpropMLPClassifier((3,)), LABELS)
    expected = mlp.predict(X)

    def refit(estimator):
        fitted(mlp, TARGETS["strings"])
        return outputs_of(estimator)

    monkeypatch.setattr(_export, "outputs_of", refit)
    assert_array_equal(run(to_onnx(mlp), {"X": X})["label"], expected)
    assert mlp.classes_.dtype.kind == "U"


def test_a_difference_is_seen():
    """By what the tests here compare with."""
    mlp = fitted(BackpropMLPClassifier((3,)), LABELS)
    outputs = run(to_onnx(mlp), {"X": X})
    for name in ("label", "probabilities"):
        changed = outputs | {name: outputs[name].copy()}
        changed[name][5] = 1 + outputs["label"][5] if name == "label" else 0.5
        with pytest.raises(AssertionError):
            assert_same(changed, mlp, X, atol=1e-14)
