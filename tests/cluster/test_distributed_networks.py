"""Networks on a cluster: the same bits, the right answers, partitions of all kinds.

Answers for: dask/__init__.py, dask/_estimators.py, dask/_network.py, dask/_loop.py,
dask/_predictions.py, dask/_options.py, dask/_survey.py.
"""

from __future__ import annotations

import inspect
import pickle

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from dask import delayed
from partitioned import N, P, digest, fitted, in_chunks, kill_one, pieces, table
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss

from skbackprop import BackpropMLPClassifier, BackpropMLPRegressor
from skbackprop._constraints import InvalidParameterError
from skbackprop._observers import Observer
from skbackprop.dask import (
    DaskBackpropMLPClassifier,
    DaskBackpropMLPRegressor,
    DaskFitError,
)

SMALL = {
    "hidden_layer_sizes": (8,),
    "batch_size": 30,
    "learning_rate_init": 0.02,
    "max_iter": 5,
    "local_epochs": 1,
    "tol": 0,
    "random_state": 0,
}


def classifier(client, **parameters):
    return DaskBackpropMLPClassifier(client=client, **SMALL | parameters)


def regressor(client, **parameters):
    return DaskBackpropMLPRegressor(client=client, **SMALL | parameters)


class AtRound(Observer):
    """Does something after a round."""

    def __init__(self, number, does):
        self.number, self.does = number, does

    def epoch_ends(self, epoch):
        if epoch.number == self.number:
            self.does()


# The same bits


def test_bits_are_those_of_any_number_of_workers(client, own_cluster):
    data = in_chunks(*table())
    seen = {digest(fitted(classifier(client), *data))}
    with own_cluster(1) as one:
        seen.add(digest(fitted(classifier(one), *data)))
    assert len(seen) == 1


def test_a_worker_is_killed_and_another_comes(own_cluster, client):
    """While it trains; what was on the first is read and computed again."""
    options = {"max_iter": 25, "early_stopping": True, "n_iter_no_change": 1000}
    data = in_chunks(*table())
    expected = fitted(classifier(client, **options), *data)
    with own_cluster(2) as own:
        model = classifier(own, **options)
        model._observers = lambda: [AtRound(5, lambda: kill_one(own).join())]
        again = fitted(model, *data)
        assert digest(again) == digest(expected)
        assert again.validation_scores_ == expected.validation_scores_
        model._observers = lambda: [AtRound(5, lambda: own.cluster.scale(3))]
        assert digest(fitted(model, *data)) == digest(expected)


def test_partitions_that_are_read_in_every_round(client):
    data = in_chunks(*table())
    kept, read = (
        fitted(classifier(client, persist=persist), *data) for persist in (True, False)
    )
    assert digest(kept) == digest(read) and kept.loss_curve_ == read.loss_curve_


def test_seeds(client):
    data = in_chunks(*table())
    seeds = [np.random.RandomState(3), 3, 4]
    seen = [digest(fitted(classifier(client, random_state=s), *data)) for s in seeds]
    assert seen[0] == seen[1] != seen[2]


# The right answers


def test_one_partition_without_shuffling_is_the_local_fit(client):
    """Steps of plain SGD from the same first parameters; of the mean of one."""
    X, y = table(task="regression")
    X = X.astype(np.float64)
    same = {"shuffle": False, "solver": "sgd", "momentum": 0.0, "alpha": 0.1}
    here = {name: SMALL[name] for name in SMALL if name != "local_epochs"}
    local = fitted(BackpropMLPRegressor(**here | same), X, y)
    plain = {"outer_learning_rate": 1.0, "outer_momentum": 0.0}
    data = in_chunks(X, y, size=N)
    far = fitted(regressor(client, **same, **plain), *data)
    for mine, theirs in zip(far.coefs_, local.coefs_, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-10)
    np.testing.assert_allclose(far.loss_curve_, local.loss_curve_, rtol=1e-10)
    assert far.n_iter_ == local.n_iter_ and far.t_ == local.t_


