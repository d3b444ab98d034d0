"""Every gradient of the engine against central differences and the reference.

The cases follow from the enumerations: what is added there is tested here.

Answers for: core/passes.pxd, core/layers.pxd, core/products.pxd, core/losses.pxd,
core/activations.pxd.
"""

from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from numpy.typing import NDArray

from skbackprop import Network
from skbackprop._evaluation import make_table, value_and_gradient
from skbackprop._layers import make_topology
from skbackprop.core.activations import Activation
from skbackprop.core.losses import Loss, canonical
from skbackprop.core.topology import Topology

Array = NDArray[np.floating]

HIDDEN = [kind.name.lower() for kind in Activation if kind < 64]
PAIRS = [
    (output.name.lower(), loss.name.lower())
    for output, loss in product(Activation, Loss)
    if (output == Activation.SOFTMAX) == (canonical(loss) == Activation.SOFTMAX)
]
N_ROWS, N_INPUTS = 5, 3
#: Of the losses that have some; two outputs are two levels.
PARAMETERS = {"huber": (1.25,), "quantile": (0.25, 0.625)}
HIDDEN_SIZES = (3, 4, 2)
WEIGHTS = ("none", "random", "zeros")
BIASES = ("all", "none", "mixed")
ALPHAS = (0.0, 0.7)


class Case(NamedTuple):
    """A problem in float64, whose numbers are float32 numbers."""

    topology: Topology
    activations: list[str]  # of every layer
    loss: str
    theta: Array
    X: Array
    Y: Array  # one-hot for classes
    w: Array | None
    parameters: tuple[float, ...]


def outputs(loss: str) -> int:
    return 3 if loss == "categorical_cross_entropy" else 2


def draw_targets(loss: str, rng: np.random.Generator) -> Array:
    q = outputs(loss)
    if loss == "categorical_cross_entropy":
        return np.eye(q)[rng.integers(0, q, N_ROWS)]
    if loss == "binary_cross_entropy":  # certain ones, and shares
        Y = rng.uniform(0.1, 0.9, (N_ROWS, q))
        return np.where(rng.random((N_ROWS, q)) < 0.7, Y.round(), Y)
    if loss == "poisson":
        return rng.integers(0, 4, (N_ROWS, q)).astype(float)
    return rng.normal(size=(N_ROWS, q))


def draw_weights(pattern: str, rng: np.random.Generator) -> Array | None:
    w = rng.uniform(0.5, 2.0, N_ROWS)
    if pattern == "zeros":
        w[[0, 3]] = 0
    return None if pattern == "none" else w


def layers(case: Case) -> tuple[list[Array], list[Array | None]]:
    return case.topology.views(case.theta)


#: Activations whose slope jumps at 0.
KINKED = {
    name
    for name, slope in reference.DERIVATIVES.items()
    if abs(slope(np.array([1e-9])) - slope(np.array([-1e-9]))) > 1e-3
}


#: Losses that clip an output which is not their own.
CLIPPED = ("binary_cross_entropy", "poisson")


def is_safe(case: Case) -> bool:
    """No kink within reach of a difference, and something to differentiate."""
    Zs, As = reference.forward(case.X, *layers(case), case.activations)
    for Z, name in zip(Zs, case.activations, strict=True):
        # A chain of ReLUs that is cut off everywhere tests nothing.
        if name in KINKED and (abs(Z).min() < 1e-3 or (Z > 0).mean() < 0.25):
            return False
    output, A = case.activations[-1], As[-1]
    if case.loss in ("absolute_error", "quantile") and abs(A - case.Y).min() < 1e-3:
        return False
    if case.loss == "huber":
        R = abs(A - case.Y)
        if abs(R - PARAMETERS["huber"]).min() < 1e-3 or (R < PARAMETERS["huber"]).all():
            return False
    if case.loss in CLIPPED and reference.LINKS[case.loss] != output:
        distance, inside = abs(A), A > 0
        if case.loss == "binary_cross_entropy":
            distance = np.minimum(distance, abs(1 - A))
            inside &= A < 1
        # A ReLU that is cut off is clipped whatever the step; behind the place where
        # the loss is clipped it has no curvature.
        clipped = (A == 0) & (output == "relu")
        near = distance < np.where(inside, 0.05, 1e-4)
        if np.any(near & ~clipped) or inside.mean() < 0.25:
            return False
    # Differences need a gradient that stands out from the rounding of the value.
    _, gradient, dX = expected(case, np.float64, 0.0)
    sizes = np.linalg.norm(gradient), np.linalg.norm(dX)
    return min(sizes) > 0.01 and max(sizes) < 100


