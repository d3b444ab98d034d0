"""y of every kind that people have: labels come back as they were, or words say why.

Answers for: _targets.py, _inputs.py.
"""

import enum
import re
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from helpers import QUICK
from numpy.testing import assert_array_equal
from sklearn.exceptions import ConvergenceWarning

from skbackprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    TabularMLPClassifier,
    TabularMLPRegressor,
)
from skbackprop._inputs import plain_array

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 60
X = np.random.default_rng(0).normal(size=(N, 2))
CODES = np.arange(N) % 3
#: Neighbours that are one number in float64.
IDS = [10**17, 10**17 + 1, 10**17 + 2]
LARGE = [2**63, 2**63 + 1, 2**63 + 2]


def backprop(**parameters):
    return BackpropMLPClassifier(**QUICK | parameters)


def tabular(**parameters):
    return TabularMLPClassifier(preset="fast", **QUICK | parameters)


def backprop_regressor(**parameters):
    return BackpropMLPRegressor(**QUICK | parameters)


def tabular_regressor(**parameters):
    return TabularMLPRegressor(preset="fast", **QUICK | parameters)


CLASSIFIERS = pytest.mark.parametrize("make", [backprop, tabular])
REGRESSORS = pytest.mark.parametrize("make", [backprop_regressor, tabular_regressor])


def of_pandas(dtype):
    return lambda values: pd.Series(values, dtype=dtype)


def of_polars(dtype):
    return lambda values: pl.Series(values, dtype=dtype)


def objects(values):
    return np.array(values, dtype=object)


ANY = {
    "list": list,
    "tuple": tuple,
    "object": objects,
    "pandas object": of_pandas(object),
    "category": of_pandas("category"),
    "pyarrow": pa.array,
    "chunks": lambda values: pa.chunked_array([values[:7], values[7:]]),
    "dictionary": lambda values: pa.array(values).dictionary_encode(),
}
INTEGERS = ANY | {
    "Int64": of_pandas("Int64"),
    "int64[pyarrow]": of_pandas("int64[pyarrow]"),
    "category of Int64": lambda v: pd.Series(v, dtype="Int64").astype("category"),
    "index": lambda values: pd.Index(values, dtype="Int64"),
    "polars": of_polars(pl.Int64),
    "polars object": of_polars(pl.Object),
    "uint64": lambda values: np.array(values, dtype=np.uint64),
}
UNSIGNED = {name: ANY[name] for name in ("list", "object", "pandas object")} | {
    "mixed list": lambda values: [*values[:-1], np.uint64(values[-1])],
    "UInt64": of_pandas("UInt64"),
    "uint64[pyarrow]": of_pandas("uint64[pyarrow]"),
    "polars": of_polars(pl.UInt64),
    "pyarrow": lambda values: pa.array(values, pa.uint64()),
    "category": lambda v: pd.Series(v, dtype="UInt64").astype("category"),
}
BOOLEANS = ANY | {
    "boolean": of_pandas("boolean"),
    "bool[pyarrow]": of_pandas("bool[pyarrow]"),
    "polars": of_polars(pl.Boolean),
}
STRINGS = ANY | {
    "string": of_pandas("string"),
    "string[pyarrow]": of_pandas("string[pyarrow]"),
    "polars": of_polars(pl.String),
    "polars Categorical": of_polars(pl.Categorical),
    "polars Enum": of_polars(pl.Enum(["so", "no", "yes"])),
}
KINDS = [
    *((name, IDS, "iu") for name in INTEGERS),
    *((name, LARGE, "u") for name in UNSIGNED),
    *((name, [3, LARGE[1], LARGE[2]], "u") for name in UNSIGNED),
    *((name, [False, True, True], "b") for name in BOOLEANS),
    *((name, ["no", "so", "yes"], "UO") for name in STRINGS),
]
KIND = pytest.mark.parametrize(
    ("name", "labels", "kind"), KINDS, ids=[f"{n}-{v[1]}" for n, v, _ in KINDS]
)


