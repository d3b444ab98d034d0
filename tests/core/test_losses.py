"""Losses with parameters: values, what parameters may be, and what they fit.

Answers for: core/losses.pxd, core/losses.pyx, core/topology.pyx.
"""

import pickle
import warnings
from itertools import permutations

import numpy as np
import pytest
import reference
from helpers import pass_through
from mpmath import mpf
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import d2_pinball_score, log_loss, mean_pinball_loss

from skbackprop import BackpropMLPClassifier, BackpropMLPRegressor
from skbackprop.core.activations import Activation
from skbackprop.core.losses import Loss
from skbackprop.core.topology import Topology

DTYPES = [np.float32, np.float64]
LEVELS = (0.1, 0.5, 0.9)


def quiet(model, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(*args, **kwargs)


# Values


def exact(loss, r, c):
    """Value and slope of (L6), (L7), (L8) at the residual r = a - y."""
    r, c, sign = mpf(r), mpf(c), (r > 0) - (r < 0)
    if loss == "absolute_error":
        return abs(r), sign
    if loss == "huber":
        inside = abs(r) <= c
        return (r * r / 2, r) if inside else (c * (abs(r) - c / 2), c * sign)
    return max(-c * r, (1 - c) * r), (1 - c if r > 0 else -c if r < 0 else 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("r", [0.0, 1e-8, 0.5, 1.0, 1.5, 2.0, 800.0, 1e4, 1e30])
@pytest.mark.parametrize(
    ("loss", "c"), [("absolute_error", 0.0), ("huber", 1.5), ("quantile", 0.125)]
)
def test_value_and_slope(loss, c, r, dtype):
    net = pass_through(1, "identity", loss, dtype, (c,) if c else ())
    for sign in 1, -1:
        value, gradient = net.loss_and_gradient([[sign * r]], [[0.0]])
        want = exact(loss, float(dtype(sign * r)), c)
        assert value == pytest.approx(float(want[0]), rel=1e-15)
        assert gradient.intercepts[0][0] == dtype(want[1])


def test_levels_are_taken_in_turn():
    """Two targets, three levels: target by target."""
    net = pass_through(6, "identity", "quantile", parameters=LEVELS)
    rng = np.random.default_rng(0)
    A, Y = rng.normal(size=(40, 6)), rng.normal(size=(40, 6))
    value, gradient = net.loss_and_gradient(A, Y, input_gradient=True)
    want = [mean_pinball_loss(Y[:, k], A[:, k], alpha=LEVELS[k % 3]) for k in range(6)]
    assert value == pytest.approx(sum(want), rel=1e-14)
    slope = np.where(A > Y, 1 - np.tile(LEVELS, 2), -np.tile(LEVELS, 2))
    assert np.allclose(40 * gradient.input, slope, rtol=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.9])
def test_smoothing_is_that_of_soft_targets(epsilon, dtype):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(9, 2)).astype(dtype) * 4, rng.integers(0, 2, (9, 2))
    w = rng.uniform(0, 2, 9)
    for output in "sigmoid", "tanh":
        net = pass_through(2, output, "binary_cross_entropy", dtype, (epsilon,))
        soft = pass_through(2, output, "binary_cross_entropy", dtype)
        got, gradient = net.loss_and_gradient(X, Y, w, input_gradient=True)
        share = (1 - epsilon) * Y + epsilon / 2
        want, expected = soft.loss_and_gradient(X, share, w, input_gradient=True)
        near = {"rtol": 8 * np.finfo(dtype).eps, "atol": 8 * np.finfo(dtype).eps}
        if epsilon == 0:
            near = {"rtol": 0, "atol": 0}
        assert np.allclose(got, want, **near)
        assert np.allclose(gradient.input, expected.input, **near)


