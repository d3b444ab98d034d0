"""Numbers in short: distinct values with their counts, merged from partitions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .._layers import Array

#: The most values that a sketch of a partition keeps. Up to that many distinct ones,
#: such as whole numbers, amounts and ages, all are there. Beyond, 128 bins, the most by
#: default, have 64 of them each, and a column takes 128 kB of a message.
MOST_VALUES = 8192
#: Quantiles that are computed together; their number squared is computed.
_TOGETHER = 64


@dataclass(frozen=True)
class Sketch:
    """How many of some numbers are at most x, for any x; ``len`` is how many there are.

    Compressing it to ``most`` values moves no rank by more than ``n / (most - 1)`` of
    n rows, and merging adds the errors. So partitions that are merged at once are at
    most ``2 n / (most - 1)`` off, and each further level of merging adds a share as
    large. ``error`` is what it was at most, in rows; 0 where all values are there.
    """

    #: In increasing order, shape (k,).
    values: Array
    #: Rows of each of them, of int64, shape (k,).
    counts: Array
    error: int = 0

    @classmethod
    def of(cls, column: Array) -> Sketch:
        """All values of a column, shape (n,), but those that are not a number."""
        values = column[~np.isnan(column)]
        distinct, counts = np.unique(values, return_counts=True)
        return cls(distinct, counts.astype(np.int64))

    @classmethod
    def merged(cls, sketches: Sequence[Sketch], most: int = MOST_VALUES) -> Sketch:
        """One for all of them, of at most so many values."""
        values = np.concatenate([each.values for each in sketches])
        counts = np.concatenate([each.counts for each in sketches])
        order = np.argsort(values, kind="stable")
        values = values[order]
        starts = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
        if len(values):
            values, counts = values[starts], np.add.reduceat(counts[order], starts)
        error = sum(each.error for each in sketches)
        return cls(values, counts, error).compressed(most)

    def compressed(self, most: int = MOST_VALUES) -> Sketch:
        """At most so many values, the least and the largest among them.

        Each stands for those up to the next one, whose rows are counted as its own: the
        rank of a value that is kept may only be too large, by less than the rows of a
        share. What has more rows than that is kept.
        """
        if len(self.values) <= most:
            return self
        ends = np.cumsum(self.counts)
        share = (ends[:-1] - 1) * (most - 1) // ends[-1]
        starts = np.flatnonzero(np.diff(share, prepend=-1))
        lasts = np.append(starts[1:], len(share)) - 1
        moved = int((ends[lasts] - ends[starts]).max())
        starts = np.append(starts, len(share))  # the largest value, by itself
        counts = np.add.reduceat(self.counts, starts)
        return Sketch(self.values[starts], counts, self.error + moved)

    def __len__(self) -> int:
        return int(self.counts.sum())

    def __mul__(self, factor: float) -> Sketch:
        """Of the numbers times a positive factor."""
        return Sketch(self.values * factor, self.counts, self.error)

    def min(self) -> float:
        return self.values[0]

    def max(self) -> float:
        return self.values[-1]

    def quantiles(self, shares: Array) -> Array:
        """``np.quantile`` of the numbers, each value repeated as often as it is there.

        The two values that a quantile is between have the same one in between.
        """
        ends = np.cumsum(self.counts)
        place = (ends[-1] - 1) * shares
        below = np.floor(place)
        above = np.minimum(below + 1, ends[-1] - 1)
        sides = [np.searchsorted(ends, each, side="right") for each in (below, above)]
        pairs, between = self.values[np.stack(sides)], place - below
        found = [
            np.quantile(pairs[:, some], between[some], axis=0).diagonal()
            for some in _slices(len(place))
        ]
        return np.concatenate(found)


def _slices(n: int) -> Iterable[slice]:
    return (slice(start, start + _TOGETHER) for start in range(0, n, _TOGETHER))


def quantiles(numbers: Array | Sketch, shares: Array) -> Array:
    """Quantiles of numbers that are all here, or in short."""
    if isinstance(numbers, Sketch):
        return numbers.quantiles(shares)
    return np.quantile(numbers, shares)
