"""The shapes on which speed and memory are measured, and data for them."""

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class Shape:
    """A data set's size, the network trained on it and the mini-batch."""

    rows: int
    features: int
    hidden: tuple[int, ...]
    classes: int
    batch: int


SHAPES = {
    "tiny": Shape(10_000, 20, (32,), 2, 32),
    "small": Shape(20_000, 20, (100,), 2, 200),
    "medium": Shape(50_000, 54, (128, 128), 7, 256),
    "wide": Shape(10_000, 784, (512, 512), 10, 256),
    "huge": Shape(5_000, 1_000, (2_048, 2_048), 10, 1_024),
}

SPARSE = Shape(20_000, 5_000, (100,), 2, 200)
LONG = Shape(1_000_000, 50, (100,), 2, 200)


def steps(shape: Shape) -> int:
    """Return the mini-batches of an epoch, the smaller last one included."""
    return -(-shape.rows // shape.batch)


def flop_per_step(shape: Shape) -> float:
    """Return 6 n sum(fan_in fan_out) - 2 n (fan_in fan_out of the first layer).

    The first layer needs no gradient of its input. n is the mean batch of an
    epoch, and two classes need one output: what is counted is what is done.
    """
    outputs = 1 if shape.classes == 2 else shape.classes
    sizes = (shape.features, *shape.hidden, outputs)
    products = [a * b for a, b in itertools.pairwise(sizes)]
    return shape.rows / steps(shape) * (6 * sum(products) - 2 * products[0])


def make_data(shape: Shape, dtype: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return X (rows, features) and labels y (rows,) that X explains in part.

    Labels that are pure noise would let units die and moments decay into
    subnormal numbers, and then the clock measures those.
    """
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((shape.rows, shape.features), dtype=np.dtype(dtype))
    teacher = rng.standard_normal((shape.features, shape.classes), dtype=X.dtype)
    scores = X @ teacher
    scores += rng.standard_normal(scores.shape, dtype=X.dtype)
    return X, scores.argmax(axis=1)


def make_sparse_data(
    shape: Shape, density: float, dtype: str, seed: int
) -> tuple[csr_matrix, np.ndarray]:
    """Return X with about `density` non-zero elements in each row, and labels y."""
    rng = np.random.default_rng(seed)
    each = round(density * shape.features)
    columns = rng.integers(shape.features, size=(shape.rows, each), dtype=np.int32)
    values = rng.standard_normal(columns.size, dtype=np.dtype(dtype))
    starts = np.arange(0, columns.size + 1, each, dtype=np.int32)
    size = (shape.rows, shape.features)
    X = csr_matrix((values, columns.ravel(), starts), shape=size)
    X.sum_duplicates()
    teacher = rng.standard_normal((shape.features, shape.classes), dtype=X.dtype)
    return X, (X @ teacher).argmax(axis=1)
