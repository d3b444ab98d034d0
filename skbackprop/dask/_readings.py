"""Partitions read for training: kept by workers, or read whenever they train."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ._cluster import Cluster, Sealed
from ._collections import Source


class Prepared(NamedTuple):
    """A partition of the fit, by its number among those of the user."""

    number: int
    #: Submits a function of the ``Partition`` and of other arguments.
    submit: Callable[..., Any]


class Unread(NamedTuple):
    """A partition of the user, and the function that makes a ``Partition`` of it.

    That is of a reading, of the number and of X, y and weights; its result is None
    where there are no rows.
    """

    prepare: Callable[..., Any]
    number: int
    source: Source


def from_source(
    how: Sealed, reading: Any, number: int, X: Any, y: Any, w: Any, *args: Any
) -> Any:
    """A function of a partition that is read for it, and not kept."""
    prepare, function = how.value
    return function(prepare(reading, number, X, y, w), *args)


def read_alike(
    cluster: Cluster,
    reading: Any,
    unread: Sequence[Unread],
    kept: bool,
    look: Callable[..., Any],
    *args: Any,
) -> tuple[list[Prepared], list[Any]]:
    """Partitions that have rows, and what ``look`` says of each.

    Parameters
    ----------
    cluster : Cluster
    reading : dataclass
        How they are read; its ``exponent`` is of the power of two that weights are
        over, None for what suits each partition.
    unread : sequence of Unread
    kept : bool
        Whether workers keep them from round to round.
    look : callable
        Of a Partition, its number and ``args``; what it says has the ``exponent`` of
        the partition, or None of one without weights.
    """
    shared = cluster.constant(reading)
    partitions = [_prepared(cluster, shared, kept, each) for each in unread]
    found = cluster.results(
        [each.submit(seen, look, each.number, *args) for each in partitions]
    )
    exponents = {each.exponent for each in found if each is not None} - {None}
    if len(exponents) > 1:  # the heaviest row is in one of them
        reading = replace(reading, exponent=max(exponents))
        return read_alike(cluster, reading, unread, kept, look, *args)
    pairs = zip(partitions, found, strict=True)
    partitions = [each for each, said in pairs if said is not None]
    return partitions, [said for said in found if said is not None]


def seen(partition: Any, look: Callable[..., Any], *args: Any) -> Any:
    """What ``look`` says of a partition; None of one without rows."""
    return None if partition is None else look(partition, *args)


def _prepared(cluster: Cluster, reading: Any, kept: bool, unread: Unread) -> Prepared:
    prepare, number, source = unread
    if kept:
        future = cluster.of_sources(prepare, reading, number, *source)
        return Prepared(
            number, lambda function, *args: cluster.submit(function, future, *args)
        )
    return Prepared(
        number,
        lambda function, *args: cluster.of_sources(
            from_source,
            Sealed((prepare, function)),
            reading,
            number,
            *source,
            *args,
        ),
    )