def given(name, labels, codes=CODES):
    """Labels in a container."""
    values = [labels[code] for code in codes]
    if isinstance(labels[0], bool):
        return BOOLEANS[name](values)
    if isinstance(labels[0], str):
        return STRINGS[name](values)
    return (INTEGERS if labels is IDS else UNSIGNED)[name](values)


def places(labels):
    """The place of every row's label among the classes."""
    return np.array([sorted(set(labels)).index(labels[code]) for code in CODES])


@CLASSIFIERS
@KIND
def test_labels_come_back(make, name, labels, kind):
    y = given(name, labels)
    model = make().fit(X, y)
    assert model.classes_.tolist() == sorted(set(labels))
    assert model.classes_.dtype.kind in kind
    predicted = model.predict(X)
    assert predicted.dtype == model.classes_.dtype
    right = np.mean([labels[c] == p for c, p in zip(CODES, predicted, strict=True)])
    assert 0 < right < 1
    assert model.score(X, y) == pytest.approx(right)
    # Wherever the same labels are held, the model is the same.
    plain = make().fit(X, places(labels))
    assert_array_equal(plain.predict_proba(X), model.predict_proba(X))


@CLASSIFIERS
@pytest.mark.parametrize("name", INTEGERS)
def test_labels_of_validation_data_come_in_another_type(make, name):
    """Found by their value, and not by that of float64."""
    early = {"early_stopping": True} if make is backprop else {"scoring": "accuracy"}
    y = np.array(IDS)[CODES]
    expected = make(**early).fit(X, y, X_val=X, y_val=y).validation_scores_
    for given_y in (y, y.astype(np.uint64)):
        model = make(**early).fit(X, given_y, X_val=X, y_val=given(name, IDS))
        assert model.validation_scores_ == expected
    unknown = INTEGERS[name]([IDS[code] + code for code in CODES])
    with pytest.raises(ValueError, match=rf"`y_val` has .*: \[{10**17 + 4}\]"):
        make(**early).fit(X, y, X_val=X, y_val=unknown)


@CLASSIFIERS
def test_booleans_and_numbers_are_alike(make):
    """As in Python, True is 1."""
    early = {"early_stopping": True} if make is backprop else {}
    y = (CODES > 0).astype(int)
    models = [
        make(**early).fit(X, y, X_val=X, y_val=y_val)
        for y_val in (y, y > 0, y.astype(float), y.astype(np.uint8), list(y > 0))
    ]
    for model in models[1:]:
        assert model.validation_scores_ == models[0].validation_scores_


@CLASSIFIERS
@pytest.mark.parametrize("name", INTEGERS)
def test_weights_of_classes(make, name):
    weight = {IDS[0]: 1.0, IDS[1]: 7.0, IDS[2]: 0.5}
    weighted = make(class_weight=weight).fit(X, given(name, IDS))
    plain = make(class_weight={0: 1.0, 1: 7.0, 2: 0.5}).fit(X, CODES)
    assert_array_equal(weighted.predict_proba(X), plain.predict_proba(X))
    with pytest.raises(ValueError, match=rf"y has not: \[{10**17 + 3}\]"):
        make(class_weight={IDS[0]: 1.0, 10**17 + 3: 2.0}).fit(X, given(name, IDS))


@KIND
def test_classes_of_partial_fit(name, labels, kind):
    classes = given(name, labels, np.array([0, 1, 2]))
    model = backprop().partial_fit(X, given(name, labels), classes=classes)
    assert model.classes_.tolist() == sorted(set(labels))
    assert model.classes_.dtype.kind in kind
    model.partial_fit(X[:9], given(name, labels, CODES[:9]), classes=classes)
    plain = backprop().partial_fit(X, places(labels), classes=places(labels))
    plain.partial_fit(X[:9], places(labels)[:9])
    assert_array_equal(plain.predict_proba(X), model.predict_proba(X))


