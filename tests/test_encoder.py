"""Data frames of every kind to one matrix, or an error that names the column."""

import datetime
import pickle
import re
import subprocess
import sys
import tracemalloc
import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags

from skbackprop import BackpropMLPClassifier, TabularEncoder
from skbackprop.tabular import TabularEncoder as SameEncoder

N = 60
RNG = np.random.default_rng(0)


def with_gaps(values, *, every):
    return [None if i % every == 1 else v for i, v in enumerate(values)]


# The same table once, as Python lists; each container below is made from it.
DATA = {
    "age": with_gaps(RNG.integers(18, 80, N).tolist(), every=7),
    "income": RNG.lognormal(10, 1, N).tolist(),
    "rooms": RNG.integers(1, 9, N).tolist(),
    "color": with_gaps(RNG.choice(["red", "green", "blue"], N).tolist(), every=9),
    "sex": RNG.choice(["female", "male"], N).tolist(),
    "member": RNG.choice([True, False], N).tolist(),
    "vip": with_gaps(RNG.choice([True, False], N).tolist(), every=11),
    "city": with_gaps(RNG.choice([f"c{i}" for i in range(15)], N).tolist(), every=8),
    "constant": [4] * N,
    "empty": [None] * N,
    "only": ["one"] * N,
}
STRINGS = ["color", "sex", "city", "only"]
ROWS = [list(row) for row in zip(*DATA.values(), strict=True)]
PANDAS = pd.DataFrame(DATA)
POLARS = pl.DataFrame(DATA)


def dictionary(values):
    pa = pytest.importorskip("pyarrow")
    encoded = pa.array(values).dictionary_encode()
    return pd.Series(pd.arrays.ArrowExtensionArray(encoded))


def arrow(dtype):
    pa = pytest.importorskip("pyarrow")
    return pd.ArrowDtype(getattr(pa, dtype)())


def pandas_arrow():
    frame = PANDAS.copy()
    for name in STRINGS:
        frame[name] = pd.Series(DATA[name], dtype=arrow("string"))
    for name in ("member", "vip"):
        frame[name] = pd.Series(DATA[name], dtype=arrow("bool_"))
    for name in ("age", "rooms", "constant"):
        frame[name] = pd.Series(DATA[name], dtype=arrow("int64"))
    frame["income"] = frame["income"].astype(arrow("float64"))
    frame["empty"] = pd.Series(DATA["empty"], dtype=arrow("null"))
    return frame


def pandas_dictionary():
    pa = pytest.importorskip("pyarrow")
    dtype = pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))
    return pandas_arrow().astype({name: dtype for name in STRINGS})


def pandas_nullable():
    types = {"age": "Int16", "income": "Float64", "rooms": "UInt8"}
    types |= {"member": "boolean", "vip": "boolean", "constant": "Int64"}
    return PANDAS.astype(types | {name: "string" for name in STRINGS})


def numpy_objects():
    data = np.empty((N, len(DATA)), dtype=object)
    for j, values in enumerate(DATA.values()):
        data[:, j] = values
    return data


def numpy_scalars():
    data = numpy_objects()
    data[:, 2] = [np.int8(v) for v in DATA["rooms"]]
    data[:, 1] = [np.float64(v) for v in DATA["income"]]
    data[:, 4] = [np.str_(v) for v in DATA["sex"]]
    data[:, 5] = [np.bool_(v) for v in DATA["member"]]
    data[:, 6] = [pd.NA if v is None else v for v in DATA["vip"]]
    data[:, 3] = [np.nan if v is None else v for v in DATA["color"]]
    return data


CONTAINERS = {
    "pandas": lambda: PANDAS,
    "pandas objects": lambda: PANDAS.astype(object),
    "pandas category": lambda: PANDAS.astype({name: "category" for name in STRINGS}),
    "pandas more categories": lambda: PANDAS.assign(
        color=pd.Categorical(DATA["color"], ["unused", "red", "green", "blue"])
    ),
    "pandas nullable": pandas_nullable,
    "pandas arrow": pandas_arrow,
    "pandas dictionary": pandas_dictionary,
    "polars": lambda: POLARS,
    "polars categorical": lambda: POLARS.cast({n: pl.Categorical for n in STRINGS}),
    "polars enum": lambda: POLARS.cast(
        {"color": pl.Enum(["x", "red", "green", "blue"])}
    ),
    "polars narrow": lambda: POLARS.cast({"age": pl.Int8, "rooms": pl.UInt16}),
    # Older versions have no Int128.
    "polars wide": lambda: POLARS.cast({"rooms": getattr(pl, "Int128", pl.Int64)}),
    "polars decimal": lambda: POLARS.cast({"rooms": pl.Decimal(10, 2)}),
    "numpy objects": numpy_objects,
    "numpy scalars": numpy_scalars,
    "lists": lambda: ROWS,
    "arrow table": lambda: POLARS.to_arrow(),
}


@pytest.mark.filterwarnings("ignore:X .* feature names:UserWarning")
@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("max_one_hot", [0, 8, None])
def test_every_container_gives_the_same_matrix(name, max_one_hot):
    reference = TabularEncoder(max_one_hot=max_one_hot).fit(PANDAS)
    expected = reference.transform(PANDAS)
    X = CONTAINERS[name]()
    own = TabularEncoder(max_one_hot=max_one_hot)
    assert_array_equal(own.fit_transform(X), expected)
    assert own.categories_ == reference.categories_
    assert_array_equal(own.dropped_features_, [8, 9, 10])
    # Fitted on one, used on another.
    assert_array_equal(reference.transform(X), expected)
    for other in ("polars", "numpy objects"):
        assert_array_equal(own.transform(CONTAINERS[other]()), expected)


@pytest.mark.filterwarnings("ignore:X .* feature names:UserWarning")
@pytest.mark.parametrize("name", ["numpy objects", "lists", "polars"])
def test_without_pandas(name, monkeypatch):
    X = CONTAINERS[name]()
    expected = TabularEncoder().fit_transform(PANDAS)
    monkeypatch.delitem(sys.modules, "pandas")
    assert_array_equal(TabularEncoder().fit_transform(X), expected)


def test_every_missing_value_is_one_without_pandas(monkeypatch):
    monkeypatch.delitem(sys.modules, "pandas")
    rows = [["a"], [None], [np.nan], [float("nan")], ["b"], [Decimal("NaN")]]
    encoder = TabularEncoder(max_one_hot=0).fit(rows)
    assert encoder.categories_ == [["a", "b"]]
    assert_array_equal(encoder.transform(rows)[:, 0], [1, 3, 3, 3, 2, 3])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, np.uint64, "i8"])
