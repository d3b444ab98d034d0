"""docs/derivations.md holds: its slips, its code and its tags.

Answers for: docs/derivations.md.
"""

import itertools
import re
from collections.abc import Callable

import numpy as np
import pytest
import reference
from helpers import assert_gradient, half_square, mean_bce
from numpy.testing import assert_allclose
from reference import Array, sigmoid, sigmoid_derivative, softmax
from sources import DERIVATIONS, TESTS, read


def assert_mismatch(printed: Array, right: Array) -> None:
    """Same shape, so that NumPy raises no objection, and clearly another number."""
    assert np.shape(printed) == np.shape(right)
    assert np.abs(printed - right).max() > 0.05 * np.abs(right).max()


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


# (b) The document and the reference name the same things


def tags(text: str) -> set[str]:
    return set(re.findall(r"\(([A-Z]\d+)\)", text))


def test_document_and_reference_bear_the_same_tags() -> None:
    in_document = tags(read(DERIVATIONS))
    in_reference = tags(read(TESTS / "reference.py"))
    assert in_document == in_reference
    assert in_reference >= {"F1", "A6", "L0", "L5", "B1", "B5", "R1", "O1", "O5"}


def test_document_defines_each_tag_once_in_a_display() -> None:
    text = read(DERIVATIONS)
    defined = re.findall(r"\\text\{\(([A-Z]\d+)\)\}", text)
    assert sorted(defined) == sorted(tags(text))


def test_document_has_a_heading_per_name() -> None:
    headings = re.findall(r"^### `(\w+)` \(", read(DERIVATIONS), re.MULTILINE)
    names = [*reference.ACTIVATIONS, "softmax", *reference.LINKS]
    assert headings == [*names, "sgd", "adam", "adamw"]


def test_document_names_the_test_of_each_slip() -> None:
    named = re.findall(r"`(test_slip_\w+)`", read(DERIVATIONS))
    assert named == sorted(name for name in globals() if name.startswith("test_slip_"))
    assert len(named) == 10


# (c) The document runs


def test_document_runs() -> None:
    text = read(DERIVATIONS)
    blocks = list(re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.S))
    assert len(blocks) >= 12
    namespace: dict[str, object] = {"__name__": "derivations"}
    for block in blocks:
        above = "\n" * text.count("\n", 0, block.start(1))  # true line numbers
        exec(compile(above + block[1], str(DERIVATIONS), "exec"), namespace)
