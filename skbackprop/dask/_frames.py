"""Frames in partitions: what all of them together are, and each as the engine reads it.

Two passes over the partitions: one says what columns and targets they have, in short;
the other encodes them, by what has been learnt of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from dask.sizeof import sizeof

from .._evaluation import scale_weights
from .._features import as_numpy
from .._layers import Array
from .._targets import Numbers, TargetKind, levels_of
from ..core.topology import Topology
from ..tabular._folds import fold_numbers
from ..tabular._initialization import TargetTotals
from ..tabular._scaling import Spread
from ..tabular._sketches import Sketch
from ..tabular._summaries import Summary, merged, summarize
from ._partitions import Partition
from ._rounds import stream
from ._survey import Survey, in_order, named, rows_that_weigh

#: The most values of a column of targets, of which quantiles are asked.
_MOST_TARGETS = 1024


def size_of(X: Any) -> int:
    """Bytes of a partition as it comes."""
    return int(sizeof(X))


def _rows(X: Any, y: Any, w: Any, suffix: str) -> tuple[Any, Any, Any]:
    """Rows that weigh anything, as arrays of NumPy but for frames."""
    X, y, w = rows_that_weigh(X, y, w, suffix)
    names = f"X{suffix}", f"y{suffix}", "sample_weight"
    return tuple(as_numpy(*each) for each in zip((X, y, w), names, strict=True))


# What all partitions together are --------------------------------------------


class Look(NamedTuple):
    """A partition in short, or several together."""

    #: None where no row weighs anything.
    summary: Summary | None
    #: Of y, one for each partition.
    surveys: list[Survey | None]
    #: How numbers are spread, one for each partition that has some.
    spreads: list[Spread]


def look(estimator: Any, number: int, X: Any, y: Any, w: Any) -> Look:
    """A partition in short."""
    X, y, w = named(f"{number}", _rows, X, y, w, "")
    if len(y) == 0:
        return Look(None, [None], [])
    summary = summarize(X, estimator._new_encoder(), number)
    return named(f"{number}", _look, estimator, summary, y, w)


def _look(estimator: Any, summary: Summary | None, y: Any, w: Any) -> Look:
    y, *weights = estimator._checked(y, w, np.empty((len(y), 0), np.float32))
    learnt = estimator._learn(y, *weights)
    kind, spreads = learnt, []
    if isinstance(learnt, Spread):
        kind, spreads = Numbers(estimator.loss, levels_of(estimator.quantile)), [learnt]
        each = len(kind.levels) if kind.loss == "quantile" else 1
        counts = np.zeros(len(learnt.mean) * each)
    elif learnt.multilabel:
        ones = np.asarray((y > 0).sum(axis=0)).ravel()
        counts = np.concatenate([y.shape[0] - ones, ones])
    else:
        counts = np.unique(y, return_counts=True)[1]
    survey = Survey(y.shape[0], 0, None, np.dtype(np.float32), kind, counts, 0)
    return Look(summary, [survey], spreads)


def looks_together(looks: Sequence[Look]) -> Look:
    """Several partitions, in their order."""
    summaries = [each.summary for each in looks if each.summary is not None]
    surveys = [survey for each in looks for survey in each.surveys]
    spreads = [spread for each in looks for spread in each.spreads]
    return Look(merged(summaries) if summaries else None, surveys, spreads)


# A partition as the engine reads it ------------------------------------------


@dataclass(frozen=True)
class Dealing:
    """Which rows of a partition are held out, for which members."""

    n_folds: int
    n_repeats: int
    seed: int
    #: Whether rows that validate were given: then all others train every member.
    validates: bool

    @property
    def n_members(self) -> int:
        return self.n_folds * self.n_repeats


@dataclass(frozen=True)
class FrameReading:
    """How every partition is read, once all of them are known."""

    #: The local twin, which has learnt the columns, the bins and the targets.
    estimator: Any
    kind: TargetKind
    names: list[Any] | None
    dealing: Dealing
    #: Weights come over two to this power; None: over what suits the partition.
    exponent: int | None = None


def encoded(
    reading: FrameReading, number: int, X: Any, y: Any, w: Any
) -> Partition | None:
    """A partition of rows that train; None where it has none."""
    return named(f"{number}", _encoded, reading, number, "", X, y, w)


def encoded_to_validate(
    reading: FrameReading, number: int, X: Any, y: Any, w: Any
) -> Partition | None:
    """A partition of X_val and y_val: all of its rows are held out."""
    return named(f"{number} of X_val", _encoded, reading, number, "_val", X, y, w)


def _encoded(
    reading: FrameReading, number: int, suffix: str, X: Any, y: Any, w: Any
) -> Partition | None:
    X, y, w = _rows(X, y, w, suffix)
    if len(y) == 0:
        return None
    estimator, kind, dealing = reading.estimator, reading.kind, reading.dealing
    matrix = estimator._matrix(in_order(X, reading.names), f"X{suffix}")
    y, *weights = estimator._checked(y, w, matrix)
    kind.check(y)
    _, targets, weights, exponent = estimator._encoded(kind, y, *weights)
    if weights is not None and reading.exponent is not None:
        weights, exponent = scale_weights(weights, exponent, reading.exponent)
    n, n_folds, folds = len(matrix), dealing.n_folds, None
    if suffix:
        n_folds, folds = 1, np.zeros((n, dealing.n_members), np.int32)
    elif not dealing.validates and n_folds > 1:
        strata = estimator._strata(targets, np.arange(n))
        folds = np.stack(
            [_folds(dealing, number, k, n, strata) for k in range(dealing.n_repeats)],
            axis=1,
        )
    return Partition(
        matrix,
        targets.Y,
        targets.labels,
        weights,
        folds,
        n_folds,
        exponent=exponent,
        validates_itself=not dealing.validates and n_folds == 1,
    )


def _folds(
    dealing: Dealing, number: int, repeat: int, n: int, strata: Array | None
) -> Array:
    """A fold for every row; small partitions do not all begin with the same one."""
    drawn = stream(dealing.seed, number, repeat)
    first = drawn.randint(dealing.n_folds)
    return (fold_numbers(n, dealing.n_folds, strata, drawn) + first) % dealing.n_folds


# What training begins with ---------------------------------------------------


class Beginning(NamedTuple):
    """What a partition has to say before the first round."""

    #: None of a partition without weights.
    exponent: int | None
    #: For each member: of the rows that train it, and weights of those held out.
    totals: list[TargetTotals]
    held_out: list[float]
    #: Rows that first parameters are fitted to.
    sample: Array

    @property
    def n_rows(self) -> int:
        """Of the member that has most to train on."""
        return max(each.n_rows for each in self.totals)


def begins(
    partition: Partition,
    number: int,
    topology: Topology,
    dealing: Dealing,
    share: float,
) -> Beginning:
    """What a partition has to say before the first round.

    Parameters
    ----------
    partition : Partition
    number : int
    topology : Topology
    dealing : Dealing
    share : float
        Of the rows, what is to be in the sample.
    """
    table, totals, held_out = partition.table, [], []
    trains = False
    for member in range(dealing.n_members):
        rows, held = partition.rows(member)
        trains = trains or len(rows) > 0
        found = TargetTotals.of(topology, table, rows)
        few = [Sketch.of(each).compressed(_MOST_TARGETS) for each in found.columns]
        totals.append(found._replace(columns=few))
        held_out.append(table.weight_sum(held) if len(held) else 0.0)
    n = partition.n_rows
    count = min(n, int(np.ceil(share * n))) if trains else 0
    some = stream(dealing.seed, number).permutation(n)[:count]
    exponent = None if partition.sample_weight is None else partition.exponent
    return Beginning(exponent, totals, held_out, partition.X[some])


def together(beginnings: Sequence[Beginning]) -> Beginning:
    """Of all partitions."""
    totals = [
        TargetTotals.merged(each)
        for each in zip(*(b.totals for b in beginnings), strict=True)
    ]
    held_out = [
        sum(each) for each in zip(*(b.held_out for b in beginnings), strict=True)
    ]
    sample = np.concatenate([each.sample for each in beginnings])
    known = [each.exponent for each in beginnings if each.exponent is not None]
    return Beginning(max(known, default=None), totals, held_out, sample)
