"""Network: outputs, losses and gradients, and what X and targets must be.

Answers for: _network.py, core/passes.pxd.
"""

import copy
from typing import Any

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from helpers import BINARY, CLASSES, POISSON, SQUARED, outputs_by_reference
from numpy.typing import NDArray

from skbackprop import Network

Array = NDArray[np.floating]

DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def assert_same_gradients(got: Any, want: Any, rtol: float = 0) -> None:
    for a, b in zip(
        [*got.coefs, *got.intercepts], [*want.coefs, *want.intercepts], strict=True
    ):
        assert a.shape == b.shape
        assert np.allclose(a, b, rtol=rtol, atol=rtol)


# Forward


@DTYPES
@pytest.mark.parametrize("output", [SQUARED, BINARY, CLASSES, POISSON])
@pytest.mark.parametrize(
    ("sizes", "hidden"),
    [([3, 2], ()), ([3, 4, 2], "relu"), ([3, 4, 5, 2], ["logistic", "tanh"])],
)
def test_forward(
    sizes: list[int], hidden: Any, output: dict[str, str], dtype: type, X: Array
) -> None:
    net = Network(sizes, hidden, **output, dtype=dtype, random_state=1)
    X = X.astype(dtype)
    close = {"rtol": 1e-13 if dtype == np.float64 else 1e-5, "atol": 1e-6}
    if dtype == np.float64:
        close["atol"] = 1e-15
    names = ["sigmoid" if name == "logistic" else name for name in net.activations]
    Zs, As = reference.forward(
        X, net.coefs_, net.intercepts_, [*names, net.output_activation]
    )
    A = net.forward(X)
    assert A.dtype == dtype and A.shape == (6, 2)
    assert np.allclose(A, As[-1], **close)
    layers = net.forward(X, return_layers=True)
    assert len(layers.Z) == len(layers.A) == len(sizes) - 1
    for got, want in zip([*layers.Z, *layers.A], [*Zs, *As], strict=True):
        assert got.dtype == dtype and got.shape == want.shape
        assert np.allclose(got, want, **close)
    assert np.allclose(layers.A[-1], A, **close)
    sparse = net.forward(sp.csr_array(X), return_layers=True)
    assert np.allclose(sparse.A[-1], A, **close)


def test_logistic_is_sigmoid(X: Array, Y: Array) -> None:
    nets = [
        Network([3, 4, 2], name, **SQUARED, random_state=0)
        for name in ("sigmoid", "logistic")
    ]
    A, B = (net.forward(X) for net in nets)
    assert np.array_equal(A, B)
    targets = [
        Network(
            [3, 2],
            (),
            loss="squared_error",
            output_activation=name,
            random_state=0,
        ).loss(X, Y)
        for name in ("sigmoid", "logistic")
    ]
    assert targets[0] == targets[1]


def test_forward_leaves_X(net: Network, X: Array) -> None:
    kept = X.copy()
    A = net.forward(X)
    net.forward(X, return_layers=True)
    assert np.array_equal(X, kept)
    # Results are the caller's: the next call leaves them.
    held = A.copy()
    net.forward(X + 1)
    assert np.array_equal(A, held)


def test_identity_layers_do_not_share_memory(X: Array) -> None:
    net = Network([3, 3, 2], "identity", **SQUARED, random_state=0)
    layers = net.forward(X, return_layers=True)
    for Z, A in zip(layers.Z, layers.A, strict=True):
        assert np.array_equal(Z, A) and not np.shares_memory(Z, A)


