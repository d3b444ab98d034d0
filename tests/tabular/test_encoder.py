"""Data frames of every kind to one matrix: numbers, categories, missing values.

Answers for: tabular/_encoder.py, tabular/_columns.py, tabular/_categories.py,
tabular/_numbers.py.
"""

import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest
from frames import CONTAINERS, PANDAS, N
from frames import encode as column
from numpy.testing import assert_allclose, assert_array_equal

from skbackprop import TabularEncoder


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
    X = np.round(np.random.default_rng(1).uniform(0, 9, (50, 3))).astype(dtype)
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
    X = np.random.default_rng(1).normal(size=(40, 3))
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert_array_equal(
        TabularEncoder().fit_transform(mapped), TabularEncoder().fit_transform(X)
    )


# Numbers


def by_hand(x, clip=3.0):
    q25, median, q75 = np.quantile(x, [0.25, 0.5, 0.75])
    z = (x - median) / (q75 - q25)
    return z / np.sqrt(1 + (z / clip) ** 2) if clip else z


@pytest.mark.parametrize("clip", [3.0, 1, 0.25, 100.0, None])
def test_numbers_are_scaled_and_clipped(clip):
    x = np.random.default_rng(1).standard_t(1, 501) * 17 + 5
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
    order = np.random.default_rng(1).permutation(N)
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
