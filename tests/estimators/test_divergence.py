"""Whatever diverges ends as a clear error or as a finite model, never as NaN.

Answers for: _training.py, _messages.py, _lbfgs.py.
"""

import warnings
from typing import Any

import numpy as np
import pytest

from skbackprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    TabularMLPClassifier,
    TabularMLPRegressor,
)

RNG = np.random.RandomState(0)
X = RNG.normal(size=(60, 5))
NUMBERS = X[:, 0] + 0.1 * RNG.normal(size=60)
TARGETS = {
    "binary": (NUMBERS > 0).astype(int),
    "classes": np.digitize(NUMBERS, [-0.5, 0.5]),
    "labels": (X[:, :2] > 0).astype(int),
    "squared_error": NUMBERS,
    "absolute_error": NUMBERS,
    "huber": NUMBERS,
    "quantile": NUMBERS,
    "poisson": np.exp(NUMBERS),
}
CLASSIFIED = ("binary", "classes", "labels")
#: Parameters, and what X and y are multiplied by.
TROUBLE: dict[str, tuple[dict[str, Any], float, float]] = {
    "rate 1e3": ({"learning_rate_init": 1e3}, 1, 1),
    "rate 1e30": ({"learning_rate_init": 1e30}, 1, 1),
    "target 1e30": ({}, 1, 1e30),
    "features 1e30": ({}, 1e30, 1),
    "features 1e18": ({"learning_rate_init": 1.0}, 1e18, 1),
}


def model_of(loss: str, **parameters: Any) -> Any:
    if loss in CLASSIFIED:
        return BackpropMLPClassifier((8,), max_iter=20, random_state=0, **parameters)
    if loss == "quantile":
        parameters["quantile"] = [0.2, 0.8]
    return BackpropMLPRegressor(
        (8,), loss=loss, max_iter=20, random_state=0, **parameters
    )


def check(model: Any, A: Any) -> None:
    """Parameters, loss and predictions are numbers."""
    for array in (*model.coefs_, *model.intercepts_):
        assert np.isfinite(array).all()
    assert np.isfinite(model.loss_) and model.n_iter_ > 0
    assert np.isfinite(model.loss_curve_ if hasattr(model, "loss_curve_") else 0).all()
    method = "predict_proba" if hasattr(model, "predict_proba") else "predict"
    assert np.isfinite(getattr(model, method)(A)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("loss", TARGETS)
@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw", "lbfgs"])
def test_a_network_diverges_cleanly(
    solver: str, loss: str, trouble: str, dtype: str
) -> None:
    parameters, x_scale, y_scale = TROUBLE[trouble]
    A = X * x_scale
    y = TARGETS[loss] if loss in CLASSIFIED else TARGETS[loss] * y_scale
    for more in {}, {"early_stopping": True}, {"dropout": 0.5}:
        if solver == "lbfgs" and more:
            continue
        model = model_of(loss, solver=solver, dtype=dtype, **parameters, **more)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                model.fit(A, y)
            except ValueError as error:
                assert str(error).startswith("Solver produced non-finite parameter we")
                if not hasattr(model, "coefs_"):
                    continue
            check(model, A)


@pytest.mark.parametrize("trouble", ["rate 1e3", "rate 1e30", "target 1e30"])
@pytest.mark.parametrize("by_loss", [True, False])
@pytest.mark.parametrize("loss", [loss for loss in TARGETS if loss != "poisson"])
def test_a_bag_diverges_cleanly(loss: str, by_loss: bool, trouble: str) -> None:
    parameters, _, y_scale = TROUBLE[trouble]
    kind, y = TabularMLPClassifier, TARGETS[loss]
    if loss not in CLASSIFIED:
        kind, y = TabularMLPRegressor, y * y_scale
        parameters = parameters | {"loss": loss}
    scoring = "loss" if by_loss else "accuracy" if loss in CLASSIFIED else "r2"
    model = kind(
        n_folds=2, max_iter=3, random_state=0, scoring=scoring, n_jobs=1, **parameters
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model.fit(X, y)
        except ValueError as error:
            assert str(error).startswith("Training diverged before an epoch had")
            assert not hasattr(model, "n_iter_")
            return
    assert all(np.isfinite(theta).all() for theta in model._bag[1])
    assert np.isfinite(model.predict(X)).all()
