"""What the fits of one comparison add up to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import geometric_mean, mean, median
from typing import Any

from peers.fits import Result

REFERENCES = ("catboost", "hgb")


@dataclass(frozen=True)
class Contender:
    """A model of the comparison: skbackprop's under several names, or a peer."""

    name: str
    label: str
    model: str
    ours: bool
    version: str
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """Results by contender and data set, one per seed; `failed` says what is not."""

    contenders: list[Contender]
    results: dict[str, dict[str, list[Result]]]
    failed: dict[tuple[str, str], str]

    @property
    def datasets(self) -> list[str]:
        """The names of all data sets that have a result."""
        found = {name: None for each in self.results.values() for name in each}
        return sorted(found)

    @property
    def measured(self) -> list[Contender]:
        """The contenders that have a result."""
        return [each for each in self.contenders if self.results.get(each.name)]

    @property
    def reference(self) -> Contender:
        """The peer that the others are compared with: CatBoost if it was measured."""
        by_name = {each.name: each for each in self.measured}
        found = [by_name[name] for name in REFERENCES if name in by_name]
        return (found or self.measured)[0]

    def score(self, contender: str, data: str, measure: str) -> float | None:
        """Return the mean over the seeds; None where there is no such score."""
        seeds = self.results.get(contender, {}).get(data, [])
        values = [each[measure] for each in seeds if measure in each]
        return mean(values) if values else None

    def ratios(self, contender: str, measure: str) -> list[float]:
        """Return for each seed the geometric mean of score / reference's score."""
        base = self.results.get(self.reference.name, {})
        by_seed: dict[int, list[float]] = {}
        for data, seeds in self.results.get(contender, {}).items():
            over = for_ratio(base[data][0], measure) if data in base else None
            for seed, each in enumerate(seeds):
                score = for_ratio(each, measure)
                if score is not None and over is not None:
                    by_seed.setdefault(seed, []).append(score / over)
        return [geometric_mean(each) for each in by_seed.values()]

    def better(self, contender: str, measure: str) -> tuple[int, int]:
        """Return on how many data sets the mean score beats the reference's, of all."""
        pairs = [
            (self.score(contender, data, measure), over)
            for data in self.datasets
            if (over := self.score(self.reference.name, data, measure)) is not None
        ]
        present = [(score, over) for score, over in pairs if score is not None]
        return sum(score < over for score, over in present), len(present)

    def middle(self, contender: str, quantity: str) -> float:
        """Return the median over data sets of the medians over seeds."""
        return median(
            median(each[quantity] for each in seeds)
            for seeds in self.results[contender].values()
        )

    def each(self) -> Iterable[Result]:
        """Return all results."""
        for by_data in self.results.values():
            for seeds in by_data.values():
                yield from seeds


def for_ratio(result: Mapping[str, Any], measure: str) -> float | None:
    """Return the score as a ratio takes it; None where there is none."""
    value = result.get(measure)
    if value is None:
        return None
    # No error at all has no ratio: half a row of the test part stands for it.
    return max(value, 0.5 / result["test"])
