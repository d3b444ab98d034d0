"""Compare what onnxruntime answers with what our estimators predict.

python benchmarks/shipping.py FOLDER
python benchmarks/shipping.py FOLDER --data adult --times

The folder has NAME.csv.gz and NAME.json for each data set, as for tabular.py. For every
model the largest difference is printed, of probabilities or of predictions in standard
deviations of the target, and how many labels differ; with --times the microseconds of
a row as well, on one thread, of one row alone and of a thousand. The last column is how
long to_onnx took.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime
from machine import pin_threads
from peers import datasets
from sklearn.exceptions import ConvergenceWarning
from timing import in_turns

from skbackprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    TabularEncoder,
    TabularMLPClassifier,
    TabularMLPRegressor,
)
from skbackprop.onnx import make_inputs, to_onnx

MOST_TRAIN, MOST_TEST = 3_000, 5_000
PRESETS = ("fast", "balanced")
TYPES = ("float32", "float64")


def main() -> int:
    """Print a table; fail where a label differs, or more than 1e-5 does."""
    options = _options()
    pin_threads(1)
    warnings.simplefilter("ignore", ConvergenceWarning)
    heads = ["data set", "model", "largest difference", "labels that differ", "rows"]
    if options.times:
        heads += ["predict, 1 row", "ONNX, 1 row", "predict", "ONNX"]
    _print([*heads, "MB", "s"])
    _print(["---", "---", *["---:"] * len(heads)])
    wrong = 0
    for name in options.data or datasets.names(options.folder):
        data = datasets.read(options.folder, name)
        train, test = datasets.split(data, MOST_TRAIN, MOST_TEST)
        for label, model, X, unit in _models(data, train):
            began = time.perf_counter()
            shipped = to_onnx(model)
            took = time.perf_counter() - began
            rows = X[test] if isinstance(X, np.ndarray) else X.iloc[test]
            compared = Compared(model, shipped, rows)
            difference, labels = compared.differences(unit)
            wrong += labels > 0 or not difference < 1e-5
            cells = [name, label, f"{difference:.1e}", labels, len(test)]
            cells += compared.times() if options.times else []
            _print([*cells, f"{shipped.ByteSize() / 1e6:.1f}", f"{took:.2f}"])
    return 1 if wrong else 0


def _print(cells: list[Any]) -> None:
    print("|", " | ".join(map(str, cells)), "|", flush=True)


def _models(
    data: datasets.Dataset, train: np.ndarray
) -> Iterator[tuple[str, Any, Any, float]]:
    """Fitted models, all rows as each of them reads these, and the unit of answers."""
    number = data.task == "regression"
    y = data.y[train]
    unit = float(y.std()) if number else 1.0
    for preset in PRESETS:
        kind = TabularMLPRegressor if number else TabularMLPClassifier
        model = kind(preset=preset, n_jobs=1, random_state=0)
        yield preset, model.fit(data.X.iloc[train], y), data.X, unit
    matrix = TabularEncoder().fit(data.X.iloc[train]).transform(data.X)
    if number:
        y = (y - y.mean()) / y.std()
    for dtype in TYPES:
        kind = BackpropMLPRegressor if number else BackpropMLPClassifier
        model = kind((100, 100), max_iter=20, random_state=0, n_jobs=1)
        X = matrix.astype(dtype)
        yield f"one network, {dtype}", model.fit(X[train], y), X, 1.0


class Compared:
    """A model of both kinds and some rows."""

    def __init__(self, model: Any, shipped: Any, X: Any) -> None:
        self.model, self.X = model, X
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            shipped.SerializeToString(), settings, providers=["CPUExecutionProvider"]
        )
        self.inputs = make_inputs(shipped, X)

    def differences(self, unit: float) -> tuple[float, int]:
        """The largest difference, and how many labels differ."""
        answers = self.session.run(None, self.inputs)
        if len(answers) == 1:
            expected = self.model.predict(self.X)
            return float(np.abs(answers[0][:, 0] - expected).max() / unit), 0
        label, p = answers
        differ = int((label != self.model.predict(self.X)).sum())
        return float(np.abs(p - self.model.predict_proba(self.X)).max()), differ

    def times(self) -> list[str]:
        """Microseconds of a row: one alone, then a thousand."""
        name = "predict_proba" if hasattr(self.model, "classes_") else "predict"
        predict: Callable[[Any], Any] = getattr(self.model, name)
        cells = []
        for n in (1, 1000):
            rows = self.X[:n] if isinstance(self.X, np.ndarray) else self.X.iloc[:n]
            inputs = {key: value[:n] for key, value in self.inputs.items()}
            calls = {
                "ours": partial(predict, rows),
                "theirs": partial(self.session.run, None, inputs),
            }
            seconds = in_turns(calls, 50)
            cells += [f"{median(each) * 1e6 / n:.1f} µs" for each in seconds.values()]
        return cells


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path)
    parser.add_argument("--data", type=lambda names: names.split(","))
    parser.add_argument("--times", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