@pytest.mark.parametrize("z", [1.0, 40.0, 1e4])
@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.9])
def test_smoothing_of_labels(epsilon, z):
    """The engine never makes one-hot rows; here they are made."""
    rng = np.random.default_rng(0)
    Z, labels = rng.normal(size=(21, 4)) * z, rng.integers(0, 4, 21)
    w = np.where(np.arange(21) % 5 == 0, 0, rng.uniform(0.5, 2, 21))
    net = pass_through(4, "softmax", "categorical_cross_entropy", parameters=(epsilon,))
    value, gradient = net.loss_and_gradient(Z, labels, w, input_gradient=True)
    pair = "categorical_cross_entropy", "softmax", Z, np.eye(4)[labels], (epsilon,)
    assert value == pytest.approx(w @ reference.loss_rows(*pair) / w.sum(), rel=1e-13)
    delta = w[:, None] * reference.delta_rows(*pair) / w.sum()
    assert np.allclose(gradient.input, delta, rtol=1e-12, atol=1e-17)
    plain = pass_through(4, "softmax", "categorical_cross_entropy")
    value_0, gradient_0 = plain.loss_and_gradient(Z, labels, w, input_gradient=True)
    same = value == value_0 and np.array_equal(gradient.input, gradient_0.input)
    assert same == (epsilon == 0)


# Parameters


@pytest.mark.parametrize(
    ("loss", "given", "words"),
    [
        ("huber", (0.0,), "huber must be one number above 0"),
        ("huber", (1.0, 2.0), "huber must be one number above 0"),
        ("huber", (np.inf,), "huber must be one number above 0"),
        ("huber", (np.nan,), "huber must be one number above 0"),
        ("quantile", (0.0,), "quantile must be levels between 0 and 1"),
        ("quantile", (0.5, 1.0), "quantile must be levels between 0 and 1"),
        ("quantile", (0.1, 0.2, 0.3, 0.4), "number of outputs, 6, is a multiple"),
        ("binary_cross_entropy", (1.0,), r"at most one number in \[0, 1\)"),
        ("binary_cross_entropy", (-0.1,), r"at most one number in \[0, 1\)"),
        ("categorical_cross_entropy", (0.1, 0.1), r"at most one number in \[0, 1\)"),
        ("squared_error", (1.0,), "squared_error must be empty"),
        ("poisson", (1.0,), "poisson must be empty"),
        ("absolute_error", (1.0,), "absolute_error must be empty"),
        ("huber", 1.0, "loss_parameters must be a sequence"),
        ("huber", None, "loss_parameters must be a sequence"),
    ],
)
def test_wrong_parameters_are_refused(loss, given, words):
    softmax = loss == "categorical_cross_entropy"
    output = Activation.SOFTMAX if softmax else Activation.IDENTITY
    kind = Loss[loss.upper()]
    with pytest.raises(ValueError, match=words):
        Topology([2, 6], [output], [True], kind, given)
    with pytest.raises(ValueError, match=words):
        pass_through(6, output.name.lower(), loss, parameters=given)


@pytest.mark.parametrize("given", ["0.5", ["a"], [True], [None], 3])
def test_network_refuses_what_is_no_sequence_of_numbers(given):
    with pytest.raises(ValueError, match="loss_parameters must be a sequence"):
        pass_through(1, "identity", "huber", parameters=given)


def test_defaults():
    def parameters(loss):
        return Topology([1, 2], [0], [True], loss).loss_parameters

    assert parameters(Loss.HUBER) == (1.0,)
    assert parameters(Loss.QUANTILE) == (0.5,)
    assert parameters(Loss.SQUARED_ERROR) == parameters(Loss.BINARY_CROSS_ENTROPY) == ()


def test_parameters_survive_a_pickle():
    topology = Topology([1, 6], [0], [True], Loss.QUANTILE, LEVELS)
    assert pickle.loads(pickle.dumps(topology)).loss_parameters == LEVELS
    net = pass_through(1, "identity", "huber", parameters=(3.0,))
    twin = pickle.loads(pickle.dumps(net))
    assert twin.loss([[5.0]], [[0.0]]) == net.loss([[5.0]], [[0.0]]) == 3 * (5 - 1.5)


@pytest.mark.parametrize(
    ("model", "name", "wrong"),
    [
        (BackpropMLPRegressor, "quantile", wrong)
        for wrong in (
            0,
            1.0,
            "0.5",
            [],
            [0.5, 0.5],
            [0.9, 0.1],
            [0.5, 1],
            None,
            [[0.5]],
        )
    ]
    + [(BackpropMLPRegressor, "huber_delta", wrong) for wrong in (0, -1, np.inf, "1")]
    + [(BackpropMLPRegressor, "loss", "hinge")]
    + [(BackpropMLPClassifier, "label_smoothing", wrong) for wrong in (-0.1, 1, None)],
)
def test_estimators_refuse(model, name, wrong):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of {model.__name__}"):
        model(**{name: wrong}).fit(np.eye(4), [0, 1, 0, 1])


