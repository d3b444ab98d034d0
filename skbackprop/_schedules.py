"""Schedules: of the learning rate over epochs, and of any factor over a training."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ._layers import Array

#: scikit-learn's names; they apply to solver='sgd'.
SCHEDULES = ("constant", "invscaling", "adaptive")


def _cosine(u: Array) -> Array:
    return (1 + np.cos(math.pi * u)) / 2


def _one_cycle(u: Array) -> Array:
    # Smith and Topin (2018): up from 1/25 in the first three tenths, then down to 0.
    up = 0.04 + 0.96 * (1 - _cosine(u / 0.3))
    return np.where(u < 0.3, up, _cosine((u - 0.3) / 0.7))


#: Factors as functions of progress u in (0, 1); the table of (S0)
FACTORS: dict[str, Callable[[Array], Array]] = {
    "constant": np.ones_like,
    "cosine": _cosine,
    "flat_cosine": lambda u: np.where(u < 0.5, 1.0, _cosine(2 * u - 1)),
    "one_cycle": _one_cycle,
    "warm_up": lambda u: np.minimum(1.0, u / 0.1),
    "coslog4": lambda u: (1 - np.cos(2 * math.pi * np.log2(1 + 15 * u))) / 2,
}


@dataclass(frozen=True)
class Plan:
    """What learning rate, dropout and weight decay are multiplied by in each step.

    Names of ``FACTORS``. Step s of N has made the progress u = (s + 1/2) / N.  (S0)
    """

    rate: str = "constant"
    dropout: str = "constant"
    decay: str = "constant"
    n_epochs: int = 1

    @property
    def constant(self) -> bool:
        return self.rate == self.dropout == self.decay == "constant"

    def of_epoch(self, epoch: int, n_steps: int) -> Array:
        """Rows of the three factors for the steps of an epoch, counted from 0."""
        if self.constant:
            return np.empty((0, 3))
        # In floats, since an int of any size may be the end.
        total = float(self.n_epochs) * n_steps
        u = (epoch * n_steps + np.arange(n_steps) + 0.5) / total
        names = (self.rate, self.dropout, self.decay)
        return np.column_stack([FACTORS[name](u) for name in names])


#: An 'adaptive' rate at or below this is not divided any more: training stops.
SMALLEST_RATE = 1e-6


@dataclass(frozen=True)
class Schedule:
    """The learning rate after t rows have been seen and k reductions been made.

    'constant': eta_0. 'invscaling': eta_0 / (t + 1)^power_t. 'adaptive': eta_0 / 5^k,
    where a reduction takes the place of stopping.
    """

    name: str
    initial: float
    power_t: float

    def rate(self, t: int, reductions: int) -> float:
        if self.name == "invscaling":
            try:
                return self.initial / (t + 1) ** self.power_t
            except OverflowError:  # Python's, where the quotient is 0
                return 0.0
        if self.name == "adaptive":
            return self.initial / 5.0**reductions
        return self.initial

    def can_reduce(self, reductions: int) -> bool:
        """Whether a plateau reduces the rate instead of ending the training."""
        return self.name == "adaptive" and self.rate(0, reductions) > SMALLEST_RATE
