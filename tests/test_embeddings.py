"""Embeddings of numbers and codes: their mathematics, and their way through a run."""

import pickle

import numpy as np
import pytest
import reference

from skbackprop._table import make_scratch, make_table, predict, value_and_gradient
from skbackprop.core import engine
from skbackprop.core.activations import Activation
from skbackprop.core.embeddings import Embeddings
from skbackprop.core.losses import Loss
from skbackprop.core.optimizers import Optimizer, Solver, n_slots
from skbackprop.core.regimen import Regimen
from skbackprop.core.topology import Topology

EDGES = [[-1.0, 0.0, 0.5, 3.0], [2.0, 4.0], [-2.0, -1.0, 0.0, 1.0, 2.0, 7.0]]


def embeddings(dimension=3, code_dimension=2):
    return Embeddings(EDGES, 2, [3, 5], dimension, code_dimension)


def positions(values, edges):
    """p = k + r of values, not a number where they are not one."""
    return np.where(
        np.isnan(values), np.nan, np.interp(values, edges, np.arange(len(edges)))
    )


def example(n=23, seed=0, *, inside=False, dtype=np.float64):
    """Positions, plain columns and codes of n rows, some of them missing or unknown."""
    rng = np.random.default_rng(seed)
    columns = []
    for edges in EDGES:
        p = rng.uniform(0 if inside else -1, len(edges) - (1 if inside else 0), n)
        p[rng.random(n) < 0.2] = np.nan
        columns.append(p)
    columns += list(rng.normal(size=(2, n)))
    columns += [rng.integers(-1, 4, n), rng.integers(0, 5, n)]
    return np.column_stack(columns).astype(dtype)


def network(loss="squared_error", *, dtype=np.float64, **kwargs):
    e = embeddings(**kwargs)
    output = (
        Activation.SOFTMAX
        if loss == "categorical_cross_entropy"
        else Activation.IDENTITY
    )
    kinds = [Activation.TANH, output]
    t = Topology([e.n_outputs, 6, 2], kinds, [True, True], Loss[loss.upper()], (), e)
    theta = np.random.default_rng(1).normal(scale=0.5, size=t.n_parameters)
    return t, theta.astype(dtype)


