"""Columns of numbers in a matrix of float32: scaled, clipped, written in blocks."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .._layers import Array
from ._sketches import Sketch, quantiles

_LARGEST = float(np.finfo(np.float64).max)
#: The largest number that comes out of an encoder.
LARGEST_OUTPUT = float(np.finfo(np.float32).max)
#: The largest number that is smoothly clipped: the square of more would overflow.
LARGEST_RATIO = 1e150
#: Columns that are written together: half a cache line of float32 per row.
_GROUP = 8
_BLOCK = 8192
_QUARTILES = np.array([0.25, 0.5, 0.75])


def center_and_scale(present: Array | Sketch) -> tuple[float, float]:
    """Median and spread of finite numbers; a spread of 0 where they are all equal."""
    if len(present) == 0:
        return 0.0, 0.0
    lowest, highest = present.min(), present.max()
    # A power of two, exact, for numbers whose differences would overflow.
    shrink = 2.0**-4 if max(-lowest, highest) > 2.0**1000 else 1.0
    low, middle, high = quantiles(present * shrink, _QUARTILES)
    spread = high - low
    if spread == 0:
        spread = highest * shrink / 2 - lowest * shrink / 2
    if spread == 0 and highest > lowest:  # half of the smallest float there is
        spread = highest - lowest
    return float(middle / shrink), float(min(spread, _LARGEST * shrink) / shrink)


def shrink_of(scale: float) -> float:
    """A power of two, exact, for numbers whose differences would overflow."""
    return 2.0**-4 if scale > 2.0**900 else 1.0


def scaled(x: Array, center: float, scale: float, clip: float | None) -> Array:
    """(x - center) / scale in float32, smoothly clipped."""
    shrink = shrink_of(scale)
    with np.errstate(over="ignore"):  # infinity is clipped
        if shrink < 1:
            x = x * shrink
        z = x - center * shrink
        z /= scale * shrink
        if clip is not None:
            z /= clip
            np.clip(z, -LARGEST_RATIO, LARGEST_RATIO, out=z)
            z /= np.sqrt(1 + z * z)
            z *= clip
    np.clip(z, -LARGEST_OUTPUT, LARGEST_OUTPUT, out=z)
    return z.astype(np.float32)


def write_columns(out: Array, columns: Iterable[tuple[int, Array]]) -> None:
    """Columns into rows, so many at a time that each row is visited seldom."""
    places: list[int] = []
    held: list[Array] = []

    def flush() -> None:
        for start in range(0, len(out) if held else 0, _BLOCK):
            rows = slice(start, start + _BLOCK)
            out[rows, places] = np.stack([column[rows] for column in held], axis=1)
        places.clear()
        held.clear()

    for place, column in columns:
        places.append(place)
        held.append(column)
        if len(held) == _GROUP:
            flush()
    flush()
