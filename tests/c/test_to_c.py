"""Models in C say what predict says, compiled with warnings as errors, and sanitized.

All models are one program, which is compiled once for each language.

Answers for: c/__init__.py, c/_formulas.py, c/_networks.py, c/_outputs.py, c/_tables.py.
"""

import copy
import re
import subprocess
import warnings
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from c_programs import (
    CXX,
    SANITIZED,
    Answers,
    C,
    Model,
    Rows,
    compiler,
    rows_of,
    run,
)
from helpers import fast_classifier, fast_regressor
from numpy.testing import assert_allclose, assert_array_equal

from skbackprop import BackpropMLPClassifier, BackpropMLPRegressor, TabularMLPRegressor
from skbackprop._constraints import check_parameters
from skbackprop._layers import HIDDEN_ACTIVATIONS, OUTPUT_ACTIVATIONS
from skbackprop.c import to_c
from skbackprop.c._formulas import ACTIVATIONS
from skbackprop.core.activations import Activation

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 3))
NUMBER = X @ [1.0, -2.0, 0.5]
CLASSES = np.digitize(NUMBER, [-1, 1])
#: Rows that the training has not seen, some outside; float32 has them too.
X_TEST = np.vstack([2 * RNG.standard_normal((12, 3)), 9 * np.eye(3), -9 * np.eye(3)])
X_TEST = X_TEST.astype(np.float32).astype(np.float64)
QUICK = {"max_iter": 3, "random_state": 0}


def names_of(estimator, parameter):
    """All that a parameter of words may be, as its rule lists them."""
    rules = estimator._rules[parameter]
    with pytest.raises(ValueError) as error:
        check_parameters("It", {parameter: "no such word"}, {parameter: rules})
    allowed = str(error.value).partition(" Got ")[0]
    return re.findall(r"'(\w+)'", allowed.partition("must be")[2])


def on_rows(estimator):
    return estimator, Rows(X_TEST, X_TEST)


# BackpropMLP* --------------------------------------------------------------------


def activation(name, dtype="float64"):
    mlp = BackpropMLPClassifier((6, 4), name, dtype=dtype, **QUICK)
    return on_rows(mlp.fit(X, NUMBER > 0))


def output(name):
    """An output that a user has assigned."""
    mlp = BackpropMLPRegressor((4,), **QUICK).fit(X, np.column_stack([NUMBER, X]))
    mlp.out_activation_ = name
    return on_rows(mlp)


def loss(name, **parameters):
    y = np.abs(NUMBER) if name == "poisson" else NUMBER
    return on_rows(
        BackpropMLPRegressor((5,), loss=name, **QUICK, **parameters).fit(X, y)
    )


def classifier(y, sizes=(5,), **parameters):
    return on_rows(BackpropMLPClassifier(sizes, **QUICK | parameters).fit(X, y))


def saturated():
    """Logits in the thousands: no exponential overflows."""
    mlp, rows = classifier(CLASSES)
    mlp.intercepts_[-1][...] = [-1e4, 0, 1e4]
    return mlp, rows


def quantiles_of_one():
    mlp = BackpropMLPRegressor((5,), loss="quantile", quantile=[0.1, 0.5, 0.9], **QUICK)
    mlp.fit(X, NUMBER)
    mlp.intercepts_[-1][...] = [2, 3, 1]  # which cross
    return on_rows(mlp)


def quantiles_of_two():
    y = np.column_stack([NUMBER, -NUMBER])
    mlp = BackpropMLPRegressor((5,), loss="quantile", quantile=[0.1, 0.5, 0.9], **QUICK)
    mlp.fit(X, y)
    mlp.intercepts_[-1][...] = [3, 2, 1, 1, 3, 2]  # which cross
    return on_rows(mlp)


