"""One fit in a process of its own, with its own threads and memory."""

import contextlib
import ctypes
import gc
import json
import os
import subprocess
import sys
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machine import thread_variables
from memory import peak_bytes, reset_peak

from peers import datasets
from peers.models import MODELS, Setting

Result = dict[str, Any]  # as JSON keeps it
SCRIPT = Path(__file__).resolve().parent.parent / "tabular.py"
LEAST_PROBABILITY = 1e-7  # a class held for impossible costs no infinity


class Failed(Exception):
    """Raised where the process of a fit fails; says its last words."""


@dataclass(frozen=True)
class Fit:
    """What is fitted to what; `most_train` None means all rows."""

    folder: str
    data: str
    model: str
    parameters: dict[str, Any]
    seed: int
    threads: int
    most_train: int | None
    most_test: int | None
    split: int = 0  # the seed of the split


def in_child(fit: Fit, script: Path = SCRIPT) -> Result:
    """Return what a fresh process of a script measures."""
    command = [
        sys.executable,
        str(script),
        fit.folder,
        "--fit",
        json.dumps(asdict(fit)),
    ]
    child = subprocess.run(
        command,
        env={**os.environ, **thread_variables(fit.threads)},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = child.stdout.splitlines()
    if child.returncode or not lines:
        last = [line for line in child.stderr.splitlines() if line.strip()][-1:]
        raise Failed(last[0] if last else f"exit status {child.returncode}")
    return json.loads(lines[-1])


def measure(fit: Fit) -> Result:
    """Fit and predict in this process."""
    warnings.simplefilter("ignore")
    with contextlib.redirect_stdout(sys.stderr):  # some models talk
        return _measure(fit)


def _measure(fit: Fit) -> Result:
    data = datasets.read(Path(fit.folder), fit.data)
    rows, test_rows = datasets.split(data, fit.most_train, fit.most_test, fit.split)
    regression = data.task == "regression"
    model = MODELS[fit.model]
    estimator = model.make(
        Setting(regression, data.categorical, fit.seed, fit.threads, fit.parameters)
    )
    y, y_test = data.y[rows], data.y[test_rows]
    train, test = data.X.iloc[rows], data.X.iloc[test_rows]
    frame_bytes = int(train.memory_usage(deep=True).sum())
    train, test = model.prepare(train, test)
    del data
    _give_back()
    reset_peak()
    before = peak_bytes()
    began = time.perf_counter()
    estimator.fit(train, y)
    fitted = time.perf_counter()
    peak = peak_bytes()
    predicted_at = time.perf_counter()
    predict = estimator.predict if regression else estimator.predict_proba
    predicted = np.asarray(predict(test))
    done = time.perf_counter()
    scores = (
        {"error": _relative_error(y_test, predicted)}
        if regression
        else _classified(y_test, predicted, estimator.classes_)
    )
    return {
        **scores,
        "train": len(rows),
        "test": len(test_rows),
        "fit_seconds": fitted - began,
        "predict_seconds": done - predicted_at,
        "fit_bytes": peak - before,
        "peak_bytes": peak,
        "frame_bytes": frame_bytes,
    }


def _relative_error(y: np.ndarray, predicted: np.ndarray) -> float:
    """Return the root mean squared error over the deviation of y."""
    return float(np.sqrt(np.mean((predicted.ravel() - y) ** 2)) / np.std(y))


def _classified(
    y: np.ndarray, probabilities: np.ndarray, classes: np.ndarray
) -> dict[str, float]:
    """Return the share of wrong rows and the mean log-loss."""
    wrong = np.asarray(classes)[probabilities.argmax(axis=1)] != y
    of_truth = np.zeros(len(y))  # so it stays for a class that training did not show
    for column, name in enumerate(classes):
        of_truth[y == name] = probabilities[y == name, column]
    losses = -np.log(np.clip(of_truth, LEAST_PROBABILITY, 1.0))
    return {"error": float(np.mean(wrong)), "log_loss": float(np.mean(losses))}


def _give_back() -> None:
    """Give freed memory back to the system: what the fit takes would hide in it."""
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError, OSError):  # not glibc
            ctypes.CDLL(None).malloc_trim(0)
