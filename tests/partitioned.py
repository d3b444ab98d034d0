"""Tables in partitions, for the tests of clusters."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import warnings
from typing import Any

import dask.array as da
import numpy as np
from dask import delayed
from sklearn.exceptions import ConvergenceWarning

N, P = 1200, 5


def numbers(seed: int = 0, n: int = N) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, P)).astype(np.float32)


def table(seed: int = 0, n: int = N, task: str = "binary") -> tuple[Any, Any]:
    """Numbers, and targets that can be learnt of them."""
    X = numbers(seed, n)
    signal = X[:, 0] + X[:, 1] * X[:, 2]
    if task == "regression":
        return X, signal.astype(np.float64)
    if task == "several":
        return X, np.column_stack([signal, X[:, 3]]).astype(np.float64)
    if task == "labels":
        return X, (np.column_stack([signal, X[:, 3]]) > 0).astype(int)
    labels = np.array(["no", "yes"] if task == "binary" else ["a", "b", "c"])
    return X, labels[np.digitize(signal, [0] if task == "binary" else [-0.5, 0.5])]


def in_chunks(*arrays: Any, size: int = N // 4) -> list[Any]:
    """Dask arrays of some rows a partition."""
    return [da.from_array(each, chunks=(size, *each.shape[1:])) for each in arrays]


def pieces(*arrays: Any, stops: list[int]) -> list[list[Any]]:
    """Lists of delayed parts that end at these rows."""
    starts = [0, *stops]
    return [
        [delayed(each[a:b]) for a, b in zip(starts, stops, strict=False)]
        for each in arrays
    ]


class InProcess:
    """What a fit asks of a cluster, done at once; tasks may be told to fail."""

    def __init__(self, before=lambda function: None):
        self.before = before

    def submit(self, function, *args):
        self.before(function)
        return function(*args)

    of_sources = submit

    def constant(self, value):
        return value

    def result(self, value):
        return value

    results = result

    def memory(self):
        return np.inf, np.inf


def fitted(model: Any, *data: Any, **more: Any) -> Any:
    """A fit that need not converge."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(*data, **more)


def digest(model: Any) -> str:
    """Of all parameters, to the last bit."""
    arrays = [
        np.ascontiguousarray(each) for each in (*model.coefs_, *model.intercepts_)
    ]
    return hashlib.sha256(b"".join(each.tobytes() for each in arrays)).hexdigest()


def kill_one(client: Any, after: float = 0.0) -> threading.Timer:
    """SIGKILL for the first worker, in some seconds."""
    pids = sorted(client.run(os.getpid).values())
    timer = threading.Timer(after, os.kill, (pids[0], signal.SIGKILL))
    timer.start()
    return timer
