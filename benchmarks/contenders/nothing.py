"""Nothing: what the harness itself costs."""

import numpy as np

from . import Setup, Training


def prepare(X: np.ndarray, y: np.ndarray, setup: Setup) -> Training:
    """Return a training that does not train."""

    def train(epochs: int) -> float:
        return 0.0

    return train
