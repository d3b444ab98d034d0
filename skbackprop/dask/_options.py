"""The parameters that estimators on Dask have besides those of their local twins."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import cbrt, ceil
from numbers import Integral, Real
from typing import Any, TypeVar

from .. import _constraints as allow
from .._settings import Settings
from ..core.optimizers import Solver
from ._cluster import Cluster

E = TypeVar("E")

#: Of a batch in one partition: fewer take as long.
FEWEST_ROWS = 8
#: Of the memory of all workers, what prepared partitions may take.
_SHARE = 0.5

#: Of any estimator on Dask.
RULES: dict[str, tuple[allow.Constraint, ...]] = {
    "timeout": (allow.interval(Real, 0, None, "neither"),),
}
#: Of one that trains on partitions where they are, besides.
APART_RULES = RULES | {
    "local_epochs": (allow.interval(Real, 0, None, "neither"),),
    "persist": (allow.one_of("auto"), allow.BOOLEAN),
}
#: Of one that averages what they have made.
ROUNDS_RULES = APART_RULES | {
    "rounds": (allow.NONE, allow.interval(Integral, 1, None, "left")),
    "outer_learning_rate": (allow.interval(Real, 0, None, "neither"),),
    "outer_momentum": (allow.interval(Real, 0, 1, "left"),),
}
#: Of an ensemble.
ENSEMBLE_RULES = APART_RULES | {"method": (allow.one_of("auto", "bag", "cyclic"),)}
#: Copies of a table that a worker must hold which trains networks on all of it.
COPIES = 4


@dataclass(frozen=True)
class Options:
    """Their values."""

    rounds: int | None
    local_epochs: float
    persist: Any
    #: Whether rows that validate were given.
    validates: bool

    @classmethod
    def of(cls, estimator: Any, validates: bool) -> Options:
        return cls(
            getattr(estimator, "rounds", None),
            float(estimator.local_epochs),
            estimator.persist,
            validates,
        )

    def n_rounds(self, max_iter: int) -> int:
        """Rounds of ``max_iter`` passes over the rows, unless they are given."""
        if self.rounds is not None:
            return int(self.rounds)
        return max(1, ceil(max_iter / self.local_epochs - 1e-9))

    def divided(self, settings: Settings, n_partitions: int, passes: int) -> Settings:
        """Settings of a local fit for so many partitions that train at a time.

        A batch is divided among them, so that they make as many steps as the local fit.
        The gradient of fewer rows is noisier, and Adam's steps are shorter for it, by
        up to the root of what the batch was divided by; the cube root is what was best
        where it was measured (docs/distributed.md).
        """
        batch_size = max(settings.batch_size // n_partitions, FEWEST_ROWS)
        batch_size = min(batch_size, settings.batch_size)
        rate = settings.learning_rate_init
        if settings.solver != Solver.SGD:
            rate *= cbrt(settings.batch_size / batch_size)
        settings = self.in_rounds(settings, passes)
        return replace(settings, batch_size=batch_size, learning_rate_init=rate)

    def in_rounds(self, settings: Settings, passes: int) -> Settings:
        """Where a round is what an epoch is to the schedules and to patience."""
        return replace(
            settings,
            max_iter=self.n_rounds(passes),
            n_iter_no_change=settings.n_iter_no_change / self.local_epochs,
        )

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
        ours: dict[str, inspect.Parameter] = {}
        for base in reversed(cls.__mro__[1:]):
            ours |= inspect.signature(base.__init__).parameters  # type: ignore[misc]
        own = [ours[name] for name in cls._own]  # type: ignore[attr-defined]
        signature = inspect.Signature([*theirs.values(), *own])
        __init__.__signature__ = signature  # type: ignore[attr-defined]
        cls.__init__ = __init__  # type: ignore[misc]
        return cls

    return decorate
