"""The contenders: one file each, all with `prepare(X, y, setup) -> Training`.

`prepare` does what happens once (copies, compilation). The `Training` it
returns trains a fresh network for a number of epochs, each with its own shuffle
and a gather per mini-batch, and returns the mean loss of the last epoch. The
precision is that of X. Two classes are one output with a sigmoid, as in
scikit-learn; more are a softmax; hidden layers are ReLU; there is no penalty.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Training = Callable[[int], float]

NAMES = (
    "ours",
    "sklearn_mlp",
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
