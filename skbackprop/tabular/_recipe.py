"""The recipe: its numbers, by preset and by the size of the training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: The numbers that are parameters of the estimators.
PARAMETERS = (
    "hidden_layer_sizes",
    "activation",
    "n_folds",
    "n_repeats",
    "max_iter",
    "batch_size",
    "learning_rate_init",
    "weight_decay",
    "dropout",
    "n_bins",
    "embedding_size",
    "label_smoothing",
)


@dataclass(frozen=True)
class Recipe:
    """The numbers that an ensemble is trained by; docs/tabular.md says why."""

    hidden_layer_sizes: tuple[int, ...]
    activation: str
    n_folds: int
    n_repeats: int
    max_iter: int
    batch_size: int
    learning_rate_init: float
    weight_decay: float
    dropout: float
    n_bins: int
    embedding_size: int
    #: Of a classifier.
    label_smoothing: float
    #: The root mean square that outputs of a network begin with, the constant aside.
    output_scale: float
    #: Epochs without a better score after which a network is given up.
    n_iter_no_change: float

    @property
    def n_members(self) -> int:
        return self.n_folds * self.n_repeats


def share_of_a_row(n_rows: int) -> float:
    """What so many rows cannot tell from nothing."""
    return min(0.5, 1 / n_rows)


#: What a parameter that is None stands for. A number by rows is (rows, number) pairs:
#: the number of the first pair whose rows are not exceeded, or a function of the rows.
PRESETS: dict[str, dict[str, Any]] = {
    "fast": {
        "hidden_layer_sizes": ((50_000, (128, 128)), (None, (256, 256))),
        "n_folds": ((250, 4), (10_000, 8), (None, 4)),
        "n_repeats": ((250, 2), (None, 1)),
        "max_iter": ((10_000, 32), (50_000, 12), (None, 6)),
    },
    "balanced": {
        "hidden_layer_sizes": ((10_000, (192, 192)), (None, (256, 256))),
        "n_folds": ((250, 5), (50_000, 16), (200_000, 8), (None, 4)),
        "n_repeats": ((250, 3), (None, 1)),
        "max_iter": ((10_000, 48), (50_000, 24), (None, 16)),
    },
}
COMMON: dict[str, Any] = {
    "activation": "relu",
    "batch_size": ((1_500, 64), (10_000, 128), (50_000, 256), (None, 512)),
    "learning_rate_init": 0.03,
    "weight_decay": 0.02,
    "dropout": 0.1,
    "n_bins": ((10_000, 48), (None, 128)),
    "embedding_size": 8,
    # A few rows that a line separates would make networks sure of what is not certain.
    "label_smoothing": ((1_000, share_of_a_row), (None, 0.0)),
    # What a few hundred rows do not make a network forget is noise; with more of them
    # networks of an ensemble that begin differently are worth more.
    "output_scale": ((1_000, 0.0), (None, 1.0)),
    "n_iter_no_change": 12,
}


def make_recipe(preset: str, given: Mapping[str, Any], n_rows: int) -> Recipe:
    """The preset's numbers for so many rows, but what was given instead of None.

    Folds of one's own are dealt once, unless ``n_repeats`` is given too.
    """
    numbers = COMMON | PRESETS[preset]
    if given.get("n_folds") is not None:
        numbers["n_repeats"] = 1
    numbers |= {name: value for name, value in given.items() if value is not None}
    return Recipe(**{name: _of_size(value, n_rows) for name, value in numbers.items()})


def _of_size(value: Any, n_rows: int) -> Any:
    if not (isinstance(value, tuple) and value and isinstance(value[0], tuple)):
        return value
    number = next(number for most, number in value if most is None or n_rows <= most)
    return number(n_rows) if callable(number) else number