@DTYPES
@pytest.mark.parametrize(
    "bias", [False, True, [True, False], [False, True], np.array([False, True])]
)
def test_biases_may_be_off(bias: Any, dtype: type, X: Array, Y: Array) -> None:
    net = Network([3, 4, 2], "relu", **SQUARED, bias=bias, dtype=dtype, random_state=0)
    flags = [bias] * 2 if isinstance(bias, bool) else list(bias)
    assert [bool(np.any(b)) for b in net.intercepts_] == flags
    assert [b.shape for b in net.intercepts_] == [(4,), (2,)]
    assert np.allclose(
        net.forward(X), outputs_by_reference(net, X), rtol=1e-5, atol=1e-6
    )
    _, gradient = net.loss_and_gradient(X, Y)
    assert [bool(np.any(db)) for db in gradient.intercepts] == flags
    assert [db.shape for db in gradient.intercepts] == [(4,), (2,)]
    for j, (flag, size) in enumerate(zip(flags, (4, 2), strict=True)):
        given = list(net.intercepts_)
        given[j] = np.ones(size)
        if flag:
            net.intercepts_ = given
            continue
        with pytest.raises(ValueError, match=rf"intercepts_\[{j}\].*without bias"):
            net.intercepts_ = given
        for zero in None, np.zeros(size):
            given[j] = zero
            net.intercepts_ = given
        # There is nothing to change, so it must not look as if there were.
        with pytest.raises(ValueError, match="read-only"):
            net.intercepts_[j][:] = 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.ones((6, 2)), r"X must have shape \(n, 3\). Got \(6, 2\)"),
        (np.ones((6, 4)), r"X must have shape \(n, 3\). Got \(6, 4\)"),
        (np.ones(3), r"X must have shape \(n, 3\). Got \(3,\)"),
        (np.ones((2, 3, 3)), r"X must have shape \(n, 3\). Got \(2, 3, 3\)"),
        (sp.csr_array((6, 2)), r"X must have shape \(n, 3\). Got \(6, 2\)"),
        ([["a", "b", "c"]], "X must be numeric"),
        (np.ones((6, 3), dtype=object), "X must be numeric"),
        (np.ones((6, 3)) * 1j, "X must be numeric"),
        (sp.csr_array(np.ones((6, 3)) * 1j), "X must be numeric"),
        (None, "X must be numeric"),
    ],
)
@pytest.mark.parametrize("door", ["forward", "layers", "loss", "loss_and_gradient"])
def test_wrong_X(door: str, wrong: Any, message: str, net: Network, Y: Array) -> None:
    with pytest.raises(ValueError, match=message):
        match door:
            case "forward":
                net.forward(wrong)
            case "layers":
                net.forward(wrong, return_layers=True)
            case _:
                getattr(net, door)(wrong, Y)


# Losses and targets


@DTYPES
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("arguments", [SQUARED, BINARY, CLASSES, POISSON])
def test_loss_is_that_of_the_gradient(
    arguments: dict[str, str],
    weighted: bool,
    dtype: type,
    X: Array,
    rng: np.random.Generator,
) -> None:
    net = Network([3, 4, 2], "tanh", **arguments, dtype=dtype, random_state=0)
    y = rng.integers(0, 2, 6 if arguments is CLASSES else (6, 2))
    w = rng.uniform(0, 2, 6) if weighted else None
    value, gradient = net.loss_and_gradient(X, y, w)
    assert isinstance(value, float) and gradient.input is None
    assert net.loss(X, y, w) == value
    with_input = net.loss_and_gradient(X, y, w, input_gradient=True)
    assert with_input[0] == value
    assert_same_gradients(with_input[1], gradient)
    want = reference.loss_and_gradient(
        net.coefs_,
        net.intercepts_,
        X.astype(dtype),
        np.eye(2)[y] if arguments is CLASSES else y,
        [*net.activations, net.output_activation],
        net.loss_name,
        w,
    )
    rtol = 1e-12 if dtype == np.float64 else 1e-5
    assert value == pytest.approx(want[0], rel=rtol)
    for got, exact in zip(
        [*gradient.coefs, *gradient.intercepts, with_input[1].input],
        [*want[1], *want[2], want[3]],
        strict=True,
    ):
        assert got.dtype == dtype and got.shape == exact.shape
        assert np.allclose(got, exact, rtol=rtol, atol=rtol / 10)


def test_squared_error_is_half_the_sum_over_outputs(
    net: Network, X: Array, Y: Array
) -> None:
    want = ((net.forward(X) - Y) ** 2).sum(axis=1).mean() / 2
    assert net.loss(X, Y) == pytest.approx(want, rel=1e-14)


