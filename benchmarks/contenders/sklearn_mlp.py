"""scikit-learn's MLPClassifier."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from . import Setup, Training


def prepare(X: np.ndarray, y: np.ndarray, setup: Setup) -> Training:
    """Return `fit`, with the stopping rules switched off."""

    def train(epochs: int) -> float:
        model = MLPClassifier(
            hidden_layer_sizes=setup.hidden,
            solver=setup.solver,
            alpha=0.0,
            batch_size=setup.batch_size,
            learning_rate_init=setup.learning_rate,
            max_iter=epochs,
            random_state=setup.random_state,
            tol=0.0,
            n_iter_no_change=np.inf,
        )
        with warnings.catch_warnings():
            # Every call ends at max_iter: that is the point.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return float(model.fit(X, y).loss_)

    return train
