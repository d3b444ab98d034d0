"""The worked examples of docs/derivations.md, through Network.

Answers for: docs/derivations.md, _network.py.
"""

import numpy as np
import pytest
import reference
from helpers import assert_gradient, half_square, mean_bce
from numpy.testing import assert_allclose
from reference import Array

from skbackprop import Network


def assert_network_gradient(
    net: Network,
    X: Array,
    Y: Array,
    sample_weight: Array | None = None,
    bias: list[bool] | None = None,
) -> None:
    """Every parameter and the input against central differences of net.loss."""
    coefs, intercepts = list(net.coefs_), list(net.intercepts_)
    value, gradient = net.loss_and_gradient(X, Y, sample_weight, input_gradient=True)
    assert_allclose(value, net.loss(X, Y, sample_weight), rtol=1e-14)
    assert_gradient(gradient.input, lambda X: net.loss(X, Y, sample_weight), X)
    for j in range(len(coefs)):

        def with_coef(W: Array, j: int = j) -> float:
            net.coefs_ = [*coefs[:j], W, *coefs[j + 1 :]]
            return net.loss(X, Y, sample_weight)

        def with_intercept(b: Array, j: int = j) -> float:
            net.intercepts_ = [*intercepts[:j], b, *intercepts[j + 1 :]]
            return net.loss(X, Y, sample_weight)

        assert_gradient(gradient.coefs[j], with_coef, coefs[j])
        net.coefs_ = coefs
        if bias is None or bias[j]:
            assert_gradient(gradient.intercepts[j], with_intercept, intercepts[j])
            net.intercepts_ = intercepts


def draw_parameters(net: Network, rng: np.random.Generator, scale: float = 1.0) -> None:
    net.coefs_ = [scale * rng.normal(size=W.shape) for W in net.coefs_]
    net.intercepts_ = [scale * rng.normal(size=b.shape) for b in net.intercepts_]


def test_example_one_line() -> None:
    net = Network([1, 1], (), loss="squared_error", output_activation="identity")
    net.coefs_, net.intercepts_ = [np.array([[-1.5]])], [np.array([0.75])]
    X, y = np.array([[2.0]]), np.array([1.0])
    r = -1.5 * 2 + 0.75 - 1
    value, gradient = net.loss_and_gradient(X, y, input_gradient=True)
    assert_allclose(value, r * r / 2)
    assert_allclose(gradient.coefs[0], [[2 * r]])
    assert_allclose(gradient.intercepts[0], [r])
    assert_allclose(gradient.input, [[-1.5 * r]])
    assert_network_gradient(net, X, y)


def test_example_batch_of_two() -> None:
    net = Network([1, 1], (), loss="squared_error", output_activation="identity")
    net.coefs_, net.intercepts_ = [np.array([[2.0]])], [np.array([-1.0])]
    X, y = np.array([[1.0], [3.0]]), np.array([0.5, 7.0])
    r1, r2 = 1.0 - 0.5, 5.0 - 7.0
    value, gradient = net.loss_and_gradient(X, y)
    assert gradient.input is None
    assert_allclose(value, (r1**2 + r2**2) / 4)
    assert_allclose(gradient.coefs[0], [[(r1 * 1 + r2 * 3) / 2]])
    assert_allclose(gradient.intercepts[0], [(r1 + r2) / 2])
    assert_network_gradient(net, X, y)
    assert_network_gradient(net, X, y, np.array([3.0, 0.5]))


def test_example_stacked_linear_layers(rng: np.random.Generator) -> None:
    net = Network(
        [2, 2, 1], ["identity"], loss="squared_error", output_activation="identity"
    )
    draw_parameters(net, rng)
    (W1, W2), (b1, b2) = net.coefs_, net.intercepts_
    X, y = rng.normal(size=(2, 2)), rng.normal(size=2)
    H = np.array([[x[0] * W1[0] + x[1] * W1[1] + b1] for x in X])[:, 0]
    error = (H[:, 0] * W2[0] + H[:, 1] * W2[1] + b2 - y) / 2
    dH = np.array([[e * W2[0, 0], e * W2[1, 0]] for e in error])
    _, gradient = net.loss_and_gradient(X, y)
    assert_allclose(gradient.coefs[0], X.T @ dH)
    assert_allclose(gradient.intercepts[0], dH[0] + dH[1])
    assert_allclose(gradient.coefs[1][:, 0], H.T @ error)
    assert_allclose(gradient.intercepts[1], [error.sum()])
    assert_network_gradient(net, X, y)

    # The stack is the linear model W1 W2, and so is its gradient.
    line = Network([2, 1], (), loss="squared_error", output_activation="identity")
    line.coefs_, line.intercepts_ = [W1 @ W2], [b1 @ W2 + b2]
    assert_allclose(line.forward(X), net.forward(X))
    _, of_line = line.loss_and_gradient(X, y)
    assert_allclose(gradient.coefs[0], of_line.coefs[0] @ W2.T)


def test_example_one_sigmoid_layer(rng: np.random.Generator) -> None:
    net = Network(
        [3, 4, 1], "sigmoid", loss="squared_error", output_activation="identity"
    )
    draw_parameters(net, rng)
    (W1, W2), (b1, b2) = net.coefs_, net.intercepts_
    X, y = rng.normal(size=(6, 3)), rng.normal(size=6)
    S = 1 / (1 + np.exp(-(X @ W1 + b1)))
    error = (S @ W2 + b2 - y[:, None]) / 6
    bracket = (error @ W2.T) * S * (1 - S)
    _, gradient = net.loss_and_gradient(X, y)
    assert_allclose(gradient.coefs[0], X.T @ bracket)
    assert_allclose(gradient.intercepts[0], bracket.sum(axis=0))
    assert_allclose(gradient.coefs[1], S.T @ error)
    assert_network_gradient(net, X, y)


