"""predict_proba of one row and of many."""

import warnings
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from contenders import Training
from sections import Figures, Options, Result, Section
from shapes import SHAPES, make_data
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from timing import UNITS, Seconds, in_turns, ratio, seconds_per_epoch, times_table

from skbackprop import BackpropMLPClassifier

CLASSES = {"ours": BackpropMLPClassifier, "sklearn_mlp": MLPClassifier}
TRAINING_ROWS = 2_000
LINES = {
    "one_row": "one row, medium",
    "many_rows": "1,000,000 rows, medium",
    "wide_rows": "100,000 rows, wide",
}


def _measure(options: Options) -> Result:
    """Return seconds per call, by line and library."""
    medium, X = _fitted("medium")
    many = options.size(1_000_000, 10_000)
    result: Result = {
        "one_row": _one_row(medium, X[:1], options),
        "many_rows": _many_rows(medium, X, many, options),
    }
    wide, X = _fitted("wide")
    result["wide_rows"] = _many_rows(wide, X, options.size(100_000, 1_000), options)
    return result


def _fitted(shape_name: str) -> tuple[dict[str, Any], np.ndarray]:
    """Return fitted classifiers, and rows that they may predict."""
    shape = SHAPES[shape_name]
    X, y = make_data(shape, "float32", seed=0)
    models: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # one epoch
        for name, Classifier in CLASSES.items():
            model = Classifier(shape.hidden, max_iter=1, random_state=0)
            models[name] = model.fit(X[:TRAINING_ROWS], y[:TRAINING_ROWS])
    return models, X


def _one_row(models: dict[str, Any], x: np.ndarray, options: Options) -> Seconds:
    calls = {name: _repeat(model.predict_proba, x) for name, model in models.items()}
    calls["nothing"] = _repeat(lambda x: x, x)
    return seconds_per_epoch(calls, options.seconds, options.rounds)


def _repeat(predict: Callable[[np.ndarray], object], x: np.ndarray) -> Training:
    def repeated(times: int) -> float:
        for _ in range(times):
            predict(x)
        return 0.0

    return repeated


def _many_rows(
    models: dict[str, Any], X: np.ndarray, rows: int, options: Options
) -> Seconds:
    X = np.resize(X, (rows, X.shape[1]))
    calls = {
        name: lambda model=model: model.predict_proba(X)
        for name, model in models.items()
    }
    in_turns(calls, 1)  # the first call finds memory that the later ones use again
    return in_turns(calls, options.rounds)


def _tell(result: Result) -> str:
    parts = [
        f"{line[0].upper()}{line[1:]}:\n\n"
        + times_table(result[key], "µs" if key == "one_row" else "ms", "sklearn_mlp")
        for key, line in LINES.items()
    ]
    return "\n\n".join(parts)


def _figures(result: Result) -> Figures:
    many = result["many_rows"]
    return {
        "one_row": {"": UNITS["µs"] * median(result["one_row"]["ours"])},
        "many_rows": {"": ratio(many["sklearn_mlp"], many["ours"])},
    }


SECTION = Section(
    "predictions",
    "Predictions, float32, one thread",
    "`predict_proba` of the medium network (54-128-128-7) for one row and for many, "
    "and of the wide one (784-512-512-10). `nothing` is the loop around one call.",
    measure=_measure,
    tell=_tell,
    figures=_figures,
)