def test_classes_that_differ_in_one_of_64_bits():
    model = backprop().partial_fit(X, np.array(IDS)[CODES], classes=IDS)
    same = pd.Series(IDS, dtype="UInt64")
    model.partial_fit(X, np.array(IDS, dtype=np.uint64)[CODES], classes=same)
    other = [*IDS[:2], IDS[2] + 1]
    with pytest.raises(ValueError, match="not the same as on last call"):
        model.partial_fit(X, np.array(IDS)[CODES], classes=other)
    with pytest.raises(ValueError, match=rf"`y` has .*: \[{other[2]}\]"):
        model.partial_fit(X, np.array(other)[CODES])
    model.set_params(warm_start=True)
    with pytest.raises(ValueError, match="warm_start can only be used where"):
        model.fit(X, np.array(other, dtype=np.uint64)[CODES])


FRAMES = {
    "boolean": lambda Y: pd.DataFrame(Y > 0, dtype="boolean"),
    "Int64": lambda Y: pd.DataFrame(Y, dtype="Int64"),
    "bool[pyarrow]": lambda Y: pd.DataFrame(Y > 0).astype("bool[pyarrow]"),
    "mixed": lambda Y: pd.DataFrame(
        {"a": pd.array(Y[:, 0], "Int8"), "b": Y[:, 1] > 0, "c": Y[:, 2].astype(float)}
    ),
    "polars": lambda Y: pl.DataFrame({"a": Y[:, 0], "b": Y[:, 1] > 0, "c": Y[:, 2]}),
    "pyarrow": lambda Y: pa.table({"a": Y[:, 0], "b": Y[:, 1], "c": Y[:, 2]}),
    "lists": lambda Y: Y.tolist(),
    "of objects": lambda Y: Y.astype(object),
    "-1 and 1": lambda Y: 2 * Y - 1,
}


@CLASSIFIERS
@pytest.mark.parametrize("frame", FRAMES)
def test_frames_of_several_labels(make, frame):
    Y = (np.arange(3 * N).reshape(N, 3) % 7 < 3).astype(int)
    model, plain = make().fit(X, FRAMES[frame](Y)), make().fit(X, Y)
    assert model.predict(X).shape == (N, 3)
    assert_array_equal(model.predict_proba(X), plain.predict_proba(X))
    if frame != "-1 and 1":
        assert model.score(X, FRAMES[frame](Y)) == plain.score(X, Y)


def test_a_frame_of_sparse_columns_stays_sparse():
    Y = (np.arange(3 * N).reshape(N, 3) % 7 < 3).astype(int)
    frame = pd.DataFrame(Y).astype("Sparse[int64]")
    assert sp.issparse(backprop().fit(X, frame).predict(X))


NUMBERS = {
    "Float64": of_pandas("Float64"),
    "double[pyarrow]": of_pandas("double[pyarrow]"),
    "polars": of_polars(pl.Float64),
    "pyarrow": pa.array,
    "Decimal": lambda values: objects([Decimal(value) for value in values]),
    "list": list,
    "object": objects,
    "frame": lambda values: pd.DataFrame({"y": values, "z": values}, dtype="Float64"),
}


@REGRESSORS
@pytest.mark.parametrize("name", NUMBERS)
def test_targets_come_in_every_type(make, name):
    y = NUMBERS[name](X[:, 0].tolist())
    plain = np.c_[X[:, 0], X[:, 0]] if name == "frame" else X[:, 0].copy()
    model = make().fit(X, y)
    assert_array_equal(model.predict(X), make().fit(X, plain).predict(X))
    assert model.score(X, y) == model.score(X, plain)