def test_numeric_arrays(dtype, monkeypatch):
    X = np.round(RNG.uniform(0, 9, (50, 3))).astype(dtype)
    expected = TabularEncoder().fit_transform(X.astype(float))
    coded = {"categorical_features": [0, 2]}
    as_categories = TabularEncoder(**coded).fit_transform(X.astype(float))
    for data in (X, np.asfortranarray(X), X.astype(X.dtype.newbyteorder()), X.tolist()):
        out = TabularEncoder().fit_transform(data)
        assert out.dtype == np.float32 and out.flags.c_contiguous
        assert_array_equal(out, expected)
        assert_array_equal(TabularEncoder(**coded).fit_transform(data), as_categories)
    monkeypatch.delitem(sys.modules, "pandas")
    assert_array_equal(TabularEncoder(**coded).fit_transform(X), as_categories)


def test_arrays_of_strings_and_booleans():
    strings = np.array([["a", "x"], ["b", "x"], ["c", "y"]])
    encoder = TabularEncoder().fit(strings)
    assert encoder.categories_ == [["a", "b", "c"], ["x", "y"]]
    assert_array_equal(encoder.transform(strings.tolist()), encoder.transform(strings))
    flags = np.array([[True], [False], [True]])
    assert_array_equal(TabularEncoder().fit_transform(flags), [[1], [-1], [1]])


def test_memory_mapped_and_read_only(tmp_path):
    X = RNG.normal(size=(40, 3))
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert_array_equal(
        TabularEncoder().fit_transform(mapped), TabularEncoder().fit_transform(X)
    )


def column(values, **parameters):
    """One column through an encoder of its own."""
    return TabularEncoder(**parameters).fit_transform(pd.DataFrame({"a": values}))


# Numbers


def by_hand(x, clip=3.0):
    q25, median, q75 = np.quantile(x, [0.25, 0.5, 0.75])
    z = (x - median) / (q75 - q25)
    return z / np.sqrt(1 + (z / clip) ** 2) if clip else z


@pytest.mark.parametrize("clip", [3.0, 1, 0.25, 100.0, None])
def test_numbers_are_scaled_and_clipped(clip):
    x = RNG.standard_t(1, 501) * 17 + 5
    assert_allclose(column(x, clip=clip)[:, 0], by_hand(x, clip), rtol=1e-6, atol=1e-7)
    if clip:
        assert np.abs(column(x, clip=clip)).max() <= clip


def test_without_a_quartile_range_half_the_range_scales():
    x = np.array([0.0] * 9 + [10.0])
    assert_array_equal(column(x, clip=None)[:, 0], [0] * 9 + [2])
    encoder = TabularEncoder().fit(x[:, None])
    assert_array_equal(encoder.scale_, [5.0])
    assert_array_equal(encoder.center_, [0.0])


@pytest.mark.parametrize("clip", [3.0, 1e-300, 1e300, None])
@pytest.mark.parametrize(
    "x",
    [
        [-1.7e308, -1e308, 0.0, 1e308, 1.7e308],
        [-1.7e308, -1.7e308, 1.7e308, 1.7e308, 1.7e308],
        [-1.7e308, 0.0, 0.0, 0.0, 1.7e308],
        [0.0, 5e-324, 1e-323, 2e-323, 1.0],
        [0.0, 0.0, 0.0, 0.0, 5e-324],
        [1e300, 1.0, 2.0, 3.0, -1e300],
        [1e16, 1e16 + 2, 1e16 + 4, 1e16 + 6, 1e16 + 8],
    ],
)
def test_extreme_numbers(x, clip):
    encoder = TabularEncoder(clip=clip).fit(np.c_[x])
    out = encoder.transform(np.c_[x])
    assert np.isfinite(out).all() and np.isfinite(encoder.scale_).all()
    order = np.argsort(x, kind="stable")
    assert (np.diff(out[order, 0]) >= 0).all()
    assert clip == 1e-300 or out.max() > out.min()
    # Far beyond all that fit has seen.
    far = encoder.transform([[1.79e308], [-1.79e308]])
    assert np.isfinite(far).all()


def test_scaling_does_not_lose_digits_of_large_offsets():
    x = 1e12 + np.arange(5.0)
    assert_allclose(column(x, clip=None)[:, 0], [-1, -0.5, 0, 0.5, 1])


def test_huge_numbers_are_scaled_like_small_ones():
    # The median is near one end, so that differences from it overflow.
    x = np.concatenate([np.linspace(-1, -0.8, 50), np.linspace(-0.7, 1, 40)])
    for clip in (3.0, None):
        huge = column(x * 1.7e308, clip=clip)
        assert_allclose(huge, column(x, clip=clip), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, 10**400, Decimal("Infinity")])
def test_infinity_names_its_column(bad):
    X = pd.DataFrame({"b": [1.0, 2, 3], "a": pd.Series([1, bad, 2], dtype=object)})
    with pytest.raises(ValueError, match=r"Column 'a' contains infinity.* row 1\b"):
        TabularEncoder().fit(X)
    encoder = TabularEncoder().fit(X.assign(a=[1, 2, 3]))
    with pytest.raises(ValueError, match="Column 'a' contains infinity"):
        encoder.transform(X)
    with pytest.raises(ValueError, match="Column 1 contains infinity"):
        TabularEncoder().fit(X.to_numpy())


def test_wide_floats_that_overflow():
    X = np.array([[1], [2], [3]], dtype=np.longdouble)
    TabularEncoder().fit(X)
    X[1] *= np.longdouble(1e300)
    X[1] *= np.longdouble(1e300)
    with pytest.raises(ValueError, match="Column 0 contains infinity"):
        TabularEncoder().fit(X)


@pytest.mark.parametrize(
    "numbers",
    [
        [Decimal("0.5"), Decimal(2), None, Decimal(4)],
        [0.5, 2, None, np.float32(4)],
        [np.float64(0.5), np.int16(2), np.nan, 4],
        [Fraction(1, 2), 2, pd.NA, 4.0],
    ],
)
def test_objects_that_are_numbers(numbers):
    data = np.empty((4, 1), dtype=object)
    data[:, 0] = numbers
    expected = TabularEncoder().fit_transform([[0.5], [2.0], [np.nan], [4.0]])
    assert_array_equal(TabularEncoder().fit_transform(data), expected)
    assert_array_equal(TabularEncoder().fit_transform(pd.DataFrame(data)), expected)


def test_constant_and_empty_columns_are_dropped():
    X = pd.DataFrame(
        {"c": [2, 2, 2], "n": [np.nan] * 3, "x": [1, 2, 3], "s": ["a"] * 3}
    )
    X["none"] = pd.Series([None] * 3, dtype="string")
    encoder = TabularEncoder().fit(X)
    assert_array_equal(encoder.dropped_features_, [0, 1, 3, 4])
    assert encoder.encodings_ == ["dropped", "dropped"]
    assert list(encoder.get_feature_names_out()) == ["x"]
    # What is dropped is not even read.
    other = X.assign(c=["text"] * 3, n=[1, 2, 3], s=["new", None, "a"])
    assert_array_equal(encoder.transform(other), encoder.transform(X))


def test_one_row():
    encoder = TabularEncoder().fit(pd.DataFrame({"a": [1.0], "b": ["x"]}))
    assert encoder.transform(pd.DataFrame({"a": [2.0], "b": ["y"]})).shape == (1, 0)


