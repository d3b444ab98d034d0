"""Learning-rate schedules as functions of progress."""

from __future__ import annotations

from dataclasses import dataclass

#: scikit-learn's names; they apply to solver='sgd'.
SCHEDULES = ("constant", "invscaling", "adaptive")

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
            return self.initial / (t + 1) ** self.power_t
        if self.name == "adaptive":
            return self.initial / 5.0**reductions
        return self.initial

    def can_reduce(self, reductions: int) -> bool:
        """Whether a plateau reduces the rate instead of ending the training."""
        return self.name == "adaptive" and self.rate(0, reductions) > SMALLEST_RATE
