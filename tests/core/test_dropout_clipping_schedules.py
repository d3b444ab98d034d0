"""Dropout, schedules and clipping: what a training does besides gradient and step.

Answers for: core/dropout.pxd, core/updates.pxd, core/engine.pyx, _schedules.py.
"""

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from helpers import make_trainer, train

from skbackprop import BackpropMLPRegressor
from skbackprop._evaluation import make_table, value_and_gradient
from skbackprop._layers import HIDDEN_ACTIVATIONS
from skbackprop._schedules import FACTORS, Plan
from skbackprop.core.activations import Activation
from skbackprop.core.losses import Loss
from skbackprop.core.optimizers import Optimizer, Solver
from skbackprop.core.topology import Topology


def network(kind=Activation.TANH, sizes=(4, 5, 70, 2), seed=1):
    kinds = [kind] * (len(sizes) - 2) + [Activation.IDENTITY]
    t = Topology(sizes, kinds, [True] * len(kinds), Loss.SQUARED_ERROR)
    return t, np.random.default_rng(seed).normal(scale=0.5, size=t.n_parameters)


def data(n=37, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 4)), rng.normal(size=(n, 2))


def limited(max_norm):
    """Steps of the gradient, which is cut to a norm."""
    opt = Optimizer(Solver.SGD, 1.0)
    opt.max_norm = max_norm
    return opt


def masked_gradient(t, theta, X, Y, kept, p, kind):
    """Loss and flat gradient of one step, by the formulas (D1) and (D2)."""
    W, b = t.views(theta)
    grad = np.empty_like(theta)
    dW, db = t.views(grad)
    name = Activation(kind).name.lower()
    f, f_prime = reference.ACTIVATIONS[name], reference.DERIVATIVES[name]
    A, Zs = [X], []
    for j in range(t.n_layers):
        Zs.append(A[-1] @ W[j] + b[j])
        last = j == t.n_layers - 1
        A.append(Zs[-1] if last else reference.drop(f(Zs[-1]), kept[j], p))
    n = len(X)
    delta = (A[-1] - Y) / n
    for j in reversed(range(t.n_layers)):
        dW[j][...], db[j][...] = A[j].T @ delta, delta.sum(axis=0)
        if j > 0:
            delta = reference.drop(delta @ W[j].T, kept[j - 1], p)
            delta = delta * f_prime(Zs[j - 1])
    return 0.5 * ((A[-1] - Y) ** 2).sum() / n, grad


@pytest.mark.parametrize("kind", sorted(set(HIDDEN_ACTIVATIONS.values())))
def test_a_step_with_dropout_is_the_formula(kind):
    """(D1) and (D2) for every activation, in more than one panel of units."""
    t, theta = network(kind)
    X, Y = data()
    p, seed = 0.3, 2**63 + 11
    opt = Optimizer(Solver.SGD, 1.0)
    opt.t = 4
    moved, loss, _ = train(t, theta, X, Y, opt, dropout=(p, seed))
    kept = [reference.kept_units(p, seed, 5, j, (len(X), t.sizes[j])) for j in (1, 2)]
    value, grad = masked_gradient(t, theta, X, Y, kept, p, kind)
    assert loss == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(theta - moved, grad, rtol=1e-7, atol=1e-10)


def test_as_many_are_kept_as_asked():
    kept = reference.kept_units(0.25, 7, 1, 1, (200, 100))
    assert abs(kept.mean() - 0.75) < 0.015  # five standard deviations
    # Rows, units, steps, layers and seeds differ; neighbours are strangers.
    for other in (
        np.roll(kept, 1, axis=0),
        np.roll(kept, 1, axis=1),
        reference.kept_units(0.25, 7, 2, 1, (200, 100)),
        reference.kept_units(0.25, 7, 1, 2, (200, 100)),
        reference.kept_units(0.25, 8, 1, 1, (200, 100)),
    ):
        together = np.mean((kept - 0.75) * (other - 0.75)) / (0.75 * 0.25)
        assert abs(together) < 0.04


def test_batches_of_an_epoch_have_their_own_masks():
    t, theta = network()
    X, Y = data(20)
    X[10:], Y[10:] = X[:10], Y[:10]
    losses = [
        train(
            t, theta, X[:n], Y[:n], Optimizer(Solver.SGD, 0.0), batch_size=10,
            dropout=(0.5, 3),
        ).loss
        for n in (20, 10)
    ]  # fmt: skip
    assert losses[0] != pytest.approx(losses[1])


