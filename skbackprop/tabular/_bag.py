"""A bag of networks: which rows train and which validate each, and their training."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .._layers import Array
from .._threads import each
from ._member import Member, was_interrupted


def fold_numbers(
    n_rows: int,
    n_folds: int,
    strata: Array | None,
    random_state: np.random.RandomState,
) -> Array:
    """A fold for every row, of about as many rows each, and of each stratum.

    Rows are dealt out like cards, stratum by stratum.
    """
    order = random_state.permutation(n_rows)
    if strata is not None:
        order = order[np.argsort(strata[order], kind="stable")]
    folds = np.empty(n_rows, dtype=np.int32)
    folds[order] = np.arange(n_rows) % n_folds
    return folds


@dataclass
class Clock:
    """When to stop: at a time, or because somebody has been interrupted."""

    seconds: float | None
    began: float = field(default_factory=time.perf_counter)
    stopped: list[bool] = field(default_factory=list)

    def passed(self) -> float:
        return time.perf_counter() - self.began

    def is_over(self) -> bool:
        late = self.seconds is not None and self.passed() >= self.seconds
        return late or bool(self.stopped)

    def has_room(self, seconds: float) -> bool:
        """Whether something that took so long may be begun once more."""
        late = self.seconds is not None and self.passed() + seconds > self.seconds
        return not (late or self.stopped)


@dataclass
class Trained:
    """Members by their number, None for those that there was no time for."""

    members: list[Member | None]
    interrupted: bool = False


def train_bag(
    train_one: Callable[[int, Callable[[], bool]], Member],
    n_members: int,
    n_threads: int,
    clock: Clock,
    report: Callable[[int, Member], None],
) -> Trained:
    """``train_one(number, stop)`` for every member, by several threads.

    A member is the same whoever trains it, and when. The first is always trained, for
    an epoch at least. An interrupt ends all that go on with the best epoch of each; it
    is raised again where there is none.
    """
    trained = Trained([None] * n_members)
    waiting = deque(range(n_members))

    def work(_: list[None]) -> None:
        took = 0.0
        while waiting and (clock.has_room(took) or trained_none()):
            try:
                number = waiting.popleft()
            except IndexError:  # another thread was faster
                return
            began = clock.passed()
            member = train_one(number, clock.is_over)
            took = clock.passed() - began
            trained.members[number] = member
            report(number, member)
            if was_interrupted(member):
                trained.interrupted = True
                clock.stopped.append(True)

    def trained_none() -> bool:
        return not clock.stopped and len(waiting) == n_members

    try:
        n_threads = min(n_threads, n_members)
        each(work, [[None] for _ in range(n_threads)], clock.stopped)
    except KeyboardInterrupt:
        if not any(trained.members):
            raise
        trained.interrupted = True
    return trained
