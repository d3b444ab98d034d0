"""The engine against exact values, far out and at ties.

Answers for: core/activations.pxd, core/activations.pyx, core/losses.pxd,
core/kernels.pxi, core/real.pxd, core/float32/real_type.pxi, core/float64/real_type.pxi.
"""

from collections.abc import Iterator

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from helpers import pass_through
from mpmath import mp, mpf
from numpy.typing import NDArray

from skbackprop import Network
from skbackprop.core import engine_of
from skbackprop.core.activations import Activation

Array = NDArray[np.floating]

DTYPES = [np.float64, np.float32]
EXTREME = [sign * z for z in (1e4, 800.0, 40.0, 1e-8) for sign in (1.0, -1.0)] + [0.0]
HIDDEN = [kind.name.lower() for kind in Activation if kind < 64]
PAIRS = {
    "squared_error": ("identity", "relu", "sigmoid", "tanh", "gelu", "selu", "exp"),
    "absolute_error": ("identity", "relu", "mish"),
    "huber": ("identity", "silu", "leaky_relu"),
    "quantile": ("identity", "tanh", "exp"),
    "binary_cross_entropy": ("sigmoid", "relu", "identity", "tanh", "exp"),
    "poisson": ("exp", "relu", "identity", "sigmoid", "tanh"),
    "categorical_cross_entropy": ("softmax",),
}


@pytest.fixture(autouse=True)
def fifty_digits() -> Iterator[None]:
    with mp.workdps(50):
        yield


def at(net: Network, z: list[float], y: object) -> tuple[float, Array]:
    """Loss and dL/dZ of one row with the pre-activations z."""
    value, gradient = net.loss_and_gradient([z], y, input_gradient=True)
    # One row and W = 1: three gradients are the same numbers.
    assert np.array_equal(gradient.input[0], gradient.intercepts[0], equal_nan=True)
    assert value == net.loss([z], y) or np.isnan(value)
    return value, gradient.intercepts[0]


def is_close(got: float, want: mpf, dtype: type, ulps: float, scale: mpf = 0) -> bool:
    """Within ulps of want, or of a larger scale; below the smallest normal, near it."""
    info = np.finfo(dtype)
    unit = mpf(float(info.eps)) * max(abs(want), abs(scale))
    return abs(mpf(float(got)) - want) <= ulps * max(unit, float(info.tiny))


def exactly(z: float, dtype: type) -> mpf:
    """The number that the engine is given for z."""
    return mpf(float(dtype(z)))


def sigma(z: mpf) -> mpf:
    return 1 / (1 + mp.exp(-z))


# Losses at their extremes


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("y", [0.0, 1.0, 0.25])
def test_sigmoid_with_binary_cross_entropy(y: float, dtype: type) -> None:
    """Relative accuracy also of the small loss and gradient of a sure unit."""
    net = pass_through(1, "sigmoid", "binary_cross_entropy", dtype)
    for z in EXTREME:
        value, delta = at(net, [z], [y])
        z = exactly(z, dtype)
        want = -y * mp.log(sigma(z)) - (1 - y) * mp.log(sigma(-z))
        assert is_close(value, want, np.float64, 4), z
        assert is_close(delta[0], sigma(z) - y, dtype, 2), z


@pytest.mark.parametrize("z", [1e-8, -1e-8, 0.0, 1e-3])
def test_sigmoid_close_to_a_target_that_is_a_share(z: float) -> None:
    """Here the difference is as exact as y, and no better."""
    net = pass_through(1, "sigmoid", "binary_cross_entropy")
    _, delta = at(net, [z], [0.5])
    assert is_close(delta[0], sigma(mpf(z)) - 0.5, np.float64, 1, scale=mpf(1))