NETWORKS = {
    **{f"hidden_{name}": (activation, name) for name in HIDDEN_ACTIVATIONS},
    **{
        f"output_{name}": (output, name)
        for name in OUTPUT_ACTIVATIONS
        if name != "softmax"
    },
    **{f"loss_{name}": (loss, name) for name in names_of(BackpropMLPRegressor, "loss")},
    "single": (activation, "tanh", "float32"),
    "three": (classifier, CLASSES),
    "words": (classifier, np.array(["no", "yes", "per*/haps"])[CLASSES]),
    "linear": (classifier, CLASSES, ()),
    "deep": (classifier, CLASSES, (3, 7, 2, 5)),
    "one_class": (classifier, np.zeros(len(X), int)),
    "labels": (classifier, np.column_stack([NUMBER > 0, X[:, :2] > 0]).astype(int)),
    "one_label": (classifier, (NUMBER > 0).astype(int)[:, None] * [1, 1]),
    "saturated": (saturated,),
    "quantiles": (quantiles_of_two,),
    "three_quantiles": (quantiles_of_one,),
}


# TabularMLP* ---------------------------------------------------------------------


def frame(n, seed=1):
    rng = np.random.default_rng(seed)
    hours = np.datetime64("2024-02-01T00", "h") + rng.integers(0, 9999, n)
    city = rng.choice(["a", "b", 'c"\\??/', None], n)
    return pd.DataFrame(
        {
            "number": np.where(rng.random(n) < 0.1, np.nan, rng.lognormal(size=n)),
            "city": pd.Series(city, dtype=object),
            "constant": 3.0,
            "far": 1e6 + rng.integers(0, 1000, n),
            "day": hours.astype("datetime64[us]"),
            "sex": rng.choice(["m", "f"], n),
            "only": "one",
        }
    )


TRAINING = frame(60)
TABLE_Y = np.nan_to_num(TRAINING["number"].to_numpy()) + (TRAINING["sex"] == "m")
PLAIN = ["number", "city", "constant", "far", "sex", "only"]
SMALL = {"n_folds": 2, "max_iter": 2, "hidden_layer_sizes": (7,), "n_bins": 6}


def odd_rows():
    """Rows unlike those of the training, each in one cell."""
    odd = frame(12, seed=2)
    odd["city"] = odd["city"].astype(object)
    for row, (name, value) in enumerate(
        [
            ("number", np.nan),
            ("number", 1e300),
            ("number", -1e300),
            ("number", 5e-324),
            ("number", -0.0),
            ("city", "not seen"),
            ("sex", None),
            ("only", "another"),
            ("constant", np.nan),
        ]
    ):
        odd.loc[row, name] = value
    return odd


def on_frame(model, y, columns=PLAIN):
    with warnings.catch_warnings():
        # Of columns that are constant in a part of these few rows.
        warnings.simplefilter("ignore", RuntimeWarning)
        model.fit(TRAINING[columns], y)
    return model, rows_of(model.encoder_, odd_rows()[columns])


def table_classifier(y, columns=PLAIN, **parameters):
    return on_frame(fast_classifier(**SMALL | parameters), y, columns)


def table_regressor(y, columns=PLAIN, **parameters):
    return on_frame(fast_regressor(**SMALL | parameters), y, columns)


def huge_numbers():
    """So that the encoder makes them smaller before it takes differences."""
    model = fast_regressor(**SMALL)
    a = np.concatenate([np.linspace(-1.7, -1, 30), np.linspace(-0.9, 1.7, 30)])
    X = pd.DataFrame({"a": a * 1e308})
    return model.fit(X, np.linspace(-1, 1, 60)), Rows(X, X.to_numpy())


def clamped():
    """Predictions beyond the targets of the training, on both sides."""
    model, rows = table_regressor(np.column_stack([TABLE_Y, -TABLE_Y]))
    topology, thetas = model._bag
    for theta in thetas:
        topology.views(theta)[0][-1][...] *= 100
    predicted = model.predict(rows.X)
    for limit in model._clamp:
        assert (predicted == limit).any()
    return model, rows


def calibrated():
    model, rows = table_classifier(np.digitize(TABLE_Y, [1, 2]), n_repeats=2)
    model.temperature_ = 1.7
    return model, rows


def crossing():
    model, rows = table_regressor(
        np.column_stack([TABLE_Y, -TABLE_Y]), loss="quantile", quantile=[0.2, 0.8]
    )
    topology, thetas = model._bag
    for theta in thetas:
        topology.views(theta)[1][-1][...] = [0.5, -0.5, 0.2, 0.1]
    return model, rows


