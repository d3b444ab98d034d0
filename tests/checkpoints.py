"""Fits of every kind that are cut off, for the tests of checkpoints."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skbackprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    TabularMLPClassifier,
    TabularMLPRegressor,
)
from skbackprop._observers import Observer

RNG = np.random.RandomState(0)
X = RNG.normal(size=(120, 4))
LABELS = (X[:, 0] + 0.3 * RNG.normal(size=120) > 0).astype(int)
NUMBERS = X[:, 0] - 2 * X[:, 1]


class Crash(Exception):
    """What ends a process, as far as a test can."""


@contextmanager
def watched(model: Any, function: Callable[[Any], None]) -> Iterator[None]:
    """Call a function after every epoch of fits of the model's class."""

    class Hook(Observer):
        def epoch_ends(self, epoch: Any) -> None:
            function(epoch)

    with patch.object(type(model), "_observers", lambda self: [Hook()]):
        yield


def cut_off(model: Any, epochs: int, *data: Any, **fit: Any) -> None:
    """Fit, and fail after so many epochs of all networks."""
    seen = 0

    def hook(*_: Any) -> None:
        nonlocal seen
        seen += 1
        if seen >= epochs:
            raise Crash

    with pytest.raises(Crash), watched(model, hook):
        model.fit(*data, **fit)


MODELS: dict[str, Callable[..., Any]] = {
    "adam": lambda **p: BackpropMLPClassifier((6,), max_iter=8, **p),
    "dropout": lambda **p: BackpropMLPRegressor(
        (6,), max_iter=8, solver="adamw", dropout=0.3, learning_rate="cosine", **p
    ),
    "adaptive": lambda **p: BackpropMLPRegressor(
        (6,),
        max_iter=20,
        solver="sgd",
        learning_rate="adaptive",
        learning_rate_init=0.01,
        tol=0.05,
        n_iter_no_change=1,
        **p,
    ),
    "invscaling": lambda **p: BackpropMLPClassifier(
        (6,), max_iter=8, solver="sgd", learning_rate="invscaling", momentum=0.5, **p
    ),
    "converges": lambda **p: BackpropMLPRegressor(
        (6,), max_iter=50, tol=0.5, n_iter_no_change=6, **p
    ),
    "early": lambda **p: BackpropMLPClassifier(
        (6,), max_iter=30, early_stopping=True, n_iter_no_change=6, **p
    ),
    "keeps": lambda **p: BackpropMLPClassifier(
        (6,), max_iter=8, early_stopping=True, warm_start=True, dtype="float32", **p
    ),
    "clipped": lambda **p: BackpropMLPRegressor(
        (6, 4), max_iter=8, max_grad_norm=0.1, batch_size=30, shuffle=False, **p
    ),
    "classes": lambda **p: TabularMLPClassifier(
        n_folds=3, max_iter=4, hidden_layer_sizes=(8,), **p
    ),
    "bag": lambda **p: TabularMLPRegressor(
        n_folds=2, n_repeats=2, max_iter=3, hidden_layer_sizes=(8,), **p
    ),
    "quantiles": lambda **p: TabularMLPRegressor(
        n_folds=2, max_iter=3, loss="quantile", quantile=[0.2, 0.8], n_jobs=2, **p
    ),
}


def target(model: Any) -> Any:
    return LABELS if "Classifier" in type(model).__name__ else NUMBERS


def learnt(model: Any) -> list[Any]:
    """Parameters and history."""
    if hasattr(model, "coefs_"):
        history = [model.loss_curve_, model.n_iter_, model.t_, model.loss_]
        history += [model.validation_scores_, model.best_validation_score_]
        return [*model.coefs_, *model.intercepts_, *history]
    history = [model.validation_scores_, model.loss_curves_, model.best_epochs_]
    return [*model._bag[1], *history]


def assert_the_same(one: Any, other: Any) -> None:
    for a, b in zip(learnt(one), learnt(other), strict=True):
        assert_array_equal(a, b)
    assert_array_equal(one.predict(X), other.predict(X))