MISSING = {
    "Int64": lambda: pd.Series(CODES, dtype="Int64").where(np.arange(N) != 5),
    "int64[pyarrow]": lambda: pd.Series(CODES, dtype="int64[pyarrow]").where(
        np.arange(N) != 5
    ),
    "Float64": lambda: pd.Series(CODES, dtype="Float64").where(np.arange(N) != 5),
    "float": lambda: np.where(np.arange(N) == 5, np.nan, CODES),
    "boolean": lambda: pd.Series(CODES > 0, dtype="boolean").where(np.arange(N) != 5),
    "category": lambda: (
        pd.Series(CODES).where(np.arange(N) != 5, None).astype("category")
    ),
    "polars": lambda: pl.Series([None if i == 5 else i % 3 for i in range(N)]),
    "polars boolean": lambda: pl.Series([None if i == 5 else i > 9 for i in range(N)]),
    "pyarrow": lambda: pa.array([None if i == 5 else i % 3 for i in range(N)]),
    "list": lambda: [None if i == 5 else i % 3 for i in range(N)],
    "nan in a list": lambda: [np.nan if i == 5 else i % 3 for i in range(N)],
    "NA in objects": lambda: objects([pd.NA if i == 5 else i % 3 for i in range(N)]),
    "NaT in objects": lambda: objects([pd.NaT if i == 5 else i % 3 for i in range(N)]),
    "masked": lambda: np.ma.masked_array(CODES, np.arange(N) == 5),
    "two columns": lambda: pd.DataFrame({"a": CODES > 0, "b": CODES > 1}).mask(
        np.c_[np.zeros(N, dtype=bool), np.arange(N) == 5]
    ),
}
MISSING_STRINGS = {
    "text": lambda: [None if i == 5 else "ab"[i % 2] for i in range(N)],
    "text and nan": lambda: [np.nan if i == 5 else "ab"[i % 2] for i in range(N)],
    "string": lambda: pd.Series(MISSING_STRINGS["text"](), dtype="string"),
    "str": lambda: pd.Series(MISSING_STRINGS["text"](), dtype="str"),
    "pandas category": lambda: pd.Series(MISSING_STRINGS["text"](), dtype="category"),
    "polars text": lambda: pl.Series(MISSING_STRINGS["text"]()),
    "pyarrow text": lambda: pa.array(MISSING_STRINGS["text"]()),
    "dates": lambda: np.where(
        np.arange(N) == 5, np.datetime64("NaT"), np.datetime64(1, "D")
    ),
}
WHERE = r"contains (NaN|None|<NA>|NaT|a masked value) in row 5 \(counted from 0\)\."


@pytest.mark.parametrize(
    "make", [backprop, tabular, backprop_regressor, tabular_regressor]
)
@pytest.mark.parametrize("kind", MISSING | MISSING_STRINGS)
def test_what_is_missing_is_told_with_its_row(make, kind):
    y = (MISSING | MISSING_STRINGS)[kind]()
    model = make()
    with pytest.raises(ValueError, match=f"^Input y {WHERE}"):
        model.fit(X, y)
    assert vars(model) == model.get_params()
    early = {} if "tabular" in make.__name__ else {"early_stopping": True}
    with pytest.raises(ValueError, match=f"^Input y_val {WHERE}"):
        make(**early).fit(X, CODES, X_val=X, y_val=y)
    with pytest.raises(ValueError, match=f"^Input y {WHERE}"):
        make().fit(X, CODES).score(X, y)


def test_more_rows_than_one_are_counted():
    y = [None if i in (3, 9, 20) else 1 for i in range(N)]
    with pytest.raises(
        ValueError, match=r"None in row 3 \(counted from 0\) and 2 more"
    ):
        backprop().fit(X, y)
    with pytest.raises(ValueError, match=r"Input classes contains None in place 1"):
        backprop().partial_fit(X, CODES, classes=[0, None, 2])


@REGRESSORS
def test_infinite_targets_of_validation_data_are_told(make):
    early = {} if make is tabular_regressor else {"early_stopping": True}
    y_val = np.where(np.arange(N) == 7, np.inf, 1.0)
    with pytest.raises(ValueError, match=r"Input y_val contains infinity .* in row 7"):
        make(**early).fit(X, X[:, 0], X_val=X, y_val=y_val)


def swapped(value, others=CODES):
    y = np.array(others, dtype=object)
    y[4] = value
    return y