TABLES = {
    **{
        f"table_{name}": (lambda name=name: table_regressor(TABLE_Y, loss=name),)
        for name in names_of(TabularMLPRegressor, "loss")
    },
    "table_two": (table_classifier, np.where(TABLE_Y > 1, "yes", "no")),
    "table_three": (calibrated,),
    "table_clamped": (clamped,),
    "table_one_class": (table_classifier, np.full(60, "yes")),
    "table_labels": (
        lambda: table_classifier(
            np.column_stack([TABLE_Y > 1, TABLE_Y > 2]).astype(int)
        ),
    ),
    "table_one_hot": (
        lambda: table_classifier(np.digitize(TABLE_Y, [1, 2]), max_one_hot=8),
    ),
    "table_numbers": (lambda: table_regressor(TABLE_Y, ["number", "far"]),),
    "table_codes": (lambda: table_classifier(TABLE_Y > 1, ["city", "sex"]),),
    "table_nothing": (lambda: table_regressor(TABLE_Y, ["constant", "only"]),),
    "table_dates": (
        lambda: table_regressor(TABLE_Y, ["day", "number"], dates="numbers"),
    ),
    "table_huge": (huge_numbers,),
    "table_crossing": (crossing,),
}
FITS = {**NETWORKS, **TABLES}


@cache
def fitted(name):
    make, *arguments = FITS[name]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Stochastic Optimizer")  # in three epochs
        return make(*arguments)


#: Every model in both types, but for numbers that float32 does not have.
CASES = [
    (name, dtype)
    for name in FITS
    for dtype in ("float32", "float64")
    if (name, dtype) != ("table_huge", "float32")
]
COMPILER = "cc", "gcc", "clang"


class Program(NamedTuple):
    models: dict[str, Model]
    answers: dict[str, Answers]


def every_model():
    return [
        Model(f"{name}_{dtype}", *fitted(name), dtype=dtype) for name, dtype in CASES
    ]


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """Every model in one program, and what it says."""
    models = every_model()
    folder = tmp_path_factory.mktemp("c") / "program"
    answers = run(models, folder, compiler(*COMPILER), C)
    return Program({model.name: model for model in models}, answers)


