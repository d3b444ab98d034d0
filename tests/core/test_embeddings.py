"""Embeddings of numbers and codes: their mathematics, and their way through a run.

Answers for: core/embeddings.pxd, core/embeddings.pyx, core/passes.pxd,
core/updates.pxd.
"""

import pickle

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from helpers import OF_OWN_KERNELS, make_stepper, train

from skbackprop._evaluation import make_table, predict, value_and_gradient
from skbackprop.core.activations import Activation
from skbackprop.core.embeddings import Embeddings
from skbackprop.core.losses import Loss
from skbackprop.core.optimizers import Optimizer, Solver
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


def test_a_step_is_the_gradient():
    t, theta = network()
    X, Y = example(40), np.random.default_rng(2).normal(size=(40, 2))
    table = make_table(X, Y=Y, dtype=np.float64)
    grad = np.empty_like(theta)
    value = value_and_gradient(t, theta, table, denominator=40.0, grad=grad)
    moved, loss, _ = train(t, theta, X, Y)
    assert loss == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(theta - moved, grad, rtol=1e-9, atol=1e-12)


def test_a_step_by_a_gradient_from_elsewhere_is_that_of_a_run():
    """``apply``, which long batches use: all groups, with their rates and decays."""
    t, theta = network()
    X, Y = example(40), np.random.default_rng(2).normal(size=(40, 2))
    optimizers = [Optimizer(Solver.ADAMW, 0.05, weight_decay=0.3) for _ in range(2)]
    for opt in optimizers:
        opt.rates = np.linspace(0.5, 2.0, len(t.groups))
        opt.decays = np.linspace(1.0, 0.0, len(t.groups))
    want = train(t, theta, X, Y, optimizers[0]).theta
    grad = np.empty_like(theta)
    table = make_table(X, Y=Y, dtype=np.float64)
    value_and_gradient(t, theta, table, denominator=40.0, grad=grad)
    got = theta.copy()
    make_stepper(t, got, optimizers[1]).apply(grad)
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)
    assert optimizers[1].t == 1 and (got != theta).all()


@OF_OWN_KERNELS
@pytest.mark.parametrize("max_norm", [0.0, 0.1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_same_bits_for_every_number_of_threads(dtype, max_norm):
    t, theta = network(dtype=dtype, dimension=8)
    X = example(50, dtype=dtype)
    Y = np.random.default_rng(2).normal(size=(50, 2)).astype(dtype)
    results = []
    for n_threads in (1, 2, 3, 8):
        opt = Optimizer(Solver.ADAMW, 0.05, weight_decay=0.1)
        opt.max_norm = max_norm
        results.append(
            train(
                t, theta, X, Y, opt, batch_size=16, dropout=(0.3, 5),
                n_threads=n_threads, n_epochs=3,
            )
        )  # fmt: skip
    for moved, loss, _ in results[1:]:
        assert np.array_equal(moved, results[0].theta)
        assert loss == results[0].loss
    assert np.isfinite(results[0].theta).all()


def test_groups_have_their_rates_and_decays():
    """With SGD the step is the rate times the gradient; decay is AdamW's."""
    t, theta = network()
    X, Y = example(40), np.random.default_rng(2).normal(size=(40, 2))
    plain = train(t, theta, X, Y).theta
    rates = np.arange(len(t.groups)) * 0.25
    opt = Optimizer(Solver.SGD, 1.0)
    opt.rates = rates
    varied = train(t, theta, X, Y, opt).theta
    groups = group_of(t)
    np.testing.assert_allclose(
        theta - varied, (theta - plain) * rates[groups], rtol=1e-9, atol=1e-12
    )
    decays = np.arange(len(t.groups)) * 0.5
    lr, wd = 0.01, 0.3
    steps = []
    for given in (np.zeros(len(t.groups)), decays):
        opt = Optimizer(Solver.ADAMW, lr, weight_decay=wd)
        opt.rates, opt.decays = rates, given
        steps.append(train(t, theta, X, Y, opt).theta)
    np.testing.assert_allclose(
        steps[0] - steps[1],
        lr * wd * rates[groups] * decays[groups] * theta,
        rtol=1e-7,
        atol=1e-12,
    )


def test_decays_that_are_not_given_are_the_groups_own():
    t, theta = network()
    X, Y = example(40), np.random.default_rng(2).normal(size=(40, 2))
    steps = []
    for weight_decay in 0.0, 0.3:
        opt = Optimizer(Solver.ADAMW, 0.01, weight_decay=weight_decay)
        steps.append(train(t, theta, X, Y, opt).theta)
    decays = np.array([float(group.decays) for group in t.groups])
    want = 0.01 * 0.3 * decays[group_of(t)] * theta
    np.testing.assert_allclose(steps[0] - steps[1], want, rtol=1e-7, atol=1e-12)


def group_of(t):
    """The number of the group of every parameter: V, b, u, m, tables, W_1, b_1, ..."""
    numbers = np.empty(t.n_parameters, dtype=int)
    V, b0, u, m, tables = t.embeddings.views(numbers)
    for k, group in enumerate([V, [b0], [u], [m], tables]):
        for each in group:
            each[...] = k
    W, b = t.views(numbers)
    for j in range(t.n_layers):
        W[j][...], b[j][...] = 5 + 2 * j, 6 + 2 * j
    return numbers


def test_no_group_is_left_out():
    t, _ = network()
    numbers = group_of(t)
    assert sorted(set(numbers)) == list(range(len(t.groups)))
    for k, group in enumerate(t.groups):
        assert (numbers[group.start : group.stop] == k).all()
        assert np.prod(group.shape) == group.stop - group.start == (numbers == k).sum()
    names = "V b u m table W_1 b_1 W_2 b_2".split()
    assert [group.name for group in t.groups] == names
    # Curves' offsets and what stands for a missing number do not decay.
    assert [group.decays for group in t.groups] == [1, 0, 1, 0, 1, 1, 0, 1, 0]
    assert [group.penalised for group in t.groups] == [0, 0, 0, 0, 0, 1, 0, 1, 0]


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
    with pytest.raises(ValueError, match="X must be dense"):
        predict(t, theta, make_table(sp.csr_array((2, 7)), dtype=np.float64))


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
