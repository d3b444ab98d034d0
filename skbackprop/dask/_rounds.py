"""Rounds of local training: every partition goes on from the common parameters.

A round is a pure function of the common state and of the partitions, so that whoever
computes it gets the same bits. Partitions train apart for some passes over their rows;
then the mean of what they have changed, weighted by their rows, moves the common
parameters (local SGD, Stich 2019; the outer step is that of DiLoCo, Douillard et al.
2023).  (Y1) (Y2)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from .._evaluation import readable
from .._layers import Array
from .._settings import Settings, make_problem, make_state, weight_total
from .._state import State, WeightTotal
from .._training import Runs
from ..core.optimizers import n_slots
from ..core.shuffle import shuffle
from ..core.topology import Topology
from ._partitions import Partition
from ._scores import Measure


@dataclass(frozen=True)
class Method:
    """What every round of a fit is given."""

    topology: Topology
    settings: Settings
    measure: Measure
    #: Passes over the rows of a partition in a round.
    local_epochs: float
    #: Of the order of the rows and of the dropout masks, in every partition.
    seed: int
    #: Whether the mean of the optimiser's moments goes from round to round; else they
    #: begin at zero in each.
    keeps_moments: bool = True


class Common(NamedTuple):
    """What all partitions begin a round with, for one member."""

    member: int
    theta: Array
    #: Moments and the steps they are of; None where they begin at zero.
    moments: Array | None
    steps: int
    learning_rate: float
    #: Of all rows that train it; None where each partition is over its own.
    weights: WeightTotal | None = None


class Change(NamedTuple):
    """What a partition has made of the common state; or the mean over several."""

    #: Of the rows that trained.
    weight: float
    #: What the parameters have changed by, in their own type, or what they are after a
    #: cycle; None without such rows.
    theta: Array | None
    moments: Array | None
    #: Of the optimiser, the most of all partitions.
    steps: int
    #: Mean of the objective.
    loss: float
    #: Sums of the parameters that the round began with, over rows held out.
    score: Array
    finite: bool


def train_partition(
    partition: Partition,
    method: Method,
    number: int,
    round_: int,
    commons: list[Common],
) -> list[Change]:
    """One partition's part in a round, for each member that is still trained."""
    return [
        _train_member(method, partition, number, round_, common)
        for common in map(aligned, commons)
    ]


def score_partition(
    partition: Partition, method: Method, number: int, commons: list[Common]
) -> list[Change]:
    """The same without training: scores of rows that are held out."""
    changes = []
    for common in map(aligned, commons):
        _, held = partition.rows(common.member)
        score = method.measure.sums(
            method.topology, common.theta, partition.table, held
        )
        changes.append(_nothing(common, score))
    return changes


def aligned(common: Common) -> Common:
    """As the engine reads it: what came from elsewhere may lie anywhere in memory."""
    return common._replace(theta=readable("theta", common.theta, common.theta.dtype))


def _train_member(
    method: Method, partition: Partition, number: int, round_: int, common: Common
) -> Change:
    table = partition.table
    rows, held = partition.rows(common.member)
    score = method.measure.sums(method.topology, common.theta, table, held)
    weight = table.weight_sum(rows) if len(rows) else 0.0
    if not weight > 0:
        return _nothing(common, score)
    state, runs = begun(method, partition, number, round_, common)
    loss = runs.epoch()
    finite = bool(np.isfinite(loss)) and runs.is_finite()
    moments = None if common.moments is None else state.moments
    change = state.theta - common.theta
    return Change(weight, change, moments, state.optimizer.t, loss, score, finite)


