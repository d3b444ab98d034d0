"""X that is no plain array of numbers: dates, text, missing values, tensors.

Answers for: _features.py, _dates.py, _warn.py.
"""

import datetime
import os
import subprocess
import sys
import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from helpers import QUICK
from numpy.testing import assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.utils import check_array

from skbackprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    TabularMLPClassifier,
    TabularMLPRegressor,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:X.* has feature names"),
    pytest.mark.filterwarnings("ignore:X does not have valid feature names"),
]

N = 12
Y = np.arange(N) % 2
NUMBERS = np.arange(float(N))
DAYS = pd.date_range("2020-01-01", periods=N)
LASTING = DAYS - DAYS[0]


def plain(columns):
    """A model that is fitted on numbers of so many columns."""
    return BackpropMLPClassifier(**QUICK).fit(np.eye(N, columns), Y)


def doors(X):
    """Every door that X comes in by, and what errors say of it there."""
    columns = X.shape[1] if hasattr(X, "shape") else len(X[0])
    model, stopping = plain(columns), BackpropMLPRegressor(early_stopping=True)
    ones = np.eye(N, columns)
    yield "", lambda: BackpropMLPClassifier(**QUICK).fit(X, Y)
    yield "", lambda: BackpropMLPRegressor(**QUICK).partial_fit(X, Y)
    yield "", lambda: model.predict(X)
    yield "", lambda: model.predict_proba(X)
    yield " of X_val", lambda: stopping.fit(ones, Y, X_val=X, y_val=Y)


def in_frame(values, beside=False):
    frame = pd.DataFrame({"day": values})
    return frame.assign(number=NUMBERS) if beside else frame


def objects(values):
    array = np.empty((len(values), 1), dtype=object)
    array[:, 0] = values
    return array


DATES = {
    "pandas": in_frame(DAYS),
    "pandas beside numbers": in_frame(DAYS, beside=True),
    "with a time zone": in_frame(DAYS.tz_localize("UTC")),
    "durations": in_frame(LASTING),
    "durations beside numbers": in_frame(LASTING, beside=True),
    "periods": in_frame(DAYS.to_period("M")),
    "objects": in_frame(pd.Series(DAYS.date, dtype=object), beside=True),
    "one object": in_frame(pd.Series([1.0, None] * 5 + [2, DAYS[0]], dtype=object)),
    "Arrow in pandas": in_frame(pd.Series(DAYS).astype("timestamp[ns][pyarrow]")),
    "Arrow days": in_frame(pd.Series(DAYS).astype("date32[day][pyarrow]"), beside=True),
    "categories": in_frame(pd.Categorical(DAYS), beside=True),
    "NumPy": DAYS.to_numpy()[:, None],
    "NumPy durations": LASTING.to_numpy()[:, None],
    "objects in an array": objects(list(DAYS)),
    "NumPy's in an array of objects": objects(list(DAYS.to_numpy())),
    "lists": [[day] for day in DAYS.to_numpy()],
    "lists beside numbers": [[day.date(), 1.0] for day in DAYS],
    "durations and numbers": [[lasting.to_numpy(), 1] for lasting in LASTING],
    "polars": pl.DataFrame({"day": list(DAYS.date)}),
    "polars beside numbers": pl.DataFrame({"day": DAYS.to_numpy(), "number": NUMBERS}),
    "polars durations": pl.DataFrame({"day": LASTING.to_numpy()}),
    "polars times": pl.DataFrame({"day": [datetime.time(1)] * N}),
    "a table of Arrow": pa.table({"day": pa.array(DAYS.date)}),
    "a dictionary of Arrow": pa.table({"day": pa.array(DAYS).dictionary_encode()}),
}


@pytest.mark.parametrize("kind", DATES)
def test_dates_are_refused_with_advice_at_every_door(kind):
    X = DATES[kind]
    name = "0" if isinstance(X, np.ndarray | list) else "'day'"
    for of, call in doors(X):
        start = rf"^Column {name}{of} contains dates or times \(.*the days since a date"
        with pytest.raises(TypeError, match=start):
            call()


ADVICE = "Pass dates='numbers' to have its parts as numbers. "


