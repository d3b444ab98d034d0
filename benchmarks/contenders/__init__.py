"""The contenders: one file each, all with `prepare(X, y, setup) -> Training`.

`prepare` does what happens once (copies, compilation). The `Training` it
returns trains a fresh network for a number of epochs, each with its own shuffle
and a gather per mini-batch, and returns the mean loss of the last epoch. The
precision is that of X. Two classes are one output with a sigmoid, as in
scikit-learn; more are a softmax; hidden layers are ReLU; there is no penalty.
"""

import importlib
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from shapes import Shape

Training = Callable[[int], float]

NAMES = (
    "ours",
    "ours_avx2",
    "ours_portable",
    "sklearn_mlp",
    "sklearn_haswell",
    "torch_eager",
    "torch_compile",
    "jax_jit",
    "nothing",
)


class Skipped(Exception):
    """Raised by `prepare` where a contender cannot run on this machine."""


@dataclass(frozen=True)
class Setup:
    """What is trained and how; scikit-learn's defaults for all that is not here."""

    hidden: tuple[int, ...]
    batch_size: int
    solver: str
    learning_rate: float
    random_state: int
    threads: int


Entry = tuple[str, Setup]


def setup_for(shape: Shape, solver: str = "adam", threads: int = 1) -> Setup:
    """Return the network and the batches of `shape`."""
    return Setup(
        hidden=shape.hidden,
        batch_size=shape.batch,
        solver=solver,
        learning_rate=1e-3,
        random_state=0,
        threads=threads,
    )


def prepare_all(
    entries: Mapping[str, Entry], X: Any, y: np.ndarray, absent: dict[str, str]
) -> dict[str, Training]:
    """Return the trainings of those that can run; say in `absent` why others cannot."""
    trainings: dict[str, Training] = {}
    for label, (name, setup) in entries.items():
        try:
            module = importlib.import_module(f"contenders.{name}")
            trainings[label] = module.prepare(X, y, setup)
        except ImportError as error:
            absent[label] = f"not installed ({error})"
        except Skipped as error:
            absent[label] = f"not available: {error}"
    return trainings


def initial_parameters(X: np.ndarray, y: np.ndarray, setup: Setup) -> list[np.ndarray]:
    """Return [W1, b1, W2, b2, ...], W of shape (fan_in, fan_out), Glorot uniform.

    scikit-learn's distribution, so that all contenders start from the same place.
    """
    rng = np.random.default_rng(setup.random_state)
    classes = int(y.max()) + 1
    sizes = (X.shape[1], *setup.hidden, 1 if classes == 2 else classes)
    parameters: list[np.ndarray] = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        bound = np.sqrt(6.0 / (fan_in + fan_out))
        for shape in ((fan_in, fan_out), (fan_out,)):
            parameters.append(rng.uniform(-bound, bound, shape).astype(X.dtype))
    return parameters