@pytest.mark.parametrize("task", ["binary", "three", "labels"])
def test_classifiers_learn_and_predict(client, task):
    X, y = table(task=task)
    dX, dy = in_chunks(X, y)
    model = fitted(classifier(client, max_iter=15), dX, dy)
    local = model.to_local()
    assert type(local) is BackpropMLPClassifier
    assert model.score(dX, dy) == pytest.approx(local.score(X, y), rel=1e-12)
    assert model.score(X, y) > 0.8
    methods = ["predict", "predict_proba", "predict_log_proba", "decision_function"]
    for method in methods:
        lazy, here = getattr(model, method)(dX), getattr(local, method)(X)
        assert isinstance(lazy, da.Array) and lazy.shape == here.shape
        assert lazy.chunks[0] == dX.chunks[0] and lazy.dtype == here.dtype
        np.testing.assert_array_equal(lazy.compute(), here)
        np.testing.assert_array_equal(getattr(model, method)(X), here)
    w = np.random.default_rng(0).uniform(size=N)
    (dw,) = in_chunks(w)
    assert model.score(dX, dy, dw) == pytest.approx(local.score(X, y, w), rel=1e-12)


@pytest.mark.parametrize(
    ("task", "parameters"),
    [
        ("regression", {}),
        ("several", {}),
        ("regression", {"loss": "quantile", "quantile": [0.1, 0.5, 0.9]}),
        ("several", {"loss": "quantile", "quantile": [0.2, 0.8]}),
        ("regression", {"loss": "huber"}),
    ],
)
def test_regressors_learn_and_predict(client, task, parameters):
    X, y = table(task=task)
    dX, dy = in_chunks(X, y)
    model = fitted(regressor(client, max_iter=15, **parameters), dX, dy)
    local = model.to_local()
    lazy = model.predict(dX)
    assert lazy.shape == local.predict(X).shape
    np.testing.assert_array_equal(lazy.compute(), local.predict(X))
    w = np.random.default_rng(0).uniform(size=N)
    (dw,) = in_chunks(w)
    for weights in ((None, None), (w, dw)):
        here = local.score(X, y, weights[0])
        assert model.score(dX, dy, weights[1]) == pytest.approx(here, rel=1e-9)
    assert model.score(X, y) > 0.3


def test_scores_of_rows_held_out_in_every_partition(client):
    X, y = table()
    data = in_chunks(X, y)
    for scoring in (None, "loss"):
        options = {"early_stopping": True, "max_iter": 30, "n_iter_no_change": 3}
        options["learning_rate_init"] = 0.1
        model = fitted(classifier(client, scoring=scoring, **options), *data)
        scores = model.validation_scores_
        assert len(scores) == model.n_iter_ == len(model.loss_curve_) < 30
        assert model.best_validation_score_ == max(scores)


def test_the_best_round_is_kept(client):
    """Where X_val is given its score is that of the model, also of the last round."""
    X, y = table()
    X_val, y_val = table(1)
    data = in_chunks(X, y)
    val = dict(zip(("X_val", "y_val"), in_chunks(X_val, y_val), strict=True))
    best_is_last = set()
    for max_iter in (3, 30):
        options = {"early_stopping": True, "scoring": "loss", "max_iter": max_iter}
        options |= {"n_iter_no_change": 4, "learning_rate_init": 0.03}
        model = fitted(classifier(client, **options), *data, **val)
        loss = log_loss(y_val, model.predict_proba(X_val))
        assert -model.best_validation_score_ == pytest.approx(loss, rel=1e-5)
        best = int(np.argmax(model.validation_scores_))
        best_is_last.add(best == model.n_iter_ - 1)
    assert best_is_last == {True, False}


def test_rounds_of_part_of_an_epoch(client):
    data = in_chunks(*table())
    model = fitted(classifier(client, local_epochs=0.25), *data)
    assert model.n_iter_ == 20 and model.t_ == 5 * N
    model = fitted(classifier(client, rounds=3, local_epochs=2), *data)
    assert model.n_iter_ == 3 and model.t_ == 6 * N
    with pytest.warns(ConvergenceWarning, match=r"\(3\) reached"):
        model.fit(*data)


def test_training_ends_on_a_plateau(client):
    data = in_chunks(*table())
    options = {"tol": 10.0, "n_iter_no_change": 4, "max_iter": 50}
    assert classifier(client, **options).fit(*data).n_iter_ == 6
    # Patience is for passes over the rows, not for rounds.
    model = classifier(client, local_epochs=0.5, **options).fit(*data)
    assert model.n_iter_ == 10


def test_divergence(client):
    X, y = table(task="regression")
    data = in_chunks(X, y)
    model = regressor(client, solver="sgd", learning_rate_init=1e3)
    with pytest.raises(ValueError, match=r"non-finite parameter weights.*Scale the f"):
        model.fit(*data)
    assert not hasattr(model, "coefs_")


def test_every_round_is_printed(client, capsys):
    fitted(classifier(client, verbose=True), *in_chunks(*table()))
    out = capsys.readouterr().out
    assert out.count("Iteration") == 5 and "Iteration 1, loss = " in out


