"""Frames on a cluster: the bits of the local ensemble, whoever trains its networks.

Answers for: dask/_bag.py, dask/_tabular.py.
"""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from dask import delayed
from partitioned import fitted, kill_one, pieces
from sklearn.base import clone

from skbackprop import TabularMLPClassifier, TabularMLPRegressor
from skbackprop._observers import Observer
from skbackprop.dask import (
    DaskFitError,
    DaskTabularMLPClassifier,
    DaskTabularMLPRegressor,
)
from skbackprop.dask._bag import Bag, joined, train_member

N = 400
FAST = {"preset": "fast", "max_iter": 3, "n_folds": 3, "random_state": 0}
STOPS = [100, 100, 101, 250, N]


def frame(seed=0):
    rng = np.random.default_rng(seed)
    columns = {
        "number": rng.normal(size=N),
        "holes": np.where(rng.uniform(size=N) < 0.2, np.nan, rng.normal(size=N)),
        "kind": pd.Categorical(rng.choice(list("abc"), N)),
        "town": rng.choice([f"t{k}" for k in range(12)], N),
        "flag": rng.uniform(size=N) < 0.5,
        "day": pd.Timestamp("2024-01-01")
        + pd.to_timedelta(rng.integers(0, 999, N), "D"),
    }
    return pd.DataFrame(columns)


def target(X, task="binary"):
    signal = X["number"] + (X["kind"] == "a") + X["flag"]
    if task == "regression":
        return signal.rename("y")
    labels = ["no", "yes"] if task == "binary" else ["x", "y", "z"]
    bins = [0.8] if task == "binary" else [0.3, 1.2]
    return pd.Series(np.array(labels)[np.digitize(signal, bins)], name="y")


def parts(*tables, stops=STOPS):
    return pieces(*tables, stops=stops)


def thetas(model):
    return [theta.tobytes() for theta in model._bag[1]]


def same_model(far, local, X):
    assert thetas(far) == thetas(local)
    for name, value in local.__dict__.items():
        if name.endswith("_") and not name.startswith("_"):
            other = getattr(far, name)
            if name == "encoder_":
                np.testing.assert_array_equal(value.transform(X), other.transform(X))
            else:
                np.testing.assert_equal(other, value)
    np.testing.assert_array_equal(far.predict(X), local.predict(X))


@pytest.mark.parametrize(
    ("task", "parameters"),
    [
        ("binary", {}),
        ("three", {"class_weight": "balanced", "calibrate": True}),
        ("binary", {"scoring": "roc_auc", "n_folds": 2}),
        ("binary", {"n_folds": None, "preset": "fast", "max_iter": 1}),
    ],
)
def test_classifiers_are_the_local_ones(client, task, parameters):
    X = frame()
    y = target(X, task)
    options = FAST | {"dates": "numbers"} | parameters
    local = fitted(TabularMLPClassifier(**options), X, y)
    far = fitted(DaskTabularMLPClassifier(client=client, **options), *parts(X, y))
    same_model(far, local, X)
    plain = far.to_local()
    assert type(plain) is TabularMLPClassifier
    assert plain.get_params() == TabularMLPClassifier(**options).get_params()
    # Up to 8 rows are computed from parameters that are not packed: in another order.
    (lazy,) = parts(X, stops=[100, 250, N])
    for method in ("predict", "predict_proba", "predict_log_proba"):
        here = getattr(local, method)(X)
        there = getattr(far, method)(lazy).compute()
        assert there.dtype == here.dtype
        np.testing.assert_array_equal(there, here)
    assert far.score(*parts(X, y)) == pytest.approx(local.score(X, y), rel=1e-12)


@pytest.mark.parametrize(
    "parameters", [{}, {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]}]
)
def test_regressors_are_the_local_ones(client, parameters):
    X, w = frame(), np.random.default_rng(1).uniform(size=N)
    w[::7] = 0
    y = target(X, "regression")
    options = FAST | {"dates": "numbers"} | parameters
    local = fitted(TabularMLPRegressor(**options), X, y, w)
    far = fitted(DaskTabularMLPRegressor(client=client, **options), *parts(X, y, w))
    same_model(far, local, X)
    here = local.score(X, y, w)
    assert far.score(*parts(X, y, w)) == pytest.approx(here, rel=1e-6)
    empty = far.predict([delayed(X[:0])]).compute()
    assert empty.shape == (0, *local.predict(X).shape[1:])


def test_rows_that_validate_are_given(client):
    X, X_val = frame().drop(columns="day"), frame(1).drop(columns="day")
    y, y_val = target(X), target(X_val)
    local = TabularMLPClassifier(**FAST)
    fitted(local, X, y, X_val=X_val, y_val=y_val)
    val = dict(zip(("X_val", "y_val"), parts(X_val, y_val), strict=True))
    far = fitted(DaskTabularMLPClassifier(client=client, **FAST), *parts(X, y), **val)
    same_model(far, local, X)


