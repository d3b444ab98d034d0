"""Compare TabularMLP* with the best constant and a linear model on small tables.

python benchmarks/small_tables.py
python benchmarks/small_tables.py --rows 20,60 --seeds 0,1 --params '{"n_folds": 5}'
python benchmarks/small_tables.py --folder FOLDER --data abalone,adult

The tables are drawn: one to five columns of numbers, booleans and categories, constants
beside, and targets that are linear, a step, a sine, or noise. With --folder they are
also rows of the folder's data sets (see benchmarks/README.md), all columns or three.

The error is the root mean squared error over the targets' standard deviation, or the
log-loss. A figure is the geometric mean of ratios, .05 added to both sides, since the
error of a line without noise is nearly nothing; "worst" is the largest ratio.
"""

import argparse
import json
import os
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from peers import datasets
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import log_loss, root_mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skbackprop import TabularMLPClassifier, TabularMLPRegressor

N_TEST = 1000
ADDED = 0.05
EFFECTS = {"v": -1.2, "w": 0.3, "x": 0.0, "y": 1.0, "z": 0.1}

Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Task:
    """One table to learn, described so that any process can draw it."""

    source: str  # a name of DRAWN, or of a data set
    n_rows: int
    classify: bool
    seed: int
    folder: str | None = None
    n_columns: int = 0  # 0 means all


def _drawn(x: np.ndarray, bits: np.ndarray, letters: np.ndarray) -> dict[str, Any]:
    """Each kind of table: its columns, what y is without noise, and the noise."""
    effect = np.array([EFFECTS[letter] for letter in letters])
    n, text = len(x), np.where(bits, "yes", "no").astype(object)
    beside = {"one": np.ones(n), "word": np.full(n, "a"), "zero": np.zeros(n)}
    three: Columns = {name: x[:, i] for i, name in enumerate("abc")}
    five: Columns = {name: x[:, i] for i, name in enumerate("abcde")}
    a = x[:, 0]
    return {
        "line": ({"a": a}, 3 * a, 0.0),
        "noisy line": ({"a": a}, a, 0.7),
        "step": ({"a": a}, 1.0 * (a > 0.3), 0.3),
        "sine": ({"a": a}, np.sin(2 * a), 0.3),
        "boolean": ({"a": bits}, 1.0 * bits, 0.3),
        "two levels": ({"a": text}, 1.0 * bits, 0.3),
        "five levels": ({"a": letters}, effect, 0.3),
        "constants beside": ({"a": a, **beside}, a, 0.3),
        "plane": (three, a - 0.5 * x[:, 1] + 0.2 * x[:, 2], 0.3),
        "mixed": ({"a": a, "b": bits, "c": letters}, 0.7 * a + bits + effect, 0.3),
        "interaction": (five, a * x[:, 1] + np.sin(2 * x[:, 2]) + x[:, 3] / 2, 0.3),
        "noise": (three, 0 * a, 1.0),
        "noise, levels": ({"a": a, "c": letters}, 0 * a, 1.0),
    }


def _draw(task: Task) -> tuple[Any, np.ndarray]:
    """Return all rows of a drawn table, the test rows last."""
    rng = np.random.default_rng([task.seed, task.n_rows, zlib.crc32(_b(task.source))])
    n = task.n_rows + N_TEST
    x, bits = rng.normal(size=(n, 5)), rng.integers(0, 2, n).astype(bool)
    letters = rng.choice(list(EFFECTS), n).astype(object)
    columns, plain, noise = _drawn(x, bits, letters)[task.source]
    if not task.classify:
        return pd.DataFrame(columns), plain + noise * rng.normal(size=n)
    spread = plain.std() * max(noise, 0.3) / 2 or 1.0
    level = np.median(plain) if plain.std() else 0.8
    y = plain - level + spread * rng.logistic(size=n) > 0
    y[:2] = False, True
    return pd.DataFrame(columns), y.astype(int)


def _b(text: str) -> bytes:
    return text.encode()


def _parts(task: Task) -> tuple[Any, Any, Any, Any]:
    """Return X, y, X_test, y_test."""
    if task.folder is None:
        X, y = _draw(task)
        n = task.n_rows
        return X.iloc[:n], X.iloc[n:], y[:n], y[n:]
    data = datasets.read(Path(task.folder), task.source)
    X, y = data.X, data.y
    if task.n_columns:
        rng = np.random.default_rng([task.seed, zlib.crc32(_b(task.source))])
        kept = rng.choice(X.shape[1], min(task.n_columns, X.shape[1]), replace=False)
        X = X.iloc[:, np.sort(kept)]
    parts = train_test_split(
        X, y, train_size=task.n_rows, test_size=N_TEST, random_state=task.seed
    )
    if task.classify:  # a class that is not trained cannot be scored
        known = np.isin(parts[3], parts[2])
        parts[1], parts[3] = parts[1][known], parts[3][known]
    return tuple(parts)