# Missing numbers


def test_missing_numbers_get_an_indicator():
    X = pd.DataFrame({"a": [1.0, np.nan, 2, 3], "b": [1.0, 2, 3, 4]})
    encoder = TabularEncoder().fit(X)
    assert list(encoder.get_feature_names_out()) == ["a", "b", "a_missing"]
    assert (encoder.n_numeric_, encoder.n_plain_) == (2, 1)
    assert_array_equal(encoder.indicator_features_, [0])
    out = encoder.transform(X)
    assert_array_equal(out[:, 2], [0, 1, 0, 0])
    assert out[1, 0] == 0
    # b had none in fit: the median, without an indicator.
    out = encoder.transform(pd.DataFrame({"a": [1.0], "b": [np.nan]}))
    assert_array_equal(out[:, 1:], [[0, 0]])


def test_missing_numbers_may_stay():
    X = pd.DataFrame({"a": [1.0, np.nan, 2, 3], "b": [1.0, 2, 3, 4]})
    encoder = TabularEncoder(missing="nan").fit(X)
    out = encoder.transform(X)
    assert list(encoder.get_feature_names_out()) == ["a", "b"]
    assert_array_equal(np.isnan(out), X.isna())
    with_indicator = TabularEncoder().fit_transform(X)
    assert_array_equal(np.nan_to_num(out), with_indicator[:, :2])


def test_a_constant_with_gaps_says_where_they_are():
    assert_array_equal(column([5, np.nan, 5]), [[0], [1], [0]])
    assert_array_equal(column([5, np.nan, 5], missing="nan"), [[0], [np.nan], [0]])
    encoder = TabularEncoder().fit([[5.0], [np.nan], [5.0]])
    assert list(encoder.get_feature_names_out()) == ["x0_missing"]
    assert len(encoder.dropped_features_) == 0


# Categories


def test_one_hot():
    encoder = TabularEncoder().fit([["b"], ["a"], [None], ["c"]])
    assert encoder.encodings_ == ["one-hot"]
    assert encoder.categories_ == [["a", "b", "c"]]
    names = ["x0_a", "x0_b", "x0_c", "x0_missing"]
    assert list(encoder.get_feature_names_out()) == names
    out = encoder.transform([["c"], [None], ["new"], ["a"], [np.nan], [3]])
    rows = ["0010", "0001", "0000", "1000", "0001", "0000"]
    assert_array_equal(out, [[int(v) for v in row] for row in rows])
    assert encoder.n_plain_ == 4 and encoder.cardinalities_ == []


def test_missing_is_unknown_where_fit_saw_none():
    encoder = TabularEncoder().fit([["b"], ["a"], ["c"]])
    assert_array_equal(encoder.transform([[None], ["c"]]), [[0, 0, 0], [0, 0, 1]])
    encoder = TabularEncoder(max_one_hot=0).fit([["b"], ["a"], ["c"]])
    assert encoder.cardinalities_ == [4]
    assert_array_equal(encoder.transform([[None], ["c"], ["d"]]), [[0], [3], [0]])


def test_two_categories_share_a_column():
    encoder = TabularEncoder().fit([["m"], ["f"], ["m"]])
    assert encoder.encodings_ == ["binary"]
    assert list(encoder.get_feature_names_out()) == ["x0_m"]
    out = encoder.transform([["f"], ["m"], ["x"], [None]])
    assert_array_equal(out, [[-1], [1], [0], [0]])
    # With missing values they have columns of their own.
    assert TabularEncoder().fit([["m"], ["f"], [None]]).encodings_ == ["one-hot"]


def test_codes():
    encoder = TabularEncoder(max_one_hot=2).fit([["b"], ["a"], [None], ["c"]])
    assert encoder.encodings_ == ["codes"]
    assert encoder.cardinalities_ == [5]
    out = encoder.transform([["a"], ["b"], ["c"], [None], ["new"]])
    assert_array_equal(out, [[1], [2], [3], [4], [0]])
    assert list(encoder.get_feature_names_out()) == ["x0"]


@pytest.mark.parametrize("max_one_hot", [None, np.inf, 20, 8, 7, 2, 1, 0])
def test_max_one_hot(max_one_hot):
    eight = [[f"c{i}"] for i in range(8)] + [[None]]
    encoder = TabularEncoder(max_one_hot=max_one_hot).fit(eight)
    limit = np.inf if max_one_hot is None else max_one_hot
    assert encoder.encodings_ == ["one-hot" if limit >= 8 else "codes"]
    binary = TabularEncoder(max_one_hot=max_one_hot).fit([[True], [False]])
    assert binary.encodings_ == ["binary" if limit >= 2 else "codes"]


def test_rare_categories_are_unknown():
    X = [["a"]] * 3 + [["b"]] * 2 + [["c"]]
    encoder = TabularEncoder(min_frequency=2).fit(X)
    assert encoder.categories_ == [["a", "b"]]
    assert_array_equal(encoder.transform([["a"], ["b"], ["c"]]), [[-1], [1], [0]])
    # One that is left is 1, and the rare ones 0: no constant.
    encoder = TabularEncoder(min_frequency=3).fit(X)
    assert_array_equal(encoder.transform([["a"], ["b"]]), [[1], [0]])
    encoder = TabularEncoder(min_frequency=4).fit(X)
    assert_array_equal(encoder.dropped_features_, [0])
    encoder = TabularEncoder(min_frequency=4).fit([*X, [None]])
    assert_array_equal(encoder.transform([["a"], [None]]), [[0], [1]])


def test_max_categories_keeps_the_most_frequent():
    X = [["d"]] * 3 + [["c"]] * 2 + [["b"]] * 2 + [["a"]]
    for rows in (X, X[::-1]):
        encoder = TabularEncoder(max_categories=2, max_one_hot=0).fit(rows)
        assert encoder.categories_ == [["b", "d"]]
        assert encoder.cardinalities_ == [3]
        out = encoder.transform([["a"], ["b"], ["c"], ["d"]])
        assert_array_equal(out, [[0], [1], [0], [2]])


def test_row_order_does_not_matter():
    order = RNG.permutation(N)
    encoder, shuffled = TabularEncoder().fit(PANDAS), TabularEncoder()
    shuffled.fit(PANDAS.iloc[order])
    assert_array_equal(
        shuffled.transform(PANDAS.iloc[order]), encoder.transform(PANDAS)[order]
    )


@pytest.mark.parametrize("pandas", [True, False])
def test_categories_of_mixed_types_have_an_order(pandas, monkeypatch):
    class Other:
        def __repr__(self):
            return "other"

    other = Other()
    values = ["b", 2, 1.5, "a", b"a", Decimal("0.25"), other, 10, Fraction(1, 3)]
    X = np.empty((len(values), 1), dtype=object)
    X[:, 0] = values
    if not pandas:
        monkeypatch.delitem(sys.modules, "pandas")
    for rows in (X, X[::-1]):
        encoder = TabularEncoder(max_one_hot=20).fit(rows)
        ordered = [1.5, 2, 10, "a", "b", Decimal("0.25"), Fraction(1, 3), other, b"a"]
        assert encoder.categories_ == [ordered]
    assert encoder.transform(X).sum() == len(values)


