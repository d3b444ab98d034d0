"""The parameters that estimators on Dask have besides those of their local twins."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from numbers import Integral, Real
from typing import Any, TypeVar

from .. import _constraints as allow
from ._cluster import Cluster
from ._rounds import Outer

E = TypeVar("E")

#: Of the memory of all workers, what prepared partitions may take.
_SHARE = 0.5

#: Of any estimator on Dask.
RULES: dict[str, tuple[allow.Constraint, ...]] = {
    "timeout": (allow.interval(Real, 0, None, "neither"),),
}
#: Of one that trains in rounds, besides.
ROUNDS_RULES = RULES | {
    "rounds": (allow.NONE, allow.interval(Integral, 1, None, "left")),
    "local_epochs": (allow.interval(Real, 0, None, "neither"),),
    "outer_learning_rate": (allow.interval(Real, 0, None, "neither"),),
    "outer_momentum": (allow.interval(Real, 0, 1, "left"),),
    "persist": (allow.one_of("auto"), allow.BOOLEAN),
}


@dataclass(frozen=True)
class Options:
    """Their values."""

    rounds: int | None
    local_epochs: float
    outer_learning_rate: float
    outer_momentum: float
    persist: Any
    #: Whether rows that validate were given.
    validates: bool

    @classmethod
    def of(cls, estimator: Any, validates: bool) -> Options:
        return cls(
            estimator.rounds,
            float(estimator.local_epochs),
            float(estimator.outer_learning_rate),
            float(estimator.outer_momentum),
            estimator.persist,
            validates,
        )

    def n_rounds(self, max_iter: int) -> int:
        """Rounds of ``max_iter`` passes over the rows, unless they are given."""
        if self.rounds is not None:
            return int(self.rounds)
        return max(1, ceil(max_iter / self.local_epochs - 1e-9))

    def outer(self) -> Outer:
        return Outer(self.outer_learning_rate, self.outer_momentum)

    def keeps(self, n_bytes: int, cluster: Cluster) -> bool:
        """Whether workers keep partitions of so many bytes from round to round."""
        if self.persist == "auto":
            return n_bytes <= _SHARE * cluster.memory()[1]
        return bool(self.persist)


def with_parameters_of(local: type) -> Callable[[type[E]], type[E]]:
    """Give a class the parameters of its local twin, and then its own.

    Its ``__init__`` takes its own by name and hands the others on, and scikit-learn
    and ``help`` find all of them in the signature.
    """

    def decorate(cls: type[E]) -> type[E]:
        def __init__(self: Any, *args: Any, **parameters: Any) -> None:
            super(cls, self).__init__(*args, **parameters)

        theirs = inspect.signature(local.__init__).parameters  # type: ignore[misc]
        ours = inspect.signature(super(cls, cls).__init__).parameters
        own = [ours[name] for name in cls._own]  # type: ignore[attr-defined]
        signature = inspect.Signature([*theirs.values(), *own])
        __init__.__signature__ = signature  # type: ignore[attr-defined]
        cls.__init__ = __init__  # type: ignore[misc]
        return cls

    return decorate