@pytest.mark.parametrize("kind", ["pandas", "objects", "NumPy"])
def test_tabular_estimators_say_the_same_of_dates(kind):
    """And what they can do besides."""
    said = []
    for model in (TabularMLPClassifier(), BackpropMLPClassifier()):
        with pytest.raises(TypeError) as error:
            model.fit(DATES[kind], Y)
        said.append(str(error.value))
    assert said[0].replace(ADVICE, "") == said[1] != said[0]


TEXT = {
    "pandas": pd.DataFrame({"number": NUMBERS, "city": ["1"] * 3 + ["Rome"] * (N - 3)}),
    "objects": pd.DataFrame(
        {"city": pd.Series([None, 1, 2] + ["Rome"] * (N - 3), dtype=object)}
    ),
    "categories": pd.DataFrame(
        {"city": pd.Categorical(["1"] * 3 + ["Rome"] * (N - 3))}
    ),
    "polars": pl.DataFrame({"city": ["1"] * 3 + ["Rome"] * (N - 3), "x": NUMBERS}),
    "Arrow": pa.table({"city": ["1"] * 3 + ["Rome"] * (N - 3)}),
    "array": np.array([["1", "2"]] * 3 + [["3", "Rome"]] * (N - 3)),
    "array of objects": np.array([[1, 2]] * 3 + [[3, "Rome"]] * (N - 3), dtype=object),
    "lists": [[1.0, 2.0]] * 3 + [[3.0, "Rome"]] * (N - 3),
}


@pytest.mark.parametrize("kind", TEXT)
def test_text_is_refused_by_column_and_value(kind):
    X = TEXT[kind]
    name = "'city'" if hasattr(X, "columns") else "1"
    for of, call in doors(X):
        with pytest.raises(ValueError) as error:
            call()
        said = str(error.value)
        assert said.startswith(
            f"Column {name}{of} contains text, first in row 3: could not convert "
            "string to float: "
        )
        assert "'Rome'" in said and "BackpropMLP" in said
        assert "TabularEncoder" in said and "OneHotEncoder" in said
        assert "use TabularMLP" in said


DIGITS = np.array([[str(i), str(i % 3) + ".5"] for i in range(N)])


@pytest.mark.parametrize(
    "make",
    [
        np.array,
        lambda a: a.astype(object),
        lambda a: a.astype("S"),
        lambda a: a.tolist(),
        lambda a: [[row[0], float(row[1])] for row in a],
        lambda a: pd.DataFrame(a, columns=["a", "b"]),
        lambda a: pd.DataFrame(a, columns=["a", "b"], dtype="category"),
        lambda a: pl.DataFrame(a, schema=["a", "b"]),
        lambda a: pa.table(pd.DataFrame(a, columns=["a", "b"])),
        lambda a: np.vectorize(Decimal)(a),
        lambda a: np.vectorize(Fraction, otypes=[object])(a),
    ],
)
def test_digits_are_numbers_in_fit_and_in_predict(make):
    """scikit-learn's MLP fits them, and then predicts of some and refuses others."""
    numbers, X = DIGITS.astype(float), make(DIGITS)
    expected = BackpropMLPRegressor(**QUICK).fit(numbers, Y)
    model = BackpropMLPRegressor(**QUICK).fit(X, Y)
    assert_array_equal(model.coefs_[0], expected.coefs_[0])
    assert_array_equal(model.predict(X), expected.predict(numbers))
    single = BackpropMLPRegressor(dtype="float32", **QUICK).fit(numbers, Y)
    assert_array_equal(single.predict(X), single.predict(numbers))


@pytest.mark.parametrize(
    ("cell", "error", "words"),
    [
        ({"a": 1}, TypeError, r"\{'a': 1\}, first in row 3: float\(\) argument must"),
        ([1, 2], TypeError, r"\[1, 2\], first in row 3: .*not 'list'"),
        (1j, TypeError, "1j, first in row 3: .*not 'complex'"),
        (10**400, ValueError, "an int of about 401 digits, first in row 3: int too"),
        ("x" * 10**6, ValueError, r"^.{,400}$"),
    ],
)
def test_other_cells_are_named_too(cell, error, words):
    X = objects(list(NUMBERS))
    X[3, 0] = cell
    for of, call in doors(X):
        with pytest.raises(error, match=words) as raised:
            call()
        assert str(raised.value).startswith(f"Column 0{of} contains ")