NO_LABELS = {
    "text among numbers": (swapped("a"), r"one kind. Got 0.* the str 'a' in row 4"),
    "in a list": ([1, "a"] * 30, r"Got 1, of type int, in row 0, and the str 'a'"),
    "sets": ([{1}, {2, 3}] * 30, r"Got \{1\}, of type set.*MultiLabelBinarizer"),
    "lists": ([[1], [2, 3]] * 30, r"Got \[1\], of type list.*MultiLabelBinarizer"),
    "intervals": (pd.cut(X[:, 0], 3), r"Got Interval.*of type Interval, in row 0"),
    "65 bits": (swapped(2**65), r"64 bits. Got 0, of type int"),
    "Decimal": ([Decimal(i % 3) for i in range(N)], "of type Decimal, in row 0"),
    "continuous": (X[:, 0], r"Unknown label type: continuous. y has 0\.\d+ in row 0,"),
    "a fraction": ([1.0] * 50 + [2.5] * 10, r"y has 2.5 in row 50, which is no class"),
    "1e300": (np.where(CODES, 1e300, 1.0), r"y has 1e\+300 in row 1"),
    "continuous columns": (X, r"Unknown label type: continuous-multioutput"),
    "sparse": (sp.csr_array(X), r"y has \[.*\] in row 0, which is no class"),
    "columns of classes": (np.c_[CODES, 2 * CODES], "Got 2 columns with other values"),
    "columns of text": (np.array([["a", "b", "c"]] * N), "Got 3 columns with other"),
    "columns of 1 and 2": (
        np.c_[CODES > 0, CODES > 1] + 1,
        r"indicator matrix of 0 and 1 where .* Got \[1, 2\]",
    ),
    "a number": (3, "y must be an array or list. Got 3, of type int"),
    "a set": ({1, 2}, "y must be an array or list. Got {1, 2}, of type set"),
    "bytes": ([b"a", b"b"] * 30, "bytes"),
}


@CLASSIFIERS
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
@pytest.mark.parametrize("kind", NO_LABELS)
def test_what_is_no_label_is_told(make, kind):
    y, words = NO_LABELS[kind]
    model = make()
    with pytest.raises((ValueError, TypeError), match=words) as error:
        model.fit(X, y)
    assert len(str(error.value)) < 400
    assert vars(model) == model.get_params()
    if "Y" in kind or isinstance(y, int | set):
        return
    early = {"early_stopping": True} if make is backprop else {}
    with pytest.raises((ValueError, TypeError), match=r"\by_val\b|bytes"):
        make(**early).fit(X, CODES, X_val=X, y_val=y)