@pytest.mark.parametrize("dtype", [np.int8, np.uint64, np.intp, int])
def test_labels_and_one_hot_rows_agree(dtype: type, X: Array) -> None:
    net = Network([3, 4, 3], "tanh", **CLASSES, random_state=0)
    labels = np.array([0, 2, 1, 1, 2, 0])
    value, gradient = net.loss_and_gradient(X, labels.astype(dtype))
    log_p = np.log(net.forward(X))[np.arange(6), labels]
    assert value == pytest.approx(-log_p.mean(), rel=1e-13)
    for rows in np.eye(3)[labels], np.eye(3, dtype=bool)[labels].tolist():
        again = net.loss_and_gradient(X, rows)
        assert again[0] == value == net.loss(X, rows)
        assert_same_gradients(again[1], gradient)
    assert net.loss(X, labels.tolist()) == value


def test_one_column_of_targets_may_be_flat(X: Array, Y: Array) -> None:
    net = Network([3, 4, 1], "tanh", **SQUARED, random_state=0)
    value, gradient = net.loss_and_gradient(X, Y[:, 0])
    again = net.loss_and_gradient(X, Y[:, :1])
    assert value == again[0] == net.loss(X, Y[:, 0].tolist())
    assert_same_gradients(gradient, again[1])


def test_sparse_numbers_that_float32_has_not_are_refused() -> None:
    net = Network(
        [2, 1], (), loss="squared_error", output_activation="identity", dtype=np.float32
    )
    X = np.array([[1e300, 1.0]])
    for data in X, sp.csr_array(X), sp.csc_array(X), sp.coo_matrix(X):
        for call in (net.forward, lambda data: net.loss(data, [1.0])):
            with pytest.raises(ValueError, match="too large for float32"):
                call(data)
        with pytest.raises(ValueError, match="too large for float32"):
            net.forward(data, return_layers=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [2.0**-1000, 2.0**-140, 2.0**140, 2.0**1000])