@pytest.mark.parametrize("dimension", [1, 3, 8])
def test_forward_is_the_formula(dimension):
    """(E1) and (E2), and what the layers make of them."""
    t, theta = network(dimension=dimension)
    X = example()
    V, b, u, m, tables = t.embeddings.views(theta)
    A = reference.embed(X, EDGES, V, b, u, m, 2, tables)
    assert A.shape == (len(X), t.sizes[0])
    (W1, W2), (b1, b2) = t.views(theta)
    want = np.tanh(A @ W1 + b1) @ W2 + b2
    got = predict(t, theta, make_table(X, dtype=np.float64))
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
    few = predict(t, theta, make_table(X[:3], dtype=np.float64))
    np.testing.assert_allclose(few, want[:3], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dimension", [1, 3, 8])
@pytest.mark.parametrize("loss", ["squared_error", "categorical_cross_entropy"])
def test_gradient_is_that_of_central_differences(loss, dimension):
    """(E3) and (E4); 40 rows, so that the groups of a block are several."""
    t, theta = network(loss, dimension=dimension)
    X = example(40)
    rng = np.random.default_rng(2)
    Y = rng.normal(size=(40, 2)) if loss == "squared_error" else None
    labels = None if Y is not None else rng.integers(0, 2, 40)
    table = make_table(X, Y=Y, labels=labels, dtype=np.float64)
    grad = np.empty_like(theta)
    value_and_gradient(t, theta, table, denominator=7.0, grad=grad)
    h = 1e-5
    for i in range(len(theta)):
        ends = []
        for step in (h, -h):
            moved = theta.copy()
            moved[i] += step
            ends.append(value_and_gradient(t, moved, table, denominator=7.0))
        difference = (ends[0] - ends[1]) / (2 * h)
        assert grad[i] == pytest.approx(difference, rel=1e-6, abs=1e-8), i


def run(t, theta, X, Y, regimen, *, opt=None, batch=16, n_threads=1, epochs=1):
    """theta after some epochs, and the loss of the last."""
    from skbackprop._threads import share

    table = make_table(X, Y=Y, dtype=theta.dtype)
    opt = opt or Optimizer(Solver.SGD, 1.0)
    theta = theta.copy()
    memory = np.zeros((n_slots(opt.kind), len(theta)), theta.dtype)
    grad = np.full_like(theta, np.nan)
    scratch = make_scratch(
        t, batch, theta.dtype, sparse=False, dropping=regimen.dropout > 0
    )
    scratch.work[:] = np.nan
    order = np.arange(len(X))
    for _ in range(epochs):
        loss = share(
            engine.train_run, t, opt, regimen, theta, grad, memory, *table, order, 0,
            len(X), batch, 1.0, 0.0, 0.0, scratch.work, scratch.label_work,
            scratch.sums, places=scratch.places, n_threads=n_threads,
        )  # fmt: skip
    return theta, loss / len(X)


def test_a_step_is_the_gradient():
    t, theta = network()
    X, Y = example(40), np.random.default_rng(2).normal(size=(40, 2))
    table = make_table(X, Y=Y, dtype=np.float64)
    grad = np.empty_like(theta)
    value = value_and_gradient(t, theta, table, denominator=40.0, grad=grad)
    moved, loss = run(t, theta, X, Y, Regimen(t.n_groups), batch=40)
    assert loss == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(theta - moved, grad, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("max_norm", [0.0, 0.1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_same_bits_for_every_number_of_threads(dtype, max_norm):
    if not engine.threads_of_its_own():
        return  # at this level threads are BLAS's
    t, theta = network(dtype=dtype, dimension=8)
    X = example(50, dtype=dtype)
    Y = np.random.default_rng(2).normal(size=(50, 2)).astype(dtype)
    results = []
    for n_threads in (1, 2, 3, 8):
        regimen = Regimen(t.n_groups, dropout=0.3, seed=5, max_norm=max_norm)
        opt = Optimizer(Solver.ADAMW, 0.05, weight_decay=0.1)
        results.append(
            run(t, theta, X, Y, regimen, opt=opt, n_threads=n_threads, epochs=3)
        )
    for moved, loss in results[1:]:
        assert np.array_equal(moved, results[0][0])
        assert loss == results[0][1]
    assert np.isfinite(results[0][0]).all()


def test_groups_have_their_rates_and_decays():
    """With SGD the step is the rate times the gradient; decay is AdamW's."""
    t, theta = network()
    X, Y = example(40), np.random.default_rng(2).normal(size=(40, 2))
    plain, _ = run(t, theta, X, Y, Regimen(t.n_groups), batch=40)
    rates = np.arange(t.n_groups) * 0.25
    varied, _ = run(t, theta, X, Y, Regimen(t.n_groups, rates=rates), batch=40)
    groups = group_of(t)
    np.testing.assert_allclose(
        theta - varied, (theta - plain) * rates[groups], rtol=1e-9, atol=1e-12
    )
    decays = np.arange(t.n_groups) * 0.5
    lr, wd = 0.01, 0.3
    steps = []
    for given in (np.zeros(t.n_groups), decays):
        opt = Optimizer(Solver.ADAMW, lr, weight_decay=wd)
        regimen = Regimen(t.n_groups, rates=rates, decays=given)
        steps.append(run(t, theta, X, Y, regimen, opt=opt, batch=40)[0])
    np.testing.assert_allclose(
        steps[0] - steps[1],
        lr * wd * rates[groups] * decays[groups] * theta,
        rtol=1e-7,
        atol=1e-12,
    )


def group_of(t):
    """The number of the group of every parameter."""
    numbers = np.empty(t.n_parameters, dtype=int)
    W, b = t.views(numbers)
    for j in range(t.n_layers):
        W[j][...], b[j][...] = 2 * j, 2 * j + 1
    V, b0, u, m, tables = t.embeddings.views(numbers)
    for k, group in enumerate([V, [b0], [u], [m], tables]):
        for each in group:
            each[...] = 2 * t.n_layers + k
    return numbers


def test_no_group_is_left_out():
    t, _ = network()
    assert sorted(set(group_of(t))) == list(range(t.n_groups))


def test_positions_outside_are_those_of_the_ends():
    t, theta = network()
    X = example(6, inside=True)
    X[:, :3] = [[-0.5, -3.0, -1e30]] * 3 + [[3.5, 9.0, 1e30]] * 3
    inside = X.copy()
    inside[:3, :3], inside[3:, :3] = 0, [3, 1, 5]
    got, want = (
        predict(t, theta, make_table(x, dtype=np.float64)) for x in (X, inside)
    )
    assert np.array_equal(got, want)


def test_unknown_codes_are_the_first():
    t, theta = network()
    X = example(4)
    X[:, 5] = [-1, 3, np.nan, np.inf]
    first = X.copy()
    first[:, 5] = 0
    got, want = (predict(t, theta, make_table(x, dtype=np.float64)) for x in (X, first))
    assert np.array_equal(got, want)


def test_pickle_keeps_the_shape():
    t, theta = network()
    again = pickle.loads(pickle.dumps(t))
    X = make_table(example(), dtype=np.float64)
    assert again.n_columns == t.n_columns == 7
    assert np.array_equal(predict(again, theta, X), predict(t, theta, X))
    assert again.embeddings.cardinalities == [3, 5]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0.0]], 0, [], 1, 1), "two or more"),
        (([[0.0, 0.0]], 0, [], 1, 1), "strictly increasing"),
        (([[0.0, np.inf]], 0, [], 1, 1), "finite"),
        (([], -1, [2], 1, 1), "n_plain"),
        (([], 0, [0], 1, 1), "cardinalities"),
        (([[0.0, 1.0]], 0, [], 0, 1), "dimension"),
        (([], 0, [], 1, 1), "there must be a column"),
    ],
)
def test_bad_shapes_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Embeddings(*arguments)