MISTAKES = {
    "a number": (3, "classes must be an array or list. Got 3"),
    "columns": ([[0, 1], [2, 3]], "classes must be a one-dimensional array or list"),
    "fractions": ([0.5, 1.5], r"classes has 0.5 in place 0"),
    "sets": ([{0}, {1}], r"classes must hold one label per row. Got \{0\}"),
    "text": (["0", "1", "2"], "`y` has .*text and numbers are mixed"),
    "too few": ([0, 1], r"`y` has classes not in `self.classes_`: \[2\]"),
    "mixed": (["0", 1, 2], "classes must hold labels of one kind"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_in_classes(mistake):
    classes, words = MISTAKES[mistake]
    model = backprop()
    with pytest.raises((ValueError, TypeError), match=words):
        model.partial_fit(X, CODES, classes=classes)
    assert vars(model) == model.get_params()


def test_many_classes_are_not_all_listed():
    many = np.arange(500)
    with pytest.raises(
        ValueError, match=r"\[0, 1, .*, 9, \.\.\. 500 in all\]"
    ) as error:
        backprop().partial_fit(X, CODES - 1, classes=many)
    assert len(str(error.value)) < 200
    model = backprop().partial_fit(X, CODES, classes=many)
    with pytest.raises(ValueError, match=r"501 in all.*500 in all") as error:
        model.partial_fit(X, CODES, classes=np.arange(501))
    assert len(str(error.value)) < 250


WEIGHTS = {
    "text": ({0: "a"}, "class_weight must .* Got 'a' for class 0"),
    "None": ({0: None}, "class_weight must .* Got None for class 0"),
    "nan": ({1: np.nan}, "class_weight must .* Got nan for class 1"),
    "negative": (
        {2: -1.0},
        "class_weight must hold no negative .* Got -1.0 for class 2",
    ),
    "of text": ({"0": 2.0}, r"names classes that y has not: \['0'\]"),
}


@CLASSIFIERS
@pytest.mark.parametrize("mistake", WEIGHTS)
def test_mistakes_in_class_weight(make, mistake):
    weight, words = WEIGHTS[mistake]
    with pytest.raises(ValueError, match=words):
        make(class_weight=weight).fit(X, CODES)


def test_several_labels_of_another_shape_in_y_val():
    Y = (np.arange(3 * N).reshape(N, 3) % 7 < 3).astype(int)
    for make, early in ((backprop, {"early_stopping": True}), (tabular, {})):
        for y_val in (Y[:, :2], Y[:, 0]):
            with pytest.raises(ValueError, match=r"^y_val must be an indicator matrix"):
                make(**early).fit(X, Y, X_val=X, y_val=y_val)
        with pytest.raises(ValueError, match=r"^y_val must have shape"):
            make(**early).fit(X, CODES, X_val=X, y_val=Y)


@REGRESSORS
def test_targets_that_are_no_numbers_are_told(make):
    early = {} if make is tabular_regressor else {"early_stopping": True}
    for y, words in (
        (swapped("a"), "must hold numbers. Got 'a' in row 4"),
        (swapped({1}), r"must hold numbers. Got \{1\} in row 4"),
        (swapped(10**400), r"must hold numbers. Got 1000\d*\.\.\.\d*000 in row 4"),
        (CODES.astype(str), "must be a dense array of numbers"),
    ):
        with pytest.raises(ValueError, match=f"^y {words}"):
            make().fit(X, y)
        with pytest.raises(ValueError, match=f"^y_val {words}"):
            make(**early).fit(X, X[:, 0], X_val=X, y_val=y)
    with pytest.raises(
        ValueError, match=r"^y_val has a number that is too (large|far)"
    ):
        make(**early).fit(np.float32(X), X[:, 0], X_val=X, y_val=np.full(N, 1e300))


def test_negative_y_val_of_poisson():
    model = BackpropMLPRegressor(loss="poisson", early_stopping=True)
    with pytest.raises(ValueError, match=r"^y_val must not be negative"):
        model.fit(X, CODES, X_val=X, y_val=-CODES)


def test_columns_of_one_class_column_warn_as_in_scikit_learn():
    from sklearn.exceptions import DataConversionWarning

    frames = (
        pd.DataFrame({"y": IDS * 20}, dtype="Int64"),
        pl.DataFrame({"y": IDS * 20}),
    )
    for frame in frames:
        for make in (backprop, tabular):
            with pytest.warns(DataConversionWarning, match="column-vector y"):
                model = make().fit(X, frame)
            assert model.classes_.tolist() == IDS


def test_a_plain_array_is_not_copied():
    for y in (CODES, X[:, 0], np.array(["a", "b"]), CODES > 0, objects(["a", "b"])):
        assert plain_array(y, "y") is y
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        assert plain_array(None, "y") is None


def test_integers_and_fractions_in_one_list():
    assert plain_array([1, 2.5], "y").tolist() == [1.0, 2.5]
    assert plain_array([1, 2.0], "y").dtype == np.float64
    assert plain_array([10**17 + 1, 1.0], "y").tolist() == [10**17 + 1, 1]
    assert plain_array([np.int8(1), np.int8(2)], "y").dtype == np.int8
    assert plain_array([np.float32(1), np.float32(2)], "y").dtype == np.float32
    assert plain_array([], "y").shape == (0,)
    assert re.match("<U", plain_array(["a", "b"], "y").dtype.str)


@pytest.mark.parametrize("make", [list, lambda y: np.array(y, dtype=object)])
def test_an_enumeration_of_strings_is_its_values(make):
    class Size(str, enum.Enum):  # noqa: UP042 -- its str() is not its value
        SMALL = "small"
        LARGE = "very large"

    y = [Size.SMALL if x > 0 else Size.LARGE for x in X[:, 0]]
    model = BackpropMLPClassifier(max_iter=2).fit(X, make(y))
    assert model.classes_.tolist() == ["small", "very large"]