# What is fitted


def spread(n=2000, seed=0):
    """A line whose noise grows away from 0: its quantiles are known."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, n)
    return x[:, None], x + (0.2 + 0.3 * np.abs(x)) * rng.normal(size=n)


def regressor(**parameters):
    settings = {
        "hidden_layer_sizes": (24,),
        "activation": "gelu",
        "learning_rate_init": 0.01,
        "max_iter": 40,
        "random_state": 0,
    }
    return BackpropMLPRegressor(**settings | parameters)


@pytest.fixture(scope="module")
def quantiles():
    return quiet(regressor(loss="quantile", quantile=LEVELS), *spread())


def test_quantiles_cover_what_they_say(quantiles):
    X, y = spread(20_000, seed=1)
    below = y[:, None] <= quantiles.predict(X)
    assert np.allclose(below.mean(axis=0), LEVELS, atol=0.04)
    # Near and far from 0 as well, where the spread is another.
    for part in np.abs(X[:, 0]) < 0.7, np.abs(X[:, 0]) > 1.3:
        assert np.allclose(below[part].mean(axis=0), LEVELS, atol=0.06)


def test_quantiles_never_cross():
    """After one epoch the outputs do, and the predictions do not."""
    X, y = spread(300)
    model = quiet(regressor(loss="quantile", quantile=LEVELS, max_iter=1), X, y)
    outputs = model._outputs(X)
    assert (np.diff(outputs, axis=1) < 0).any()
    predicted = model.predict(X)
    assert (np.diff(predicted, axis=1) >= 0).all()
    for given in X[:3], X.tolist(), np.asfortranarray(X):
        assert np.allclose(model.predict(given), predicted[: len(given)], rtol=1e-12)
    # The theorem of (L8), for the rows one by one.
    net = pass_through(3, "identity", "quantile", parameters=LEVELS)
    for a, b, target in zip(outputs, predicted, y, strict=True):
        before = net.loss([a], np.full((1, 3), target))
        assert net.loss([b], np.full((1, 3), target)) <= before * (1 + 1e-12)


def test_sorting_is_the_best_order():
    net = pass_through(3, "identity", "quantile", parameters=LEVELS)
    rng = np.random.default_rng(0)
    for a in rng.normal(size=(20, 3)):
        target = np.full((1, 3), rng.normal())
        losses = [net.loss([order], target) for order in permutations(sorted(a))]
        assert losses[0] <= min(losses) + 1e-15


@pytest.mark.parametrize(
    ("quantile", "n_targets", "shape"),
    [
        (0.3, 1, (300,)),
        ([0.3], 1, (300,)),
        (np.array([0.3, 0.6]), 1, (300, 2)),
        (0.3, 2, (300, 2)),
        (LEVELS, 2, (300, 2, 3)),
    ],
)
def test_shapes(quantile, n_targets, shape):
    X, y = spread(300)
    y = np.column_stack([y, 3 - y])[:, :n_targets] if n_targets > 1 else y
    model = quiet(regressor(loss="quantile", quantile=quantile), X, y)
    predicted = model.predict(X)
    assert predicted.shape == shape
    levels = np.atleast_1d(quantile)
    assert np.array_equal(model.quantiles_, levels)
    assert model.n_outputs_ == n_targets * len(levels)
    by_level = predicted.reshape(300, n_targets, len(levels))
    want = [
        d2_pinball_score(y, by_level[..., k], alpha=level)
        for k, level in enumerate(levels)
    ]
    assert model.score(X, y) == pytest.approx(np.mean(want))
    assert model.score(X, y) > 0.2
    twin = pickle.loads(pickle.dumps(model.set_params(quantile=0.5)))
    assert np.array_equal(twin.predict(X), predicted)
    # The second target falls where the first rises: columns were not mixed up.
    if n_targets > 1:
        slopes = [np.polyfit(X[:, 0], by_level[:, t, 0], 1)[0] for t in range(2)]
        assert slopes[0] > 0.3 and slopes[1] < -0.3


def test_validation_score_is_minus_the_pinball_loss():
    X, y = spread(400)
    X_val, y_val = spread(200, seed=1)
    w = np.random.default_rng(2).uniform(0, 2, 200)
    model = regressor(loss="quantile", quantile=LEVELS, early_stopping=True, max_iter=5)
    quiet(model, X, y, X_val=X_val, y_val=y_val, sample_weight_val=w)
    predicted = model.predict(X_val)
    want = [
        mean_pinball_loss(y_val, predicted[:, k], alpha=level, sample_weight=w)
        for k, level in enumerate(LEVELS)
    ]
    assert model.best_validation_score_ == pytest.approx(-np.mean(want))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("loss", ["absolute_error", "huber"])
def test_outliers_are_resisted(loss, solver):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (400, 1))
    y = 2 * X[:, 0] + 0.1 * rng.normal(size=400)
    y[:40] += 50
    settings = {
        "hidden_layer_sizes": (),
        "solver": solver,
        "learning_rate_init": 0.05,
        "max_iter": 150,
        "huber_delta": 0.3,
    }
    error = {
        name: abs(
            quiet(regressor(loss=name, **settings), X, y).predict(X) - 2 * X[:, 0]
        )
        for name in (loss, "squared_error")
    }
    assert error[loss].max() < 0.2 < 3 < error["squared_error"].max()


def test_huber_delta_is_used():
    X, y = spread(200)
    small, large = (
        quiet(regressor(loss="huber", huber_delta=d, max_iter=3), X, y)
        for d in (0.01, 1e6)
    )
    square = quiet(regressor(max_iter=3), X, y)
    assert np.allclose(large.predict(X), square.predict(X), rtol=1e-12)
    assert not np.allclose(small.predict(X), square.predict(X), rtol=0.01)


def test_partial_fit_and_warm_start():
    X, y = spread(200)
    model = regressor(loss="quantile", quantile=LEVELS, shuffle=False)
    for _ in range(3):
        model.partial_fit(X, y)
    whole = quiet(
        regressor(loss="quantile", quantile=LEVELS, shuffle=False, max_iter=3), X, y
    )
    assert np.array_equal(model.predict(X), whole.predict(X))
    twin = pickle.loads(pickle.dumps(model)).partial_fit(X, y)
    assert np.array_equal(twin.predict(X), model.partial_fit(X, y).predict(X))
    with pytest.raises(ValueError, match="fitted layers"):
        model.set_params(quantile=0.5).partial_fit(X, y)
    model.set_params(quantile=LEVELS, warm_start=True, max_iter=2)
    assert quiet(model, X, y).predict(X).shape == (200, 3)


# Label smoothing of the classifier


def tables():
    X, y = load_iris(return_X_y=True)
    yield X, y
    yield X[:100, :2], y[:100]
    yield make_multilabel_classification(150, 5, n_classes=3, random_state=0)


@pytest.mark.parametrize("case", range(3))
def test_smoothing_keeps_logits_small(case):
    X, y = list(tables())[case]
    plain, smooth = (
        quiet(
            BackpropMLPClassifier(
                (16,),
                "mish",
                solver="lbfgs",
                alpha=0,
                max_iter=300,
                random_state=0,
                label_smoothing=epsilon,
            ),
            X,
            y,
        )
        for epsilon in (0.0, 0.2)
    )
    sizes = [abs(model.decision_function(X)).max() for model in (plain, smooth)]
    assert sizes[1] < 12 < sizes[0]
    assert smooth.score(X, y) > plain.score(X, y) - 0.15


def test_loss_is_smoothed_and_validation_is_not():
    X, y = load_iris(return_X_y=True)
    model = BackpropMLPClassifier(
        (8,),
        "silu",
        max_iter=30,
        learning_rate_init=0.01,
        random_state=0,
        label_smoothing=0.3,
        early_stopping=True,
        scoring="loss",
    )
    quiet(model, X, y, X_val=X, y_val=y)
    assert model.best_validation_score_ == pytest.approx(
        -log_loss(y, model.predict_proba(X)), rel=1e-9
    )
    # The objective of the same parameters, give or take an epoch's steps.
    assert model.loss_ > -model.validation_scores_[-1] + 0.05


def test_no_smoothing_is_the_same_bits():
    X, y = load_iris(return_X_y=True)
    a, b = (
        quiet(BackpropMLPClassifier(max_iter=3, random_state=0, **more), X, y)
        for more in ({}, {"label_smoothing": 0.0})
    )
    assert all(map(np.array_equal, a.coefs_, b.coefs_))