def expected(estimator, X):
    """Outputs, and places of labels in classes_; labels of several as they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        predicted = estimator.predict(X)
        if not hasattr(estimator, "classes_"):
            return predicted.reshape(len(predicted), -1), np.empty((len(predicted), 0))
        if predicted.ndim == 1:
            predicted = np.searchsorted(estimator.classes_, predicted)[:, None]
        return estimator.predict_proba(X), predicted


def assert_says(answers, estimator, X, tolerance=1e-6):
    wanted, wanted_labels = expected(estimator, X)
    size = max(1.0, abs(wanted).max())
    assert_allclose(answers.outputs, wanted, rtol=tolerance, atol=tolerance * size)
    assert_array_equal(answers.labels, wanted_labels)


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_c_says_what_predict_says(program, name, dtype):
    estimator, rows = fitted(name)
    in_double = dtype == "float64" and name in NETWORKS and name != "single"
    assert_says(
        program.answers[f"{name}_{dtype}"],
        estimator,
        rows.X,
        1e-12 if in_double else 1e-6,
    )


def test_cases_differ():
    """A model that answers the same to all rows would show nothing."""
    for name in FITS:
        estimator, rows = fitted(name)
        same = "one_class" in name or "nothing" in name or name == "saturated"
        outputs, _ = expected(estimator, rows.X)
        assert (np.ptp(outputs, axis=0).max() < 1e-3) == same, name


def same(one, other):
    for name, answers in one.items():
        assert_array_equal(answers.outputs, other[name].outputs)
        assert_array_equal(answers.labels, other[name].labels)


@pytest.mark.parametrize("storage", ["", "static"])
def test_it_is_cxx_too(program, tmp_path, storage):
    """And where the arrays of a call are not on the stack."""
    models = [*program.models.values()]
    options = [f"-D{model.name.upper()}_STORAGE={storage}" for model in models]
    path = compiler("c++", "g++", "clang++")
    same(run(models, tmp_path / "cxx", path, [*CXX, *options], "cc"), program.answers)


def test_under_sanitizers(program, tmp_path):
    """A read beyond an array, or what C leaves undefined, would end the program."""
    path, empty = compiler(*COMPILER), tmp_path / "empty.c"
    empty.write_text("int main(void) { return 0; }\n", encoding="ascii")
    command = [path, *SANITIZED, "-o", tmp_path / "empty", empty]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip(f"{path} has no sanitizers here")
    models = [*program.models.values()]
    same(run(models, tmp_path / "c", path, [*C, *SANITIZED]), program.answers)


def test_constants_are_read_as_flash_is(program, tmp_path):
    """Where the address space is another one: here all are negated, until read."""
    models = []
    for name in "three_float32", "table_one_hot_float32", "table_two_float64":
        model = copy.copy(program.models[name])
        head, *arrays = re.split(
            r"(static const \w+ \w+\[\] \w+_FLASH = \{)", model.source
        )
        for place in range(1, len(arrays), 2):
            body, end, rest = arrays[place].partition("};")
            body = re.sub(r"(?m)(?<![\w.+-])(-?)(\d+\.?[\de+-]*f?),", _negated, body)
            arrays[place] = body + end + rest
        model.source = head + "".join(arrays)
        assert model.source != program.models[name].source
        models.append(model)
    options = [f"-D{each.name.upper()}_FLASH=" for each in models]
    options += [f"-D{each.name.upper()}_READ(at)=(-*(at))" for each in models]
    answers = run(models, tmp_path / "c", compiler(*COMPILER), [*C, *options])
    same(answers, program.answers)


def _negated(found):
    return f"{'' if found[1] else '-'}{found[2]},"


def on_other_rows(name, numbers, codes=None, **options):
    estimator, _ = fitted(name)
    return Model(name, estimator, Rows(None, numbers, codes), **options)


def test_odd_input_is_answered(tmp_path):
    """What predict refuses, and codes that are none."""
    nan, inf = np.nan, np.inf
    rows = [[nan, 0, 0], [0, 0, 0]]
    numbers = [[inf, 0], [1e300, 0], [-inf, 0], [-1e300, 0]]
    codes = [[0, 0], [5, 3], [99, -1], [-(2**31), 2**31 - 1]]
    names = "three", "labels", "hidden_tanh"
    models = [on_other_rows(name, rows) for name in names]
    models.append(on_other_rows("table_numbers", numbers, dtype="float64"))
    models.append(on_other_rows("table_codes", np.empty((4, 0)), codes))
    found = run(models, tmp_path / "c", compiler(*COMPILER), C)
    for name in names:
        assert (found[name].labels[0] == -1).all()
        assert (found[name].labels[1] >= 0).all()
        assert np.isnan(found[name].outputs[0]).all()
    outputs = found["table_numbers"].outputs
    assert_array_equal(outputs[::2], outputs[1::2])
    assert outputs[0] != outputs[2]
    assert (found["table_codes"].outputs == found["table_codes"].outputs[0]).all()


def test_first_networks_alone(tmp_path):
    """Their average is that of a bag that has no others."""
    estimator, rows = fitted("table_three")
    alone = copy.copy(estimator)
    alone._bag = (estimator._bag[0], estimator._bag[1][:3])
    assert len(estimator._bag[1]) == 4
    model = Model("part", estimator, rows, n_networks=3)
    assert "Of 4 networks it has the first 3." in model.source
    found = run([model], tmp_path / "c", compiler(*COMPILER), C)["part"]
    assert_says(found, alone, rows.X)
    assert abs(found.outputs - estimator.predict_proba(rows.X)).max() > 1e-4


def test_every_activation_has_a_formula():
    assert set(ACTIVATIONS) == set(Activation)


def test_an_activation_without_formula_is_refused(monkeypatch):
    monkeypatch.delitem(ACTIVATIONS, Activation.MISH)
    with pytest.raises(NotImplementedError, match="activation 'mish'"):
        to_c(fitted("hidden_mish")[0])


def test_none_is_the_type_of_the_model():
    for name, dtype in (
        ("three", "float64"),
        ("single", "float32"),
        ("table_two", "float32"),
    ):
        estimator, _ = fitted(name)
        assert to_c(estimator) == to_c(estimator, dtype=dtype)
        assert to_c(estimator) == to_c(estimator, dtype=np.dtype(dtype))
