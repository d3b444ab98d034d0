"""Arrays that the caller writes to while they are in use: another model, never a crash.

What the engine takes for a place, labels, rows, codes and indptr, is a copy that nobody
else can write to; the indices of a sparse X are compared with the number of columns
where they are read.

Answers for: core/gather.pxd, core/panels.pxd, core/shuffle.pyx, _evaluation.py.
"""

import threading

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import make_trainer, run_epoch
from numpy.testing import assert_allclose, assert_array_equal

from skbackprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    Network,
    TabularMLPClassifier,
    _base,
    _network,
)
from skbackprop._evaluation import make_table, predict, value_and_gradient
from skbackprop._layers import make_topology
from skbackprop.core.optimizers import Optimizer, Solver
from skbackprop.core.shuffle import shuffle
from skbackprop.tabular import _member

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
N, P = 90, 7
DENSE = RNG.standard_normal((N, P)) * (RNG.random((N, P)) < 0.6)
Y = RNG.integers(0, 3, N)
PLACES = [-(2**31), -1, P, 2**30]
SETTINGS = {"max_iter": 4, "random_state": 0, "batch_size": 20}


def sparse(index=np.int32):
    X = sp.csr_array(DENSE)
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    return X


def step(topology, theta, table):
    """Theta and what lies on both sides of it, after a step of SGD over all rows."""
    room = np.full(len(theta) + 2000, 7.0, theta.dtype)
    mine = room[1000:-1000]
    mine[:] = theta
    run_epoch(make_trainer(topology, mine, table, Optimizer(Solver.SGD, 0.1)))
    return mine, np.r_[room[:1000], room[-1000:]]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("units", [1, 5, 16, 50])  # in part, whole and several vectors
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_engine_leaves_out_an_index_that_is_none(place, units, dtype):
    """Forward, gradient and step, as if the entry were 0; nothing beside is touched."""
    topology = make_topology(
        [P, units, 3], ["tanh"], "softmax", "categorical_cross_entropy"
    )
    theta = RNG.standard_normal(topology.n_parameters).astype(dtype)
    X, zeroed = sparse(), sparse()
    table = make_table(X, labels=Y, dtype=dtype)
    written = [0, 5, len(X.data) - 1]
    table.indices[written] = place
    zeroed.data[written] = 0
    expected = make_table(zeroed, labels=Y, dtype=dtype)
    assert_array_equal(
        predict(topology, theta, table), predict(topology, theta, expected)
    )
    room = np.full(len(theta) + 2000, 7.0, dtype)
    grad, same = room[1000:-1000], np.empty_like(theta)
    values = [
        value_and_gradient(topology, theta, each, denominator=float(N), grad=g)
        for each, g in ((table, grad), (expected, same))
    ]
    assert values[0] == values[1]
    assert_array_equal(grad, same)
    assert_array_equal(np.r_[room[:1000], room[-1000:]], 7)
    (found, beside), (wanted, _) = (
        step(topology, theta, each) for each in (table, expected)
    )
    assert_array_equal(found, wanted)
    assert_array_equal(beside, 7)
    assert np.any(found != theta)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["indices", "indptr", "data"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_a_scorer_that_writes_to_a_sparse_X(name, place, index, solver):
    X = sparse(index)

    def scorer(model, *_):
        getattr(X, name)[:] = place
        return 1.0

    model = BackpropMLPClassifier(
        (9,), early_stopping=True, scoring=scorer, solver=solver, **SETTINGS
    ).fit(X, Y)
    assert all(np.isfinite(W).all() for W in model.coefs_)
    if name == "indptr" or (name == "indices" and index is np.int64):  # copies
        model.set_params(scoring=lambda *_: 1.0)
        again = BackpropMLPClassifier(**model.get_params()).fit(sparse(index), Y)
        assert_array_equal(model.coefs_[0], again.coefs_[0])


@pytest.mark.parametrize("name", ["indices", "indptr", "data"])
def test_another_thread_that_writes_to_a_sparse_X(name):
    X = sparse()
    right, stopped = getattr(X, name).copy(), threading.Event()
    model = BackpropMLPClassifier((20,), **SETTINGS).fit(X, Y)
    network = Network(
        [P, 20, 1], "relu", loss="squared_error", output_activation="identity"
    )

    def write():
        k = 0
        while not stopped.is_set():
            array = getattr(X, name)
            array[:] = right
            array[3:] = PLACES[k % len(PLACES)]
            array[:] = right
            k += 1

    writer = threading.Thread(target=write)
    writer.start()
    calls = [
        lambda: model.partial_fit(X, Y),
        lambda: model.predict(X),
        lambda: network.forward(X),
        lambda: network.loss_and_gradient(X, np.ones(N)),
    ]
    ended = 0
    try:
        for _ in range(60):
            for call in calls:
                try:
                    call()
                except (ValueError, IndexError):  # it was seen before it was used
                    pass
                ended += 1
    finally:
        stopped.set()
        writer.join()
    assert ended == 240


CHANGES = {
    "X": lambda X, y, w: X.fill(np.nan),
    "y": lambda X, y, w: y.fill(10**6),
    "sample_weight": lambda X, y, w: w.fill(-1e30),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("cls", [BackpropMLPClassifier, BackpropMLPRegressor])
def test_dense_arrays_that_change_give_another_model(cls, change):
    X, w = DENSE.copy(), np.ones(N)
    y = Y.astype(np.float64 if cls is BackpropMLPRegressor else np.intc)

    def scorer(*_):
        CHANGES[change](X, y, w)
        return 1.0

    model = cls((9,), early_stopping=True, scoring=scorer, **SETTINGS)
    model.fit(X, y, sample_weight=w)
    assert all(np.isfinite(W).all() for W in model.coefs_)


def tables(monkeypatch, module, name):
    """The tables that a function of a module gets from now on, and its orders."""
    seen, function = [], getattr(module, name)

    def watching(*arguments, **keywords):
        for each in (*arguments, *keywords.values()):
            table = getattr(each, "table", each)
            if type(table).__name__ == "Table":
                seen.append(table)
        return function(*arguments, **keywords)

    monkeypatch.setattr(module, name, watching)
    return seen


@pytest.mark.parametrize("kind", ["int32", "int64", "csr", "partial"])
def test_what_is_a_place_is_not_shared_with_the_caller(kind, monkeypatch):
    """Of BackpropMLP*: labels, indptr and the order of the rows."""
    seen = tables(monkeypatch, _base, "train")
    X = sparse(np.int64) if kind == "csr" else DENSE.copy()
    y = Y.astype("int64" if kind == "int64" else "int32")
    model = BackpropMLPClassifier((5,), **SETTINGS)
    if kind == "partial":
        model.partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X, y)
    else:
        model.fit(X, y)
    assert seen
    for table in seen:
        assert len(table.labels) == N and not np.shares_memory(table.labels, y)
        if kind == "csr":
            assert len(table.indptr) == N + 1
            assert not np.shares_memory(table.indptr, X.indptr)


@pytest.mark.parametrize("dtype", [np.intc, np.intp])
def test_labels_of_a_network_are_a_copy(dtype, monkeypatch):
    seen = tables(monkeypatch, _network, "value_and_gradient")
    network = Network(
        [P, 3], (), loss="categorical_cross_entropy", output_activation="softmax"
    )
    y = Y.astype(dtype)
    network.loss(DENSE, y)
    (table,) = seen
    assert_array_equal(table.labels, y)
    assert not np.shares_memory(table.labels, y)


def test_the_table_of_a_bag_is_its_own(monkeypatch):
    """Positions and codes in it are places among edges and in tables of codes."""
    seen = tables(monkeypatch, _member, "train")
    X, y = np.ascontiguousarray(DENSE, dtype=np.float32), Y.astype(np.intc)
    TabularMLPClassifier(
        n_folds=2, max_iter=1, hidden_layer_sizes=(4,), n_jobs=1, random_state=0
    ).fit(X, y)
    assert len(seen) >= 2
    for table in seen:
        assert not np.shares_memory(table.X, X)
        assert not np.shares_memory(table.labels, y)


def test_a_stream_of_the_caller_s_does_not_get_the_rows():
    class Keeping(np.random.RandomState):
        def shuffle(self, x):
            kept.append(x)
            super().shuffle(x)

    kept, rows = [], np.arange(50)
    shuffle(Keeping(0), rows)
    expected = np.arange(50)
    np.random.RandomState(0).shuffle(expected)
    assert_array_equal(rows, expected)
    assert not np.shares_memory(kept[0], rows)
    kept[0][:] = 10**9
    model = BackpropMLPClassifier((5,), **SETTINGS | {"random_state": Keeping(0)})
    same = BackpropMLPClassifier((5,), **SETTINGS).fit(DENSE, Y)
    assert_allclose(model.fit(DENSE, Y).coefs_[0], same.coefs_[0], rtol=0, atol=0)