def with_missing(value):
    X = objects(list(NUMBERS))
    X[3, 0] = value
    return X


MISSING = {
    "NaN": np.where(np.arange(N) == 3, np.nan, NUMBERS)[:, None],
    "None": with_missing(None),
    "pandas.NA": with_missing(pd.NA),
    "pandas.NaT": with_missing(pd.NaT),
    "nullable": pd.DataFrame({"a": pd.array([1, None] * 6, dtype="Int64")}),
    "polars": pl.DataFrame({"a": [1, None] * 6}),
    "text": np.array([["1"], ["nan"]] * 6),
    "sparse": sp.csr_array(np.where(np.arange(N) == 3, np.nan, NUMBERS)[:, None]),
}


@pytest.mark.parametrize("kind", MISSING)
def test_missing_values_point_to_who_takes_them(kind):
    for of, call in doors(MISSING[kind]):
        with pytest.raises(ValueError) as error:
            call()
        said = str(error.value)
        assert said.startswith(f"Input {of[4:] or 'X'} contains NaN.\nBackpropMLP")
        assert "does not accept missing values encoded as NaN natively" in said
        assert "HistGradientBoosting" not in said
        owner, other = said.split()[4], said.split("natively: ")[1].split()[0]
        assert other == owner.replace("Backprop", "Tabular")


def test_a_lazy_frame_is_to_be_collected():
    frame = pl.DataFrame({"a": NUMBERS}).lazy()
    with pytest.raises(TypeError, match=r"^X is a LazyFrame. Call its collect\(\)"):
        BackpropMLPClassifier().fit(frame, Y)


FRAME = pd.DataFrame({"a": NUMBERS, "b": NUMBERS % 3})


@pytest.mark.parametrize(
    ("X_val", "words"),
    [
        (FRAME[["b", "a"]], "^In X_val: The feature names should match"),
        (FRAME.rename(columns={"a": "X has "}), "^In X_val: The feature names"),
        (FRAME.assign(c="text"), "^In X_val: The feature names"),
        (FRAME.to_numpy()[:, :1], "^X_val has 1 features, but BackpropMLPClassifier"),
        (FRAME.where(FRAME["a"] > 0), "^Input X_val contains NaN"),
        (FRAME.replace(0, np.inf), "^Input X_val contains infinity"),
        (NUMBERS, "^In X_val: Expected 2D array, got 1D array"),
        (FRAME.to_numpy()[:0], "^In X_val: Found array with 0 sample"),
        (pl.DataFrame({"a": NUMBERS}).lazy(), "^X_val is a LazyFrame"),
    ],
)
@pytest.mark.filterwarnings("ignore:X_val does not have valid feature names")
def test_errors_of_x_val_say_so(X_val, words):
    model = BackpropMLPClassifier(early_stopping=True)
    with pytest.raises((ValueError, TypeError), match=words):
        model.fit(FRAME, Y, X_val=X_val, y_val=Y)
    assert not hasattr(model, "n_features_in_")


def test_a_warning_of_x_val_says_so_where_fit_is_called():
    model = BackpropMLPClassifier(early_stopping=True, max_iter=2)
    with pytest.warns(UserWarning, match="^X_val does not have valid") as caught:
        model.fit(FRAME, Y, X_val=FRAME.to_numpy(), y_val=Y)
    (warning,) = (each for each in caught if "X_val" in str(each.message))
    assert warning.filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(FRAME, Y, X_val=FRAME, y_val=Y)
        with pytest.raises(UserWarning, match=r"^X_val does not have valid"):
            model.fit(FRAME, Y, X_val=FRAME.to_numpy(), y_val=Y)


def test_x_is_called_x_without_a_name():
    """What scikit-learn's users match on is not changed where it helps."""
    model = BackpropMLPClassifier(max_iter=2).fit(FRAME, Y)
    for X in (FRAME[["b", "a"]], FRAME.where(FRAME["a"] < 3, np.inf), NUMBERS):
        with pytest.raises(ValueError) as ours:
            model.predict(X)
        assert "X_val" not in str(ours.value)
    with pytest.raises(ValueError) as theirs:
        check_array(NUMBERS)
    assert str(ours.value) == str(theirs.value)


