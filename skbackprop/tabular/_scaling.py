"""Targets of a regression in units of their standard deviation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._inputs import Targets
from .._layers import Array
from .._targets import Numbers


@dataclass(frozen=True)
class ScaledNumbers(Numbers):
    """Numbers of which the mean is taken, and which are divided by their scale."""

    mean: Array = 0.0
    scale: Array = 1.0

    def cast(self, y: Any) -> Array:
        """y as the numbers that its scale is computed with."""
        return y.astype(np.float64)

    def encode(self, y: Any, dtype: Any, name: str = "y") -> Targets:
        y = self.cast(y)
        Y = y[:, None] if y.ndim == 1 else y
        if Y.shape[1] != len(self.mean):
            raise ValueError(
                f"{name} must have {len(self.mean)} columns. Got {Y.shape[1]}."
            )
        mean, scale, shrink = self.mean, self.scale, _shrink(Y)
        with np.errstate(all="ignore"):  # what is not finite is refused
            Y = ((Y * shrink - mean * shrink) / (scale * shrink)).astype(np.float32)
        if not np.isfinite(Y).all():
            raise ValueError(
                f"{name} has a number that is too far from the others: over 1e38 times "
                "their standard deviation from their mean."
            )
        return super().encode(Y, dtype, name)


def mean_and_scale(Y: Array, weights: Array | None) -> tuple[Array, Array]:
    """Mean and standard deviation of every column; 1 for one of a single value."""
    shrink = _shrink(Y)
    Y = Y * shrink
    mean = np.average(Y, axis=0, weights=weights)
    size = np.abs(Y - mean).max(axis=0)
    size = np.where(size > 0, size, 1.0)
    spread = np.average(((Y - mean) / size) ** 2, axis=0, weights=weights)
    scale = size * np.sqrt(spread)
    return mean / shrink, np.where(scale > 0, scale / shrink, 1.0)


def _shrink(Y: Array) -> float:
    """A power of two, exact, for numbers whose sums and differences would overflow."""
    return 2.0**-64 if np.abs(Y).max(initial=0.0) > 2.0**900 else 1.0