def test_whole_numbers_are_one_category_whatever_their_type():
    values = [1, 2, 3, 1, 2, 40]
    frames = [
        pd.DataFrame({"a": values}),
        pd.DataFrame({"a": np.array(values, float)}),
        pd.DataFrame({"a": values}, dtype="category"),
        pd.DataFrame({"a": np.array(values, float)}, dtype="category"),
        pd.DataFrame({"a": [Decimal(v) for v in values]}),
        pd.DataFrame({"a": pd.Series(values, dtype="Int8")}),
        pl.DataFrame({"a": values}),
        pl.DataFrame({"a": values}, schema={"a": pl.Float32}),
        pl.DataFrame({"a": values}, schema={"a": pl.UInt64}),
    ]
    expected = TabularEncoder(categorical_features=[0]).fit(frames[0])
    for frame in frames:
        encoder = TabularEncoder(categorical_features=["a"]).fit(frame)
        assert encoder.categories_ == [[1, 2, 3, 40]]
        assert all(type(value) is int for value in encoder.categories_[0])
        assert list(encoder.get_feature_names_out()) == ["a_1", "a_2", "a_3", "a_40"]
        for other in frames:
            assert_array_equal(encoder.transform(other), expected.transform(other))
            assert encoder.transform(other).sum() == len(values)


def test_missing_among_numbers_that_are_categories(monkeypatch):
    values = [1, None, 2, 1]
    for frame in (
        pd.DataFrame({"a": values}),
        pd.DataFrame({"a": pd.Series(values, dtype="Int64")}),
        pl.DataFrame({"a": values}),
        pl.DataFrame({"a": [1.0, float("nan"), 2, 1]}),
        [[v] for v in values],
        [[np.nan if v is None else v] for v in values],
    ):
        out = TabularEncoder(categorical_features=[0]).fit_transform(frame)
        assert_array_equal(out, [[1, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]])
    monkeypatch.delitem(sys.modules, "pandas")
    again = TabularEncoder(categorical_features=[0]).fit_transform(frame)
    assert_array_equal(again, out)


def test_polars_categories_of_other_columns_do_not_matter():
    many = pl.Series("many", [f"v{i}" for i in range(5000)], dtype=pl.Categorical)
    few = pl.Series("a", ["v4999", None, "v0", "v4999"], dtype=pl.Categorical)
    assert len(many) == 5000
    assert_array_equal(
        TabularEncoder().fit_transform(few.to_frame()),
        TabularEncoder().fit_transform([["v4999"], [None], ["v0"], ["v4999"]]),
    )
    sliced = many.to_frame()[4990:]
    assert TabularEncoder().fit(sliced).categories_[0][0] == "v4990"


def test_intervals_and_sparse_columns_of_pandas():
    bins = pd.DataFrame({"a": pd.cut(np.arange(30.0), 3)})
    assert TabularEncoder().fit_transform(bins).sum() == 30
    plain = bins.assign(a=pd.Series(pd.arrays.IntervalArray(bins["a"])))
    assert_array_equal(
        TabularEncoder().fit_transform(plain).sum(axis=0), [10.0, 10.0, 10.0]
    )
    numbers = pd.DataFrame({"a": np.tile([0.0, 0, 1, 3], 5)})
    sparse = numbers.astype(pd.SparseDtype(float, 0.0))
    assert_array_equal(
        TabularEncoder().fit_transform(sparse), TabularEncoder().fit_transform(numbers)
    )


# Which columns are categories


@pytest.mark.parametrize(
    "chosen",
    [
        ["b", "d"],
        np.array(["b", "d"]),
        pd.Index(["b", "d"]),
        [1, 3],
        (3, 1),
        np.array([1, 3]),
        [False, True, False, True],
        np.array([False, True, False, True]),
    ],
)
def test_categorical_features(chosen):
    X = pd.DataFrame(np.arange(12).reshape(3, 4), columns=list("abcd"))
    encoder = TabularEncoder(categorical_features=chosen).fit(X)
    assert_array_equal(encoder.categorical_features_, [1, 3])
    assert_array_equal(encoder.numeric_features_, [0, 2])
    assert encoder.categories_ == [[1, 5, 9], [3, 7, 11]]


def test_no_categorical_features():
    X = pd.DataFrame({"a": [True, False, True], "b": pd.Categorical([3, 1, 2])})
    for chosen in (None, []):
        encoder = TabularEncoder(categorical_features=chosen, clip=None).fit(X)
        assert len(encoder.categorical_features_) == 0
        assert_array_equal(encoder.transform(X)[:, 1], [1, -1, 0])
        polars = pl.DataFrame({"a": [True, False, True], "b": [3, 1, 2]})
        assert_array_equal(encoder.transform(polars), encoder.transform(X))
    with pytest.raises(ValueError, match=r"Column 'c' is to be numeric.* a str\."):
        TabularEncoder(categorical_features=None).fit(X.assign(c=["1", "2", "3"]))
    for frame in (pl.DataFrame, pd.DataFrame):
        with pytest.raises(ValueError, match=r"Column 'c' .* categorical_features"):
            TabularEncoder(categorical_features=[]).fit(frame({"c": ["1", "2", "3"]}))


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (["a", "z"], "contains 'z', which names no column of X"),
        ([0, 4], r"must be in \[0, 3\]. Got \[0, 4\]"),
        ([-1], r"must be in \[0, 3\]. Got \[-1\]"),
        ([True, False], r"must have shape \(4,\).*Got shape \(2,\)"),
        ([0.5], r"array-like of bool, int or str, all of one type. Got \[0.5\]"),
        (["a", 1], "all of one type"),
        ("color", "'categorical_features' parameter of TabularEncoder must be"),
        ([[0]], "'categorical_features' parameter"),
        (3, "'categorical_features' parameter"),
    ],
)
def test_wrong_categorical_features(chosen, message):
    X = pd.DataFrame(np.arange(12).reshape(3, 4), columns=list("abcd"))
    with pytest.raises(ValueError, match=message):
        TabularEncoder(categorical_features=chosen).fit(X)


def test_names_need_names():
    for X in (np.eye(3), pd.DataFrame(np.eye(3))):
        with pytest.raises(ValueError, match=r"only where X is a data frame.*\['a'\]"):
            TabularEncoder(categorical_features=["a"]).fit(X)


@pytest.mark.parametrize(
    ("name", "values"),
    {
        "max_one_hot": [-1, 2.5, "all", True],
        "min_frequency": [0, 1.5, None],
        "max_categories": [0, 2**24, None, np.inf],
        "missing": ["drop", None, 0],
        "clip": [0, -1.0, np.inf, "3", np.nan],
    }.items(),
)
def test_wrong_parameters(name, values):
    for value in values:
        with pytest.raises(ValueError, match=f"The '{name}' parameter of Tab.* Got"):
            TabularEncoder(**{name: value}).fit(PANDAS)