@pytest.mark.parametrize("K", [1, 2, 5])
def test_example_relu_layers(rng: np.random.Generator, K: int) -> None:
    """One row: the backward pass is the transposed product of masked matrices."""
    sizes = [3] + [6] * K + [1]
    net = Network(
        sizes, ["relu"] * K, loss="squared_error", output_activation="identity"
    )
    draw_parameters(net, rng)
    x, y = rng.normal(size=(1, 3)), np.array([0.3])
    masked, a = np.eye(3), x
    for W, b in zip(net.coefs_[:-1], net.intercepts_[:-1], strict=True):
        Z = a @ W + b
        masked, a = masked @ W @ np.diag((Z[0] > 0) * 1.0), np.maximum(Z, 0)
    slope = masked @ net.coefs_[-1]
    error = a @ net.coefs_[-1] + net.intercepts_[-1] - y
    _, gradient = net.loss_and_gradient(x, y, input_gradient=True)
    assert np.abs(slope).max() > 0.1
    assert_allclose(gradient.input, error @ slope.T)
    assert_allclose(gradient.coefs[-1], a.T @ error)
    X = rng.normal(size=(5, 3))
    assert_network_gradient(net, X, rng.normal(size=5))


def test_example_2_3_1_classifier_without_hidden_biases(
    rng: np.random.Generator,
) -> None:
    net = Network(
        [2, 3, 1],
        "sigmoid",
        loss="binary_cross_entropy",
        output_activation="sigmoid",
        bias=[False, True],
    )
    assert_allclose(net.intercepts_[0], np.zeros(3))
    W1, W2, b2 = rng.normal(size=(2, 3)), rng.normal(size=(3, 1)), rng.normal(size=1)
    net.coefs_, net.intercepts_ = [W1, W2], [np.zeros(3), b2]
    X, y = rng.normal(size=(4, 2)), np.array([1, 0, 0, 1])
    h = 1 / (1 + np.exp(-X @ W1))
    p = 1 / (1 + np.exp(-(h @ W2 + b2)[:, 0]))
    by_p = (-y / p + (1 - y) / (1 - p)) / 4
    error = (by_p * p * (1 - p))[:, None]
    value, gradient = net.loss_and_gradient(X, y)
    assert_allclose(value, mean_bce(p, y))
    assert_allclose(error[:, 0], (p - y) / 4)
    assert_allclose(gradient.coefs[1], h.T @ error)
    assert_allclose(gradient.intercepts[1], error.sum(axis=0))
    assert_allclose(gradient.coefs[0], X.T @ ((error @ W2.T) * h * (1 - h)))
    assert_network_gradient(net, X, y, bias=[False, True])


def test_example_relu_output_with_squared_error(rng: np.random.Generator) -> None:
    net = Network([2, 1], (), loss="squared_error", output_activation="relu")
    draw_parameters(net, rng)
    X, y = rng.normal(size=(6, 2)), rng.normal(size=6)
    z = (X @ net.coefs_[0] + net.intercepts_[0])[:, 0]
    assert 0 < (z > 0).sum() < 6
    error = np.array([(t - u) / 6 if t > 0 else 0 for t, u in zip(z, y, strict=True)])
    value, gradient = net.loss_and_gradient(X, y)
    assert_allclose(value, half_square(np.maximum(z, 0), y) / 6)
    assert_allclose(gradient.coefs[0][:, 0], X.T @ error)
    assert_network_gradient(net, X, y)


def test_relu_derivative_at_zero_is_zero() -> None:
    net = Network([1, 1], (), loss="squared_error", output_activation="relu")
    net.coefs_, net.intercepts_ = [np.array([[1.0]])], [np.array([0.0])]
    _, gradient = net.loss_and_gradient(np.array([[0.0]]), np.array([5.0]))
    assert gradient.intercepts[0] == 0
    assert reference.relu_derivative(np.array([0.0])) == 0


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_example_relu_output_with_bce(dtype: type) -> None:
    net = Network(
        [1, 1], (), loss="binary_cross_entropy", output_activation="relu", dtype=dtype
    )
    net.coefs_, net.intercepts_ = [np.array([[0.5]])], [np.array([0.0])]
    z = np.array([-3.0, 0.25, 0.75, 0.5, 1.0, 2.0])
    y = np.array([1, 0, 1, 1, 0, 1])
    log_eps = np.log(np.finfo(dtype).eps)
    rows = [-log_eps, -np.log(0.75), -np.log(0.75), -np.log(0.5), -log_eps, 0]
    error = np.array([0, 1 / 0.75, -1 / 0.75, -1 / 0.5, 0, 0]) / 6
    X = (z / 0.5)[:, None].astype(dtype)
    value, gradient = net.loss_and_gradient(X, y)
    rtol = 20 * np.finfo(dtype).eps
    assert_allclose(value, np.mean(rows), rtol=rtol)
    assert_allclose(gradient.coefs[0], [[X[:, 0] @ error]], rtol=rtol)
    assert_allclose(gradient.intercepts[0], [error.sum()], rtol=rtol)
    if dtype is np.float64:
        kinks = y[:, None][z != 1]
        assert_network_gradient(net, X[z != 1], kinks)
