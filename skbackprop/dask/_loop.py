"""The loop over rounds: what the client does with what the partitions have made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._layers import Array
from .._observers import Watch
from .._state import Ending, Problem, State
from .._training import plateau
from ._cluster import Cluster
from ._readings import Prepared
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


@dataclass
class Joint:
    """A member between two rounds: what the partitions have in common."""

    number: int
    problem: Problem
    state: State
    #: None where a round gives parameters, and not what they have changed by.
    outer: Outer | None
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
        # A mean weighs partitions; a walk through them must weigh their rows.
        weights = None if self.outer is not None else self.problem.weights
        theta = self.state.theta
        return Common(self.number, theta, self.moments, steps, rate, weights)

    def take(self, change: Change, score: float | None) -> None:
        """A round has ended; ``score`` is of the parameters that it began with."""
        if self.pending is not None:
            self.scored(score)
            if self.ending is not None:
                return  # what this round has changed is not kept
        assert change.theta is not None  # there are rows that train
        theta = change.theta
        if self.outer is not None:
            theta = self.outer.step(self.state.theta, theta)
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
    one_round: Callable[..., list[Change]] | None = None,
) -> None:
    """Train members until each has an ending.

    ``one_round`` makes a change of each member, by ``averaged_round`` unless given.
    Where the cluster is lost, or the user interrupts, they stay at the last complete
    round.
    """
    shared = cluster.constant(method)
    try:
        for number in range(members[0].problem.max_iter):
            active = [each for each in members if each.ending is None]
            if not active:
                break
            changes = (one_round or averaged_round)(
                cluster, shared, active, partitions, number
            )
            for member, change in zip(active, changes, strict=True):
                score = method.measure.score(change.score) if validated else None
                member.take(change, score)
        unscored = [each for each in members if each.pending is not None]
        if unscored:
            scores = scores_of(cluster, method, _commons(unscored), partitions)
            for member, score in zip(unscored, scores, strict=True):
                member.scored(score)
    except KeyboardInterrupt:
        if not all(each.state.history.n_iter for each in members):
            raise
        for member in members:
            member.ending = member.ending or Ending.INTERRUPTED
    for member in members:
        member.ending = member.ending or Ending.EXHAUSTED


def averaged_round(
    cluster: Cluster,
    method: Any,
    members: Sequence[Joint],
    partitions: Sequence[Prepared],
    number: int,
) -> list[Change]:
    """Every partition trains all members, and the mean change is what counts.  (Y1)"""
    return _round(
        cluster, method, _commons(members), partitions, train_partition, number
    )


def scores_of(
    cluster: Cluster,
    method: Method,
    commons: list[Common],
    partitions: Sequence[Prepared],
) -> list[float]:
    """Scores of parameters on the rows that are held out for their members."""
    shared = cluster.constant(method)
    changes = _round(cluster, shared, commons, partitions, score_partition)
    return [method.measure.score(each.score) for each in changes]


def _commons(members: Sequence[Joint]) -> list[Common]:
    return [member.common() for member in members]


def _round(
    cluster: Cluster,
    method: Any,
    begin: list[Common],
    partitions: Sequence[Prepared],
    function: Callable[..., Any],
    *number: int,
) -> list[Change]:
    """What the partitions together make of the parameters they begin with."""
    commons = cluster.constant(begin)
    level = [
        each.submit(function, method, each.number, *number, commons)
        for each in partitions
    ]
    changes: list[Change] = cluster.result(by_tree(cluster, averaged, level))
    return changes


def by_tree(cluster: Cluster, function: Callable[..., Any], level: list[Any]) -> Any:
    """The future of what a function makes of many, a few at a time."""
    while True:
        level = [
            cluster.submit(function, level[start : start + FAN_IN])
            for start in range(0, len(level), FAN_IN)
        ]
        if len(level) == 1:
            return level[0]
