"""Checked data: targets as numbers, weights, and the table of both with X."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import check_array, column_or_1d

from ._layers import Array
from ._table import Table, make_table, scale_weights


@dataclass(frozen=True)
class Targets:
    """y as the engine reads it, and what it says about the network."""

    Y: Array | None
    labels: Array | None
    loss: str
    output_activation: str
    n_outputs: int
    #: Labels of one binary or a single column, for a stratified validation split.
    stratify: Array | None


def as_column(y: Any) -> Any:
    """A single column as a vector, with scikit-learn's warning."""
    if y.ndim == 2 and y.shape[1] == 1:
        return column_or_1d(y, warn=True)
    return y


def table_of(X: Any, targets: Targets, weights: Array | None) -> Table:
    return make_table(
        X,
        Y=targets.Y,
        labels=targets.labels,
        sample_weight=weights,
        dtype=X.dtype,
    )


def checked_weights(name: str, weights: Any, X: Any) -> tuple[Array | None, int]:
    """Weights of the rows of X: finite, not negative, not all zero; scaled.

    They come over a power of two, and its exponent with them.
    """
    if weights is None:
        return None, 0
    n = X.shape[0]
    if np.isscalar(weights):
        weights = np.full(n, weights)
    with np.errstate(over="ignore"):
        weights = check_array(
            weights, ensure_2d=False, dtype=np.float64, order="C", input_name=name
        )
    if weights.ndim != 1:
        raise ValueError(
            f"Sample weights must be 1D array or scalar, got {weights.ndim}D array. "
            f"Expected either a scalar value or a 1D array of length {n}."
        )
    if weights.shape != (n,):
        raise ValueError(f"{name}.shape == {weights.shape}, expected {(n,)}!")
    if np.any(weights < 0):
        raise ValueError(f"Negative values in data passed to `{name}`.")
    if not np.any(weights):
        raise ValueError("Sample weights must contain at least one non-zero number.")
    weights, exponent = scale_weights(weights)
    with np.errstate(under="ignore"):
        return weights.astype(X.dtype, copy=False), exponent


def as_given(weights: Array, exponent: int) -> Array:
    """Scaled weights as a scorer of the user's expects them.

    Of sizes that its sums might not bear it gets the scaled ones.
    """
    return np.ldexp(weights, exponent) if abs(exponent) <= 60 else weights
