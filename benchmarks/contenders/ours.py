"""skbackprop's BackpropMLPClassifier."""

import inspect
import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skbackprop import BackpropMLPClassifier

from . import Setup, Skipped, Training


def has_n_jobs() -> bool:
    """Return whether the estimator can be given a number of threads."""
    return "n_jobs" in inspect.signature(BackpropMLPClassifier).parameters


def prepare(X: np.ndarray, y: np.ndarray, setup: Setup) -> Training:
    """Return `fit`, with the stopping rules switched off."""
    threads: dict[str, Any] = {}
    if has_n_jobs():
        threads["n_jobs"] = setup.threads
    elif setup.threads > 1:
        raise Skipped("this build of skbackprop has no n_jobs")

    def train(epochs: int) -> float:
        model = BackpropMLPClassifier(
            hidden_layer_sizes=setup.hidden,
            solver=setup.solver,
            alpha=0.0,
            batch_size=setup.batch_size,
            learning_rate_init=setup.learning_rate,
            max_iter=epochs,
            random_state=setup.random_state,
            tol=0.0,
            n_iter_no_change=np.inf,
            **threads,
        )
        with warnings.catch_warnings():
            # Every call ends at max_iter: that is the point.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return float(model.fit(X, y).loss_)

    return train
