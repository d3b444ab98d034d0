"""An ensemble: which rows train and which validate each member, and their training."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._checkpoint import Session
from .._evaluation import predict
from .._inputs import Targets
from .._layers import Array
from .._observers import Epoch, Observer, Watch, together
from .._snapshot import working_copy
from .._state import Ending, State
from .._threads import Cancellation, run_in_threads
from .._validation import Scoring
from ..core.topology import Topology
from ._folds import Part
from ._member import Member, diverged, new_state, train_member
from ._recipe import Recipe

if TYPE_CHECKING:
    from ..core.engine import Table


@dataclass
class Deadline(Observer):
    """When to stop: at a time, or because somebody has been interrupted."""

    seconds: float | None
    began: float = field(default_factory=time.perf_counter)
    cancelled: Cancellation = field(default_factory=Cancellation)

    def passed(self) -> float:
        return time.perf_counter() - self.began

    def is_over(self) -> bool:
        late = self.seconds is not None and self.passed() >= self.seconds
        return late or self.cancelled.is_set()

    def has_room(self, seconds: float) -> bool:
        """Whether something that took so long may be begun once more."""
        late = self.seconds is not None and self.passed() + seconds > self.seconds
        return not (late or self.cancelled.is_set())

    def epoch_ends(self, epoch: Epoch) -> bool:
        return self.is_over()


class Read(NamedTuple):
    """What a fit has made of its data."""

    topology: Topology
    recipe: Recipe
    targets: Targets
    #: Those that weigh anything.
    rows: Array
    scoring: Scoring


@dataclass(frozen=True)
class FittedAlone:
    """From parameters of a member to an estimator of that one alone."""

    #: It has learnt everything but parameters.
    estimator: Any
    topology: Topology

    def __call__(self, theta: Array) -> Any:
        alone = working_copy(self.estimator)
        alone._bag = (self.topology, [theta])
        return alone


@dataclass(frozen=True)
class Ensemble:
    """What the training of every member is given."""

    topology: Topology
    recipe: Recipe
    parts: list[Part]
    seeds: Array
    scoring: Scoring

    @property
    def table(self) -> Table:
        return self.scoring.given.table

    @property
    def by_loss(self) -> bool:
        return bool(self.scoring.estimator.scoring == "loss")

    def new_state(self, number: int) -> State:
        """A member before its first epoch."""
        return new_state(
            self.topology,
            self.recipe,
            self.table,
            self.parts[number].training(),
            self.seeds[number],
        )

    def train_member(
        self, number: int, observer: Observer, state: State | None = None
    ) -> Member:
        """Train a member, or go on with one."""
        part = self.parts[number]
        member = train_member(
            self.topology,
            self.recipe,
            self.table,
            part.training(),
            self.scoring.of(part.validating()),
            self.seeds[number],
            self.by_loss,
            Watch(observer, number, self.scoring.fitted),
            state,
        )
        if self.by_loss and not np.isfinite(member.scores).any():
            raise diverged(self.recipe)
        return member


def begun_of(ensemble: Ensemble, session: Session) -> dict[int, Member | State]:
    """The members that a checkpoint has, finished or half trained."""
    begun: dict[int, Member | State] = {}
    for number, saved in session.saved.items():
        if not 0 <= number < len(ensemble.parts):
            raise session.broken(f"there is no network {number}")
        if "result" in saved:
            try:
                begun[number] = Member.from_plain(saved["result"], ensemble.topology)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise session.broken(error) from None
        else:
            begun[number] = state = ensemble.new_state(number)
            session.restore(state, number)
    return begun


@dataclass
class Trained:
    """Members by their number, None for those that there was no time for."""

    members: list[Member | None]
    interrupted: bool = False


def train_ensemble(
    ensemble: Ensemble,
    n_threads: int,
    deadline: Deadline,
    observers: list[Observer],
    begun: Mapping[int, Member | State] | None = None,
) -> Trained:
    """Train every member, by several threads; ``begun`` are finished or half trained.

    A member is the same whoever trains it, and when. The first is always trained, for
    an epoch at least. An interrupt ends all that go on with the best epoch of each; it
    is raised again where there is none.
    """
    n_members, begun = len(ensemble.parts), begun or {}
    trained = Trained([None] * n_members)
    for number, known in begun.items():
        if isinstance(known, Member):
            trained.members[number] = known
    waiting = deque(n for n in range(n_members) if trained.members[n] is None)
    observer, watched = together([deadline, *observers]), together(observers)
    assert observer is not None

    def work(_: list[None]) -> None:
        took = 0.0
        while waiting and (deadline.has_room(took) or has_none()):
            try:
                number = waiting.popleft()
            except IndexError:  # another thread was faster
                return
            began, state = deadline.passed(), begun.get(number)
            if watched is not None:
                watched.member_begins(number)
            state = state.copy() if isinstance(state, State) else None
            member = ensemble.train_member(number, observer, state)
            took = deadline.passed() - began
            trained.members[number] = member
            if watched is not None and watched.member_ends(
                number, member.ending, member
            ):
                waiting.clear()
            if member.ending == Ending.INTERRUPTED:
                trained.interrupted = True
                deadline.cancelled.set()

    def has_none() -> bool:
        return not deadline.cancelled.is_set() and len(waiting) == n_members

    if watched is not None:
        watched.fit_begins(n_members)
    try:
        n_threads = min(n_threads, n_members)
        parts: list[list[None]] = [[None] for _ in range(n_threads)]
        run_in_threads(work, parts, deadline.cancelled)
    except KeyboardInterrupt:
        if not any(trained.members):
            raise
        trained.interrupted = True
    finally:
        if watched is not None:
            watched.fit_ends()
    return trained


#: Work of predictions after an interrupt, in FLOP: to be answered soon.
_FEW_FLOP = 1e9


class Validated(NamedTuple):
    """Out-of-fold logits, with targets and weights."""

    logits: Array
    targets: Targets
    weights: Array | None


def validated_by(
    topology: Topology, ensemble: Ensemble, trained: Trained, targets: Targets
) -> Validated:
    """What each member says of the rows that it has not been trained on.

    After an interrupt of few of them, from the first to the last: rows may be sorted.
    """
    table = ensemble.scoring.source.table
    members = [member for member in trained.members if member is not None]
    each = 2 * sum(len(member.theta) for member in members)
    few = max(10, int(_FEW_FLOP / each)) if trained.interrupted else None
    logits, rows = [], []
    for part, member in zip(ensemble.parts, trained.members, strict=True):
        if member is not None:
            held = part.validating()
            if few is not None:
                held = held[:: len(held) // few + 1].copy()
            rows.append(held)
            logits.append(predict(topology, member.theta, table, rows=held, raw=True))
    every = np.concatenate(rows)
    seen = replace(
        targets,
        Y=table.Y[every] if targets.labels is None else None,
        labels=None if targets.labels is None else table.labels[every],
        stratify=None,
    )
    w = table.sample_weight[every] if len(table.sample_weight) else None
    return Validated(np.concatenate(logits), seen, w)