class Tensor:
    """As PyTorch's: NumPy reads it, unless it requires gradients."""

    def __init__(self, values, requires_grad=True):
        self.values, self.requires_grad = np.asarray(values), requires_grad

    def __array__(self, dtype=None, copy=None):
        if self.requires_grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        return self.values if dtype is None else self.values.astype(dtype)

    def __dlpack__(self, **_):
        raise BufferError("no tensor is exported")

    def __len__(self):
        return len(self.values)


X = np.random.RandomState(0).randn(60, 3)
LABELS = (X[:, 0] > 0).astype(int)
FOUR = {
    BackpropMLPClassifier: {"early_stopping": True, **QUICK},
    BackpropMLPRegressor: {"early_stopping": True, **QUICK},
    TabularMLPClassifier: {"preset": "fast", "n_folds": 2, **QUICK},
    TabularMLPRegressor: {"preset": "fast", "n_folds": 2, **QUICK},
}


@pytest.mark.parametrize("estimator", FOUR)
def test_tensors_that_require_gradients_are_named(estimator):
    model = estimator(**FOUR[estimator])
    arrays = {"X": X, "y": LABELS, "sample_weight": np.ones(60)}
    arrays |= {f"{name}_val": array for name, array in arrays.items()}
    expected = estimator(**FOUR[estimator]).fit(**arrays)
    for name in arrays:
        with pytest.raises(
            ValueError, match=rf"^{name} is.*Tensor that .*\.detach\(\)"
        ):
            model.fit(**arrays | {name: Tensor(arrays[name])})
        assert not hasattr(model, "n_features_in_")
    with pytest.raises(ValueError, match=r"^X is.*Tensor that requires gradients"):
        model.fit([Tensor(row) for row in X], LABELS)
    model.fit(**{name: Tensor(array, False) for name, array in arrays.items()})
    assert_array_equal(model.predict(Tensor(X, False)), expected.predict(X))
    with pytest.raises(ValueError, match=r"^X is.*Tensor that requires gradients"):
        model.predict(Tensor(X))


def test_classes_may_be_a_tensor():
    model = BackpropMLPClassifier(**QUICK)
    with pytest.raises(
        ValueError, match=r"^classes is.*Tensor that requires gradients"
    ):
        model.partial_fit(X, LABELS, classes=Tensor([0, 1, 2]))
    model.partial_fit(X, LABELS, classes=Tensor([0, 1, 2], False))
    assert_array_equal(model.classes_, [0, 1, 2])


class Elsewhere(Tensor):
    """A tensor in the memory of another device."""

    def __array__(self, dtype=None, copy=None):
        raise TypeError("can't convert cuda:0 device type tensor to numpy.")


@pytest.mark.parametrize("estimator", FOUR)
def test_tensors_that_numpy_cannot_read_are_named(estimator):
    model = estimator(**FOUR[estimator])
    with pytest.raises(TypeError, match=r"^y is a .*Elsewhere that NumPy cannot.*cuda"):
        model.fit(X, Elsewhere(LABELS, False))
    with pytest.raises(TypeError, match=r"^X is a .*Elsewhere that NumPy cannot.*cuda"):
        model.fit(X, LABELS).predict(Elsewhere(X, False))


DISPATCH = """
import array_api_strict as xp, numpy as np, sklearn, sys, warnings
import skbackprop
warnings.simplefilter("ignore")
sklearn.set_config(array_api_dispatch=True)
estimator, settings = getattr(skbackprop, sys.argv[1]), eval(sys.argv[2])
X = np.random.RandomState(0).randn(60, 3)
y = (X[:, 0] > 0).astype(int)
w = np.arange(60.0)
def fitted(a):
    model = estimator(**settings)
    model.fit(a(X), a(y), a(w), X_val=a(X), y_val=a(y), sample_weight_val=a(w))
    if hasattr(model, "partial_fit"):
        model.set_params(early_stopping=False).partial_fit(a(X), a(y))
    if hasattr(model, "coefs_") and hasattr(model, "classes_"):
        model, known = estimator(random_state=0), a(np.arange(2))
        model.partial_fit(a(X), a(y), classes=known)
    return model
theirs, ours = fitted(xp.asarray), fitted(np.asarray)
found = theirs.predict(xp.asarray(X))
assert type(found) is np.ndarray
np.testing.assert_array_equal(found, ours.predict(X))
np.testing.assert_array_equal(ours.predict(xp.asarray(X)), found)
assert theirs.score(xp.asarray(X), xp.asarray(y)) == ours.score(X, y)
print("the same")
"""