# Partitions of all kinds


def frame(X):
    return pd.DataFrame(X, columns=list("abcde"))


def test_frames_whose_columns_come_in_another_order(client):
    X, y = table()
    whole, orders = frame(X), ["abcde", "edcba", "badce"]
    stops = [400, 700, N]
    (parts,) = pieces(whole, stops=stops)
    (ys,) = pieces(pd.Series(y), stops=stops)
    plain = fitted(classifier(client), parts, ys)
    assert plain.feature_names_in_.tolist() == list("abcde")
    mixed = [
        delayed(lambda part, names: part[list(names)])(part, names)
        for part, names in zip(parts, orders, strict=True)
    ]
    assert digest(fitted(classifier(client), mixed, ys)) == digest(plain)
    # The first has no rows: the second says the order.
    empty = [delayed(whole[:0][["c", *"abde"]]), *mixed], [delayed(y[:0]), *ys]
    assert fitted(classifier(client), *empty).feature_names_in_.tolist() == [*"abcde"]
    lazy = plain.predict(parts)
    assert np.isnan(lazy.shape[0])
    np.testing.assert_array_equal(lazy.compute(), plain.to_local().predict(whole))


def test_data_frames_of_dask(client):
    dd = pytest.importorskip("dask.dataframe")
    X, y = table()
    whole = frame(X)
    rows = dd.from_pandas(whole.assign(y=y), npartitions=3)
    named = fitted(classifier(client), rows[list("abcde")], rows["y"])
    stops = np.cumsum(rows.map_partitions(len).compute()).tolist()
    parts = pieces(whole, y, stops=stops)
    assert digest(named) == digest(fitted(classifier(client), *parts))
    # A frame of one column, and divisions that nobody knows.
    unknown = rows.clear_divisions()
    again = fitted(classifier(client), unknown[list("abcde")], unknown[["y"]])
    assert digest(again) == digest(named)
    assert again.score(unknown[list("abcde")], unknown["y"]) == named.score(whole, y)
    other = dd.from_pandas(pd.Series(y), npartitions=2)
    aligned = fitted(classifier(client), rows[list("abcde")], other)
    assert digest(aligned) == digest(named)


def test_a_column_of_parquet_files_is_in_partitions_of_its_rows(client, tmp_path):
    """Dask would read one of few columns in fewer of them."""
    dd = pytest.importorskip("dask.dataframe")
    X, y = table()
    whole = frame(X).assign(y=y)
    for k in range(6):
        whole[200 * k : 200 * k + 200].to_parquet(tmp_path / f"{k}.parquet")
    rows = dd.read_parquet(str(tmp_path))
    model = fitted(classifier(client), rows[list("abcde")], rows["y"])
    stops = list(range(200, N + 1, 200))
    assert digest(model) == digest(
        fitted(classifier(client), *pieces(frame(X), y, stops=stops))
    )


def test_partitions_that_say_little(client):
    """Empty ones, a single row, one class, rows of weight 0: as if they were not."""
    X, y = table(task="three")
    order = np.argsort(y, kind="stable")
    X, y = X[order], y[order]  # a class a partition, about
    full = pieces(X, y, stops=[400, 401, 800, N])
    model = fitted(classifier(client), *full)
    assert model.classes_.tolist() == ["a", "b", "c"]
    w = np.ones(N)
    w[401:800] = 0
    weighted = fitted(classifier(client), *pieces(X, y, w, stops=[400, 401, 800, N]))
    kept = np.flatnonzero(w)
    without = pieces(X[kept], y[kept], w[kept], stops=[400, 401, 401, len(kept)])
    assert digest(weighted) == digest(fitted(classifier(client), *without))
    held = fitted(classifier(client, early_stopping=True), *without)
    assert len(held.validation_scores_) == 5
    empty = X[:0]
    assert model.predict([delayed(empty), delayed(X)]).compute().shape == (N,)
    assert model.predict_proba([delayed(empty)]).compute().shape == (0, 3)


