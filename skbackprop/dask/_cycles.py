"""Cyclic training: a member walks from partition to partition and trains on each.

Its parameters and moments go with it, so that it makes the steps of a fit on one
machine, whose rows are shuffled within partitions alone (cyclic weight transfer, Chang
et al. 2018). Members walk at the same time, each in its own order. A cycle is a pure
function of the members and of the partitions.  (Y3)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .._layers import Array
from ._cluster import Cluster
from ._loop import Joint
from ._partitions import Partition
from ._readings import Prepared
from ._rounds import Change, Common, Method, aligned, begun, stream


class Visit(NamedTuple):
    """A member on its way, after a partition."""

    common: Common
    #: Of the rows that have trained it in this cycle, and the sum of their objective.
    weight: float
    loss: float
    #: Sums of the parameters that the cycle began with, over rows held out.
    score: Array
    finite: bool

    def change(self) -> Change:
        """What the cycle has made of the member."""
        theta, moments = self.common.theta, self.common.moments
        loss = self.loss / self.weight
        steps = self.common.steps
        return Change(self.weight, theta, moments, steps, loss, self.score, self.finite)


def visit(
    partition: Partition,
    method: Method,
    number: int,
    cycle: int,
    starts: list[Common],
    place: int,
    before: Visit | None,
) -> Visit:
    """Train a member on a partition, and score what it began the cycle with.

    Parameters
    ----------
    partition, method, number
        As of ``train_partition``.
    cycle : int
    starts : list of Common
        What members began the cycle with.
    place : int
        That of the member among them.
    before : Visit or None
        After the last partition; None before the first.
    """
    start = aligned(starts[place])
    if before is None:
        before = Visit(start, 0.0, 0.0, method.measure.nothing(), True)
    rows, held = partition.rows(start.member)
    table = partition.table
    score = method.measure.sums(method.topology, start.theta, table, held)
    weight = table.weight_sum(rows) if len(rows) else 0.0
    if not weight > 0:
        return before._replace(score=before.score + score)
    state, runs = begun(method, partition, number, cycle, aligned(before.common))
    loss = runs.epoch()
    return Visit(
        before.common._replace(
            theta=state.theta, moments=state.moments, steps=state.optimizer.t
        ),
        before.weight + weight,
        before.loss + loss * weight,
        before.score + score,
        before.finite and bool(np.isfinite(loss)) and runs.is_finite(),
    )


def cycle(
    cluster: Cluster,
    method: Any,
    members: Sequence[Joint],
    partitions: Sequence[Prepared],
    number: int,
    seed: int,
) -> list[Change]:
    """What a visit of all partitions makes of members.  (Y3)

    Each begins elsewhere in the same order, so that partitions are visited by few at
    a time.
    """
    starts = cluster.constant([member.common() for member in members])
    order = stream(seed, number).permutation(len(partitions))
    ways: list[Any] = [None] * len(members)
    for step in range(len(order)):
        for place in range(len(members)):
            first = place * len(order) // len(members)
            partition = partitions[order[(first + step) % len(order)]]
            ways[place] = partition.submit(
                visit, method, partition.number, number, starts, place, ways[place]
            )
    found: list[Visit] = cluster.results(ways)
    return [each.change() for each in found]
