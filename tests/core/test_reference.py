"""The reference against differences and wide arithmetic, and Network against it.

Answers for: tests/reference.py, core/activations.pxd, core/losses.pxd, core/passes.pxd.
"""

import itertools

import numpy as np
import pytest
import reference
from helpers import assert_gradient, half_square
from mpmath import mp, mpf
from numpy.testing import assert_allclose
from reference import Array, central_difference, softmax

from skbackprop import Network

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