def test_the_scale_of_weights_changes_no_bit(dtype: type, scale: float) -> None:
    rng = np.random.default_rng(0)
    X, Y, w = rng.normal(size=(6, 2)), rng.normal(size=(6, 1)), rng.uniform(1, 9, 6)
    net = Network(
        [2, 3, 1], "tanh", loss="squared_error", output_activation="identity",
        dtype=dtype, random_state=0,
    )  # fmt: skip
    value, gradient = net.loss_and_gradient(X, Y, w)
    same, again = net.loss_and_gradient(X, Y, w * scale)
    assert value == same
    for a, b in zip(gradient.coefs, again.coefs, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("arguments", [SQUARED, BINARY, CLASSES])
def test_weights_repeat_rows(arguments: dict[str, str], X: Array) -> None:
    net = Network([3, 4, 2], "relu", **arguments, random_state=0)
    y = np.array([0, 1, 1, 0, 1, 0])
    y = y if arguments is CLASSES else np.column_stack([y, 1 - y])
    times = np.array([1, 3, 0, 2, 1, 4])
    value, gradient = net.loss_and_gradient(X, y, times)
    repeated = net.loss_and_gradient(
        np.repeat(X, times, axis=0), np.repeat(y, times, 0)
    )
    assert value == pytest.approx(repeated[0], rel=1e-13)
    assert_same_gradients(gradient, repeated[1], rtol=1e-13)
    # A mean: only proportions matter.
    scaled = net.loss_and_gradient(X, y, times * 0.25)
    assert scaled[0] == pytest.approx(value, rel=1e-14)
    assert_same_gradients(scaled[1], gradient, rtol=1e-13)


def test_loss_is_a_weighted_mean(net: Network, X: Array, Y: Array) -> None:
    w = np.array([0.5, 0, 2, 1, 1, 3])
    each = [net.loss(X[i : i + 1], Y[i : i + 1]) for i in range(6)]
    assert net.loss(X, Y, w) == pytest.approx(np.average(each, weights=w), rel=1e-14)
    assert net.loss(X, Y) == pytest.approx(np.mean(each), rel=1e-14)
    assert net.loss(X, Y, np.ones(6)) == pytest.approx(net.loss(X, Y), rel=1e-15)


def test_results_are_fresh(net: Network, X: Array, Y: Array) -> None:
    """A gradient that is kept is not written by the next call."""
    _, first = net.loss_and_gradient(X, Y)
    held = copy.deepcopy(first)
    net.loss_and_gradient(X + 1, Y, input_gradient=True)
    assert_same_gradients(first, held)
    assert not np.shares_memory(first.coefs[0], net.coefs_[0])


@pytest.mark.parametrize("loss", ["loss", "loss_and_gradient"])
@pytest.mark.parametrize(
    ("arguments", "wrong", "message"),
    [
        (SQUARED, np.ones(6), r"Y must have shape \(6, 2\). Got \(6,\)"),
        (SQUARED, np.ones((5, 2)), r"Y must have shape \(6, 2\). Got \(5, 2\)"),
        (SQUARED, np.ones((6, 1)), r"Y must have shape \(6, 2\). Got \(6, 1\)"),
        (SQUARED, np.ones((2, 6)), r"Y must have shape \(6, 2\). Got \(2, 6\)"),
        (SQUARED, [["a", "b"]] * 6, "Y must be numeric"),
        (SQUARED, None, "Y must be numeric"),
        (BINARY, np.full((6, 2), 1.5), "Y must lie between 0 and 1"),
        (BINARY, np.full((6, 2), -0.1), "Y must lie between 0 and 1"),
        (BINARY, np.full((6, 2), np.nan), "Y must lie between 0 and 1"),
        (POISSON, np.full((6, 2), -1), "Y must not be negative"),
        (POISSON, np.full((6, 2), np.nan), "Y must not be negative"),
        (CLASSES, [0, 1, 0, 1, 0, 2], "Y must hold labels from 0 to 1.* to 2"),
        (CLASSES, [0, 1, 0, 1, 0, -1], "Y must hold labels from 0 to 1.* -1 to"),
        (CLASSES, [0, 1, 0, 1, 0], r"Y must hold integer labels .*Got shape \(5,\)"),
        (CLASSES, [0.0, 1, 0, 1, 0, 1], "Y must hold integer labels .*float64"),
        (CLASSES, np.zeros((6, 1), int), r"Y must hold integer labels .*\(6, 1\)"),
        (CLASSES, np.zeros((6, 2)), "Y must have a single 1 in every row"),
        (CLASSES, np.ones((6, 2)), "Y must have a single 1 in every row"),
        (CLASSES, np.full((6, 2), 0.5), "Y must have a single 1 in every row"),
        (CLASSES, [[2, -1]] * 6, "Y must have a single 1 in every row"),
        (CLASSES, [[np.nan, 1]] * 6, "Y must have a single 1 in every row"),
    ],
)
def test_wrong_Y(
    loss: str, arguments: dict[str, str], wrong: Any, message: str, X: Array
) -> None:
    net = Network([3, 4, 2], "tanh", **arguments)
    with pytest.raises(ValueError, match=message):
        getattr(net, loss)(X, wrong)


@pytest.mark.parametrize("loss", ["loss", "loss_and_gradient"])
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.ones(5), r"sample_weight must have shape \(6,\). Got \(5,\)"),
        (np.ones((6, 1)), r"sample_weight must have shape \(6,\). Got \(6, 1\)"),
        (2.0, r"sample_weight must be an array\. Got the number 2\.0"),
        (["a"] * 6, "sample_weight must be numeric"),
        ([1, 1, 1, 1, 1, -1], "sample_weight must hold finite numbers, none negative"),
        (np.zeros(6), "sample_weight must hold .* one above zero"),
        ([1, 1, 1, 1, 1, np.nan], "sample_weight must hold"),
        ([1, 1, 1, 1, 1, np.inf], "sample_weight must"),
    ],
)
def test_wrong_sample_weight(
    loss: str, wrong: Any, message: str, net: Network, X: Array, Y: Array
) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(net, loss)(X, Y, wrong)


@pytest.mark.parametrize("loss", ["loss", "loss_and_gradient"])
def test_mean_of_no_rows_is_refused(loss: str, net: Network) -> None:
    with pytest.raises(ValueError, match="X has no rows"):
        getattr(net, loss)(np.empty((0, 3)), np.empty((0, 2)))


def test_descent_along_the_gradient_lowers_the_loss(
    net: Network, X: Array, Y: Array
) -> None:
    """The two lines that a reader writes first."""
    before = net.loss(X, Y)
    for _ in range(20):
        _, gradient = net.loss_and_gradient(X, Y)
        for W, dW in zip(net.coefs_, gradient.coefs, strict=True):
            W -= 0.1 * dW
        for b, db in zip(net.intercepts_, gradient.intercepts, strict=True):
            b -= 0.1 * db
    assert net.loss(X, Y) < 0.8 * before