@pytest.mark.parametrize("name", FACTORS)
def test_factors(name):
    u = reference.progress(1000)
    c = FACTORS[name](u)
    assert c.shape == u.shape and c.min() >= 0 and c.max() <= 1
    at = dict(zip(np.round(u, 4).tolist(), c.tolist(), strict=True))
    if name == "cosine":
        assert c[0] > 0.999 and c[-1] < 1e-5 and c[500] == pytest.approx(0.5, abs=2e-3)
    if name == "flat_cosine":
        assert np.all(c[:500] == 1) and c[750] == pytest.approx(0.5, abs=4e-3)
    if name == "one_cycle":
        assert c[0] == pytest.approx(0.04, abs=1e-4) and at[0.2995] > 0.999
        assert c[-1] < 1e-5
    if name == "warm_up":
        assert at[0.0495] == pytest.approx(0.495) and np.all(c[100:] == 1)
    if name == "coslog4":
        peaks = np.flatnonzero((c[1:-1] > c[:-2]) & (c[1:-1] > c[2:]))
        assert len(peaks) == 4


def test_a_plan_goes_on_over_the_epochs():
    plan = Plan("cosine", "constant", "flat_cosine", n_epochs=4)
    rows = np.vstack([plan.of_epoch(epoch, 5) for epoch in range(4)])
    u = reference.progress(20)
    np.testing.assert_allclose(rows[:, 0], FACTORS["cosine"](u))
    assert np.all(rows[:, 1] == 1)
    np.testing.assert_allclose(rows[:, 2], FACTORS["flat_cosine"](u))
    assert Plan().of_epoch(0, 5).shape == (0, 3)


@pytest.mark.parametrize("column", [0, 1, 2])
def test_steps_heed_the_plan(column):
    """An epoch under a plan is a step after another with other numbers."""
    t, theta = network()
    X, Y = data(30)
    factors = np.array([0.5, 1.0, 0.25])
    plan = np.ones((3, 3))
    plan[:, column] = factors
    settings = dict(weight_decay=0.3, beta_2=0.9)
    got = train(
        t, theta, X, Y, Optimizer(Solver.ADAMW, 0.1, **settings), batch_size=10,
        dropout=(0.4, 9), factors=plan,
    ).theta  # fmt: skip
    want, memory = theta.copy(), 0.0
    opt = Optimizer(Solver.ADAMW, 0.1, **settings)
    table = make_table(X, Y=Y, dtype=np.float64)
    for k, c in enumerate(factors):
        rate, dropout, decay = (c if column == i else 1.0 for i in range(3))
        opt.learning_rate, opt.weight_decay = 0.1 * rate, 0.3 * decay
        trainer = make_trainer(
            t, want, table, opt, batch_size=10, dropout=(0.4 * dropout, 9)
        )
        trainer.moments[:] = memory
        trainer.run(np.arange(30), 10 * k, 10 * k + 10, 0.0)
        memory = trainer.moments
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("max_norm", [1e-3, 1e3])
def test_clipping_is_the_formula(max_norm):
    """(C1): the gradient of the loss is cut; the penalty comes after it."""
    t, theta = network()
    X, Y = data()
    table = make_table(X, Y=Y, dtype=np.float64)
    grad = np.empty_like(theta)
    value_and_gradient(t, theta, table, denominator=len(X), grad=grad)
    alpha = 0.7
    moved = train(t, theta, X, Y, limited(max_norm), alpha=alpha).theta
    penalty = np.zeros_like(theta)
    for of_penalty, W in zip(t.views(penalty)[0], t.views(theta)[0], strict=True):
        of_penalty[...] = alpha * W / len(X)
    want = reference.clip_to(grad, max_norm) + penalty
    np.testing.assert_allclose(theta - moved, want, rtol=1e-9, atol=1e-12)
    assert (np.linalg.norm(grad) > max_norm) == (max_norm == 1e-3)


def test_a_wide_limit_changes_no_bit_of_the_loss():
    t, theta = network()
    X, Y = data()
    plain = train(t, theta, X, Y, batch_size=8)
    wide = train(t, theta, X, Y, limited(1e9), batch_size=8)
    np.testing.assert_allclose(wide.theta, plain.theta, rtol=1e-12)
    assert wide.loss == pytest.approx(plain.loss, rel=1e-12)


def test_clipping_of_a_sparse_table():
    t, theta = network()
    X, Y = data()
    X[X < 0.5] = 0
    dense = train(t, theta, X, Y, limited(0.05)).theta
    moved = train(t, theta, sp.csr_array(X), Y, limited(0.05)).theta
    np.testing.assert_allclose(moved, dense, rtol=1e-10, atol=1e-13)
    assert np.linalg.norm(moved - theta) == pytest.approx(0.05, rel=1e-9)


