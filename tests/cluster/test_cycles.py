"""Ensembles of a table that no worker holds: networks walk through its partitions.

Answers for: dask/_ensemble.py, dask/_frames.py, dask/_readings.py, dask/_cycles.py.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from partitioned import InProcess, fitted, kill_one, pieces
from sklearn.base import clone
from sklearn.metrics import log_loss, mean_squared_error

from skbackprop import TabularMLPClassifier, TabularMLPRegressor
from skbackprop._observers import Observer
from skbackprop.dask import (
    DaskFitError,
    DaskTabularMLPClassifier,
    DaskTabularMLPRegressor,
)
from skbackprop.dask._collections import Source
from skbackprop.dask._ensemble import EnsembleFit
from skbackprop.dask._frames import Dealing, FrameReading, encoded
from skbackprop.dask._options import Options

N = 1500
STOPS = [300, 300, 301, 900, N]
FAST = {"preset": "fast", "max_iter": 3, "n_folds": 3, "random_state": 0}


def frame(seed=0, n=N):
    rng = np.random.default_rng(seed)
    columns = {
        "number": rng.normal(size=n) * 1e3,
        "holes": np.where(rng.uniform(size=n) < 0.2, np.nan, rng.integers(0, 9, n)),
        "kind": pd.Categorical(rng.choice(list("abc"), n)),
        "town": rng.choice([f"t{k}" for k in range(12)], n),
        "day": pd.Timestamp("2024-01-01")
        + pd.to_timedelta(rng.integers(0, 999, n), "D"),
        "nothing": np.full(n, 7),
    }
    return pd.DataFrame(columns)


def target(X, task="binary"):
    signal = X["number"] / 1e3 + (X["kind"] == "a") + (X["town"] < "t3")
    if task == "regression":
        return (50 + 3 * signal).rename("y")
    if task == "labels":
        return np.column_stack([signal > 0.8, X["number"] > 0]).astype(int)
    labels = ["no", "yes"] if task == "binary" else ["x", "y", "z"]
    bins = [0.8] if task == "binary" else [0.3, 1.2]
    return pd.Series(np.array(labels)[np.digitize(signal, bins)], name="y")


def sources(X, y, w=None, stops=STOPS):
    """Partitions as they are, not delayed."""
    cuts = list(zip([0, *stops], stops, strict=False))
    return [Source(X[a:b], y[a:b], None if w is None else w[a:b]) for a, b in cuts]


def in_cycles(parts, val=(), cluster=None, observers=(), local_epochs=1.0, **given):
    """An estimator fitted in cycles, in this process, and its warnings."""
    own = FAST | {"dates": "numbers"} | given
    numbers = np.asarray(parts[0].y).dtype.kind == "f"
    estimator = (TabularMLPRegressor if numbers else TabularMLPClassifier)(**own)
    options = Options(None, local_epochs, True, bool(val))
    fit = EnsembleFit(estimator, options, cluster or InProcess(), [*observers])
    stream = np.random.RandomState(estimator.random_state)
    messages = fit.run(list(parts), list(val), stream)
    return estimator, messages


def thetas(model):
    return [theta.tobytes() for theta in model._bag[1]]


# What is learnt of the partitions is what would be learnt of all


@pytest.mark.parametrize("task", ["binary", "three", "labels", "regression"])
def test_columns_and_targets_are_those_of_the_whole_table(task):
    X = frame()
    y = target(X, task)
    far, _ = in_cycles(sources(X, y), max_iter=1)
    here = type(far)(**far.get_params()).fit(X, y)
    assert_array_equal(far.encoder_.transform(X), here.encoder_.transform(X))
    for one, other in zip(far._edges, here._edges, strict=True):
        assert_array_equal(one, other)
    assert far.recipe_ == here.recipe_ and far.n_networks_ == here.n_networks_
    assert far.feature_names_in_.tolist() == [*X] and far.n_features_in_ == X.shape[1]
    if task == "regression":
        assert_allclose(far.target_mean_, here.target_mean_, rtol=1e-14)
        assert_allclose(far.target_scale_, here.target_scale_, rtol=1e-14)
        assert_array_equal(far._clamp, here._clamp)
    else:
        assert_array_equal(far.classes_, here.classes_)
        assert far._y_type == here._y_type and far.temperature_ == 1
    assert far.predict(X).shape == y.shape


@pytest.mark.parametrize("task", ["binary", "three", "regression"])
def test_networks_learn(task):
    """Eight partitions: as good as the local fit."""
    X, X_new = frame(n=4000), frame(1, n=4000)
    y, y_new = target(X, task), target(X_new, task)
    stops = [*range(500, 4001, 500)]
    far, _ = in_cycles(sources(X, y, stops=stops), max_iter=12, local_epochs=0.25)
    here = type(far)(**far.get_params()).fit(X, y)

    def loss(model):
        if task == "regression":
            return mean_squared_error(y_new, model.predict(X_new)) / y_new.var()
        return log_loss(y_new, model.predict_proba(X_new))

    baseline = 1.0
    if task != "regression":
        shares = y_new.value_counts(normalize=True)
        baseline = -np.sum(shares * np.log(shares))
    assert loss(here) < 0.25 * baseline
    assert loss(far) < loss(here) + 0.02 * baseline


def test_a_row_of_no_weight_is_not_there():
    X, w = frame(), np.random.default_rng(3).uniform(0.5, 2, N)
    y = target(X, "regression")
    y[::5] += 1e6  # far from all others
    w[::5] = w[900:] = 0
    far, _ = in_cycles(sources(X, y, w))
    kept = w > 0
    stops = np.cumsum(kept)[np.array(STOPS) - 1].tolist()
    bare, _ = in_cycles(sources(X[kept], y[kept], w[kept], stops))
    assert thetas(far) == thetas(bare) and far.target_mean_[0] < 100


@pytest.mark.parametrize("factor", [2.0**-200, 2.0**100])
def test_weights_of_any_size(factor):
    """The heaviest row is in one of the partitions; a power of two rounds nothing."""
    X, w = frame(), np.random.default_rng(3).uniform(0.5, 2, N)
    w[:300] *= 64
    for task in ("regression", "binary"):
        y = target(X, task)
        far, _ = in_cycles(sources(X, y, w))
        scaled, _ = in_cycles(sources(X, y, w * factor))
        assert thetas(far) == thetas(scaled)
        assert far.validation_scores_ == scaled.validation_scores_


def test_weights_are_beside_those_of_other_partitions():
    """Two halves that contradict each other: the heavier one is believed."""
    X = frame()[["number"]]
    y = pd.Series(np.where(X["number"] > 0, "yes", "no"))
    y[N // 2 :] = np.where(X["number"][N // 2 :] > 0, "no", "yes")
    w = np.where(np.arange(N) < N // 2, 1.0, 1e-3)
    for weights, right in ((w, slice(0, N // 2)), (w[::-1].copy(), slice(N // 2, N))):
        parts = sources(X, y, weights, [N // 2, N])
        far, _ = in_cycles(parts, max_iter=6, local_epochs=0.25)
        assert far.score(X[right], y[right]) > 0.95


@pytest.mark.parametrize("factor", [1e-4, 1e4])
def test_weights_beside_rows_that_validate_without_any(factor):
    X, X_val = frame(), frame(1, 400)
    y, y_val = target(X), target(X_val)
    w = factor * np.random.default_rng(3).uniform(0.5, 2, N)
    val = sources(X_val, y_val, stops=[100, 400])
    far, _ = in_cycles(sources(X, y, w), val)
    assert far.n_networks_ == 3


def test_levels_that_the_loss_does_not_ask_for():
    X = frame()
    y = target(X, "regression")
    far, _ = in_cycles(sources(X, y), quantile=[0.1, 0.5, 0.9])
    assert far.predict(X).shape == (N,)


def test_what_partitions_say_is_put_together_a_few_at_a_time():
    """Sketches of many partitions are more than a worker may hold."""
    X, most = frame(), []
    y = target(X)

    def submitted(function):
        if function.__name__ == "looks_together":
            most.append(function)

    far, _ = in_cycles(
        sources(X, y, stops=[*range(30, N + 1, 30)]), cluster=InProcess(submitted)
    )
    assert len(most) == 5  # 50 partitions, 16 at a time: 4 and 1
    here = type(far)(**far.get_params()).fit(X, y)
    assert_array_equal(far.encoder_.transform(X), here.encoder_.transform(X))


def test_balanced_weights_are_of_all_partitions():
    X = frame()
    y = target(X).sort_values()
    X = X.loc[y.index]  # no partition has the shares of the table
    far, _ = in_cycles(sources(X, y), class_weight="balanced")
    counts = y.value_counts()
    given = {label: N / 2 / count for label, count in counts.items()}
    known, _ = in_cycles(sources(X, y), class_weight=given)
    assert thetas(far) == thetas(known)
    plain, _ = in_cycles(sources(X, y))
    assert thetas(far) != thetas(plain)


def test_columns_come_in_any_order_and_from_any_library():
    X = frame()
    y = target(X, "three")
    far, _ = in_cycles(sources(X, y))
    parts = sources(X, y)
    turned = [parts[0], *(s._replace(X=s.X[[*X][::-1]]) for s in parts[1:])]
    assert thetas(in_cycles(turned)[0]) == thetas(far)
    polars = [
        s._replace(X=pl.from_pandas(s.X), y=pl.Series(s.y.to_list(), dtype=pl.String))
        for s in parts
    ]
    assert thetas(in_cycles(polars)[0]) == thetas(far)
    numbers = X[["number", "holes"]].to_numpy()
    model, _ = in_cycles(sources(numbers, y.to_numpy()))
    assert model.predict(numbers).shape == (N,)


# Which rows train and which validate


def test_rows_are_dealt_in_every_partition():
    X = frame()
    y = target(X)
    far, _ = in_cycles(sources(X, y), n_folds=4, n_repeats=2)
    dealing = Dealing(4, 2, 11, False)
    kind = far._target_class(far.classes_, "binary", False)
    reading = FrameReading(far, kind, [*X], dealing)
    firsts = []
    for number, part in enumerate(sources(X, y)):
        found = encoded(reading, number, *part)
        if not len(part.y):
            assert found is None
            continue
        firsts.append(found.folds[0].tolist())
        seen = np.zeros((2, len(part.y)), int)
        for member in range(dealing.n_members):
            rows, held = found.rows(member)
            assert sorted([*rows, *held]) == list(range(len(part.y)))
            assert abs(len(held) - len(part.y) / 4) <= 1
            seen[member // 4, held] += 1
            if len(held) > 20:  # of both classes their share
                shares = [np.mean(found.Y[k]) for k in (rows, held)]
                assert shares[0] == pytest.approx(shares[1], abs=0.02)
        assert (seen == 1).all()
    assert len(far._bag[1]) == 8 and len({*map(tuple, firsts)}) > 1


def test_the_score_of_a_network_is_of_the_rows_it_has_not_seen():
    X = frame()
    y = target(X)
    far, _ = in_cycles(sources(X, y), n_folds=2)
    # What was drawn: the seed of the dealing first.
    dealing = Dealing(2, 1, int(np.random.RandomState(0).randint(2**31)), False)
    kind = far._target_class(far.classes_, "binary", False)
    reading = FrameReading(far, kind, [*X], dealing)
    topology, networks = far._bag
    for member, theta in enumerate(networks):
        alone = clone(far)
        alone.__dict__.update(far.__dict__ | {"_bag": (topology, [theta])})
        held = []
        for number, part in enumerate(sources(X, y)):
            found = encoded(reading, number, *part)
            if found is not None:
                held.append(part.X.index[found.rows(member)[1]])
        rows = np.concatenate(held)
        expected = -log_loss(y[rows], alone.predict_proba(X.loc[rows]))
        best = max(far.validation_scores_[member])
        assert best == pytest.approx(expected, rel=1e-5)


def test_one_fold_validates_what_it_trains_on():
    X = frame()
    y = target(X)
    far, _ = in_cycles(sources(X, y), n_folds=1)
    assert far.n_networks_ == 1
    expected = -log_loss(y, far.predict_proba(X))
    assert far.validation_score_ == pytest.approx(expected, rel=1e-5)


def test_rows_that_validate_are_given():
    X, X_val = frame(), frame(1, 400)
    y, y_val = target(X), target(X_val)
    val = sources(X_val, y_val, stops=[100, 100, 400])
    far, _ = in_cycles(sources(X, y), val)
    assert far.n_networks_ == 3
    topology, networks = far._bag
    for member, theta in enumerate(networks):
        alone = clone(far)
        alone.__dict__.update(far.__dict__ | {"_bag": (topology, [theta])})
        expected = -log_loss(y_val, alone.predict_proba(X_val))
        best = max(far.validation_scores_[member])
        assert best == pytest.approx(expected, rel=1e-5)


def test_no_network_is_worse_than_the_best_constant():
    X = frame()
    for task in ("binary", "three", "regression"):
        y = target(X, task)
        y = y.sample(frac=1, random_state=0).reset_index(drop=True)  # of nothing here
        far, _ = in_cycles(sources(X, y), max_iter=1, learning_rate_init=1.0)
        assert far.best_epochs_.tolist() == [0] * 3
        spread = np.ptp(
            far.predict(X) if task == "regression" else far.predict_proba(X), axis=0
        )
        assert np.max(spread) < 1e-6
    y = target(X, "regression")
    far, _ = in_cycles(
        sources(X, y.sample(frac=1, random_state=0).reset_index(drop=True)),
        loss="quantile",
        quantile=[0.2, 0.9],
        max_iter=1,
        learning_rate_init=1.0,
    )
    assert far.best_epochs_.tolist() == [0] * 3
    assert_allclose(far.predict(X)[0], np.quantile(y, [0.2, 0.9]), atol=0.3)


# On a cluster


@pytest.mark.parametrize("task", ["three", "regression"])
def test_bits_are_those_of_this_process(client, own_cluster, task):
    """With two workers, with one of them killed, kept or read again."""
    X, w = frame(), np.random.default_rng(1).uniform(1, 2, N)
    y = target(X, task)
    here, _ = in_cycles(sources(X, y, w), max_iter=6)
    cls = DaskTabularMLPRegressor if task == "regression" else DaskTabularMLPClassifier
    model = cls(
        client=client,
        method="cyclic",
        local_epochs=1.0,
        **FAST | {"dates": "numbers", "max_iter": 6},
    )
    data = pieces(X, y, w, stops=STOPS)
    for persist in (True, False):
        far = fitted(clone(model).set_params(persist=persist), *data)
        assert thetas(far) == thetas(here)
        assert far.validation_scores_ == here.validation_scores_
    plain = far.to_local()
    assert plain.get_params() == type(plain)(**here.get_params()).get_params()
    lazy = far.predict(pieces(X, stops=[700, N])[0])
    assert_array_equal(lazy.compute(), here.predict(X))
    features = far.transform(pieces(X, stops=[0, 700, N])[0])
    assert features.dtype == np.float32
    assert_array_equal(features.compute(), here.transform(X))

    class Kills(Observer):
        def epoch_ends(self, epoch):
            if (epoch.member, epoch.number) == (0, 3):
                kill_one(own).join()

    if task == "three":
        with own_cluster(2) as own:
            again = clone(model).set_params(client=own)
            again._observers = lambda: [Kills()]
            assert thetas(fitted(again, *data)) == thetas(here)


def test_the_way_is_chosen_by_the_memory_of_a_worker(client, monkeypatch):
    from skbackprop.dask import _tabular

    X = frame()[["number", "kind"]]
    y = target(frame())
    data = pieces(X, y, stops=STOPS)
    model = DaskTabularMLPClassifier(client=client, **FAST | {"max_iter": 1})
    bag, cycles = (
        thetas(fitted(clone(model).set_params(method=each), *data))
        for each in ("bag", "cyclic")
    )
    assert bag != cycles
    assert thetas(fitted(clone(model), *data)) == bag
    monkeypatch.setattr(_tabular.Cluster, "memory", lambda self: (np.inf, np.inf))
    assert thetas(fitted(clone(model), *data)) == bag
    # Rows take some 20 kB, and four times of that are too many.
    monkeypatch.setattr(_tabular.Cluster, "memory", lambda self: (6e4, 1e9))
    assert thetas(fitted(clone(model), *data)) == cycles
    for refused, match in (
        ({"calibrate": True}, "a worker has 6e-05 GB of the .*calibrate=True"),
        ({"scoring": "roc_auc"}, "Got 'roc_auc': take that, or method='bag'"),
    ):
        with pytest.raises(ValueError, match=match):
            clone(model).set_params(**refused).fit(*data)
        far = fitted(clone(model).set_params(method="bag", **refused), *data)
        assert far.n_networks_ == 3


# What goes wrong


def test_what_is_refused():
    X = frame()
    y = target(X)

    def refused(parts, match, error=ValueError, **given):
        with pytest.raises(error, match=match):
            in_cycles(parts, **given)

    parts = sources(X, y)
    refused([s._replace(X=s.X[:0], y=s.y[:0]) for s in parts], "No partition has a row")
    mixed = [*parts[:-1], parts[-1]._replace(X=parts[-1].X.assign(number="x"))]
    refused(
        mixed, "'number' holds numbers in partition 0 and categories in partition 4"
    )
    less = [*parts[:-1], parts[-1]._replace(X=parts[-1].X.drop(columns="kind"))]
    refused(less, "no column 'kind' in partition 4")
    long = [parts[0]._replace(y=parts[-1].y), *parts[1:]]
    refused(long, "In partition 0: X has 300 rows and y has 600")
    refused(parts, "In partition 0: Column 'day'", TypeError, dates="error")
    numbers = [parts[0], *(s._replace(y=(s.y == "no") * 1) for s in parts[1:])]
    refused(numbers, "y has numbers in partition 2 and text in partition 0")
    val = sources(X[:50], pd.Series(["other"] * 50), stops=[50])
    refused(parts, "In partition 0 of X_val.*'other'", val=val)
    refused(
        sources(X[:3], y[:3], stops=[1, 2, 3]),
        r"No row validates network \d of 3: take fewer folds than n_folds=3",
    )
    weights = np.where(np.arange(N) == 7, np.nan, 1.0)
    refused(sources(X, y, weights), "In partition 0: .*sample_weight contains NaN")


def test_partitions_of_a_row():
    X = frame(n=60)
    y = target(X)
    far, _ = in_cycles(sources(X, y, stops=[*range(1, 61)]), n_folds=2)
    assert far.n_networks_ == 2 and far.predict(X).shape == (60,)


def test_the_last_complete_cycle_is_handed_over():
    X = frame()
    y = target(X)
    visits = []

    def lost(function):
        if function.__name__ == "visit":
            visits.append(None)
            if len(visits) > 3 * 4 * 3:  # four partitions with rows, three networks
                raise DaskFitError("gone")

    with pytest.raises(DaskFitError, match="gone") as caught:
        in_cycles(sources(X, y), cluster=InProcess(lost), max_iter=30)
    model = caught.value.model
    assert model.n_iter_ == 2  # the score of the third was not known yet
    whole_, _ = in_cycles(sources(X, y), max_iter=30)
    for one, other in zip(
        model.validation_scores_, whole_.validation_scores_, strict=True
    ):
        assert one == other[:2]
    assert model.predict_proba(X).shape == (N, 2)

    def at_once(function):
        if function.__name__ == "visit":
            raise DaskFitError("gone")

    with pytest.raises(DaskFitError) as caught:
        in_cycles(sources(X, y), cluster=InProcess(at_once))
    assert caught.value.model is None


def test_an_interrupt_keeps_the_last_complete_cycle():
    X = frame()
    y = target(X)

    class Interrupts(Observer):
        def epoch_ends(self, epoch):
            if (epoch.member, epoch.number) == (2, 2):
                raise KeyboardInterrupt

    model, messages = in_cycles(sources(X, y), observers=[Interrupts()], max_iter=30)
    assert [len(scores) for scores in model.validation_scores_] == [2, 2, 2]
    assert "interrupted by user: 3 of 3 networks" in messages[0][0]


def test_training_that_diverges():
    X = frame()
    y = target(X, "regression")
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="lower learning"):
        in_cycles(sources(X, y), learning_rate_init=1e30)


def test_what_is_printed(client, capsys):
    X = frame()[["number"]]
    y = target(frame())
    model = DaskTabularMLPClassifier(
        client=client, method="cyclic", local_epochs=1, verbose=True, **FAST
    )
    fitted(model, *pieces(X, y, stops=STOPS))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        *(f"Cycle {k}" for k in (1, 2, 3)),
        *(f"Network {k}" for k in (1, 2, 3)),
    ]
    loss, score = (
        np.mean([each[-1] for each in found])
        for found in (model.loss_curves_, model.validation_scores_)
    )
    assert lines[2] == (
        f"Cycle 3: loss {loss:.6g}, validation score {score:.6g}, means of 3 networks"
    )