def draw_case(
    hidden: list[str],
    output: str,
    loss: str,
    biases: str,
    weights: str,
    parameters: tuple[float, ...] | None = None,
) -> Case:
    """The first safe problem of a fixed sequence of seeds."""
    activations = [*hidden, output]
    sizes = [N_INPUTS, *HIDDEN_SIZES[: len(hidden)], outputs(loss)]
    n_layers = len(activations)
    flags = {
        "all": [True] * n_layers,
        "none": [False] * n_layers,
        # The output keeps its bias where there is one layer only.
        "mixed": [(n_layers - j) % 2 == 1 for j in range(n_layers)],
    }[biases]
    if parameters is None:
        parameters = PARAMETERS.get(loss, ())
    topology = make_topology(sizes, hidden, output, loss, flags, parameters)
    for seed in range(5000):
        rng = np.random.default_rng([seed, n_layers])
        X = rng.normal(size=(N_ROWS, N_INPUTS))
        X[rng.random(X.shape) < 0.3] = 0  # for CSR
        theta = rng.normal(size=topology.n_parameters) * 0.8
        Y, w = draw_targets(loss, rng), draw_weights(weights, rng)
        arrays = [None if a is None else round_off(a) for a in (theta, X, Y, w)]
        case = Case(topology, activations, loss, *arrays, parameters)
        if is_safe(case):
            return case
    raise AssertionError("no seed gives data away from the kinks")


def round_off(a: Array) -> Array:
    return a.astype(np.float32).astype(np.float64)


def run(
    case: Case, dtype: type, alpha: float, table: Any
) -> tuple[float, Array, Array]:
    """The engine's value, gradient by theta and gradient by X."""
    theta = case.theta.astype(dtype)
    # What is not written is not a number.
    grad, dX = np.full_like(theta, np.nan), np.full(case.X.shape, np.nan, dtype)
    value = value_and_gradient(
        case.topology,
        theta,
        table,
        denominator=denominator(case),
        alpha=alpha,
        grad=grad,
        dX=dX,
    )
    return value, grad, dX


def table_of(case: Case, dtype: type, X: Array, sparse: bool) -> Any:
    labels, Y = None, case.Y
    if case.loss == "categorical_cross_entropy":
        labels, Y = case.Y.argmax(axis=1), None
    table = make_table(
        sp.csr_array(X) if sparse else X,
        Y=Y,
        labels=labels,
        sample_weight=case.w,
        dtype=dtype,
    )
    assert table.sparse == sparse
    return table


def denominator(case: Case) -> float:
    return float(N_ROWS if case.w is None else case.w.sum())


def expected(case: Case, dtype: type, alpha: float) -> tuple[float, Array, Array]:
    coefs, intercepts = case.topology.views(case.theta.astype(dtype))
    value, dcoefs, dintercepts, dX = reference.loss_and_gradient(
        coefs,
        intercepts,
        case.X.astype(dtype),
        case.Y.astype(dtype),
        case.activations,
        case.loss,
        case.w,
        alpha,
        denominator(case),
        case.parameters,
    )
    flat = [
        part.ravel()
        for W, b in zip(dcoefs, dintercepts, strict=True)
        for part in (W, b)
        if part is not None
    ]
    return value, np.concatenate(flat), dX


def error(got: Array | float, want: Array | float) -> float:
    norm = np.linalg.norm
    return float(norm(np.subtract(got, want)) / max(norm(want), 1e-300))


def assert_differences(case: Case, alpha: float) -> None:
    """Central differences of the engine's own value: they cannot disagree."""
    whole = denominator(case)
    table, unused = (
        table_of(case, float, case.X, sparse=False),
        np.empty(len(case.theta)),
    )

    def value(theta: Array, table: Any) -> float:
        grad = unused if alpha else None  # the penalty comes with its gradient
        return value_and_gradient(
            case.topology, theta, table, denominator=whole, alpha=alpha, grad=grad
        )

    def of_theta(theta: Array) -> float:
        return value(theta, table)

    def of_X(X: Array) -> float:
        return value(case.theta, table_of(case, float, X, sparse=False))

    _, grad, dX = run(case, float, alpha, table)
    assert error(grad, reference.central_difference(of_theta, case.theta, 1e-5)) < 1e-6
    assert error(dX, reference.central_difference(of_X, case.X, 1e-5)) < 1e-6


def assert_equals_reference(case: Case) -> None:
    for dtype, tolerance in (np.float64, 1e-12), (np.float32, 2e-5):
        wanted = {alpha: expected(case, dtype, alpha) for alpha in ALPHAS}
        for sparse in False, True:
            table = table_of(case, dtype, case.X, sparse)
            for alpha, (value, grad, dX) in wanted.items():
                got = run(case, dtype, alpha, table)
                assert error(got[0], value) < tolerance
                assert error(got[1], grad) < tolerance
                assert error(got[2], dX) < tolerance
                assert got[1].dtype == got[2].dtype == dtype