def test_frames_of_dask_and_categories_that_nobody_knows(client):
    dd = pytest.importorskip("dask.dataframe")
    X = frame().drop(columns="day")
    y = target(X)
    local = fitted(TabularMLPClassifier(**FAST), X, y)
    far = DaskTabularMLPClassifier(client=client, **FAST)
    rows = dd.from_pandas(X.assign(y=y), npartitions=3)
    same_model(fitted(far, rows[list(X)], rows["y"]), local, X)
    # Every partition has the categories that it has seen, and columns as they come.
    own = [
        X[a:b].assign(kind=X["kind"][a:b].cat.remove_unused_categories())
        for a, b in ((0, 150), (150, N))
    ]
    own[0]["kind"] = own[0]["kind"].cat.reorder_categories(list("cab"))
    turned = [delayed(own[0]), delayed(own[1][[*X][::-1]])]
    (ys,) = parts(y, stops=[150, N])
    same_model(fitted(clone(far), turned, ys), local, X)


def test_frames_of_polars_and_arrays(client):
    X = frame()[["number", "holes"]]
    y = target(frame())
    for table in (X.to_numpy(), pl.DataFrame(X.to_dict("list"))):
        local = fitted(TabularMLPClassifier(**FAST), table, y.to_numpy())
        far = DaskTabularMLPClassifier(client=client, **FAST)
        fitted(far, *parts(table, y.to_numpy()))
        assert thetas(far) == thetas(local)


def test_streams_go_on_as_they_would_here(client):
    X = frame()[["number"]]
    y = target(frame())
    ours, theirs = np.random.RandomState(5), np.random.RandomState(5)
    options = FAST | {"max_iter": 1}
    for _ in range(2):
        local = TabularMLPClassifier(**options | {"random_state": ours}).fit(X, y)
        far = DaskTabularMLPClassifier(**options | {"random_state": theirs})
        far.set_params(client=client).fit(*parts(X, y))
        assert thetas(far) == thetas(local)
    assert ours.randint(2**31) == theirs.randint(2**31)


def test_a_bag_travels_as_what_it_is_made_of():
    X = frame()[["number", "kind"]]
    y = target(frame())
    stream = np.random.RandomState(0)
    bag = Bag(TabularMLPClassifier(**FAST), stream, (X, y, None, None, None))
    copy = pickle.loads(pickle.dumps(bag))
    assert stream.randint(2**31) == np.random.RandomState(0).randint(2**31)
    for number in (2, 0):
        one, other = train_member(bag, number), train_member(copy, number)
        assert one.theta.tobytes() == other.theta.tobytes()


def test_a_worker_is_killed(own_cluster):
    X = frame()[["number", "kind"]]
    y = target(frame())
    options = FAST | {"max_iter": 60, "n_folds": 6}
    local = fitted(TabularMLPClassifier(**options), X, y)

    class Kills(Observer):
        def member_ends(self, member, ending, result):
            if member == 0:
                kill_one(own).join()

    with own_cluster(2) as own:
        far = DaskTabularMLPClassifier(client=own, **options)
        far._observers = lambda: [Kills()]
        fitted(far, *parts(X, y))
    assert thetas(far) == thetas(local)


def test_what_is_said(client, capsys):
    X = frame()[["number"]].assign(odd=["?"] + ["1", "2", "3"] * 133)
    y = target(frame())
    far = DaskTabularMLPClassifier(client=client, verbose=True, **FAST)
    with pytest.warns(UserWarning, match="'odd'.*'\\?'"):
        far.fit(*parts(X, y))
    out = capsys.readouterr().out
    assert [line.split(":")[0] for line in out.splitlines()] == [
        f"Network {k}" for k in (1, 2, 3)
    ]


def test_what_is_refused(client):
    X = frame()[["number", "kind"]]
    y = target(frame())
    far = DaskTabularMLPClassifier(client=client, **FAST)

    def refused(*data, match, error=ValueError, **parameters):
        model = clone(far).set_params(**parameters)
        with pytest.raises(error, match=match):
            model.fit(*data)
        assert not hasattr(model, "classes_")

    refused(*parts(X, y), match=r"Got time_limit=3: take None", time_limit=3)
    refused(*parts(X, y), match="preset", preset="huge")
    refused(X, y, match="X must be a Dask array", error=TypeError)
    other = [delayed(X[:150]), delayed(X[150:].rename(columns={"kind": "sort"}))]
    (ys,) = parts(y, stops=[150, N])
    refused(other, ys, match=r"\['number', 'sort'\] in partition 1")
    longer = [delayed(X[:151]), delayed(X[151:])]
    refused(longer, ys, match="In partition 0: X has 151 rows and y has 150")
    refused([delayed(X[:0])], [delayed(y[:0])], match="all partitions are empty")
    refused(*parts(frame(), y), match="Column 'day'", error=TypeError)


def test_columns_of_partitions():
    known = pd.Series(["a", "b"], dtype="category")
    both = joined((known, pd.Series(["c"], dtype="category")))
    assert both.cat.categories.tolist() == ["a", "b", "c"] and both.tolist() == [*"abc"]
    assert joined((known,)) is known
    numbers = joined((pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [0.5]}, index=[7])))
    assert numbers["a"].tolist() == [1, 0.5] and numbers.index.tolist() == [0, 1]


def test_nobody_is_left(own_cluster):
    X = frame()[["number"]]
    y = target(frame())

    class Closes(Observer):
        def member_begins(self, member):
            own.cluster.scale(0)

    with own_cluster(1) as own:
        options = FAST | {"max_iter": 3000, "n_folds": 6}
        far = DaskTabularMLPClassifier(client=own, timeout=1, **options)
        far._observers = lambda: [Closes()]
        with pytest.raises(DaskFitError, match="no worker for 1 seconds"):
            fitted(far, *parts(X, y))
