"""docs/derivations.md holds: its formulas, its slips, its code and its tags."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import reference
from mpmath import mp, mpf
from numpy.testing import assert_allclose
from reference import Array, central_difference, sigmoid, sigmoid_derivative, softmax

from skbackprop import Network

HERE = Path(__file__).parent
DERIVATIONS = HERE.parent / "docs" / "derivations.md"


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240229)


def assert_gradient(gradient: Array, f: Callable[[Array], float], x: Array) -> None:
    assert np.shape(gradient) == np.shape(x)
    numeric = central_difference(f, x, h=1e-5)
    rounding = 1e-9 * max(1, abs(f(x)))  # of f, divided by 2h
    assert_allclose(gradient, numeric, rtol=1e-6, atol=rounding)


def assert_mismatch(printed: Array, right: Array) -> None:
    """Same shape, so that NumPy raises no objection, and clearly another number."""
    assert np.shape(printed) == np.shape(right)
    assert np.abs(printed - right).max() > 0.05 * np.abs(right).max()


def half_square(prediction: Array, y: Array) -> float:
    return float(((prediction - y) ** 2).sum() / 2)


def mean_bce(a: Array, y: Array) -> float:
    return float(-np.mean(y * np.log(a) + (1 - y) * np.log(1 - a)))


# (a) The ten slips


def test_slip_01_bce_second_term_has_a_plus(rng: np.random.Generator) -> None:
    a, y = rng.uniform(0.1, 0.9, 6), np.array([0.0, 1.0, 0.0, 1.0, 0.3, 1.0])
    right = (-y / a + (1 - y) / (1 - a)) / 6
    assert_gradient(right, lambda a: mean_bce(a, y), a)
    assert_mismatch((-y / a - (1 - y) / (1 - a)) / 6, right)

    # log e is 1 and nothing is dropped; log2 e is not, and may not be dropped.
    assert np.isclose(np.log(np.e), 1, rtol=1e-15)
    assert_gradient(right * np.log2(np.e), lambda a: mean_bce(a, y) / np.log(2), a)
    assert_mismatch(right, right * np.log2(np.e))

    # The sigmoid is taken of the pre-activation, not of the input.
    x, w = rng.normal(size=6), 2.5
    right = x @ (sigmoid(w * x) - y) / 6
    assert_gradient(right, lambda w: mean_bce(sigmoid(w * x), y), np.array(w))
    assert_mismatch(x @ (sigmoid(x) - y) / 6, right)


def test_slip_02_hidden_recursion_needs_the_derivative(
    rng: np.random.Generator,
) -> None:
    W, z, y = rng.normal(size=(4, 4)), rng.normal(size=4), rng.normal(size=4)

    def loss(z: Array, W: Array = W, y: Array = y) -> float:
        return half_square(W @ sigmoid(z), y)

    phi_next = W @ sigmoid(z) - y
    slope = sigmoid_derivative(z)
    right = np.array(
        [sum(W[k, i] * phi_next[k] * slope[i] for k in range(4)) for i in range(4)]
    )
    assert_gradient(right, loss, z)
    assert_allclose((W.T @ phi_next) * slope, right)
    assert_mismatch((W.T @ phi_next) * sigmoid(z), right)
    assert_mismatch(W.T @ np.ones(4) * phi_next * slope, right)  # phi_i, not phi_k
    assert_mismatch(phi_next * np.diag(W) * slope, right)  # dz_i/dz_i, not dz_k/dz_i

    # A wider layer has units i without a partner i in the next one.
    W = rng.normal(size=(2, 4))
    phi_next = W @ sigmoid(z) - y[:2]
    assert_gradient((W.T @ phi_next) * slope, lambda z: loss(z, W, y[:2]), z)
    with pytest.raises(ValueError, match="broadcast"):
        W.T @ np.ones(2) * phi_next


@pytest.mark.parametrize("n", [3, 5])
def test_slip_03_product_with_the_slope_is_inside(
    rng: np.random.Generator, n: int
) -> None:
    X, y = rng.normal(size=(n, 3)), rng.normal(size=(n, 1))
    W1, b1 = rng.normal(size=(3, 4)), rng.normal(size=(1, 4))
    W2, b2 = rng.normal(size=(4, 1)), rng.normal(size=(1, 1))

    def loss(W1: Array, b1: Array, b2: Array) -> float:
        return half_square(sigmoid(X @ W1 + b1) @ W2 + b2, y)

    h = X @ W1 + b1
    error = sigmoid(h) @ W2 + b2 - y
    slope = sigmoid(h) * (1 - sigmoid(h))
    bracket = (error @ W2.T) * slope
    assert_gradient(X.T @ bracket, lambda W: loss(W, b1, b2), W1)
    if n == 3:
        assert_mismatch(X.T @ error @ W2.T * slope, X.T @ bracket)
    else:
        with pytest.raises(ValueError, match="broadcast"):
            X.T @ error @ W2.T * slope

    # The rows of the bracket add up to the bias gradient of layer 1, not of layer 2.
    assert_gradient(bracket.sum(axis=0, keepdims=True), lambda b: loss(W1, b, b2), b1)
    assert_gradient(error.sum(axis=0, keepdims=True), lambda b: loss(W1, b1, b), b2)
    assert bracket.sum(axis=0, keepdims=True).shape != b2.shape


def test_slip_04_second_layer_weights_in_every_row(rng: np.random.Generator) -> None:
    X, y = rng.normal(size=(2, 2)), rng.normal(size=(2, 1))
    W1, W2 = rng.normal(size=(2, 2)), rng.normal(size=(2, 1))
    H = X @ W1
    error = H @ W2 - y
    right = error @ W2.T
    assert_gradient(right, lambda H: half_square(H @ W2, y), H)
    assert_allclose(error * np.vstack([W2.T, W2.T]), right)

    assert_mismatch(error * np.vstack([W2.T, W1[:1]]), right)
    assert_mismatch(error * right, right)  # the matrix filled with dL/dh
    with pytest.raises(ValueError, match="mismatch"):
        error @ np.vstack([W2.T, W2.T])  # (2, 1) times (2, 2)


def test_slip_05_batch_gradient_is_a_vector(rng: np.random.Generator) -> None:
    X, y, w = rng.normal(size=(5, 3)), rng.normal(size=5), rng.normal(size=3)
    prediction = X @ w
    right = -2 / 5 * (y - prediction)
    assert_gradient(right, lambda p: float(np.mean((y - p) ** 2)), prediction)
    assert_gradient(X.T @ right, lambda w: float(np.mean((y - X @ w) ** 2)), w)

    printed = np.sum(right)
    assert printed.shape != prediction.shape
    assert_mismatch(np.full(5, printed), right)
    with pytest.raises(ValueError, match="enough dimensions"):
        X.T @ printed
    assert_mismatch(X.T @ np.full(5, printed), X.T @ right)


def test_slip_06_bias_is_a_row(rng: np.random.Generator) -> None:
    X, W = rng.normal(size=(3, 2)), rng.normal(size=(2, 2))
    row = np.array([[1.0, -2.0]])
    right = np.array([[x @ W[:, k] + row[0, k] for k in range(2)] for x in X])
    assert_allclose(X @ W + row, right)
    with pytest.raises(ValueError, match="broadcast"):
        X @ W + row.T
    assert_mismatch(X[:2] @ W + row.T, right[:2])  # two rows: no error, wrong sum

    y = rng.normal(size=(2, 2))
    gradient = (X[:2] @ W + row - y).sum(axis=0, keepdims=True)
    assert_gradient(gradient, lambda b: half_square(X[:2] @ W + b, y), row)
    assert gradient.shape != row.T.shape


def column_network(
    rng: np.random.Generator, sizes: list[int]
) -> tuple[list[Array], list[Array], Callable[[int, Array], float], Array]:
    """W_i, z_i, the loss with W_i replaced, and dL/dz_{N+1}; indices start at 0."""
    W = [rng.normal(size=(q, p)) for p, q in itertools.pairwise(sizes)]
    b = [rng.normal(size=q) for q in sizes[1:]]
    x, y = rng.normal(size=sizes[0]), rng.normal(size=sizes[-1])

    def run(W: list[Array]) -> list[Array]:
        z = [x]
        for W_i, b_i in zip(W, b, strict=True):
            z.append(sigmoid(W_i @ z[-1] + b_i))
        return z

    def loss(i: int, W_i: Array) -> float:
        return half_square(run([*W[:i], W_i, *W[i + 1 :]])[-1], y)

    z = run(W)
    return W, z, loss, z[-1] - y


@pytest.mark.parametrize("sizes", [[2, 4, 3, 5], [3, 3, 3, 3]])
def test_slip_07_indices_of_the_column_form(
    rng: np.random.Generator, sizes: list[int]
) -> None:
    W, z, loss, delta = column_network(rng, sizes)
    square = sizes[0] == sizes[1]
    assert delta.shape == z[3].shape  # delta_N is dL/dz_{N+1}: three layers, z_0..z_3
    assert square or delta.shape != z[2].shape
    for i in (2, 1, 0):
        epsilon = delta * z[i + 1] * (1 - z[i + 1])
        right = np.outer(epsilon, z[i])
        assert_gradient(right, lambda W_i, i=i: loss(i, W_i), W[i])
        printed = [np.outer(epsilon, z[i + 1]), np.outer(z[i], epsilon)]
        printed += [np.outer(epsilon, z[i - 1])] if i > 0 else []
        for wrong in printed:
            if square:
                assert_mismatch(wrong, right)
            else:
                assert wrong.shape != W[i].shape
        delta = W[i].T @ epsilon
        if i > 0 and square:
            assert_mismatch(W[i - 1].T @ epsilon, delta)
        elif i > 0:
            with pytest.raises(ValueError, match="mismatch"):
                W[i - 1].T @ epsilon


def test_slip_08_bias_jacobian_is_the_identity(rng: np.random.Generator) -> None:
    W, a, b = rng.normal(size=(3, 2)), rng.normal(size=2), rng.normal(size=3)
    y = rng.normal(size=3)
    for k in range(3):
        assert_gradient(np.eye(3)[k], lambda b, k=k: (W @ a + b)[k], b)
    error = W @ a + b - y
    right = np.eye(3) @ error
    assert_gradient(right, lambda b: half_square(W @ a + b, y), b)
    assert_mismatch(np.ones((3, 3)) @ error, right)

    with pytest.raises(ValueError, match="mismatch"):
        W @ sigmoid(W @ a + b)  # W^j a^j

    h, W2, b2 = rng.normal(size=(4, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)
    ones = np.ones((4, 1))
    assert_allclose(h @ W2 + ones @ b2[None], [row @ W2 + b2 for row in h])
    with pytest.raises(ValueError, match="mismatch"):
        h @ W2 + ones.T @ b2[None]
    assert (h @ W2[:, :1] + ones * 0.5).shape == (4, 1)
    assert (h @ W2[:, :1] + ones.T * 0.5).shape == (4, 4)  # and no error


def test_slip_09_softmax_needs_its_jacobian(rng: np.random.Generator) -> None:
    z, y = rng.normal(size=(1, 4)), np.array([[0.0, 1.0, 0.0, 0.0]])
    a = softmax(z)

    def loss(z: Array) -> float:
        return float(-np.sum(y * np.log(softmax(z))))

    grad_a = -y / a
    jacobian = np.diag(a[0]) - a.T @ a
    assert_gradient(grad_a @ jacobian, loss, z)
    assert_gradient(a - y, loss, z)
    assert_mismatch(grad_a * np.diag(jacobian), a - y)


def test_slip_10_conventions_convert(rng: np.random.Generator) -> None:
    X, Y, W = (rng.normal(size=shape) for shape in [(5, 3), (5, 3), (3, 3)])

    def ours(W: Array) -> float:
        return half_square(X @ W, Y) / 5

    delta = (X @ W - Y) / 5
    right = X.T @ delta
    assert_gradient(right, ours, W)

    phi, a = delta.T, X.T
    assert_allclose((phi @ a.T).T, right)
    assert_mismatch(phi @ a.T, right)

    textbook = np.mean((X @ W - Y) ** 2)
    assert_allclose(ours(W), 3 / 2 * textbook)
    assert_gradient(2 / 3 * right, lambda W: float(np.mean((X @ W - Y) ** 2)), W)
    assert_mismatch(2 / 3 * right, right)
    assert_gradient(5 * right, lambda W: half_square(X @ W, Y), W)
    assert_mismatch(5 * right, right)


# (b) The worked examples, through Network


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


# (c) The reference, and Network with it, over losses x outputs x depth

ELEMENTWISE = list(reference.LOSSES)
PARAMETERS = {"huber": (0.8,), "quantile": (0.1, 0.5, 0.9)}
KINKED = ("relu", "selu", "leaky_relu")
PAIRS = [(loss, output) for loss in ELEMENTWISE for output in reference.ACTIVATIONS]
PAIRS += [("categorical_cross_entropy", "softmax")]
HIDDEN = [[], ["tanh"], ["relu", "sigmoid"], ["identity", "relu", "tanh"]]
over_pairs = pytest.mark.parametrize(("loss", "output"), PAIRS)
over_depth = pytest.mark.parametrize("hidden", HIDDEN, ids=len)


def targets(loss: str, n: int, q: int, rng: np.random.Generator) -> Array:
    match loss:
        case "squared_error" | "absolute_error" | "huber" | "quantile":
            return rng.normal(size=(n, q))
        case "binary_cross_entropy":
            return rng.integers(0, 2, (n, q)).astype(float)
        case "categorical_cross_entropy":
            return np.eye(q)[rng.integers(0, q, n)]
        case _:
            return rng.poisson(2.0, (n, q)).astype(float)


def is_smooth(
    loss: str, activations: list[str], Zs: list[Array], A: Array, Y: Array
) -> bool:
    """Far from every kink, and not wholly in the flat part behind one."""
    for name, Z in zip(activations, Zs, strict=True):
        if name in KINKED and (np.abs(Z).min() < 1e-3 or Z.max() < 0):
            return False
    if loss in ("absolute_error", "quantile"):
        return bool(np.abs(A - Y).min() > 1e-3)
    if loss == "huber":
        R = np.abs(A - Y)
        return bool(np.abs(R - 0.8).min() > 1e-3 and R.min() < 0.8 < R.max())
    if loss == "poisson" and activations[-1] != "exp":
        return bool(A.max() > 0 and is_far(A, A > 0))
    if loss == "binary_cross_entropy" and activations[-1] != "sigmoid":
        inside = (A > 0) & (A < 1)
        return bool(
            inside.any() and is_far(np.minimum(np.abs(A), np.abs(1 - A)), inside)
        )
    return True


def is_far(distance: Array, inside: Array) -> bool:
    """From where the loss is clipped; there is no curvature behind that place."""
    distance = np.abs(distance)
    return bool(np.all((distance > np.where(inside, 0.05, 1e-4)) | (distance == 0)))


def draw_problem(loss: str, output: str, hidden: list[str]) -> tuple:
    """Coefs, intercepts (one layer without), activations, X, Y and weights."""
    rng = np.random.default_rng(7)
    sizes = [*[3, 4, 5, 2][: len(hidden) + 1], 3]
    activations = [*hidden, output]
    Y = targets(loss, 6, 3, rng)
    for _ in range(10_000):
        X, w = rng.normal(size=(6, 3)), rng.uniform(0.2, 3, 6)
        shapes = list(itertools.pairwise(sizes))
        coefs = [rng.normal(size=s) * 0.8 for s in shapes]
        intercepts = [rng.normal(size=q) * 0.5 for _, q in shapes]
        if len(hidden) > 1:
            intercepts[1] = None
        Zs, As = reference.forward(X, coefs, intercepts, activations)
        if is_smooth(loss, activations, Zs, As[-1], Y):
            return coefs, intercepts, activations, X, Y, w
    raise AssertionError("no problem without kinks was drawn")


@over_pairs
@over_depth
def test_reference_gradient(loss: str, output: str, hidden: list[str]) -> None:
    coefs, intercepts, activations, X, Y, w = draw_problem(loss, output, hidden)

    def value(coefs: list[Array], intercepts: list[Array], X: Array) -> float:
        return reference.loss_and_gradient(
            coefs, intercepts, X, Y, activations, loss, w, 0.3, 7.5, parameters
        )[0]

    parameters = PARAMETERS.get(loss, ())
    _, dcoefs, dintercepts, dX = reference.loss_and_gradient(
        coefs, intercepts, X, Y, activations, loss, w, 0.3, 7.5, parameters
    )
    assert_gradient(dX, lambda X: value(coefs, intercepts, X), X)
    for j in range(len(coefs)):
        assert_gradient(
            dcoefs[j],
            lambda W, j=j: value([*coefs[:j], W, *coefs[j + 1 :]], intercepts, X),
            coefs[j],
        )
        if intercepts[j] is None:
            assert dintercepts[j] is None
            continue
        assert_gradient(
            dintercepts[j],
            lambda b, j=j: value(coefs, [*intercepts[:j], b, *intercepts[j + 1 :]], X),
            intercepts[j],
        )


@over_pairs
@over_depth
def test_network_equals_reference(loss: str, output: str, hidden: list[str]) -> None:
    coefs, intercepts, activations, X, Y, w = draw_problem(loss, output, hidden)
    net = Network(
        [len(coefs[0]), *(W.shape[1] for W in coefs)],
        hidden,
        loss=loss,
        output_activation=output,
        bias=[b is not None for b in intercepts],
        loss_parameters=PARAMETERS.get(loss, ()),
    )
    net.coefs_ = coefs
    net.intercepts_ = [
        np.zeros(W.shape[1]) if b is None else b
        for W, b in zip(coefs, intercepts, strict=True)
    ]
    Zs, As = reference.forward(X, coefs, intercepts, activations)
    layers = net.forward(X, return_layers=True)
    value, gradient = net.loss_and_gradient(X, Y, w, input_gradient=True)
    expected, dcoefs, dintercepts, dX = reference.loss_and_gradient(
        coefs,
        intercepts,
        X,
        Y,
        activations,
        loss,
        w,
        parameters=PARAMETERS.get(loss, ()),
    )
    assert_allclose(value, expected, rtol=1e-12)
    assert_allclose(gradient.input, dX, rtol=1e-11, atol=1e-13)
    for j in range(len(coefs)):
        assert_allclose(layers.Z[j], Zs[j], rtol=1e-12, atol=1e-14)
        assert_allclose(layers.A[j], As[j], rtol=1e-12, atol=1e-14)
        assert_allclose(gradient.coefs[j], dcoefs[j], rtol=1e-11, atol=1e-13)
        if dintercepts[j] is not None:
            assert_allclose(
                gradient.intercepts[j], dintercepts[j], rtol=1e-11, atol=1e-13
            )


def test_objective_defaults_and_penalty(rng: np.random.Generator) -> None:
    """Unit weights are a mean; weight 2 is the row twice; biases are not penalised."""
    X, Y = rng.normal(size=(4, 2)), rng.normal(size=(4, 1))
    W, b = rng.normal(size=(2, 1)), rng.normal(size=1)

    def run(X: Array, Y: Array, *rest: object) -> tuple:
        return reference.loss_and_gradient(
            [W], [b], X, Y, ["identity"], "squared_error", *rest
        )

    assert_allclose(run(X, Y)[0], half_square(X @ W + b, Y) / 4)
    twice = [0, 1, 1, 2, 3]
    weighted = run(X, Y, np.array([1.0, 2.0, 1.0, 1.0]), 0.9)
    repeated = run(X[twice], Y[twice], None, 0.9)
    for ours, theirs in zip(weighted[:3], repeated[:3], strict=True):
        assert_allclose(ours, theirs)
    plain = run(X, Y, np.array([1.0, 2.0, 1.0, 1.0]))
    assert_allclose(weighted[0] - plain[0], 0.9 / 2 * np.sum(W**2) / 5)
    assert_allclose(weighted[1][0] - plain[1][0], 0.9 * W / 5)
    assert_allclose(weighted[2][0], plain[2][0])


@pytest.mark.parametrize("name", reference.ACTIVATIONS)
def test_reference_derivatives(name: str) -> None:
    Z = np.array([-3.0, -0.7, 0.4, 2.5])
    f = reference.ACTIVATIONS[name]
    assert_gradient(reference.DERIVATIVES[name](Z), lambda Z: float(f(Z).sum()), Z)


def test_reference_softmax_jacobian(rng: np.random.Generator) -> None:
    Z = rng.normal(size=(2, 3))
    jacobian = reference.softmax_jacobian(Z)
    for i, k in np.ndindex(2, 3):
        row = np.zeros((2, 3))
        row[i] = jacobian[i, k]
        assert_gradient(row, lambda Z, i=i, k=k: softmax(Z)[i, k], Z)
    assert_allclose(np.exp(reference.log_softmax(Z)), softmax(Z))


def exact_row(loss: str, z: list[float], y: list[float]) -> tuple:
    """Loss and delta of one row with more digits than exp(2e4) has."""
    with mp.workdps(9000):
        z_, y_ = [mpf(v) for v in z], [mpf(v) for v in y]
        if loss == "binary_cross_entropy":
            a = [1 / (1 + mp.exp(-v)) for v in z_]
            rows = [
                -(t * mp.log(p) + (1 - t) * mp.log(1 - p))
                for p, t in zip(a, y_, strict=True)
            ]
        elif loss == "categorical_cross_entropy":
            total = sum(mp.exp(v) for v in z_)
            a = [mp.exp(v) / total for v in z_]
            rows = [-t * mp.log(p) for p, t in zip(a, y_, strict=True)]
        else:
            a = [mp.exp(v) for v in z_]
            rows = [
                (t * mp.log(t / p) if t else 0) - t + p
                for p, t in zip(a, y_, strict=True)
            ]
        delta = [float(p - t) for p, t in zip(a, y_, strict=True)]
        return float(sum(rows)), delta


@pytest.mark.parametrize(
    ("loss", "z", "y"),
    [
        ("binary_cross_entropy", [40.0], [1.0]),
        ("binary_cross_entropy", [-40.0], [0.0]),
        ("binary_cross_entropy", [1e4, -1e4, 0.5], [0.0, 1.0, 0.0]),
        ("binary_cross_entropy", [1e4, -1e4], [1.0, 0.0]),
        ("categorical_cross_entropy", [40.0, 0.0, -1.0], [1.0, 0.0, 0.0]),
        ("categorical_cross_entropy", [1e4, -1e4, 0.0], [0.0, 1.0, 0.0]),
        ("categorical_cross_entropy", [3.0, 3.0, 3.0], [0.0, 0.0, 1.0]),
        ("poisson", [-1e4, 2.0, 5.0], [0.0, 3.0, 0.0]),
        ("poisson", [-1e4], [2.0]),
    ],
)
def test_reference_is_exact_far_out(loss: str, z: list, y: list) -> None:
    value, delta = exact_row(loss, z, y)
    output = reference.CANONICAL[loss]
    Z, Y = np.array([z]), np.array([y])
    assert_allclose(reference.loss_rows(loss, output, Z, Y), [value], rtol=1e-13)
    assert_allclose(reference.delta_rows(loss, output, Z, Y), [delta], rtol=1e-13)


@pytest.mark.parametrize("loss", reference.CANONICAL)
def test_canonical_theorem(rng: np.random.Generator, loss: str) -> None:
    """(L5) is what the chain rule gives through a = f(z), Jacobian and all."""
    output = reference.CANONICAL[loss]
    Z, Y = rng.normal(size=(4, 3)), targets(loss, 4, 3, rng)
    A = reference.activate(output, Z)
    if output == "softmax":
        slow = np.einsum("nk,nkl->nl", -Y / A, reference.softmax_jacobian(Z))
        rows = -(Y * np.log(A)).sum(axis=1)
    else:
        values, by_a = reference.LOSSES[loss](A, Y)
        slow, rows = by_a * reference.DERIVATIVES[output](Z), values.sum(axis=1)
    assert_allclose(reference.delta_rows(loss, output, Z, Y), slow, rtol=1e-12)
    assert_allclose(slow, A - Y, rtol=1e-12)
    assert_allclose(reference.loss_rows(loss, output, Z, Y), rows, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reference_clips_at_machine_epsilon(dtype: type) -> None:
    eps = np.finfo(dtype).eps
    A = np.array([[-1.0, 0.0, eps, 2 * eps, 1 - eps, 1.0, 2.0]], dtype=dtype)
    one = np.ones_like(A)
    value, by_a = reference.binary_cross_entropy(A, one)
    assert value.dtype == by_a.dtype == dtype
    assert_allclose(value[0, :3], -np.log(eps), rtol=1e-6)
    assert_allclose(by_a[0], [0, 0, 0, -0.5 / eps, 0, 0, 0])
    value, by_a = reference.binary_cross_entropy(A, one - 1)
    assert_allclose(value[0, 4:], -np.log(eps), rtol=1e-6)
    assert_allclose(by_a[0], [0, 0, 0, 1, 0, 0, 0], rtol=1e-6)
    value, by_a = reference.poisson(A, one)
    assert_allclose(value[0, :3], -np.log(eps) - 1, rtol=1e-6)
    assert_allclose(by_a[0, :4], [0, 0, 0, 1 - 0.5 / eps])
    assert_allclose(by_a[0, 5:], [0, 0.5])


# Optimisers of the reference, against their unrolled forms


def quadratic_gradient(theta: Array) -> Array:
    return np.array([1.0, 10.0]) * theta - 1


def test_reference_sgd_and_momentum() -> None:
    theta, velocity = np.array([3.0, -2.0]), np.zeros(2)
    plain, _ = reference.sgd_step(theta, np.array([1.0, -4.0]), velocity, 0.1, 0, False)
    assert_allclose(plain, [2.9, -1.6])

    steps, start = [], theta
    for _ in range(5):
        steps.append(quadratic_gradient(theta))
        theta, velocity = reference.sgd_step(
            theta, steps[-1], velocity, 0.05, 0.9, False
        )
    unrolled = sum(
        -0.05 * 0.9 ** (t - s) * steps[s] for t in range(5) for s in range(t + 1)
    )
    assert_allclose(theta, start + unrolled)


def test_reference_nesterov_is_the_look_ahead_point() -> None:
    mu, eta = 0.8, 0.07
    phi, v = np.array([3.0, -2.0]), np.zeros(2)
    theta, velocity = phi, v
    for _ in range(6):
        v = mu * v - eta * quadratic_gradient(phi + mu * v)
        phi = phi + v
        theta, velocity = reference.sgd_step(
            theta, quadratic_gradient(theta), velocity, eta, mu, True
        )
        assert_allclose(theta, phi + mu * v)
        assert_allclose(velocity, v)


def test_reference_adam_is_the_unrolled_average() -> None:
    rng = np.random.default_rng(0)
    theta, m, v = np.zeros(3), np.zeros(3), np.zeros(3)
    b1, b2, eta, eps = 0.8, 0.95, 0.01, 1e-3
    g = rng.normal(size=(4, 3))
    for t in range(1, 5):
        before = theta
        theta, m, v = reference.adam_step(theta, g[t - 1], m, v, t, eta, b1, b2, eps)
        back = np.arange(t)[::-1, None]
        mean = (b1**back * g[:t]).sum(0) / (b1**back).sum()
        square = (b2**back * g[:t] ** 2).sum(0) / (b2**back).sum()
        corrected_eps = eps / np.sqrt(1 - b2**t)
        assert_allclose(theta, before - eta * mean / (np.sqrt(square) + corrected_eps))


def test_reference_adamw_decays_weights_only() -> None:
    theta, grad = np.array([2.0, -3.0, 4.0]), np.array([0.5, -0.2, 0.1])
    zero, rest = np.zeros(3), (1, 0.1, 0.9, 0.999, 1e-8)
    is_weight = np.array([True, True, False])
    decayed, m, v = reference.adamw_step(theta, grad, zero, zero, *rest, 0.5, is_weight)
    plain, m_plain, v_plain = reference.adam_step(theta, grad, zero, zero, *rest)
    assert_allclose(decayed - plain, [-0.1 * 0.5 * 2.0, 0.1 * 0.5 * 3.0, 0])
    assert_allclose((m, v), (m_plain, v_plain))


def test_central_difference_leaves_its_argument() -> None:
    x = np.array([[1.0, -2.0]])
    assert_allclose(central_difference(lambda x: float((x**3).sum()), x), 3 * x**2)
    assert_allclose(x, [[1.0, -2.0]], rtol=0)


# (d) The document and the reference name the same things


def tags(text: str) -> set[str]:
    return set(re.findall(r"\(([A-Z]\d+)\)", text))


def test_document_and_reference_bear_the_same_tags() -> None:
    in_document = tags(DERIVATIONS.read_text(encoding="utf-8"))
    in_reference = tags((HERE / "reference.py").read_text(encoding="utf-8"))
    assert in_document == in_reference
    assert in_reference >= {"F1", "A6", "L0", "L5", "B1", "B5", "R1", "O1", "O5"}


def test_document_defines_each_tag_once_in_a_display() -> None:
    text = DERIVATIONS.read_text(encoding="utf-8")
    defined = re.findall(r"\\text\{\(([A-Z]\d+)\)\}", text)
    assert sorted(defined) == sorted(tags(text))


def test_document_has_a_heading_per_name() -> None:
    headings = re.findall(
        r"^### `(\w+)` \(", DERIVATIONS.read_text(encoding="utf-8"), re.MULTILINE
    )
    names = [*reference.ACTIVATIONS, "softmax", *reference.LINKS]
    assert headings == [*names, "sgd", "adam", "adamw"]


def test_document_names_the_test_of_each_slip() -> None:
    named = re.findall(r"`(test_slip_\w+)`", DERIVATIONS.read_text(encoding="utf-8"))
    assert named == sorted(name for name in globals() if name.startswith("test_slip_"))
    assert len(named) == 10


# (e) The document runs


def test_document_runs() -> None:
    text = DERIVATIONS.read_text(encoding="utf-8")
    blocks = list(re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.S))
    assert len(blocks) >= 12
    namespace: dict[str, object] = {"__name__": "derivations"}
    for block in blocks:
        above = "\n" * text.count("\n", 0, block.start(1))  # true line numbers
        exec(compile(above + block[1], str(DERIVATIONS), "exec"), namespace)
