"""X in every layout and in blocks of rows: the same outputs, losses and gradients.

Answers for: core/gather.pxd, core/matrix.pxd, core/panels.pxd, core/products.pxd,
_evaluation.py.
"""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import reference
import scipy.sparse as sp
from numpy.typing import NDArray

from skbackprop import Network
from skbackprop._evaluation import block_rows

Array = NDArray[np.floating]

DTYPES = [np.float64, np.float32]


# The layout of X


@pytest.fixture
def classifier() -> Network:
    return Network(
        [6, 5, 3],
        "tanh",
        loss="categorical_cross_entropy",
        output_activation="softmax",
        random_state=0,
    )


@pytest.mark.parametrize("layout", ["fortran", "strided", "negative", "read-only"])
def test_layout_of_X_leaves_the_bits(
    layout: str, classifier: Network, rng: np.random.Generator
) -> None:
    X = rng.normal(size=(7, 6))
    wide = np.full((14, 18), np.nan)
    wide[::2, ::3] = X
    backwards = X[::-1].copy()
    frozen = X.copy()
    frozen.flags.writeable = False
    given = {
        "fortran": np.asfortranarray(X),
        "strided": wide[::2, ::3],
        "negative": backwards[::-1],
        "read-only": frozen,
    }[layout]
    assert np.array_equal(given, X) and (
        not given.flags.c_contiguous or not given.flags.writeable
    )
    labels = np.arange(7) % 3
    assert np.array_equal(classifier.forward(given), classifier.forward(X))
    for got, want in zip(
        classifier.forward(given, return_layers=True),
        classifier.forward(X, return_layers=True),
        strict=True,
    ):
        assert all(np.array_equal(a, b) for a, b in zip(got, want, strict=True))
    value, gradient = classifier.loss_and_gradient(given, labels)
    want_value, want = classifier.loss_and_gradient(X, labels)
    assert value == want_value
    assert np.array_equal(gradient.coefs[0], want.coefs[0])


@pytest.mark.parametrize("mode", ["r", "c"])
def test_memory_mapped_X(
    mode: str, tmp_path: Path, classifier: Network, rng: np.random.Generator
) -> None:
    X = rng.normal(size=(7, 6))
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode=mode)
    assert isinstance(mapped, np.memmap)
    assert np.array_equal(classifier.forward(mapped), classifier.forward(X))


@pytest.mark.parametrize("dtype", ["i4", "u1", "f2", "f4", ">f8", "?"])
def test_other_numbers_are_cast(dtype: str, classifier: Network) -> None:
    X = (np.arange(42).reshape(7, 6) % 2).astype(dtype)
    assert np.array_equal(classifier.forward(X), classifier.forward(X.astype(float)))


@pytest.mark.parametrize("dtype", ["f4", "i8", "?"])
def test_sparse_layers_of_other_numbers(dtype: str, classifier: Network) -> None:
    X = (np.arange(42).reshape(7, 6) % 2).astype(dtype)
    sparse = sp.csr_array(X)
    assert np.allclose(classifier.forward(sparse), classifier.forward(X), rtol=1e-14)
    A = classifier.forward(sparse, return_layers=True).A[-1]
    assert np.allclose(A, classifier.forward(X), rtol=1e-14)


def test_no_rows_and_one_row(classifier: Network, rng: np.random.Generator) -> None:
    X = rng.normal(size=(1, 6))
    for empty in np.empty((0, 6)), sp.csr_array((0, 6)):
        assert classifier.forward(empty).shape == (0, 3)
        layers = classifier.forward(empty, return_layers=True)
        assert [Z.shape for Z in layers.Z] == [(0, 5), (0, 3)]
    assert np.allclose(classifier.forward(X).sum(), 1)
    assert np.allclose(classifier.forward(sp.csr_array(X)), classifier.forward(X))
    value = classifier.loss(X, [1])
    assert value == pytest.approx(-np.log(classifier.forward(X)[0, 1]), rel=1e-14)


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "bsr"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_sparse_agrees_with_dense(
    form: str, dtype: type, rng: np.random.Generator
) -> None:
    net = Network(
        [6, 5, 2],
        "relu",
        loss="squared_error",
        output_activation="identity",
        dtype=dtype,
        random_state=0,
    )
    X = rng.normal(size=(8, 6)) * (rng.random((8, 6)) < 0.3)
    X[2] = 0
    Y = rng.normal(size=(8, 2))
    w = rng.uniform(0, 2, 8)
    given = sp.coo_array(X).asformat(form)
    tolerance = 1e-14 if dtype == np.float64 else 2e-6
    close = {"rtol": tolerance, "atol": tolerance}
    assert np.allclose(net.forward(given), net.forward(X), **close)
    got = net.loss_and_gradient(given, Y, w, input_gradient=True)
    want = net.loss_and_gradient(X, Y, w, input_gradient=True)
    assert np.allclose(got[0], want[0], **close)
    for a, b in zip(
        [*got[1].coefs, *got[1].intercepts, got[1].input],
        [*want[1].coefs, *want[1].intercepts, want[1].input],
        strict=True,
    ):
        assert np.allclose(a, b, **close)