def test_doors_refuse_what_embeddings_cannot():
    t, theta = network()
    with pytest.raises(ValueError, match=r"sizes\[0\] must be"):
        Topology([5, 2], [0], [True], 0, (), t.embeddings)
    table = make_table(example(4), Y=np.zeros((4, 2)), dtype=np.float64)
    with pytest.raises(ValueError, match="dX must be empty"):
        value_and_gradient(
            t, theta, table, denominator=1.0, grad=theta.copy(), dX=np.empty((4, 14))
        )
    with pytest.raises(ValueError, match="X must have 7 columns"):
        predict(t, theta, make_table(np.zeros((2, 6)), dtype=np.float64))


def test_gradients_are_the_formulas():
    """(E3) and (E4), from dL/dA_0 = delta_1 W_1^T."""
    e = embeddings(dimension=3)
    t = Topology([e.n_outputs, 2], [0], [True], Loss.SQUARED_ERROR, (), e)
    theta = np.random.default_rng(1).normal(size=t.n_parameters)
    X, Y = example(40), np.random.default_rng(2).normal(size=(40, 2))
    table = make_table(X, Y=Y, dtype=np.float64)
    grad = np.empty_like(theta)
    value_and_gradient(t, theta, table, denominator=40.0, grad=grad)
    g = (predict(t, theta, table) - Y) / 40 @ t.views(theta)[0][0].T
    dV, db, du, dm, dtables = e.views(grad)
    for f, edges in enumerate(EDGES):
        of_number = reference.spread_over_edges(g[:, 3 * f : 3 * f + 3], X[:, f], edges)
        for got, want in zip((dV[f], db[f], du[f], dm[f]), of_number, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-13)
    for c, dtable in enumerate(dtables):
        codes = X[:, 5 + c]
        codes = np.where((codes >= 0) & (codes < len(dtable)), codes, 0)
        want = reference.gather_codes(g[:, 11 + 2 * c : 13 + 2 * c], codes, len(dtable))
        np.testing.assert_allclose(dtable, want, rtol=1e-10, atol=1e-13)
