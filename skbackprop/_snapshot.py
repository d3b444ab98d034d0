"""A fit that changes an estimator all at once, and methods that read it all at once.

A fit works on a copy, whose attributes replace the estimator's in one assignment when
all of them are there. What is read meanwhile, in another thread too, is the old model
or the new one, never a part of each; and a fit that fails leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from ._warn import warn_user

E = TypeVar("E")
P = ParamSpec("P")
R = TypeVar("R")


def working_copy(estimator: E) -> E:
    """An estimator of its own attributes, for a fit to set; the values are shared."""
    copy = object.__new__(type(estimator))
    copy.__dict__ = dict(estimator.__dict__)
    return copy


def become(estimator: Any, copy: Any) -> None:
    """Give an estimator the attributes of its working copy, all at once."""
    estimator.__dict__ = copy.__dict__


class Diverged(Exception):
    """Training diverged; ``finite`` tells whether an epoch was worth keeping."""

    def __init__(self, finite: bool, advice: str) -> None:
        self.finite, self.advice = finite, advice


def fit_at_once(estimator: E, fit: Callable[[E], list[tuple[str, type[Warning]]]]) -> E:
    """Call ``fit`` on a working copy, whose attributes then become the estimator's.

    Whatever fails leaves the estimator as it was, but a divergence after a finite
    epoch leaves that epoch. What ``fit`` returns is warned of.
    """
    copy = working_copy(estimator)
    try:
        messages = fit(copy)
    except Diverged as diverged:
        if diverged.finite:
            become(estimator, copy)
        raise ValueError(
            f"Solver produced non-finite parameter weights. {diverged.advice}"
        ) from None
    become(estimator, copy)
    for message, category in messages:
        warn_user(message, category)
    return estimator


def reads_at_once(
    method: Callable[Concatenate[E, P], R],
) -> Callable[Concatenate[E, P], R]:
    """Let a method see the attributes of one moment, whatever fit ends during it."""

    @wraps(method)
    def of_a_moment(self: E, /, *args: P.args, **kwargs: P.kwargs) -> R:
        moment = object.__new__(type(self))
        # The same dict, which a fit replaces and does not change.
        moment.__dict__ = self.__dict__
        return method(moment, *args, **kwargs)

    return of_a_moment
