"""The loop over rounds: partitions train apart, the client takes the outer step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .._layers import Array
from .._observers import Watch
from .._state import Ending, Problem, State
from .._training import plateau
from ._cluster import Cluster
from ._rounds import (
    Change,
    Common,
    Method,
    Outer,
    averaged,
    score_partition,
    train_partition,
)

#: Changes that one task averages: more are averaged by a tree.
FAN_IN = 16


class Prepared(NamedTuple):
    """A partition of the fit, by its number among those of the user."""

    number: int
    #: Submits a function of the ``Partition`` and of other arguments.
    submit: Callable[..., Any]


@dataclass
class Joint:
    """A member between two rounds: what the partitions have in common."""

    number: int
    problem: Problem
    state: State
    outer: Outer
    #: The mean of the optimiser's, of all partitions; None: they begin at zero.
    moments: Array | None = None
    watch: Watch | None = None
    ending: Ending | None = None
    #: The mean objective of a round whose score is not known yet.
    pending: float | None = None

    def common(self) -> Common:
        """What the next round begins with."""
        optimizer = self.state.optimizer
        steps = 0 if self.moments is None else optimizer.t
        rate = optimizer.learning_rate
        return Common(self.number, self.state.theta, self.moments, steps, rate)

    def take(self, change: Change, score: float | None) -> None:
        """A round has ended; ``score`` is of the parameters that it began with."""
        if self.pending is not None:
            self.scored(score)
            if self.ending is not None:
                return  # what this round has changed is not kept
        assert change.theta is not None  # there are rows that train
        theta = self.outer.step(self.state.theta, change.theta)
        if not (change.finite and np.isfinite(change.loss) and _finite(theta)):
            self.ending = Ending.DIVERGED
            return
        self.state.theta = theta
        if self.moments is not None:
            self.moments, self.state.optimizer.t = change.moments, change.steps
        if self.watch is not None:
            self.watch.begins(self.state.history.n_iter + 1)
        self.pending = change.loss
        if score is None:
            self.scored(None)

    def scored(self, score: float | None) -> None:
        """The round whose score was not known is complete."""
        assert self.pending is not None
        state, history = self.state, self.state.history
        loss, self.pending = self.pending, None
        history.n_iter += 1
        history.t += len(state.order)
        is_best = history.improved(loss, score, self.problem.tol)
        message, converged = plateau(self.problem, history, score is not None)
        rate = self.problem.schedule.rate(history.t, history.reductions)
        state.optimizer.learning_rate = rate
        if is_best and score is not None:
            state.best = state.snapshot(False)
        if self.watch is not None and self.watch.ends(state, score, message):
            self.ending = Ending.STOPPED
        elif converged:
            self.ending = Ending.CONVERGED


def _finite(theta: Array) -> bool:
    return bool(np.isfinite(theta).all())


def train_rounds(
    cluster: Cluster,
    method: Method,
    members: Sequence[Joint],
    partitions: Sequence[Prepared],
    validated: bool,
) -> None:
    """Train members until each has an ending.

    Where the cluster is lost, or the user interrupts, they stay at the last complete
    round.
    """
    shared = cluster.constant(method)
    try:
        for number in range(members[0].problem.max_iter):
            active = [each for each in members if each.ending is None]
            if not active:
                break
            changes = _round(
                cluster, shared, active, partitions, train_partition, number
            )
            for member, change in zip(active, changes, strict=True):
                score = method.measure.score(change.score) if validated else None
                member.take(change, score)
        unscored = [each for each in members if each.pending is not None]
        if unscored:
            changes = _round(cluster, shared, unscored, partitions, score_partition)
            for member, change in zip(unscored, changes, strict=True):
                member.scored(method.measure.score(change.score))
    except KeyboardInterrupt:
        if not all(each.state.history.n_iter for each in members):
            raise
        for member in members:
            member.ending = member.ending or Ending.INTERRUPTED
    for member in members:
        member.ending = member.ending or Ending.EXHAUSTED


def _round(
    cluster: Cluster,
    method: Any,
    members: Sequence[Joint],
    partitions: Sequence[Prepared],
    function: Callable[..., Any],
    *number: int,
) -> list[Change]:
    """What the partitions together make of the members' parameters."""
    commons = cluster.constant([member.common() for member in members])
    level = [
        each.submit(function, method, each.number, *number, commons)
        for each in partitions
    ]
    while True:
        level = [
            cluster.submit(averaged, level[start : start + FAN_IN])
            for start in range(0, len(level), FAN_IN)
        ]
        if len(level) == 1:
            changes: list[Change] = cluster.result(level[0])
            return changes