def test_sparse_entries_may_repeat_and_stand_in_any_order(
    classifier: Network,
) -> None:
    """CSR that is not canonical: entries of one place add up."""
    X = sp.csr_array(
        (np.array([1.0, 2.0, 4.0, 8.0]), np.array([3, 0, 3, 5]), np.array([0, 3, 4])),
        shape=(2, 6),
    )
    assert not X.has_canonical_format
    dense = [[2.0, 0, 0, 5.0, 0, 0], [0, 0, 0, 0, 0, 8.0]]
    assert np.allclose(classifier.forward(X), classifier.forward(dense), rtol=1e-14)


def test_many_sparse_features_are_never_dense(rng: np.random.Generator) -> None:
    n, p = 2000, 100_000  # 1.6 GB if it were dense
    indices, indptr = rng.integers(0, p, 10 * n), np.arange(0, 10 * n + 1, 10)
    X = sp.csr_array((rng.normal(size=10 * n), indices, indptr), shape=(n, p))
    net = Network(
        [p, 2, 1],
        "relu",
        loss="squared_error",
        output_activation="identity",
        random_state=0,
    )
    y = rng.normal(size=n)
    tracemalloc.start()
    try:
        A = net.forward(X)
        value, gradient = net.loss_and_gradient(X, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8e6  # a gradient of 1.6 MB, and blocks of rows
    rows = [0, 700, 1999]
    assert np.allclose(A[rows], net.forward(X[rows].toarray()), rtol=1e-12)
    assert value == pytest.approx(np.mean((A[:, 0] - y) ** 2) / 2, rel=1e-12)
    used = np.unique(X.indices)
    assert np.all(np.delete(gradient.coefs[0], used, axis=0) == 0)
    assert np.any(gradient.coefs[0] != 0)


# Blocks of rows


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("loss", ["squared_error", "categorical_cross_entropy"])
def test_blocks_of_rows(loss: str, sparse: bool, rng: np.random.Generator) -> None:
    n, classes = 4100, loss == "categorical_cross_entropy"
    net = Network(
        [3, 2, 3],
        "tanh",
        loss=loss,
        output_activation="softmax" if classes else "identity",
        random_state=0,
    )
    assert block_rows(net._topology, np.float64, sparse) < n
    dense = rng.normal(size=(n, 3))
    X = sp.csr_array(dense) if sparse else dense
    Y = rng.integers(0, 3, n) if classes else rng.normal(size=(n, 3))
    w = rng.uniform(0, 2, n)
    alone = [net.forward(dense[i : i + 1]) for i in range(n)]
    assert np.allclose(net.forward(X), np.concatenate(alone), rtol=1e-13, atol=1e-15)
    losses = [net.loss(dense[i : i + 1], Y[i : i + 1]) for i in range(n)]
    assert net.loss(X, Y, w) == pytest.approx(np.average(losses, weights=w), rel=1e-12)
    # Gradients add up over blocks, and dL/dX has every row.
    value, gradient = net.loss_and_gradient(X, Y, w, input_gradient=True)
    want = reference.loss_and_gradient(
        net.coefs_,
        net.intercepts_,
        dense,
        np.eye(3)[Y] if classes else Y,
        [*net.activations, net.output_activation],
        loss,
        w,
    )
    assert value == pytest.approx(want[0], rel=1e-12)
    for got, exact in zip(
        [*gradient.coefs, *gradient.intercepts, gradient.input],
        [*want[1], *want[2], want[3]],
        strict=True,
    ):
        assert np.linalg.norm(got - exact) < 1e-12 * np.linalg.norm(exact)


def test_wide_network_has_small_blocks(rng: np.random.Generator) -> None:
    """A wide layer leads to shorter blocks, with the same predictions."""
    net = Network(
        [2, 3000, 1],
        "relu",
        loss="squared_error",
        output_activation="identity",
        random_state=0,
    )
    size = block_rows(net._topology, np.float64, False)
    assert size == 256
    X = rng.normal(size=(2 * size + 1, 2))
    want = reference.forward(X, net.coefs_, net.intercepts_, ["relu", "identity"])[1][1]
    assert np.allclose(net.forward(X), want, rtol=1e-11, atol=1e-12)
