"""Targets of a regression in units of their standard deviation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

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


class Spread(NamedTuple):
    """How numbers of some rows are spread, column by column."""

    #: Of the rows: the sum of their weights, over two to the power of ``exponent``.
    weight: float
    exponent: int
    mean: Array
    #: The standard deviation.
    deviation: Array
    low: Array
    high: Array

    @classmethod
    def of(cls, Y: Array, weights: Array | None, exponent: int = 0) -> Spread:
        """Of rows that weigh anything, shape (n, q)."""
        shrink = _shrink(Y)
        low, high = Y.min(axis=0), Y.max(axis=0)
        total = float(len(Y) if weights is None else weights.sum(dtype=np.float64))
        Y = Y * shrink
        mean = np.average(Y, axis=0, weights=weights)
        size = np.abs(Y - mean).max(axis=0)
        size = np.where(size > 0, size, 1.0)
        spread = np.average(((Y - mean) / size) ** 2, axis=0, weights=weights)
        deviation = size * np.sqrt(spread) / shrink
        return cls(total, exponent, mean / shrink, deviation, low, high)

    @classmethod
    def merged(cls, spreads: Sequence[Spread]) -> Spread:
        """Of the rows of all of them (Chan, Golub and LeVeque, 1983)."""
        exponent = max(each.exponent for each in spreads)
        weights = [np.ldexp(each.weight, each.exponent - exponent) for each in spreads]
        means = np.stack([each.mean for each in spreads])
        low = np.min([each.low for each in spreads], axis=0)
        high = np.max([each.high for each in spreads], axis=0)
        shrink = _shrink(np.stack([low, high]))
        means = means * shrink
        mean = np.average(means, axis=0, weights=weights)
        parts = [[each.deviation * shrink for each in spreads], means - mean]
        size = np.abs(parts).max(axis=(0, 1))
        size = np.where(size > 0, size, 1.0)
        squares = ((np.stack(parts) / size) ** 2).sum(axis=0)
        deviation = size * np.sqrt(np.average(squares, axis=0, weights=weights))
        total = float(np.sum(weights))
        return cls(total, exponent, mean / shrink, deviation / shrink, low, high)

    @property
    def scale(self) -> Array:
        """The standard deviation; 1 for a column of a single value."""
        several = (self.low < self.high) & (self.deviation > 0)
        return np.where(several, self.deviation, 1.0)


def _shrink(Y: Array) -> float:
    """A power of two, exact, for numbers whose sums and differences would overflow."""
    return 2.0**-64 if np.abs(Y).max(initial=0.0) > 2.0**900 else 1.0