def assert_gradients(
    hidden: list[str],
    output: str,
    loss: str,
    biases: str,
    weights: str,
    parameters: tuple[float, ...] | None = None,
    *,
    differences: tuple[float, ...] = ALPHAS,
) -> None:
    case = draw_case(hidden, output, loss, biases, weights, parameters)
    assert_equals_reference(case)
    for alpha in differences:
        assert_differences(case, alpha)


@pytest.mark.parametrize(("output", "loss"), PAIRS)
@pytest.mark.parametrize("activation", HIDDEN)
def test_gradients(activation: str, output: str, loss: str) -> None:
    pair = reference.LINKS[loss] == output
    for depth, b, w in product(range(3), range(3), range(3)):
        # Of the other pairs a Latin square, where any two meet.
        if pair or (depth + b + w) % 3 == 0:
            assert_gradients(
                [activation] * (depth + 1),
                output,
                loss,
                BIASES[b],
                WEIGHTS[w],
                # Differences take the time: the penalty, which knows of no activation
                # and no loss, is in every other one of them.
                differences=(ALPHAS[(depth + b + w) % 2],),
            )


@pytest.mark.parametrize(("output", "loss"), PAIRS)
def test_gradients_without_hidden_layers(output: str, loss: str) -> None:
    for biases, weights in product(BIASES, WEIGHTS):
        assert_gradients([], output, loss, biases, weights)


@pytest.mark.parametrize("first", HIDDEN)
@pytest.mark.parametrize("second", HIDDEN)
def test_each_layer_has_its_own_activation(first: str, second: str) -> None:
    for place, loss in enumerate(loss.name.lower() for loss in Loss):
        hidden, output = [first, second, first], reference.LINKS[loss]
        alphas = (ALPHAS[place % 2],)
        assert_gradients(hidden, output, loss, "all", "random", differences=alphas)


@pytest.mark.parametrize(
    ("output", "loss"), [pair for pair in PAIRS if pair[1] in reference.SMOOTHED]
)
def test_label_smoothing(output: str, loss: str) -> None:
    for depth, weights in product((0, 1), WEIGHTS):
        assert_gradients(["tanh"] * depth, output, loss, "all", weights, (0.125,))


def test_pairs_are_those_of_network() -> None:
    """No pair that a user may ask for is left out above, and none is made up."""
    allowed = []
    for output, loss in product(Activation, Loss):
        names = output.name.lower(), loss.name.lower()
        try:
            Network([1, 1], (), output_activation=names[0], loss=names[1])
        except ValueError:
            continue
        allowed.append(names)
    assert PAIRS == allowed
    assert len(PAIRS) >= 16 and len(HIDDEN) >= 4


def test_weight_of_zero_is_absence() -> None:
    """The gradient of a row of weight 0 by its own X is 0, not merely small."""
    case = draw_case(["tanh"], "identity", "squared_error", "all", "zeros")
    for sparse in False, True:
        _, _, dX = run(case, float, 0.0, table_of(case, float, case.X, sparse))
        assert np.all(dX[[0, 3]] == 0) and np.all(np.any(dX[[1, 2, 4]], axis=1))


def test_penalty_is_of_weights_alone() -> None:
    case = draw_case(["relu"], "identity", "squared_error", "all", "none")
    table = table_of(case, float, case.X, sparse=False)
    plain, with_it = (run(case, float, alpha, table) for alpha in (0.0, 0.7))
    for dW, db, W in zip(
        *case.topology.views(with_it[1] - plain[1]), layers(case)[0], strict=True
    ):
        assert error(dW, 0.7 * W / N_ROWS) < 1e-12
        assert np.all(db == 0)
    squares = sum(np.sum(W**2) for W in layers(case)[0])
    assert error(with_it[0] - plain[0], 0.35 * squares / N_ROWS) < 1e-12


def test_rows_are_the_table_rows_asked_for() -> None:
    """A selection, with repetition, is the table made of those rows."""
    case = draw_case(["sigmoid"], "softmax", "categorical_cross_entropy", "all", "none")
    rows = np.array([4, 0, 0, 2])
    results = []
    for X, labels, order in (
        (case.X, case.Y.argmax(axis=1), rows),
        (case.X[rows], case.Y[rows].argmax(axis=1), np.empty(0, dtype=np.intp)),
    ):
        for given in X, sp.csr_array(X):
            grad, dX = np.empty_like(case.theta), np.empty((4, N_INPUTS))
            table = make_table(given, labels=labels, dtype=float)
            value = value_and_gradient(
                case.topology,
                case.theta,
                table,
                denominator=4.0,
                rows=order,
                grad=grad,
                dX=dX,
            )
            results.append(np.concatenate([[value], grad, dX.ravel()]))
    for result in results[1:]:
        assert error(result, results[0]) < 1e-14
