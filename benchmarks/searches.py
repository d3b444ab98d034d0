"""A grid search: our threads against scikit-learn's processes."""

import os
import warnings
from typing import Any

import joblib
from sections import Options, Result, Section
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from timing import in_turns, ratio, times_table

from skbackprop import BackpropMLPClassifier

WORKERS = 2
EPOCHS = 30
GRID: dict[str, list[Any]] = {
    "hidden_layer_sizes": [(32,), (64,), (100,), (64, 32)],
    "alpha": [1e-5, 1e-4, 1e-2],
    "learning_rate_init": [1e-3, 1e-2],
}
OURS, REFERENCE = f"ours, {WORKERS} threads", f"sklearn_mlp, {WORKERS} processes"


def _measure(options: Options) -> Result:
    """Return the seconds of whole searches, and what they found."""
    os.environ["PYTHONWARNINGS"] = "ignore"  # of the workers: nothing converges
    warnings.simplefilter("ignore")
    X, y = load_digits(return_X_y=True)
    X /= 16.0
    epochs = options.size(EPOCHS, 2)

    def search(Classifier: type, backend: str) -> GridSearchCV:
        model = Classifier(max_iter=epochs, random_state=0)
        with joblib.parallel_config(backend, n_jobs=WORKERS):
            return GridSearchCV(model, GRID, cv=3, refit=False).fit(X, y)

    calls = {
        OURS: lambda: search(BackpropMLPClassifier, "threading"),
        REFERENCE: lambda: search(MLPClassifier, "loky"),
    }
    # The workers start here, and live on.
    scores = {name: float(call().best_score_) for name, call in calls.items()}
    return {"scores": scores, "seconds": in_turns(calls, options.rounds)}


def _tell(result: Result) -> str:
    found = ", ".join(f"{name} {score:.4f}" for name, score in result["scores"].items())
    return (
        f"{times_table(result['seconds'], 's', REFERENCE)}\n\nBest mean score: {found}."
    )


SECTION = Section(
    "search",
    "Grid search on two cores",
    "The wall time of `GridSearchCV` with 24 candidates and three folds on "
    "scikit-learn's digits (1,797 x 64, float64, divided by 16), at most "
    f"{EPOCHS} epochs: ours on joblib's backend `threading`, scikit-learn's on `loky`, "
    "whose processes already run when the clock starts.",
    measure=_measure,
    tell=_tell,
    protocol="{rounds} rounds",
    figures=lambda result: {
        "search": {"": ratio(result["seconds"][REFERENCE], result["seconds"][OURS])}
    },
    cpus=WORKERS,
)