# What cannot be encoded

DAY = datetime.date(2024, 2, 29)
MOMENT = datetime.datetime(2024, 2, 29, 12)
SPAN = datetime.timedelta(days=2)


@pytest.mark.parametrize("value", [DAY, MOMENT, SPAN, datetime.time(3)])
@pytest.mark.parametrize("container", ["pandas", "objects", "polars", "numpy", "arrow"])
def test_dates_are_refused_with_advice(value, container):
    values = [value, value]
    if container == "polars":
        X = pl.DataFrame({"when": values})
    elif container == "numpy":
        X = np.array(values, dtype=object)[:, None]
    elif container == "arrow":
        X = (
            pl.DataFrame({"when": values})
            .to_arrow()
            .to_pandas(types_mapper=pd.ArrowDtype)
        )
    else:
        X = pd.DataFrame({"when": values}, dtype=object)
        X = X if container == "objects" else X.infer_objects()
    label = "Column 0" if container == "numpy" else "Column 'when'"
    with pytest.raises(TypeError, match=f"^{label} contains dates .* day of the week"):
        TabularEncoder().fit(X)
    with pytest.raises(TypeError, match=f"^{label} contains dates"):
        TabularEncoder(categorical_features=[0]).fit(X)


def test_more_dates():
    stamps = pd.date_range("2024", periods=3)
    for values in (stamps, stamps.tz_localize("UTC"), stamps.to_period("D")):
        for dtype in (None, object):
            with pytest.raises(TypeError, match="Column 'when' contains dates or t"):
                TabularEncoder().fit(pd.DataFrame({"when": values}, dtype=dtype))
    for kind in ("M8[s]", "m8[s]"):
        times = np.zeros((3, 2), kind)
        mixed = np.ones((3, 2), dtype=object)
        mixed[:, 1] = list(times[:, 1])
        with pytest.raises(TypeError, match="Column 0 contains dates or times"):
            TabularEncoder().fit(times)
        with pytest.raises(TypeError, match="Column 1 contains dates or times"):
            TabularEncoder().fit(mixed)


@pytest.mark.parametrize(
    ("wrap", "values"),
    [
        (pd.Categorical, pd.date_range("2024", periods=3)),
        (pd.Categorical, pd.date_range("2024", periods=3, tz="UTC")),
        (pd.Categorical, pd.date_range("2024", periods=3).date),
        (pd.Categorical, pd.period_range("2024", periods=3, freq="M")),
        (pd.Categorical, pd.timedelta_range("1 day", periods=3)),
        (pd.Categorical, [datetime.time(1), datetime.time(2)]),
        (pd.Categorical, np.array(["never", DAY], dtype=object)),
        (pd.Categorical, [None, None, MOMENT]),
        (dictionary, [DAY, None, DAY]),
        (dictionary, [MOMENT, None, MOMENT]),
        (dictionary, [SPAN, None, SPAN]),
        (dictionary, [datetime.time(1), None]),
    ],
)
def test_categories_of_dates_are_refused_with_advice(wrap, values):
    X = pd.DataFrame({"when": wrap(values)})
    for chosen in ("from_dtype", None, [0]):
        encoder = TabularEncoder(categorical_features=chosen)
        with pytest.raises(
            TypeError, match=r"^Column 'when' contains dates .*the year"
        ):
            encoder.fit(X)
    encoder = TabularEncoder().fit(pd.DataFrame({"when": ["a", "b", "c"]}))
    with pytest.raises(TypeError, match=r"^Column 'when' contains dates"):
        encoder.transform(X)


def test_bins_of_dates_are_categories():
    """Somebody has cut the time into pieces: what the advice asks for."""
    X = pd.DataFrame({"when": pd.cut(pd.date_range("2024", periods=9), 3)})
    assert_array_equal(TabularEncoder().fit_transform(X).sum(axis=0), [3, 3, 3])


@pytest.mark.parametrize("value", [[1, 2], {"a": 1}, (1, 2), {1}, np.ones(2)])
def test_nested_values_are_refused(value):
    data = np.empty((2, 1), dtype=object)
    data[0, 0] = data[1, 0] = value
    for X in (pd.DataFrame(data, columns=["tags"]), data):
        with pytest.raises(TypeError, match=r"^Column ('tags'|0) contains nested"):
            TabularEncoder().fit(X)


@pytest.mark.parametrize("value", [[1, 2], {"a": 1}])
def test_nested_values_of_polars_and_arrow_are_refused(value):
    X = pl.DataFrame({"x": [1, 2], "tags": [value, value]})
    with pytest.raises(TypeError, match=r"^Column 'tags' contains nested"):
        TabularEncoder().fit(X)
    with pytest.raises(TypeError, match=r"^Column 'tags' contains nested"):
        TabularEncoder().fit(X.to_arrow().to_pandas(types_mapper=pd.ArrowDtype))


def test_complex_numbers_are_refused():
    for X in (np.eye(2) * 1j, pd.DataFrame(np.eye(2) * 1j), [[1j, "a"], [2, "b"]]):
        with pytest.raises(ValueError, match=r"Complex data not supported: Column 0"):
            TabularEncoder().fit(X)


def test_structured_arrays_are_refused():
    X = np.zeros((3, 1), dtype=[("a", "f8")])
    with pytest.raises(TypeError, match="Column 0 has the type"):
        TabularEncoder().fit(X)


@pytest.mark.parametrize("container", [sp.csr_array, sp.coo_matrix])
def test_sparse_matrices_are_refused(container):
    with pytest.raises(TypeError, match="Sparse data was passed"):
        TabularEncoder().fit(container(np.eye(3)))
    with pytest.raises(TypeError, match="Sparse data was passed"):
        TabularEncoder().fit(np.eye(3)).transform(container(np.eye(3)))


def test_lazy_frames_are_refused():
    with pytest.raises(TypeError, match=r"LazyFrame. Call its collect"):
        TabularEncoder().fit(POLARS.lazy())


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (pd.Series([1.0, 2]), "Expected 2D array, got 1D array"),
        (pl.Series([1.0, 2]), "Expected 2D array, got 1D array"),
        (["a", "b"], "Expected 2D array, got 1D array"),
        ([["a"], ["b", "c"]], "inhomogeneous shape"),
        (3.0, "Expected 2D array, got scalar"),
        ({"a": [1, 2]}, r"got scalar array instead:\narray=\{'a'"),
        (np.zeros((2, 2, 2)), "dim 3"),
        (pd.DataFrame({"a": []}), r"0 sample\(s\)"),
        (pl.DataFrame({"a": []}), r"0 sample\(s\)"),
        (np.zeros((0, 2), dtype=object), r"0 sample\(s\)"),
        (pd.DataFrame(index=range(3)), r"0 feature\(s\)"),
    ],
)
def test_shapes(X, message):
    with pytest.raises(ValueError, match=message):
        TabularEncoder().fit(X)