def test_the_limit_may_change_between_two_runs():
    """It is read in every run; 0 is none."""
    t, theta = network()
    X, Y = data()
    moved = train(t, theta, X, Y, limited(0.05))
    before = moved.theta.copy()
    moved.trainer.optimizer.max_norm = 0
    moved.trainer.run(np.arange(len(X)), 0, len(X), 0.0)
    want = train(t, before, X, Y).theta
    np.testing.assert_allclose(moved.theta, want, rtol=1e-12)
    assert np.linalg.norm(moved.theta - before) > 0.06


def test_factors_are_a_copy_and_may_be_taken_back():
    """None multiplies nothing, as at first; an epoch of more steps is refused."""
    t, theta = network()
    X, Y = data(30)
    given = np.full((3, 3), 0.5)
    trainer = train(t, theta, X, Y, batch_size=10, factors=given).trainer
    given[:] = 7
    assert np.array_equal(trainer.factors, np.full((3, 3), 0.5))
    trainer.factors = np.ones((2, 3))
    with pytest.raises(ValueError, match="factors must have 3 rows"):
        trainer.run(np.arange(30), 0, 30, 0.0)
    trainer.run(np.arange(30), 0, 20, 0.0)
    trainer.factors = None
    assert trainer.factors is None
    trainer.run(np.arange(30), 0, 30, 0.0)


# From the estimators


def tables(n=300, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 6))
    y = X[:, 0] - 0.5 * X[:, 1] ** 2 + rng.normal(scale=0.3, size=n)
    return X, y


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "options",
    [
        {"dropout": 0.4},
        {"learning_rate": "cosine"},
        {"learning_rate": "one_cycle", "solver": "sgd", "learning_rate_init": 0.01},
        {"max_grad_norm": 0.01},
        {"solver": "adamw", "weight_decay": 5.0, "weight_decay_schedule": "warm_up"},
        {"dropout": 0.4, "dropout_schedule": "flat_cosine"},
    ],
)
def test_estimators_have_them(options):
    """Each option changes the model, and the same seed gives the same one."""
    X, y = tables()
    settings = {
        "max_iter": 40,
        "random_state": 0,
        "solver": "adam",
        "learning_rate_init": 0.02,
    } | options
    model = BackpropMLPRegressor((20,), **settings).fit(X, y)
    again = BackpropMLPRegressor((20,), **settings).fit(X, y)
    plain = {
        name: value
        for name, value in settings.items()
        if name in ("max_iter", "random_state", "solver", "weight_decay")
        or name == "learning_rate_init"
        or (name == "dropout" and "dropout_schedule" in options)
    }
    without = BackpropMLPRegressor((20,), **plain).fit(X, y)
    assert np.array_equal(model.predict(X), again.predict(X))
    assert not np.allclose(model.predict(X), without.predict(X))
    assert model.score(X, y) > 0.1


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_dropout_leaves_the_draws_of_scikit_learn_alone():
    X, y = tables()
    first = BackpropMLPRegressor((9,), max_iter=1, shuffle=False, random_state=0)
    with_dropout = BackpropMLPRegressor(
        (9,), max_iter=1, shuffle=False, random_state=0, dropout=0.5,
        learning_rate_init=1e-12,
    )  # fmt: skip
    first.set_params(learning_rate_init=1e-12)
    np.testing.assert_allclose(
        first.fit(X, y).predict(X), with_dropout.fit(X, y).predict(X), atol=1e-8
    )


def test_estimators_refuse_what_cannot_be():
    X, y = tables(30)
    for options, message in [
        ({"dropout": 1.0}, "'dropout'"),
        ({"max_grad_norm": 0.0}, "'max_grad_norm'"),
        ({"dropout_schedule": "linear"}, "'dropout_schedule'"),
        ({"learning_rate": "linear"}, "'learning_rate'"),
        ({"dropout": 0.1, "solver": "lbfgs"}, "dropout is for solvers"),
        ({"max_grad_norm": 1.0, "solver": "lbfgs"}, "max_grad_norm is for solvers"),
    ]:
        with pytest.raises(ValueError, match=message):
            BackpropMLPRegressor((4,), **options).fit(X, y)
    with pytest.raises(ValueError, match="partial_fit knows no end"):
        BackpropMLPRegressor((4,), learning_rate="cosine").partial_fit(X, y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_with_dropout_in_pieces_is_the_fit_in_one():
    """The masks go on with the steps: their seed is drawn once, and kept."""
    X, y = tables()
    settings = {"dropout": 0.3, "random_state": 0, "n_iter_no_change": 99}
    whole = BackpropMLPRegressor((9,), max_iter=6, **settings).fit(X, y)
    pieces = BackpropMLPRegressor((9,), max_iter=3, warm_start=True, **settings)
    pieces.fit(X, y).fit(X, y)
    for one, other in zip(whole.coefs_, pieces.coefs_, strict=True):
        assert np.array_equal(one, other)
