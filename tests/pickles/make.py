"""Write the pickles that test_pickles.py reads, with the version that is installed.

    python tests/pickles/make.py FOLDER

Those in ``0.1.0`` were written by version 0.1.0, and are not to be written again.
"""

import pickle
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import skbackprop as sb

RNG = np.random.RandomState(0)
X = RNG.normal(size=(80, 3)).round(2)
NUMBERS = (X[:, 0] * 2 - X[:, 1] + 0.1 * RNG.normal(size=80)).round(2)
LABELS = np.where(X[:, 0] > 0.5, "high", np.where(X[:, 0] < -0.5, "low", "middle"))
BINARY = NUMBERS > 0
INDICATORS = (X[:, :2] > 0).astype(int)
TEXT = np.array(["a", "b", "c", None], dtype=object)[RNG.randint(4, size=80)]
#: A frame as lists: numbers with missing ones, and categories with missing ones.
ROWS = [[None if i % 9 == 0 else float(X[i, 0]), TEXT[i]] for i in range(80)]

SMALL = {"hidden_layer_sizes": (5,), "random_state": 0}
TABULAR = SMALL | {"n_folds": 2, "max_iter": 3}


def epochs(estimator: Any, *data: Any, n: int = 3, **first: Any) -> Any:
    """After n epochs of ``partial_fit``."""
    for _ in range(n):
        estimator.partial_fit(*data, **first)
    return estimator


#: Each name with what makes the object.
MAKERS: dict[str, Callable[[], Any]] = {
    "classifier": lambda: sb.BackpropMLPClassifier(max_iter=5, **SMALL).fit(X, LABELS),
    "classifier_float32": lambda: sb.BackpropMLPClassifier(
        max_iter=5, dtype="float32", class_weight="balanced", **SMALL
    ).fit(X, BINARY),
    "classifier_labels": lambda: sb.BackpropMLPClassifier(max_iter=5, **SMALL).fit(
        X, INDICATORS
    ),
    "classifier_warm": lambda: sb.BackpropMLPClassifier(
        max_iter=3, warm_start=True, **SMALL
    ).fit(X, LABELS),
    "classifier_early": lambda: sb.BackpropMLPClassifier(
        max_iter=4, warm_start=True, early_stopping=True, solver="sgd", **SMALL
    ).fit(X, BINARY),
    "classifier_partial": lambda: epochs(
        sb.BackpropMLPClassifier(solver="adamw", dropout=0.1, **SMALL),
        X,
        LABELS,
        np.linspace(0.5, 2, 80),
        classes=["high", "low", "middle"],
    ),
    "regressor": lambda: sb.BackpropMLPRegressor(solver="lbfgs", **SMALL).fit(
        X, NUMBERS
    ),
    "regressor_quantiles": lambda: sb.BackpropMLPRegressor(
        loss="quantile", quantile=[0.1, 0.9], max_iter=5, **SMALL
    ).fit(X, NUMBERS),
    "regressor_partial": lambda: epochs(sb.BackpropMLPRegressor(**SMALL), X, NUMBERS),
    "tabular_classifier": lambda: sb.TabularMLPClassifier(
        calibrate=True, **TABULAR
    ).fit(ROWS, LABELS),
    "tabular_regressor": lambda: sb.TabularMLPRegressor(**TABULAR).fit(ROWS, NUMBERS),
    "tabular_quantiles": lambda: sb.TabularMLPRegressor(
        loss="quantile", quantile=[0.1, 0.9], **TABULAR
    ).fit(ROWS, NUMBERS),
    "encoder": lambda: sb.TabularEncoder().fit(ROWS),
    "network": lambda: sb.Network(
        [3, 4, 2],
        "tanh",
        loss="categorical_cross_entropy",
        output_activation="softmax",
        bias=[False, True],
        random_state=0,
    ),
}


def outputs(model: Any) -> np.ndarray:
    """What the object says of its own data."""
    if isinstance(model, sb.TabularEncoder):
        return model.transform(ROWS)
    if isinstance(model, sb.Network):
        return model.forward(X)
    data = ROWS if hasattr(model, "encoder_") else X
    if hasattr(model, "predict_log_proba"):
        return model.predict_log_proba(data)
    return model.predict(data)


def continued(name: str, model: Any) -> np.ndarray | None:
    """The outputs after the training has gone on; None where it cannot."""
    if name.endswith("_partial"):
        y = NUMBERS if name.startswith("regressor") else LABELS
        return outputs(epochs(model, X, y, n=2))
    if name.endswith(("_warm", "_early")):
        y = LABELS if name.endswith("_warm") else BINARY
        return outputs(model.fit(X, y))
    return None


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    expected: dict[str, np.ndarray] = {}
    warnings.simplefilter("ignore")
    for name, make in MAKERS.items():
        model = make()
        # A protocol that every supported Python reads.
        (folder / f"{name}.pickle").write_bytes(pickle.dumps(model, protocol=4))
        expected[name] = outputs(model)
        later = continued(name, pickle.loads(pickle.dumps(model)))
        if later is not None:
            expected[f"{name}_continued"] = later
    np.savez_compressed(folder / "expected.npz", **expected)


if __name__ == "__main__":
    main()