@pytest.mark.parametrize("frame", [PANDAS, POLARS])
def test_columns_are_checked_by_name(frame):
    encoder = TabularEncoder().fit(frame)
    names = list(DATA)
    with pytest.raises(ValueError, match=r"(?s)feature names should match.*order"):
        encoder.transform(frame[names[::-1]])
    with pytest.raises(ValueError, match=r"(?s)seen at fit time.*missing.*- city"):
        encoder.transform(frame[[name for name in names if name != "city"]])
    with pytest.raises(ValueError, match=r"X has 3 features, but TabularEncoder is"):
        TabularEncoder().fit(np.eye(4)).transform(np.eye(3))


def test_a_number_column_with_strings_later():
    encoder = TabularEncoder().fit(PANDAS)
    with pytest.raises(ValueError, match=r"Column 'rooms' is to be numeric.* a str"):
        encoder.transform(PANDAS.assign(rooms="many"))
    with pytest.raises(TypeError, match="Column 'color' contains dates"):
        encoder.transform(PANDAS.assign(color=MOMENT))


# Types that change between fit and transform


def frame_of(values):
    if isinstance(values, pl.Series):
        return values.to_frame("k")
    return pd.DataFrame({"k": values})


def codes_of(encoder, values):
    """The codes of one column, and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        out = encoder.transform(frame_of(values))
    return out[:, 0].astype(int).tolist(), [str(each.message) for each in caught]


def coded(values):
    encoder = TabularEncoder(categorical_features=[0], max_one_hot=0)
    return encoder.fit(frame_of(values))


def arrow_series(values):
    pa = pytest.importorskip("pyarrow")
    return pd.Series(values, dtype=pd.ArrowDtype(pa.array(values).type))


WRAPS = {
    "list": lambda values: values,
    "objects": lambda values: pd.Series(values, dtype=object),
    "pandas": pd.Series,
    "nullable": lambda values: pd.Series(values).convert_dtypes(),
    "category": lambda values: pd.Series(values, dtype="category"),
    "arrow": arrow_series,
    "dictionary": lambda values: dictionary(values),
    "polars": pl.Series,
}


@pytest.mark.parametrize("wrap_fit", WRAPS)
@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize(
    ("fitted", "given"),
    [
        ([1, 2, 30], ["1", "2", "30"]),
        ([1.0, 2.0, 30.0], ["1", "2", "30"]),
        ([1, 2, 30], ["1.0", "2.0", "30.0"]),
        ([0.5, -1.25, 1e300], ["0.5", "-1.25", "1e+300"]),
        (["1", "2", "30"], [1, 2, 30]),
        (["1", "2", "30"], [1.0, 2.0, 30.0]),
        (["1.0", "2.0", "30.0"], [1, 2, 30]),
        (["0.5", "-1.25", "1e+300"], [0.5, -1.25, 1e300]),
        ([True, False, True], ["True", "False", "True"]),
        ([True, False, True], ["true", "false", "true"]),
        (["True", "False", "True"], [True, False, True]),
        (["true", "false", "true"], [True, False, True]),
    ],
)
@pytest.mark.filterwarnings("ignore:X .* feature names:UserWarning")
def test_another_type_is_read_as_that_of_fit(wrap_fit, wrap, fitted, given):
    encoder = coded(WRAPS[wrap_fit](fitted))
    expected, _ = codes_of(encoder, fitted)
    assert 0 not in expected
    assert codes_of(encoder, WRAPS[wrap](given)) == (expected, [])


@pytest.mark.parametrize("without", [False, True])
def test_another_type_in_arrays_and_lists(without, monkeypatch):
    if without:
        monkeypatch.delitem(sys.modules, "pandas")
    encoder = TabularEncoder(categorical_features=[0, 1], max_one_hot=0)
    encoder.fit([[1, "3"], [2, "4"]])
    expected = [[1, 1], [2, 2]]
    assert_array_equal(encoder.transform([["1", 3], ["2", 4]]), expected)
    assert_array_equal(encoder.transform(np.array([[1, 3], [2, 4]])), expected)
    text = np.array([["1", "3"], ["2", "4"]])
    assert_array_equal(encoder.transform(text), expected)
    assert_array_equal(encoder.transform(text.astype(object)), expected)


def test_ids_of_64_bits_are_read_exactly():
    ids = [2**53 + 1, 2**53, 2**62 + 1, 2**62]
    encoder = coded(ids)
    assert codes_of(encoder, [str(v) for v in ids]) == ([2, 1, 4, 3], [])
    # The next integer is another one, and a float that is near is none of them.
    assert codes_of(encoder, [str(2**53 + 2), str(2**53)]) == ([0, 1], [])
    assert codes_of(encoder, ["9007199254740992.0"]) == ([0], [])


@pytest.mark.parametrize(
    ("fitted", "given", "codes", "example"),
    [
        ([1, 2, 3], ["01", "02", "03"], [0, 0, 0], "strings now, such as '01'"),
        ([1, 2, 10], ["01", "02", "10"], [0, 0, 3], "strings now, such as '01'"),
        ([1, 2, 3], ["1", "x"], [1, 0], "strings now, such as 'x'"),
        ([1, 2, 3], [" 1", "1_0"], [0, 0], "strings now, such as ' 1'"),
        ([1, 2, 3], [b"1"], [0], "values of type bytes now, such as b'1'"),
        ([1.5, 2.5], ["1.50", "2,5"], [0, 0], "strings now, such as '1.50'"),
        (["red", "blue"], [1, 2.5], [0, 0], "numbers now, such as 1"),
        (["01", "02"], [1, 2], [0, 0], "numbers now, such as 1"),
        (["red", "blue"], [True], [0], "booleans now, such as True"),
        ([True, False], ["yes", "no"], [0, 0], "strings now, such as 'yes'"),
        ([True, False], ["1", "0"], [0, 0], "strings now, such as '1'"),
        ([True, False], [2, 3], [0, 0], "numbers now, such as 2"),
        ([0, 1], ["True", "False"], [0, 0], "strings now, such as 'True'"),
        ([3, 4], [True], [0], "booleans now, such as True"),
        ([b"a", b"b"], ["a"], [0], "strings now, such as 'a'"),
        (pd.cut(range(9), 3), ["(0, 1]"], [0], "strings now, such as '(0, 1]'"),
    ],
)
def test_one_warning_where_a_changed_type_cannot_be_read(fitted, given, codes, example):
    encoder = coded(fitted)
    found, messages = codes_of(encoder, given)
    assert found == codes
    (message,) = messages
    assert message.startswith("Column 'k' held ") and example in message


@pytest.mark.parametrize(
    ("fitted", "given", "codes"),
    [
        # New categories of the same type.
        (["a", "b"], ["c", "d"], [0, 0]),
        ([1, 2], [3, 4.5], [0, 0]),
        ([1, 2], ["3"], [0]),
        # Booleans are 0 and 1.
        ([True, False], [1, 0.0], [2, 1]),
        ([0, 1, 2], [True, False], [2, 1]),
        # Some have the type of fit.
        ([1, 2], [1, "x"], [1, 0]),
        (["a", "b"], ["a", 7], [1, 0]),
        # Several types in fit.
        ([1, "a"], ["1", "b"], [0, 0]),
        # Missing ones are of no type.
        (["a", "b"], [None, np.nan], [0, 0]),
        ([1, 2], ["1", None], [1, 0]),
        ([1, 2], ["2.0", "nan"], [2, 0]),
        ([1, 2], ["None", "<NA>"], [0, 0]),
        # A category of the type that does not occur.
        ([1, 2], pd.Categorical(["1", "2"], ["x", "2", "1"]), [1, 2]),
        ([1, 2, 3], ["2", "3", "4"], [2, 3, 0]),
        (["1", "2"], [1, 5], [1, 0]),
    ],
)
def test_what_is_silent(fitted, given, codes):
    values = given if isinstance(given, pd.Categorical) else pd.Series(given, dtype="O")
    assert codes_of(coded(fitted), values) == (codes, [])


def test_text_of_missing_values_is_missing_among_numbers():
    encoder = coded([1, None, 2])
    assert codes_of(encoder, ["1", "nan", "None", "<NA>", "2"]) == ([1, 3, 3, 3, 2], [])
    assert codes_of(coded(["a", None]), ["nan", None]) == ([0, 2], [])


def test_a_row_is_read_the_same_whatever_is_beside_it():
    encoder = coded([1, 2, 3])
    values = ["1", "2", "x", "03", "4", "nan"]
    together, _ = codes_of(encoder, values)
    assert together == [codes_of(encoder, [value])[0][0] for value in values]


def test_one_warning_for_all_columns_that_points_at_the_call():
    numbers = pd.DataFrame({"a": [1, 2], "b": [3, 4], "c": [5, 6]})
    encoder = TabularEncoder(categorical_features=["a", "b", "c"]).fit(numbers)
    with pytest.warns(UserWarning, match="Column 'a' held .*; Column 'c' held") as got:
        encoder.transform(numbers.assign(a=["x", "y"], c="z"))
    assert [each.filename for each in got] == [__file__]
    with pytest.warns(UserWarning, match="Column 'a' held") as got:
        make_pipeline(encoder).transform(numbers.assign(a=["x", "y"]))
    assert [each.filename for each in got] == [__file__]


def test_numbers_that_come_as_text():
    x = np.array([1.5, -2e-3, 40.0, np.nan, 7.0])
    encoder = TabularEncoder().fit(frame_of(x))
    expected = encoder.transform(frame_of(x))
    texts = ["1.50", "-2e-3", " 40", None, "7"]
    for wrap in (*WRAPS.values(), np.array):
        assert_array_equal(encoder.transform(frame_of(wrap(texts))), expected)
    for text in ("nan", "None", "<NA>"):
        texts[3] = text
        assert_array_equal(encoder.transform(frame_of(texts)), expected)
    mixed = [1.5, "-2e-3", Decimal(40), None, "7"]
    assert_array_equal(encoder.transform(frame_of(mixed)), expected)
    for bad in ("?", "1,5", "1_5", "", "True"):
        texts[2] = bad
        said = re.escape(f"Column 'k' is to be numeric, but contains {bad!r}, a str.")
        for wrap in (pd.Series, pl.Series):
            with pytest.raises(ValueError, match=said):
                encoder.transform(frame_of(wrap(texts)))
    texts[2] = "1e400"
    with pytest.raises(ValueError, match=r"Column 'k' contains infinity.* row 2\b"):
        encoder.transform(frame_of(texts))


# Cells that are no numbers, among numbers


def doubts(frame, **parameters):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        TabularEncoder(**parameters).fit(frame)
    return [str(each.message) for each in caught]


CELLS = [*map(str, range(18)), "2.5", "?"]


@pytest.mark.parametrize(
    ("cells", "n_others", "example"),
    [
        (CELLS, 1, "'?'"),
        (["?", None, *CELLS], 2, "'?'"),
        (["n/a", *CELLS[1:]], 2, "'n/a'"),
        (["1,000", *CELLS[:-1]], 1, "'1,000'"),
        (["nan", *CELLS[:-1]], 1, "'nan'"),
        (["inf", *CELLS[:-1]], 1, "'inf'"),
        (["5", "5", "5"] * 3 + ["total"], 1, "'total'"),
        ([1, 2.5, 10**400, Decimal("0.5"), *range(20, 26), "?"], 1, "'?'"),
        ([" 1", "1e-3", "-4", "+5", ".5"] * 4 + ["# end"], 1, "'# end'"),
    ],
)
@pytest.mark.parametrize(
    ("container", "label"),
    [
        (frame_of, "Column 'k'"),
        (lambda cells: frame_of(pd.Series(cells, dtype=object)), "Column 'k'"),
        (lambda cells: frame_of(pl.Series(cells, dtype=pl.Object)), "Column 'k'"),
        (lambda cells: np.array(cells, dtype=object)[:, None], "Column 0"),
        (lambda cells: [[cell] for cell in cells], "Column 0"),
    ],
)
def test_a_cell_among_numbers_is_told(cells, n_others, example, container, label):
    n_values = len(cells) - cells.count(None)
    X = container(cells)
    (message,) = doubts(X)
    assert message.startswith(
        f"{label} is read as categories because of {n_others} of its {n_values} "
        f"values, such as {example}; all others are numbers."
    )
    assert "categorical_features" in message
    assert doubts(X, categorical_features=[0]) == []


@pytest.mark.parametrize(
    "cells",
    [
        ["01234", "10115", "99999"],  # nothing is no number
        ["1", "2", "3"] * 3 + ["x"] * 2,  # more than a tenth
        ["a", "b", "c"],
        [True, False, True],
        [True, None, False],
        [1, 2, 3],
        [None, None],
        ["1_0", *CELLS[:-3], "x"],
        pd.Categorical(CELLS),
        pl.Series(CELLS, dtype=pl.Categorical),
        pl.Series(CELLS, dtype=pl.Enum(CELLS)),
        pd.cut(range(20), 2),
    ],
)
def test_what_is_no_cell_among_numbers(cells):
    assert doubts(frame_of(cells)) == []


def test_a_type_of_text_is_not_one_of_categories():
    assert doubts(frame_of(dictionary(CELLS))) == []
    for wrap in (arrow_series, pl.Series, lambda x: pd.Series(x).convert_dtypes()):
        assert len(doubts(frame_of(wrap(CELLS)))) == 1


def test_one_warning_for_all_columns_with_such_cells():
    X = pd.DataFrame({"a": CELLS, "b": CELLS[::-1], "c": [*CELLS[:-1], "6"]})
    with pytest.warns(UserWarning, match="Column 'a' is .* Column 'b' is ") as got:
        encoder = TabularEncoder().fit(X)
    assert [each.filename for each in got] == [__file__]
    assert_array_equal(encoder.categorical_features_, [0, 1, 2])  # only a warning
    assert len(doubts(X, categorical_features=["a", "b", "c"])) == 0


# Names


def test_output_columns_and_their_description():
    encoder = TabularEncoder().fit(PANDAS)
    assert list(encoder.get_feature_names_out()) == [
        *["age", "income", "rooms"],
        *["age_missing", "color_blue", "color_green", "color_red", "color_missing"],
        *["sex_male", "member_True", "vip_False", "vip_True", "vip_missing"],
        "city",
    ]
    assert (encoder.n_numeric_, encoder.n_plain_) == (3, 10)
    assert encoder.cardinalities_ == [17]
    out = encoder.transform(PANDAS)
    assert out.shape[1] == 14 and out.dtype == np.float32 and out.flags.c_contiguous
    assert set(np.unique(out[:, 3:13])) == {-1, 0, 1}
    assert_array_equal(np.unique(out[:, 13]), np.arange(1, 17))
    assert_array_equal(encoder.feature_names_in_, list(DATA))
    assert_array_equal(encoder.numeric_features_, [0, 1, 2, 8, 9])
    assert_array_equal(encoder.categorical_features_, [3, 4, 5, 6, 7, 10])
    assert encoder.n_features_in_ == 11


def test_many_columns_keep_their_places():
    """Columns are written in groups; indicators come between."""
    X = RNG.normal(size=(9000, 37))
    X[::5, ::3] = np.nan
    encoder = TabularEncoder(clip=None).fit(X)
    out = encoder.transform(X)
    expected = (X - encoder.center_) / encoder.scale_
    assert_allclose(out[:, :37], np.nan_to_num(expected), rtol=1e-5, atol=1e-6)
    assert_array_equal(out[:, 37:], np.isnan(X[:, ::3]))


def test_names_without_names():
    for X in (np.eye(3), pd.DataFrame(np.eye(3)), np.eye(3).tolist()):
        encoder = TabularEncoder().fit(X)
        assert not hasattr(encoder, "feature_names_in_")
        assert list(encoder.get_feature_names_out()) == ["x0", "x1", "x2"]
        assert list(encoder.get_feature_names_out(["a", "b", "c"])) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="number of features"):
        encoder.get_feature_names_out(["a"])
    with pytest.raises(ValueError, match="not equal to feature_names_in_"):
        TabularEncoder().fit(PANDAS).get_feature_names_out(["a"])


def test_names_are_unique():
    X = pd.DataFrame({"a": ["missing", None, "x"], "a_x": [1, 2, 3]})
    names = TabularEncoder().fit(X).get_feature_names_out()
    assert list(names) == ["a_x", "a_missing", "a_x_", "a_missing_"]


def test_duplicate_columns():
    X = pd.DataFrame([[1, "u", 2], [2, "v", 3]], columns=["a", "b", "a"])
    with pytest.raises(ValueError, match=r"X has 2 columns named 'a'\."):
        TabularEncoder().fit(X)
    encoder = TabularEncoder().fit(X.iloc[:, :2])
    with pytest.raises(ValueError, match="X has 2 columns named 'a'"):
        encoder.transform(X)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_set_output(container):
    encoder = TabularEncoder().set_output(transform=container)
    out = encoder.fit_transform(PANDAS)
    assert type(out).__module__.split(".")[0] == container
    assert list(out.columns) == list(encoder.get_feature_names_out())
    plain = TabularEncoder().fit(PANDAS).transform(PANDAS)
    assert_array_equal(out.to_numpy(), plain)
    if container == "pandas":
        assert (out.dtypes == np.float32).all()


# As scikit-learn's estimators


def test_public_name():
    assert SameEncoder is TabularEncoder


def test_pickle_and_clone():
    encoder = TabularEncoder(max_one_hot=2, clip=None).fit(PANDAS)
    expected = encoder.transform(POLARS)
    again = pickle.loads(pickle.dumps(encoder))
    assert_array_equal(again.transform(POLARS), expected)
    fresh = clone(encoder)
    with pytest.raises(NotFittedError):
        fresh.transform(POLARS)
    with pytest.raises(NotFittedError):
        fresh.get_feature_names_out()
    assert_array_equal(fresh.fit(POLARS).transform(POLARS), expected)


def test_parameters_after_fit_do_not_move_columns():
    encoder = TabularEncoder().fit(PANDAS)
    expected = encoder.transform(PANDAS)
    encoder.set_params(max_one_hot=0, min_frequency=50, categorical_features=None)
    assert_array_equal(encoder.transform(PANDAS), expected)


def test_a_failed_fit_changes_nothing():
    encoder = TabularEncoder().fit(PANDAS)
    before = dict(vars(encoder))
    for X in (PANDAS.assign(only=MOMENT), np.full((3, 2), np.inf)):
        with pytest.raises((TypeError, ValueError)):
            encoder.fit(X)
        assert vars(encoder) == before
    fresh = TabularEncoder()
    with pytest.raises(ValueError):
        fresh.fit(np.full((3, 2), np.inf))
    assert not hasattr(fresh, "n_features_in_")


def test_tags():
    tags = get_tags(TabularEncoder())
    assert tags.input_tags.allow_nan and tags.input_tags.string
    assert tags.input_tags.categorical and not tags.input_tags.sparse


def test_inputs_are_left_as_they_are():
    for X in (PANDAS.copy(), numpy_objects(), RNG.normal(size=(20, 3))):
        before = pickle.dumps(X)
        TabularEncoder().fit(X).transform(X)
        assert pickle.dumps(X) == before


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_in_a_pipeline():
    y = np.array(DATA["sex"]) == "male"
    model = make_pipeline(
        TabularEncoder(), BackpropMLPClassifier(max_iter=200, random_state=0)
    )
    assert model.fit(PANDAS, y).score(POLARS, y) == 1


def test_memory_is_the_output_and_a_few_columns():
    n, p = 100_000, 30
    X = RNG.normal(size=(n, p))
    X[::7, 3] = np.nan
    encoder = TabularEncoder()
    tracemalloc.start()
    encoder.fit(X)
    _, of_fit = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    out = encoder.transform(X)
    _, of_transform = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert of_fit < 8 * 8 * n
    assert of_transform < out.nbytes + 9 * 8 * n


def test_neither_pandas_nor_polars_is_needed():
    """scikit-learn itself imports pandas where it finds it."""
    code = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in ("pandas", "polars", "pyarrow"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
import numpy as np
from skbackprop import TabularEncoder

out = TabularEncoder().fit_transform([[1, "a"], [3, "b"], [None, "c"]])
assert out.tolist()[2] == [0, 1, 0, 0, 1], out
assert TabularEncoder().fit_transform(np.eye(3)).shape == (3, 3)
assert not {"pandas", "polars", "pyarrow"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