def test_unknown_chunks_and_other_chunks(client):
    X, y = table()
    dX, dy = in_chunks(X, y)
    plain = digest(fitted(classifier(client), dX, dy))
    other = da.from_array(y, chunks=N // 3)
    assert digest(fitted(classifier(client), dX, other)) == plain
    columns = da.from_array(X, chunks=(N // 4, 2))
    assert digest(fitted(classifier(client), columns, dy)) == plain
    some = dX[:, 0] > -10  # all of them, but nobody knows
    assert digest(fitted(classifier(client), dX[some], dy[some])) == plain


def test_sparse_rows_and_types(client):
    X, y = table()
    dX, dy = in_chunks(X, y)
    dense = fitted(classifier(client), dX, dy)
    assert dense.coefs_[0].dtype == np.float32
    (rows,) = pieces(sp.csr_matrix(X), stops=[300, 600, 900, N])
    sparse = fitted(classifier(client), rows, dy)
    np.testing.assert_allclose(sparse.coefs_[0], dense.coefs_[0], rtol=1e-3, atol=1e-5)
    mixed = [delayed(X[:600]), delayed(X[600:].astype(np.float64))]
    (two,) = pieces(y, stops=[600, N])
    model = fitted(classifier(client), mixed, two)
    assert model.coefs_[0].dtype == np.float64
    model = fitted(classifier(client, dtype="float64"), dX, dy)
    assert model.coefs_[0].dtype == np.float64


def test_weights_of_rows_and_classes(client):
    X, y = table(task="three")
    counts = dict(zip(*np.unique(y, return_counts=True), strict=True))
    balanced = {label: N / (3 * n) for label, n in counts.items()}
    data = in_chunks(X, y)
    one, other = (
        fitted(classifier(client, class_weight=weight), *data)
        for weight in ("balanced", balanced)
    )
    assert digest(one) == digest(other)
    # Weights far apart in partitions are over one power of two.
    w = np.repeat([1.0, 2.0**40, 2.0**-30, 1.0], N // 4)
    dX, dy, dw = in_chunks(X, y, w)
    heavy = fitted(classifier(client), dX, dy, dw)
    scaled = fitted(classifier(client), dX, dy, dw * 8)
    assert digest(heavy) == digest(scaled)
    only = w[300:600]
    alone = fitted(
        classifier(client), *pieces(X[300:600], y[300:600], only, stops=[300])
    )
    assert heavy.loss_ == pytest.approx(alone.loss_, rel=0.5)


# Trouble


def refused(model, *data, error=ValueError, match, **more):
    with pytest.raises(error, match=match):
        model.fit(*data, **more)
    assert not hasattr(model, "coefs_")


def test_data_that_are_refused(client):
    X, y = table()
    dX, dy = in_chunks(X, y)
    new = lambda **more: classifier(client, **more)  # noqa: E731
    refused(new(), X, y, error=TypeError, match="X must be a Dask array.*ndarray")
    refused(new(), dX, y, error=TypeError, match="y must be a Dask array")
    refused(new(), dX, in_chunks(y, size=N)[0][:-1], match="1200 rows and y has 1199")
    refused(new(), *pieces(X, stops=[5, N]), dy, match="X has 2 partitions and y has 4")
    holes = X.copy()
    holes[700, 2] = np.nan
    refused(
        new(), in_chunks(holes)[0], dy, match=r"In partition 2: Input X contains NaN"
    )
    text = pieces(frame(X).assign(b="x"), y, stops=[600, N])
    refused(new(), *text, match=r"In partition 0: Column 'b' contains text")
    short = [delayed(X[:600]), delayed(X[600:, :4])]
    (two,) = pieces(y, stops=[600, N])
    refused(new(), short, two, match="4 columns in partition 1 and 5 in partition 0")
    names = [
        delayed(frame(X[:600])),
        delayed(frame(X[600:]).rename(columns={"a": "z"})),
    ]
    refused(new(), names, two, match=r"\['z', .* in partition 1 and \['a', .*tion 0")
    lengths = [delayed(X[:601]), delayed(X[601:])]
    refused(new(), lengths, two, match="In partition 0: X has 601 rows and y has 600")
    mixed = [delayed(np.zeros(600, int)), two[1]]
    xs = pieces(X, stops=[600, N])[0]
    refused(new(), xs, mixed, match="y has text in partition 1 and numbers in")
    gone = pieces(X, y, np.zeros(N), stops=[600, N])
    refused(new(), *gone, match="No partition has a row with a weight above 0")
    (negative,) = in_chunks(-np.ones(N))
    refused(new(), dX, dy, negative, match="In partition 0: Negative values")
    unknown = np.where(np.arange(N) == 5, "what", y)
    val = dict(zip(("X_val", "y_val"), in_chunks(X, unknown), strict=True))
    stop = new(early_stopping=True)
    refused(stop, dX, dy, match="In partition 0 of X_val.*classes not in.*what", **val)
    lost = pieces(X, np.where(np.arange(N) == 900, np.nan, 1.0), stops=[600, N])
    refused(regressor(client), *lost, match="In partition 1: .*y.*NaN|missing")


def test_parameters_that_are_refused(client):
    data = in_chunks(*table())
    for parameters, match in [
        ({"solver": "lbfgs"}, "trains by mini-batches"),
        ({"warm_start": True}, "warm_start=True"),
        ({"early_stopping": True, "scoring": "roc_auc"}, "Got 'roc_auc'"),
        ({"local_epochs": 0}, "local_epochs"),
        ({"rounds": 0}, "rounds"),
        ({"outer_momentum": 1.0}, "outer_momentum"),
        ({"persist": "yes"}, "persist"),
        ({"timeout": -1}, "timeout"),
        ({"max_iter": 0}, "max_iter"),
    ]:
        refused(classifier(client, **parameters), *data, match=match)
    val = {"X_val": data[0], "y_val": data[1]}
    refused(classifier(client), *data, match="early_stopping=True", **val)
    stop = classifier(client, early_stopping=True)
    refused(stop, *data, match="given together", X_val=data[0])
    assert issubclass(InvalidParameterError, ValueError)


def test_an_estimator_like_others(client, tmp_path):
    model = classifier(client, rounds=2)
    copy = clone(model)
    assert copy.client is client and copy.get_params() == model.get_params()
    names = [*inspect.signature(BackpropMLPClassifier).parameters]
    assert [*inspect.signature(DaskBackpropMLPClassifier).parameters][:-7] == names
    data = in_chunks(*table())
    fitted(model, *data)
    again = pickle.loads(pickle.dumps(model))
    assert again.client is None and digest(again) == digest(model)
    assert digest(model.to_local()) == digest(model)
    with pytest.raises(AttributeError, match="partial_fit"):
        model.partial_fit(*data)
    before = digest(model)
    with pytest.raises(TypeError):
        model.fit(np.zeros((3, P)), [0, 1, 0])
    assert digest(model) == before


def test_a_cluster_that_has_gone(own_cluster):
    X, y = table()
    data = in_chunks(X, y)
    with own_cluster(1) as own:
        model = classifier(own, timeout=1.0, max_iter=10**5, n_iter_no_change=10**6)
        model._observers = lambda: [AtRound(3, lambda: own.cluster.scale(0))]
        with pytest.raises(DaskFitError, match="no worker for 1 seconds") as caught:
            fitted(model, *data)
        assert not hasattr(model, "coefs_")
    kept = caught.value.model
    assert type(kept) is BackpropMLPClassifier
    assert kept.predict_proba(X).shape == (N, 2)


def test_data_that_have_gone(own_cluster):
    """Rows that were scattered are nowhere else than on a worker."""
    X, y = table()
    with own_cluster(1) as own:
        futures = [own.scatter([part])[0] for part in (X[:600], X[600:])]
        labels = [own.scatter([part])[0] for part in (y[:600], y[600:])]
        model = classifier(own, persist=False, max_iter=10**4, timeout=10)
        model._observers = lambda: [AtRound(3, lambda: kill_one(own).join())]
        with pytest.raises(DaskFitError, match="lost") as caught:
            fitted(model, futures, labels)
    assert caught.value.model is not None


@pytest.mark.parametrize("factor", [1e-4, 1e4])
def test_weights_beside_rows_that_validate_without_any(client, factor):
    X, y = table()
    w = factor * np.random.default_rng(3).uniform(0.5, 2, N)
    val = dict(zip(("X_val", "y_val"), in_chunks(*table(1)), strict=True))
    model = classifier(client, early_stopping=True)
    fitted(model, *in_chunks(X, y, w), **val)
    assert len(model.validation_scores_) == model.n_iter_


def test_hidden_features_and_gradients_are_lazy(client):
    X, y = table()
    (rows,) = in_chunks(X)
    model = fitted(classifier(client), *in_chunks(X, y))
    local = model.to_local()
    for method in ("transform", "input_gradient"):
        here, there = getattr(local, method)(X), getattr(model, method)(rows)
        assert there.shape == here.shape and there.dtype == here.dtype
        np.testing.assert_array_equal(there.compute(), here)
        np.testing.assert_array_equal(getattr(model, method)(X), here)
        (empty,) = pieces(X, stops=[0])
        nothing = getattr(model, method)(empty).compute()
        assert nothing.shape == (0, *here.shape[1:]) and nothing.dtype == here.dtype