def _linear(classify: bool) -> Any:
    """Return a linear model of one-hot columns and standardised numbers."""
    text = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="missing"),
        OneHotEncoder(handle_unknown="ignore", min_frequency=2),
    )
    number = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())
    is_number = make_column_selector(dtype_include="number")
    not_number = make_column_selector(dtype_exclude="number")
    columns = make_column_transformer((text, not_number), (number, is_number))
    model = LogisticRegression(max_iter=300) if classify else RidgeCV(10.0**_POWERS)
    return make_pipeline(columns, model)


_POWERS = np.arange(-3, 4)


def _error(model: Any, task: Task, parts: tuple[Any, Any, Any, Any]) -> float:
    X, X_test, y, y_test = parts
    model.fit(X, y)
    if task.classify:
        p = np.clip(model.predict_proba(X_test), 1e-7, 1)
        return log_loss(y_test, p / p.sum(1)[:, None], labels=model.classes_)
    return root_mean_squared_error(y_test, model.predict(X_test)) / np.std(y_test)


def measure(task: Task, parameters: dict[str, Any]) -> tuple[float, float, float]:
    """Return our error over the constant's, and over the linear model's; seconds."""
    warnings.simplefilter("ignore")
    parts = _parts(task)
    plain = [
        part.astype(dict.fromkeys(part.select_dtypes(exclude="number"), object))
        for part in parts[:2]
    ]
    constant = DummyClassifier() if task.classify else DummyRegressor()
    ours = TabularMLPClassifier if task.classify else TabularMLPRegressor
    model = ours(random_state=task.seed, n_jobs=1, **parameters)
    began = time.process_time()
    error = _error(model, task, parts)
    seconds = time.process_time() - began
    others = [
        _error(m, task, (*plain, *parts[2:]))
        for m in (constant, _linear(task.classify))
    ]
    return *((error + ADDED) / (other + ADDED) for other in others), seconds


def _tasks(options: argparse.Namespace) -> Iterator[Task]:
    x, bits = np.zeros((1, 5)), np.zeros(1, bool)
    for kind in _drawn(x, bits, np.array(["x"])):
        for n in options.rows:
            for seed in options.seeds:
                yield Task(kind, n, False, seed)
                yield Task(kind, n, True, seed)
    if options.folder is None:
        return
    for name in options.data or datasets.names(options.folder):
        facts = json.loads((options.folder / f"{name}.json").read_text("utf-8"))
        for n in options.rows:
            for seed in options.seeds:
                for columns in 0, 3:
                    classify = facts["task"] != "regression"
                    folder = str(options.folder)
                    yield Task(name, n, classify, seed, folder, columns)


def main() -> None:
    """Measure all tables, and print a line for each group of them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--rows", type=_numbers, default=[20, 60, 200, 500], help="of the training")
    add("--seeds", type=_numbers, default=[0], help="of the draws and of our models")
    add("--folder", type=Path, help="of data sets")
    add("--data", type=lambda text: text.split(","), help="data sets; all if not given")
    add("--params", type=json.loads, default={}, help="of our models, as JSON")
    add("--workers", type=int, default=os.cpu_count(), help="processes")
    options = parser.parse_args()
    tasks = list(_tasks(options))
    with ProcessPoolExecutor(options.workers) as pool:
        found = list(pool.map(measure, tasks, [options.params] * len(tasks)))
    ratios = np.array(found)
    groups: list[tuple[str, Callable[[Task], bool]]] = []
    for n in options.rows:
        for classify, task_name in (False, "regression"), (True, "classification"):
            groups.append(
                (
                    f"{n} rows, {task_name}",
                    lambda t, n=n, c=classify: t.n_rows == n and t.classify == c,
                )
            )
    for source in dict.fromkeys(task.source for task in tasks):
        groups.append((source, lambda t, s=source: t.source == s))
    groups.append(("all", lambda t: True))
    print(f"{'':28} / constant   worst   / linear   worst   seconds a fit")
    for name, belongs in groups:
        rows = ratios[[belongs(task) for task in tasks]]
        if len(rows):
            mean = np.exp(np.log(rows[:, :2]).mean(axis=0))
            worst = rows[:, :2].max(axis=0)
            print(
                f"{name:28} {mean[0]:10.3f} {worst[0]:7.2f} {mean[1]:10.3f} "
                f"{worst[1]:7.2f} {rows[:, 2].mean():9.2f}"
            )


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


if __name__ == "__main__":
    main()
