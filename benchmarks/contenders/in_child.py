"""A contender that is told by its environment what to be, in a process of its own.

skbackprop chooses its instructions once, at import, and so does OpenBLAS. A child
imports them anew, keeps the data, and trains whenever it gets a line:
`{"epochs": 3}` is answered by the loss and by the seconds on the child's own clock.
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
import weakref
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from machine import blas_cores, level
from timing import Clocked

from . import Setup, Skipped, Training

VARIABLE = "SKBACKPROP_SIMD"
BLAS_VARIABLE = "OPENBLAS_CORETYPE"


def prepare_at(wanted: str, X: np.ndarray, y: np.ndarray, setup: Setup) -> Training:
    """Return the training of a child in which skbackprop uses the level `wanted`."""
    return _prepare("ours", VARIABLE, wanted, "level", X, y, setup)


def prepare_on(core: str, X: np.ndarray, y: np.ndarray, setup: Setup) -> Training:
    """Return scikit-learn's training where OpenBLAS takes the CPU for a `core`."""
    return _prepare("sklearn_mlp", BLAS_VARIABLE, core, "blas", X, y, setup)


def _prepare(
    contender: str,
    variable: str,
    wanted: str,
    fact: str,
    X: np.ndarray,
    y: np.ndarray,
    setup: Setup,
) -> Training:
    child = subprocess.Popen(
        [sys.executable, "-m", __name__, contender],
        cwd=Path(__file__).parent.parent,
        env={**os.environ, variable: wanted},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        data = str(Path(folder, "data.npz"))
        np.savez(data, X=X, y=y)
        answer = _ask(child, {"data": data, "setup": asdict(setup)})
    if answer[fact] != wanted:
        _end(child)
        raise Skipped(f"asked for {wanted}, but it is {answer[fact] or 'the only one'}")

    def train(epochs: int) -> float:
        answer = _ask(child, {"epochs": epochs})
        return Clocked(answer["loss"], answer["seconds"])

    weakref.finalize(train, _end, child)
    return train


def _ask(child: subprocess.Popen[str], question: dict[str, Any]) -> dict[str, Any]:
    assert child.stdin is not None and child.stdout is not None
    try:
        child.stdin.write(json.dumps(question) + "\n")
        child.stdin.flush()
        line = child.stdout.readline()
    except BrokenPipeError:
        line = ""
    if not line:
        raise Skipped(f"its process ended with code {child.wait()}")
    return json.loads(line)


def _end(child: subprocess.Popen[str]) -> None:
    """Close the child's input, which ends it."""
    child.communicate()


def _serve() -> None:
    """Answer the lines of standard input; the first one brings the data."""
    first = json.loads(sys.stdin.readline())
    with np.load(first["data"]) as data:
        X, y = data["X"], data["y"]
    hidden = tuple(first["setup"].pop("hidden"))
    contender = importlib.import_module(f"contenders.{sys.argv[1]}")
    train = contender.prepare(X, y, Setup(hidden=hidden, **first["setup"]))
    print(json.dumps({"level": level(), "blas": blas_cores()}), flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        loss = train(json.loads(line)["epochs"])
        seconds = time.perf_counter() - began
        print(json.dumps({"loss": loss, "seconds": seconds}), flush=True)


if __name__ == "__main__":
    _serve()
