"""Encoders and bins that are learnt from partitions: those of the whole frame.

Answers for: tabular/_summaries.py, tabular/_sketches.py, tabular/_contents.py.
"""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from helpers import fast_regressor as regressor
from numpy.testing import assert_array_equal, assert_equal

from skbackprop import TabularEncoder
from skbackprop.tabular._bins import quantile_edges
from skbackprop.tabular._numbers import center_and_scale
from skbackprop.tabular._prepared import prepare
from skbackprop.tabular._sketches import MOST_VALUES, Sketch
from skbackprop.tabular._summaries import encoded_sketches, merged, summarize

N = 150


def frame(rng, n=N):
    """Columns of all kinds; some say nothing, some have rare categories and gaps."""
    gaps = rng.uniform(size=n) < 0.2
    rare = np.where(np.arange(n) == n // 3, "seldom", rng.choice(list("abc"), n))
    day = pd.Timestamp("2023-05-01") + pd.to_timedelta(rng.integers(0, 9e6, n), "s")
    columns = {
        "number": rng.standard_normal(n) * 1e3,
        "single": rng.standard_normal(n).astype(np.float32),
        "whole": rng.integers(-3, 4, n),
        "gaps": np.where(gaps, np.nan, rng.integers(0, 9, n) / 2),
        "nullable": pd.array(np.where(gaps, pd.NA, rng.integers(0, 9, n)), "Int64"),
        "objects": np.where(gaps, None, rng.integers(0, 3, n).astype(object)),
        "text": pd.Series(np.where(gaps[::-1], None, rare), dtype=object),
        "strings": pd.Series(rng.choice(["u", "v"], n), dtype="str"),
        "category": pd.Categorical(rare, ["c", "seldom", "a", "b", "never"]),
        "coded": pd.Categorical(rng.integers(0, 12, n)),
        "flag": rng.uniform(size=n) < 0.5,
        "maybe": pd.array(np.where(gaps, pd.NA, gaps[::-1]), "boolean"),
        "day": pd.Series(day).where(rng.uniform(size=n) < 0.9),
        "one number": np.full(n, 7),
        "one category": np.full(n, "z", dtype=object),
        "one and gaps": np.where(gaps, np.nan, 5.0),
        "nothing": np.full(n, np.nan),
    }
    return pd.DataFrame(columns)


def cuts(rng, n_partitions, n=N):
    """Where partitions begin and end: some are empty, some have one row."""
    stops = np.sort(rng.integers(0, n + 1, n_partitions - 1))
    if n_partitions > 4:
        stops[1], stops[2] = stops[0], min(n, stops[0] + 1)
        stops.sort()
    return list(zip([0, *stops], [*stops, n], strict=True))


def as_it_comes(rng, part, first):
    """A partition of pandas as files have it: columns and types of its own."""
    for name in ("category", "coded"):
        part = part.assign(**{name: part[name].cat.remove_unused_categories()})
    for name in part.columns[part.isna().all()] if len(part) else ():
        kinds = [np.full(len(part), np.nan), np.full(len(part), None)]
        part = part.assign(**{name: kinds[rng.integers(2)]})
    return part if first else part[list(rng.permutation(part.columns))]


def learnt(encoder, parts):
    """An encoder of partitions, each summarised in a process of its own."""
    encoder = TabularEncoder(**encoder.get_params())
    said = [summarize(part, encoder, k) for k, part in enumerate(parts)]
    encoder._learn(merged(pickle.loads(pickle.dumps(said))))
    return encoder


def assert_same_encoder(other, encoder, X):
    assert set(vars(other)) == set(vars(encoder))
    for name, value in vars(encoder).items():
        assert_equal(getattr(other, name), value, err_msg=name)
        if isinstance(value, np.ndarray):
            assert getattr(other, name).dtype == value.dtype
    kinds = [[type(each) for each in known] for known in encoder.categories_]
    assert [[type(each) for each in known] for known in other.categories_] == kinds
    assert_array_equal(other.transform(X), encoder.transform(X))


PARAMETERS = [
    {},
    {"max_one_hot": 0, "missing": "nan", "min_frequency": 2},
    {"max_one_hot": None, "max_categories": 3, "clip": None},
    {"categorical_features": ["text", "strings", "category", "one category", "whole"]},
]


@pytest.mark.parametrize("n_partitions", [1, 2, 5, 9])
@pytest.mark.parametrize("parameters", PARAMETERS, ids=range(len(PARAMETERS)))
def test_encoders_of_partitions_of_pandas(parameters, n_partitions):
    rng = np.random.default_rng(n_partitions)
    for _ in range(3):
        X = frame(rng)
        encoder = TabularEncoder(dates="numbers", **parameters).fit(X)
        parts = [as_it_comes(rng, X[a:b], a == 0) for a, b in cuts(rng, n_partitions)]
        assert_same_encoder(learnt(encoder, parts), encoder, X)


@pytest.mark.parametrize("n_partitions", [1, 2, 5, 9])
def test_encoders_of_partitions_of_polars_and_numpy(n_partitions):
    rng = np.random.default_rng(n_partitions)
    X = frame(rng).drop(columns=["objects"])
    for name in ("category", "coded", "nullable", "maybe"):
        X[name] = X[name].astype(object).where(X[name].notna(), None)
    lists = {name: [*X[name].astype(object).where(X[name].notna(), None)] for name in X}
    lists["day"] = [None if v is None else v.to_pydatetime() for v in lists["day"]]
    frames = [
        pl.DataFrame(lists, strict=False).with_columns(
            pl.col("text").cast(pl.Categorical)
        ),
        X.drop(columns="day").to_numpy(dtype=object),
        X[["number", "whole", "gaps", "nothing"]].to_numpy(),
    ]
    for whole in frames:
        encoder = TabularEncoder(dates="numbers").fit(whole)
        parts = [whole[a:b] for a, b in cuts(rng, n_partitions)]
        assert_same_encoder(learnt(encoder, parts), encoder, whole)
    # By their places, or a mask.
    for chosen in ([1, 3], [False, True, False, True]):
        encoder = TabularEncoder(categorical_features=chosen).fit(whole)
        assert_same_encoder(learnt(encoder, parts), encoder, whole)


def test_summaries_may_be_merged_in_steps():
    rng = np.random.default_rng(0)
    X = frame(rng)
    X["flag"] = X["flag"].astype("boolean")
    X.loc[:19, ["number", "flag", "text"]] = None
    encoder = TabularEncoder(dates="numbers").fit(X)
    parts = [X[a:b] for a, b in ((0, 20), (20, 20), (20, 90), (90, N))]
    said = [summarize(part, encoder, k) for k, part in enumerate(parts)]
    assert said[1] is None
    for steps in (merged([merged(said[:2]), merged(said[2:])]), merged(said)):
        other = TabularEncoder(dates="numbers")
        other._learn(steps)
        assert_same_encoder(other, encoder, X)
        assert steps.partition == 0 and steps.origins[:2] == [2, 0]
    assert pickle.dumps(merged(said)) == pickle.dumps(merged(said))


def test_a_summary_holds_no_rows():
    rng = np.random.default_rng(0)
    X = frame(rng)
    for part in (X, pl.DataFrame({"a": [1, 2], "b": ["x", "y"]}), X.to_numpy()):
        said = summarize(part, TabularEncoder(dates="numbers"), "the first")
        assert said.source.shape == (0, part.shape[1])
        assert said.partition == "the first"
    said = summarize(X, TabularEncoder(dates="numbers"), 0)
    assert [*said.source.columns] == said.names == [*X.columns]
    assert not said.source.dtypes.isin(["category"]).any()


def test_an_encoder_of_more_values_than_are_kept():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((3 * MOST_VALUES, 1)) ** 3
    encoder = learnt(TabularEncoder(), np.array_split(X, 3))
    near = TabularEncoder().fit(X)
    share = 2 / (MOST_VALUES - 1) + 1 / len(X)
    low, high = np.quantile(X, [0.5 - share, 0.5 + share])
    assert low <= encoder.center_[0] <= high
    assert encoder.center_[0] != near.center_[0]
    # Quartiles may both be off.
    low, high = (np.diff(np.quantile(X, [a, b])) for a, b in _around(share))
    assert low <= encoder.scale_[0] <= high


def _around(share):
    return (0.25 + share, 0.75 - share), (0.25 - share, 0.75 + share)


def test_bins_of_partitions():
    rng = np.random.default_rng(4)
    X = frame(rng)
    signal = rng.standard_normal(N)
    fitted = prepare(regressor(dates="numbers", n_bins=9), X, signal).estimator
    encoder = TabularEncoder(missing="nan", max_one_hot=0, dates="numbers")
    parts = [X[a:b] for a, b in cuts(rng, 5) if b > a]
    summary = merged([summarize(part, encoder, k) for k, part in enumerate(parts)])
    encoder._learn(summary)
    sketches = encoded_sketches(summary, encoder)
    matrix = encoder.transform(X)[:, : encoder.n_numeric_]
    for sketch, column in zip(sketches, matrix.T, strict=True):
        whole = Sketch.of(column)
        assert_array_equal(sketch.values, whole.values)
        assert_array_equal(sketch.counts, whole.counts)
    edges = [quantile_edges(each, 9) for each in sketches]
    assert len(edges) == len(fitted._edges) > 5
    for one, other in zip(edges, fitted._edges, strict=True):
        assert_array_equal(one, other)


# Sketches --------------------------------------------------------------------


def numbers(rng, n, dtype=np.float64):
    """Some values are frequent, many are there once."""
    x = rng.standard_normal(n) ** 3
    ties = rng.uniform(size=n) < 0.5
    x[ties] = rng.integers(-2, 3, np.count_nonzero(ties)) / 4
    return x.astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_quantiles_are_those_of_numpy(dtype):
    rng = np.random.default_rng(7)
    for n in (1, 2, 3, 10, 501):
        for n_bins in (1, 3, 32, 200):
            x = numbers(rng, n, dtype)
            shares = np.linspace(0, 1, n_bins + 1)
            expected = np.quantile(x, shares)
            found = Sketch.of(x).quantiles(shares)
            assert found.dtype == expected.dtype
            assert_array_equal(found, expected)
            cut = np.array_split(x, 4)
            sketch = Sketch.merged([Sketch.of(part) for part in cut])
            assert (sketch.error, len(sketch)) == (0, n)
            assert_array_equal(sketch.quantiles(shares), expected)
            assert_array_equal(
                quantile_edges(sketch, n_bins), quantile_edges(x, n_bins)
            )
            if dtype is np.float64:
                assert center_and_scale(sketch) == center_and_scale(x)


@pytest.mark.parametrize("scale", [1e306, 1.0, 5e-324])
def test_centres_of_numbers_of_any_size(scale):
    x = np.array([-3, 0, 1, 1, 1, 2, 40]) * scale
    assert center_and_scale(Sketch.of(x)) == center_and_scale(x)


@pytest.mark.parametrize("most", [2, 10, 300])
@pytest.mark.parametrize("n_partitions", [1, 7])
def test_ranks_of_a_sketch_are_within_its_bound(most, n_partitions):
    rng = np.random.default_rng(most)
    for n in (5, 1000, 5000):
        x = np.sort(numbers(rng, n))
        parts = np.array_split(rng.permutation(x), n_partitions)
        sketches = [Sketch.of(part).compressed(most) for part in parts]
        for part, each in zip(parts, sketches, strict=True):
            assert each.error <= len(part) / (most - 1)
        sketch = Sketch.merged(sketches, most)
        assert len(sketch.values) <= max(most, 2) and len(sketch) == n
        assert (sketch.min(), sketch.max()) == (x[0], x[-1])
        assert sketch.error <= 2 * n / (most - 1)
        here = np.searchsorted(x, x, side="right")
        ends = np.append(0, np.cumsum(sketch.counts))
        there = ends[np.searchsorted(sketch.values, x, side="right")]
        assert np.abs(there - here).max() <= sketch.error
        again = Sketch.merged(sketches, most)
        assert_array_equal(again.values, sketch.values)
        assert_array_equal(again.counts, sketch.counts)


def test_the_bound_is_not_more_than_it_need_be():
    x = np.arange(100_000.0)
    sketch = Sketch.of(x).compressed()
    assert len(sketch.values) == MOST_VALUES
    here = np.arange(len(x)) + 1
    there = np.append(0, np.cumsum(sketch.counts))
    there = there[np.searchsorted(sketch.values, x, side="right")]
    assert np.abs(there - here).max() == sketch.error > 0
    assert Sketch.of(x[:MOST_VALUES]).compressed().error == 0


def test_frequent_values_stay():
    x = np.concatenate([np.full(900, 0.5), np.linspace(0, 1, 1000)])
    sketch = Sketch.of(x).compressed(50)
    at = int(np.flatnonzero(sketch.values == 0.5)[0])
    assert 900 <= sketch.counts[at] <= 900 + len(x) / 49


# What is said ----------------------------------------------------------------


def test_a_doubtful_column_is_named():
    X = pd.DataFrame({"a": ["1", "2", "3", "?"] + ["4"] * 16})
    with pytest.warns(UserWarning, match="'a'") as whole:
        TabularEncoder().fit(X)
    with pytest.warns(UserWarning, match="'a'") as parts:
        learnt(TabularEncoder(), [X[:2], X[2:9], X[9:]])
    assert str(parts[0].message) == str(whole[0].message)
    declared = [X[:2].astype("category"), X[2:].astype("category")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learnt(TabularEncoder(), declared)


A = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
DAYS = pd.to_datetime(["2024-01-01", "2024-01-02"])


@pytest.mark.parametrize(
    ("parts", "parameters", "match"),
    [
        ([A, A[["a"]]], {}, "no column 'b' in partition 1, but in partition 0"),
        ([A, A.assign(c=1)], {}, "a column 'c' in partition 1, but not in partition 0"),
        ([A, A.to_numpy()], {}, r"called None in partition 1, \['a', 'b'\] in part.*0"),
        ([A.to_numpy(), A[["a"]].to_numpy()], {}, "1 columns in partition 1 and 2 in"),
        (
            [A[:0], A, A.assign(a="x")],
            {},
            r"'a' holds numbers in partition 1 and categories in partition 2\. .*type.*"
            "categorical_features",
        ),
        (
            [A.assign(b=np.nan), A, A.assign(b=0)],
            {},
            "'b' holds categories in partition 1 and numbers in partition 2",
        ),
        (
            [A, A.assign(a=DAYS)],
            {"dates": "numbers"},
            r"'a' holds numbers in partition 0 and dates .* in all partitions\.$",
        ),
        ([A, A.assign(a=np.inf)], {}, "In partition 1: Column 'a' contains infinity"),
        (
            [A, A],
            {"categorical_features": None},
            "In partition 0: Column 'b' is to be numeric",
        ),
        (
            [A.assign(b=1), A.assign(b=1)[["b", "a"]]],
            {"categorical_features": [1]},
            "in partition 1.*categorical_features counts them: give it their names",
        ),
        ([A[:0]], {}, "all partitions are empty"),
    ],
)
def test_partitions_of_no_frame_are_refused(parts, parameters, match):
    with pytest.raises(ValueError, match=match):
        learnt(TabularEncoder(**parameters), parts)


def test_dates_are_refused_where_they_are():
    with pytest.raises(TypeError, match=r"In partition 1: Column 'a'.*dates='numbers'"):
        learnt(TabularEncoder(), [A, A.assign(a=DAYS)])


def test_what_is_named_in_categorical_features_may_have_any_type():
    encoder = TabularEncoder(categorical_features=["a", "b"])
    parts = [A, A.assign(a=["x", "y"])]
    found = learnt(encoder, parts)
    assert found.categories_ == [[1, 2, "x", "y"], ["x", "y"]]
