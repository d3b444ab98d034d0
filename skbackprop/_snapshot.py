"""A fit that changes an estimator all at once, and methods that read it all at once.

A fit works on a copy, whose attributes replace the estimator's in one assignment when
all of them are there. What is read meanwhile, in another thread too, is the old model
or the new one, never a part of each; and a fit that fails leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

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