def test_sigmoid_gradient_does_not_cancel() -> None:
    """At z = 40 sigma(z) rounds to 1; sigma(z) - 1 would be 0."""
    net = pass_through(1, "sigmoid", "binary_cross_entropy")
    value, delta = at(net, [40.0], [1.0])
    assert 1 / (1 + np.exp(-40.0)) - 1 == 0
    assert delta[0] == pytest.approx(-np.exp(-40.0), rel=1e-15)
    assert value == pytest.approx(np.exp(-40.0), rel=1e-15)


SOFTMAX_ROWS = [
    *([z, 0.0, -z] for z in EXTREME),
    *([z, z, z] for z in EXTREME),
    *([z, z, z - 40] for z in (1e4, -1e4, 40.0, 0.0)),
    [-1e4, 1e4, 1e4],
    [-800.0, 0.0, 40.0],
    [40.0, 39.0, -800.0],
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("label", [0, 1, 2])
def test_softmax_with_categorical_cross_entropy(label: int, dtype: type) -> None:
    net = pass_through(3, "softmax", "categorical_cross_entropy", dtype)
    for row in SOFTMAX_ROWS:
        value, delta = at(net, row, [label])
        Z = [exactly(z, dtype) for z in row]
        total = sum(mp.exp(z) for z in Z)
        p = [mp.exp(z) / total for z in Z]
        others = sum(p[k] for k in range(3) if k != label)
        # log1p where the label is nearly certain, so that mpmath keeps it as well.
        want = -mp.log1p(-others) if others < 0.5 else mp.log(total) - Z[label]
        assert is_close(value, want, dtype, 8), (row, label)
        for k in range(3):
            exact = -others if k == label else p[k]
            assert is_close(delta[k], exact, dtype, 8), (row, label, k)
        assert np.array_equal(net.forward([row])[0] > 0.2, [q > 0.2 for q in p])
        assert np.allclose(net.forward([row])[0], [float(q) for q in p], rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("y", [0.0, 1.0, -3.0])
def test_identity_with_squared_error(y: float, dtype: type) -> None:
    net = pass_through(1, "identity", "squared_error", dtype)
    for z in [*EXTREME, y]:
        value, delta = at(net, [z], [y])
        z = exactly(z, dtype)
        assert is_close(value, (z - y) ** 2 / 2, np.float64, 4)
        assert is_close(delta[0], z - y, dtype, 1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("y", [0.0, 1.0])
def test_relu_with_squared_error(y: float, dtype: type) -> None:
    net = pass_through(1, "relu", "squared_error", dtype)
    for z in EXTREME:
        value, delta = at(net, [z], [y])
        z = exactly(z, dtype)
        assert is_close(value, (max(z, mpf(0)) - y) ** 2 / 2, np.float64, 4)
        # Nothing passes where the unit is cut off, at 0 itself included.
        assert is_close(delta[0], z - y, dtype, 1) if z > 0 else delta[0] == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("y", [0.0, 1.0])
def test_sigmoid_with_squared_error(y: float, dtype: type) -> None:
    """Not canonical: as exact as A is, so relative only where A is not near 1."""
    net = pass_through(1, "sigmoid", "squared_error", dtype)
    for z in EXTREME:
        value, delta = at(net, [z], [y])
        z = exactly(z, dtype)
        a = sigma(z)
        scale = mpf(1) if z > 1 else mpf(0)
        assert is_close(value, (a - y) ** 2 / 2, dtype, 8, scale), z
        assert is_close(delta[0], (a - y) * a * sigma(-z), dtype, 8, scale), z


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("y", [0.0, 1.0, 0.25])
def test_relu_with_binary_cross_entropy(y: float, dtype: type) -> None:
    """Clipped to [eps, 1 - eps]; the gradient is 0 where the value is constant."""
    net = pass_through(1, "relu", "binary_cross_entropy", dtype)
    eps = float(np.finfo(dtype).eps)
    inside = [0.5, 0.25, 1e-3, 1 - 1e-3, 4 * eps, 1 - 4 * eps]
    edges = [eps, 1 - eps, 1.0, 2.0, eps / 2, -eps]
    for z in [*EXTREME, *inside, *edges]:
        value, delta = at(net, [z], [y])
        z = exactly(z, dtype)
        a = min(max(z, mpf(eps)), 1 - mpf(eps))
        want = -y * mp.log(a) - (1 - y) * mp.log(1 - a)
        assert np.isfinite(value)
        assert is_close(value, want, np.float64, 4), z
        if eps < z < 1 - mpf(eps):
            assert is_close(delta[0], (a - y) / (a * (1 - a)), dtype, 4), z
        else:
            assert delta[0] == 0, z


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("y", [0.0, 1.0, 3.0, 0.5])
def test_exp_with_poisson(y: float, dtype: type) -> None:
    net = pass_through(1, "exp", "poisson", dtype)
    constant = y * mp.log(y) - y if y > 0 else mpf(0)
    for z in [-1e4, -800.0, -40.0, -1e-8, 0.0, 1e-8, 1.0, 5.0, 40.0]:
        value, delta = at(net, [z], [y])
        z = exactly(z, dtype)
        e = mp.exp(z)
        # The terms cancel where exp(z) is near y: as exact as the largest of them.
        scale = max(e, abs(y * z), y * mp.log(y) if y > 0 else mpf(0), mpf(y))
        assert is_close(value, e - y * z + constant, np.float64, 4, scale), z
        assert is_close(delta[0], e - y, dtype, 2, max(e, mpf(y))), z


@pytest.mark.parametrize("y", [0.0, 3.0])
def test_exp_with_poisson_overflows_to_infinity(y: float) -> None:
    """The true value is over every float64: infinite, and not NaN."""
    value, delta = at(pass_through(1, "exp", "poisson"), [1e4], [y])
    assert value == delta[0] == np.inf
    # float32 data is taken in double: the value exists, the gradient does not.
    value, delta = at(pass_through(1, "exp", "poisson", np.float32), [100.0], [y])
    assert value == pytest.approx(np.exp(100.0))
    assert delta[0] == np.inf


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("y", [0.0, 2.0])
def test_relu_with_poisson(y: float, dtype: type) -> None:
    net = pass_through(1, "relu", "poisson", dtype)
    eps = float(np.finfo(dtype).eps)
    for z in [*EXTREME, 1.5, 2.0, eps, eps / 2]:
        value, delta = at(net, [z], [y])
        z = exactly(z, dtype)
        a = max(z, mpf(eps))
        term = y * mp.log(y / a) if y > 0 else mpf(0)
        scale = max(a, mpf(y), abs(term))
        assert is_close(value, term - y + a, np.float64, 4, scale), z
        if z > eps:
            assert is_close(delta[0], 1 - y / a, dtype, 2, max(1, y / a)), z
        else:
            assert delta[0] == 0, z


def test_clipped_overflow_has_the_gradient_of_a_constant() -> None:
    """exp(800) is clipped to 1 - eps: the value is finite, so is the gradient."""
    value, delta = at(pass_through(1, "exp", "binary_cross_entropy"), [800.0], [0.0])
    assert value == pytest.approx(-np.log(np.finfo(float).eps))
    assert delta[0] == 0


# Not a number


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize(
    ("output", "loss"), [(f, loss) for loss in PAIRS for f in PAIRS[loss]]
)
def test_nan_in_X_reaches_the_loss(hidden: str, output: str, loss: str) -> None:
    """A ReLU or a clip that is written carelessly turns a NaN into a number."""
    classes = loss == "categorical_cross_entropy"
    q = 3 if classes else 2
    net = Network(
        [2, 4, q], hidden, output_activation=output, loss=loss, random_state=0
    )
    X = np.array([[0.5, -1.0], [np.nan, 1.0], [0.25, 2.0]])
    Y = np.array([0, 2, 1]) if classes else np.full((3, q), 0.5)
    for given in X, sp.csr_array(X):
        A = net.forward(given)
        assert np.array_equal(np.isnan(A), [[False] * q, [True] * q, [False] * q])
        assert np.allclose(A[[0, 2]], net.forward(given[[0, 2]]), rtol=1e-12)
        value, gradient = net.loss_and_gradient(given, Y)
        assert np.isnan(value) and np.isnan(net.loss(given, Y))
        assert np.isnan(gradient.coefs[1]).any()


def test_nan_in_one_logit_only() -> None:
    """Wherever it stands in the row: maximum and comparisons must not lose it."""
    net = pass_through(3, "softmax", "categorical_cross_entropy")
    for k in range(3):
        row = np.array([1.0, 3.0, 2.0])
        row[k] = np.nan
        for label in range(3):
            value, _ = net.loss_and_gradient([row], [label])
            assert np.isnan(value)


@pytest.mark.parametrize(
    ("output", "loss", "z"),
    [
        ("identity", "squared_error", 1e200),
        ("relu", "squared_error", 1e200),
        ("exp", "poisson", 800.0),
        ("exp", "squared_error", 800.0),
    ],
)
def test_row_of_weight_zero_adds_nothing(output: str, loss: str, z: float) -> None:
    """Not even an infinity, to the value or to the gradient."""
    net = pass_through(1, output, loss)
    assert net.loss([[z]], [1.0]) == np.inf
    value, gradient = net.loss_and_gradient(
        [[0.5], [z]], [2.0, 1.0], [3.0, 0.0], input_gradient=True
    )
    alone, expected = net.loss_and_gradient([[0.5]], [2.0], [3.0], input_gradient=True)
    assert value == alone
    assert gradient.intercepts[0] == expected.intercepts[0]
    assert gradient.coefs[0] == expected.coefs[0]
    assert np.array_equal(gradient.input, [expected.input[0], [0.0]])


# The doors


GRID = np.array(
    [*EXTREME, -20.0, -3.0, -1.0, -0.5, -1e-3, 1e-3, 0.5, 1.0, 3.0, 15.0, 1e-30, -0.0]
)


#: lambda and alpha of (A7).
SELU = mpf("1.05070098735548049342"), mpf("1.67326324235437728481")


def exact_activation(name: str, z: mpf) -> mpf:
    match name:
        case "identity":
            return z
        case "relu":
            return max(z, mpf(0))
        case "sigmoid":
            return sigma(z)
        case "tanh":
            return mp.tanh(z)
        case "exp":
            return mp.exp(z)
        case "selu":
            return SELU[0] * (z if z > 0 else SELU[1] * mp.expm1(z))
        case "silu":
            return z * sigma(z)
        case "gelu":
            return z * mp.erfc(-z / mp.sqrt(2)) / 2
        case "mish":
            return z * mp.tanh(mp.log1p(mp.exp(z)))
        case "leaky_relu":
            return max(z, mpf("0.01") * z)
    raise AssertionError(f"{name} needs its exact value here")


def exact_derivative(name: str, z: mpf) -> mpf:
    match name:
        case "identity":
            return mpf(1)
        case "relu":
            return mpf(1) if z > 0 else mpf(0)
        case "sigmoid":
            return sigma(z) * sigma(-z)
        case "tanh":
            return mp.sech(z) ** 2
        case "exp":
            return mp.exp(z)
        case "selu":
            return SELU[0] * (1 if z > 0 else SELU[1] * mp.exp(z))
        case "silu":
            return sigma(z) * (1 + z * sigma(-z))
        case "gelu":
            return mp.erfc(-z / mp.sqrt(2)) / 2 + z * mp.npdf(z)
        case "mish":
            t = mp.tanh(mp.log1p(mp.exp(z)))
            return t + z * sigma(z) * mp.sech(mp.log1p(mp.exp(z))) ** 2
        case "leaky_relu":
            return mpf(1) if z > 0 else mpf("0.01")
    raise AssertionError(f"{name} needs its exact derivative here")


def rounding_scale(name: str, z: mpf) -> mpf:
    """The size of what f' is a difference of, where it is one."""
    if name in ("sigmoid", "tanh"):
        # From A alone: 1 - A is as exact as A where that is near 1.
        saturated = abs(z) > 1 and (z > 0 or name == "tanh")
        return mpf(1) if saturated else mpf(0)
    if name == "selu":
        return SELU[0] * SELU[1]
    # The slope of the others is 0 near -1, and the sum of two terms.
    return sigma(z) * max(1, abs(z)) if name in ("silu", "gelu", "mish") else mpf(0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", [k for k in Activation if k != Activation.SOFTMAX])
def test_activation_and_derivative(kind: Activation, dtype: type) -> None:
    name = kind.name.lower()
    Z = GRID.astype(dtype)
    if name == "exp":
        Z = Z[Z < 88]  # within float32
    A, delta = np.full_like(Z, np.nan), np.full_like(Z, 3)
    engine = engine_of(dtype)
    engine.activation(kind, Z, A, 1)
    engine.derivative(kind, Z, A, delta)
    for z, a, d in zip(Z, A, delta, strict=True):
        exact = mpf(float(z))
        # Of the tail of a normal 5.2 ulp and a product, where a unit is eps / 2 or eps.
        ulps = 6 if name == "gelu" else 2
        assert is_close(a, exact_activation(name, exact), dtype, ulps), z
        scale = 3 * rounding_scale(name, exact)
        slope = 3 * exact_derivative(name, exact)
        assert is_close(d, slope, dtype, 2 + ulps, scale), z
    close = {"rtol": 4 * np.finfo(dtype).eps, "atol": 4 * np.finfo(dtype).eps}
    assert np.allclose(A, reference.ACTIVATIONS[name](Z), **close)
    assert np.allclose(delta, 3 * reference.DERIVATIVES[name](Z), **close)
    # In the place of Z, as the engine uses it.
    engine.activation(kind, Z, Z, 1)
    assert np.array_equal(Z, A)


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_door(dtype: type) -> None:
    Z = np.array(SOFTMAX_ROWS, dtype=dtype)
    A, engine = np.full_like(Z, np.nan), engine_of(dtype)
    engine.activation(Activation.SOFTMAX, Z.reshape(-1), A.reshape(-1), 3)
    assert np.allclose(A.sum(axis=1), 1, rtol=4 * np.finfo(dtype).eps)
    for row, a in zip(Z, A, strict=True):
        E = [mp.exp(mpf(float(z))) for z in row]
        assert all(is_close(p, e / sum(E), dtype, 8) for p, e in zip(a, E, strict=True))
    # Equal logits, equal probabilities, wherever they lie.
    ties = Z[:, 0] == Z[:, 1]
    assert ties.sum() > 9 and np.array_equal(A[ties, 0], A[ties, 1])
    engine.activation(Activation.SOFTMAX, Z.reshape(-1), Z.reshape(-1), 3)
    assert np.array_equal(Z, A)


@pytest.mark.parametrize("dtype", DTYPES)
def test_derivative_of_relu_at_zero_is_zero(dtype: type) -> None:
    Z = np.array([0.0, -0.0, 1e-30, -1e-30], dtype=dtype)
    A, delta = np.empty_like(Z), np.ones_like(Z)
    engine_of(dtype).activation(Activation.RELU, Z, A, 1)
    engine_of(dtype).derivative(Activation.RELU, Z, A, delta)
    assert delta.tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bias", [True, False])
def test_affine_layer(bias: bool, dtype: type, rng: np.random.Generator) -> None:
    A, W, b = (rng.normal(size=s).astype(dtype) for s in ((5, 3), (3, 4), (4,)))
    Z = np.full((5, 4), np.nan, dtype=dtype)
    engine_of(dtype).affine_layer(
        A.reshape(-1), W.reshape(-1), b if bias else b[:0], 3, 4, Z.reshape(-1)
    )
    want = reference.forward_product(A, W, b if bias else None)
    assert np.allclose(Z, want, rtol=1e-5 if dtype == np.float32 else 1e-14)