def begun(
    method: Method, partition: Partition, number: int, round_: int, common: Common
) -> tuple[State, Runs]:
    """A training of the partition that goes on from the common state."""
    member = common.member
    rows, _ = partition.rows(member)
    # Whole batches: a step by the few rows that are left would count as much.
    batch_size = min(method.settings.batch_size, len(rows))
    steps = method.local_epochs * len(rows) / batch_size
    first, last = (int(steps * each) for each in (round_, round_ + 1))
    first, last = first * batch_size, max(last, first + 1) * batch_size
    settings = replace(method.settings, batch_size=batch_size)
    key = (method.seed, member, number)
    seed = int(stream(*key, round_, 1).randint(1, 2**31))  # of the dropout masks
    weights = common.weights
    if weights is None:  # what they are beside those of others is for the mean
        weights = weight_total(partition.table, rows, partition.exponent)
    problem = make_problem(settings, method.topology, weights, seed=seed)
    order = rows_of_stream(rows, key, first, last, problem.shuffle)
    state = make_state(settings, common.theta.copy(), stream(*key), order)
    state.optimizer.learning_rate = common.learning_rate
    state.optimizer.t = common.steps
    if common.moments is not None:
        state.moments[...] = common.moments
    runs = Runs(problem, state, partition.table)
    runs.plan(round_)
    return state, runs


def _nothing(common: Common, score: Array) -> Change:
    """Of a partition without rows that weigh anything: a score, and no arrays."""
    return Change(0.0, None, None, common.steps, 0.0, score, True)


def rows_of_stream(
    rows: Array, key: tuple[int, ...], first: int, last: int, shuffled: bool = True
) -> Array:
    """Rows ``first`` to ``last`` of an endless stream of passes, each in its order."""
    n, parts = len(rows), []
    for epoch in range(first // n, -(-last // n)):
        order = rows.astype(np.intp)
        if shuffled:
            shuffle(stream(*key, epoch), order)
        parts.append(order[max(0, first - epoch * n) : last - epoch * n])
    return np.concatenate(parts)


def stream(*key: int) -> np.random.RandomState:
    """A random stream that is known by numbers."""
    state = np.random.SeedSequence(key).generate_state(1)
    return np.random.RandomState(int(state[0]))


def averaged(changes: Sequence[list[Change]]) -> list[Change]:
    """The mean over several partitions, of every member.  (Y1)"""
    return [_averaged(of_member) for of_member in zip(*changes, strict=True)]


def _averaged(changes: Sequence[Change]) -> Change:
    weight, score = sum(each.weight for each in changes), changes[0].score
    for each in changes[1:]:
        score = score + each.score
    some = [each for each in changes if each.theta is not None]
    if not some:
        return changes[0]._replace(score=score)
    shares = [each.weight / weight for each in some]
    moments = [each.moments for each in some if each.moments is not None]
    return Change(
        weight,
        _mean([each.theta for each in some if each.theta is not None], shares),
        _mean(moments, shares) if moments else None,
        max(each.steps for each in some),
        sum(each.loss * share for each, share in zip(some, shares, strict=True)),
        score,
        all(each.finite for each in some),
    )


def _mean(arrays: Sequence[Array], shares: Sequence[float]) -> Array:
    """Summed in float64, in this order, in the type of the arrays."""
    total = np.zeros(arrays[0].shape)
    for array, share in zip(arrays, shares, strict=True):
        total += array * np.float64(share)
    return total.astype(arrays[0].dtype)


@dataclass
class Outer:
    """The outer step: what the mean change makes of the common parameters.  (Y2)

    v <- mu v + d, theta <- theta + eta (d + mu v), for the mean change d: Nesterov's
    momentum over rounds. mu = 0 and eta = 1 are the plain mean.
    """

    learning_rate: float
    momentum: float
    velocity: Array | None = None  # float64

    def step(self, theta: Array, change: Array) -> Array:
        """New parameters of the type of theta."""
        change = change.astype(np.float64)
        if self.momentum == 0:
            moved = self.learning_rate * change
        else:
            if self.velocity is None:
                self.velocity = np.zeros_like(change)
            self.velocity *= self.momentum
            self.velocity += change
            moved = self.learning_rate * (change + self.momentum * self.velocity)
        moved += theta
        return moved.astype(theta.dtype)


def zero_moments(method: Method, theta: Array) -> Array | None:
    """The moments of the first round, where they go from round to round."""
    if not method.keeps_moments:
        return None
    slots = n_slots(method.settings.solver)
    return np.zeros((slots, len(theta)), theta.dtype)
