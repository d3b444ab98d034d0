"""Who watches a training: told of the fit, of its members and of their epochs.

A member is one network: there is one in a fit of ``BackpropMLP*``, several in an
ensemble. Members of an ensemble may be trained by several threads at once, and an
observer is then called by each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ._layers import Array
from ._state import Ending, State


class Epoch:
    """A complete epoch: numbers, and more of it on request.

    Attributes
    ----------
    member, number : int
        Counted from 0 and from 1.
    loss : float
    score : float or None
        Of the rows that validate.
    message : str or None
        Where a plateau was met.
    """

    __slots__ = ("_fitted", "_state", "loss", "member", "message", "number", "score")

    def __init__(
        self,
        member: int,
        state: State,
        score: float | None,
        message: str | None,
        fitted: Callable[[Any], Any],
    ) -> None:
        self.member, self.number = member, state.history.n_iter
        self.loss, self.score, self.message = state.history.loss, score, message
        self._state, self._fitted = state, fitted

    def state(self) -> State:
        """A copy of the whole training, which can be pickled and gone on from."""
        return self._state.copy()

    def plain_state(self) -> dict[str, Any]:
        """The whole training as arrays and plain values, for a file."""
        return self._state.as_plain()

    @property
    def theta(self) -> Array:
        """The parameters, until the next epoch changes them."""
        return self._state.theta

    def fitted(self) -> Any:
        """An estimator of this epoch's parameters, for predictions and scores."""
        return self._fitted(self._state.theta.copy())


class Observer:
    """Told of a training; to be overridden."""

    def fit_begins(self, n_members: int) -> None:
        """Before the first member."""

    def member_begins(self, member: int) -> None:
        """Before its first epoch."""

    def epoch_begins(self, member: int, number: int) -> None:
        """Before each epoch, counted from 1."""

    def epoch_ends(self, epoch: Epoch) -> bool | None:
        """After each complete epoch; a true answer stops the member's training."""

    def member_ends(self, member: int, ending: Ending, result: Any) -> bool | None:
        """After its last epoch; an ensemble tells what it keeps of the member.

        After a true answer it begins no other.
        """

    def fit_ends(self) -> None:
        """After the last member."""


class Watch:
    """An observer of one member, with what it must be told by its trainer."""

    def __init__(
        self, observer: Observer, member: int, fitted: Callable[[Any], Any]
    ) -> None:
        self.observer, self.member, self.fitted = observer, member, fitted

    def begins(self, number: int) -> None:
        self.observer.epoch_begins(self.member, number)

    def finish(self, ending: Ending, result: Any) -> None:
        self.observer.member_ends(self.member, ending, result)

    def ends(self, state: State, score: float | None, message: str | None) -> bool:
        """Whether the observer wants the training to stop."""
        epoch = Epoch(self.member, state, score, message, self.fitted)
        return bool(self.observer.epoch_ends(epoch))


class Several(Observer):
    """Several observers as one."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self.observers = observers

    def fit_begins(self, n_members: int) -> None:
        for each in self.observers:
            each.fit_begins(n_members)

    def member_begins(self, member: int) -> None:
        for each in self.observers:
            each.member_begins(member)

    def epoch_begins(self, member: int, number: int) -> None:
        for each in self.observers:
            each.epoch_begins(member, number)

    def epoch_ends(self, epoch: Epoch) -> bool:
        return any([each.epoch_ends(epoch) for each in self.observers])

    def member_ends(self, member: int, ending: Ending, result: Any) -> bool:
        return any(
            [each.member_ends(member, ending, result) for each in self.observers]
        )

    def fit_ends(self) -> None:
        for each in self.observers:
            each.fit_ends()


def together(observers: Sequence[Observer]) -> Observer | None:
    """One observer for all; None where nobody watches, which costs nothing."""
    if not observers:
        return None
    return observers[0] if len(observers) == 1 else Several(observers)


@contextmanager
def watching_all(
    observers: Sequence[Observer], fitted: Callable[[Any], Any], n_members: int
) -> Iterator[list[Watch] | list[None]]:
    """The watches over members that are trained side by side."""
    observer = together(observers)
    if observer is None:
        yield [None] * n_members
        return
    observer.fit_begins(n_members)
    try:
        for member in range(n_members):
            observer.member_begins(member)
        yield [Watch(observer, member, fitted) for member in range(n_members)]
    finally:
        observer.fit_ends()


@contextmanager
def watching(
    observers: Sequence[Observer], fitted: Callable[[Any], Any]
) -> Iterator[Watch | None]:
    """The watch over a fit of one member."""
    with watching_all(observers, fitted, 1) as (watch,):
        yield watch


class EpochPrinter(Observer):
    """scikit-learn's lines, for ``verbose``."""

    def epoch_ends(self, epoch: Epoch) -> None:
        print(f"Iteration {epoch.number}, loss = {epoch.loss:.8f}")
        if epoch.score is not None:
            print(f"Validation score: {epoch.score:f}")
        if epoch.message:
            print(epoch.message)