@pytest.mark.parametrize("estimator", FOUR)
def test_arrays_of_other_libraries_give_numbers_under_dispatch(estimator):
    """In a process of its own: SciPy reads SCIPY_ARRAY_API as it is imported."""
    run = subprocess.run(
        [sys.executable, "-c", DISPATCH, estimator.__name__, repr(FOUR[estimator])],
        env=os.environ | {"SCIPY_ARRAY_API": "1"},
        capture_output=True,
        text=True,
    )
    assert run.stdout == "the same\n", run.stderr


def warned(model, X, y):
    with pytest.warns(ConvergenceWarning) as caught:
        model.fit(X, y)
    (message,) = (str(each.message) for each in caught)
    return message


@pytest.mark.parametrize(
    ("scale", "target", "words"),
    [
        (1.0, 1.0, []),
        (100.0, 1.0, ["3 of 3 features", "StandardScaler in a pipeline"]),
        (0.05, 1.0, ["3 of 3 features", "StandardScaler in a pipeline"]),
        ([1.0, 1.0, 1e200], 1.0, ["1 of 3 features", "column 2 "]),
        ([1.0, 0.0, 1.0], 1.0, []),  # a constant 0 is not small
        (1.0, 1e3, ["The targets", "TransformedTargetRegressor"]),
        (1.0, 1e-3, ["The targets", "TransformedTargetRegressor"]),
        ([1.0, 1e-4, 50.0], [1.0, 1e3], ["2 of 3", "column 1 ", "The targets"]),
    ],
)
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_fit_that_did_not_converge_tells_of_scale_once(scale, target, words, solver):
    data = X * scale
    y = np.squeeze(X[:, :1] * target)
    if np.max(scale) > 1e100:
        data = data.clip(-1e3, 1e3)  # lbfgs would overflow
    model = BackpropMLPRegressor(solver=solver, **QUICK)
    said = warned(model, data, y)
    start = (
        "lbfgs failed to converge" if solver == "lbfgs" else "Stochastic Optimizer: "
    )
    assert said.startswith(start)
    for word in words:
        assert said.count(word) == 1
    assert ("far from unit scale" in said) == bool(words)
    assert ("TransformedTargetRegressor" in said) == ("The targets" in words)
    if solver == "adam" and not words:
        assert said == (
            "Stochastic Optimizer: Maximum iterations (2) reached and the optimization "
            "hasn't converged yet."
        )


def test_scale_is_told_by_name_and_not_of_classes_counts_or_binary_columns():
    many = np.tile(X, (4, 1))
    frame = pd.DataFrame(many, columns=["a", "income", "c"]).assign(
        income=5e4, rare=np.arange(240) == 0
    )
    said = warned(BackpropMLPClassifier(**QUICK), frame, np.tile(LABELS, 4))
    assert (
        "1 of 4 features" in said and "'income' with a root mean square of 5e" in said
    )
    assert "targets" not in said
    counts = warned(BackpropMLPRegressor(loss="poisson", **QUICK), X, 100 * LABELS)
    assert "unit scale" not in counts
    sparse = sp.csr_array(np.where(np.arange(3) > 1, 300 * X, 0.01 * X))
    said = warned(BackpropMLPClassifier(**QUICK), sparse, LABELS)
    assert "1 of 3 features" in said and "MaxAbsScaler" in said


def test_nothing_is_told_of_scale_where_training_converged():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = BackpropMLPRegressor(tol=1e9, n_iter_no_change=1, random_state=0)
        model.fit(100 * X, 100 * X[:, 0])


def test_a_warning_of_a_search_points_at_the_users_line():
    """Through scikit-learn and joblib, which fit for the user."""
    search = GridSearchCV(
        BackpropMLPClassifier(max_iter=1), {"alpha": [0.1]}, cv=2, refit=False
    )
    with pytest.warns(ConvergenceWarning) as caught:
        search.fit(FRAME, Y)
    assert {each.filename for each in caught} == {__file__}
