"""Whole fits: a small data set, and real tables with early stopping."""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sections import Figures, Options, Result, Section, Unavailable
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from timing import in_turns, ratio, times_table

from skbackprop import BackpropMLPClassifier

CLASSES = {"ours": BackpropMLPClassifier, "sklearn_mlp": MLPClassifier}
SMALL_EPOCHS = 200
EPOCHS = {"covertype": 5, "adult": 20}


def _timed_fits(
    X: np.ndarray, y: np.ndarray, epochs: int, options: Options, **parameters: Any
) -> Result:
    """Return the seconds of whole fits that no rule stops, and what they reached."""

    def fit(Classifier: type) -> Any:
        model = Classifier(
            max_iter=epochs,
            tol=0.0,
            n_iter_no_change=np.inf,
            random_state=0,
            **parameters,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # that is the point
            return model.fit(X, y)

    # The first fit warms up and says that both have done the same work.
    models = {name: fit(Classifier) for name, Classifier in CLASSES.items()}
    calls = {
        name: lambda Classifier=Classifier: fit(Classifier)
        for name, Classifier in CLASSES.items()
    }
    return {
        "size": f"{X.shape[0]:,} x {X.shape[1]}, {X.dtype}, {epochs} epochs",
        "epochs": {name: int(model.n_iter_) for name, model in models.items()},
        "losses": {name: float(model.loss_) for name, model in models.items()},
        "seconds": in_turns(calls, options.rounds),
    }


def _tell_one(result: Result) -> str:
    reached = ", ".join(
        f"{name} {loss:.4f} after {result['epochs'][name]}"
        for name, loss in result["losses"].items()
    )
    seconds = result["seconds"]
    unit = "ms" if max(seconds["ours"]) < 1 else "s"
    return (
        f"{result['size']}:\n\n{times_table(seconds, unit, 'sklearn_mlp')}\n\n"
        f"Training loss after the last epoch: {reached}."
    )


def _figure(result: Result) -> dict[str, float]:
    return {"": ratio(result["seconds"]["sklearn_mlp"], result["seconds"]["ours"])}


def _measure_small(options: Options) -> Result:
    X, y = load_iris(return_X_y=True)
    return _timed_fits(X, y, options.size(SMALL_EPOCHS, 20), options)


def _measure_tables(options: Options) -> Result:
    if not options.data.is_dir():
        raise Unavailable("there is no folder of data sets: give one with --data")
    result: Result = {}
    for name, epochs in EPOCHS.items():
        print(f"  {name} ...", file=sys.stderr)
        X, y = _load(options.data, name)
        if options.quick:
            X, y = X[:5_000], y[:5_000]
        epochs = options.size(epochs, 2)
        result[name] = _timed_fits(X, y, epochs, options, early_stopping=True)
    return result


def _load(folder: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return float32 features, numbers standardised and categories one-hot, and y.

    NAME.json beside NAME.csv.gz says which columns are categories and which the
    target.
    """
    try:
        import pandas as pd
    except ImportError:
        raise Unavailable("pandas is not installed") from None
    try:
        facts = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Unavailable(f"the folder of data sets has no {name}.json") from None
    categories = facts["categorical"]
    data = pd.read_csv(
        folder / f"{name}.csv.gz",
        dtype=dict.fromkeys(categories, str),
        keep_default_na=False,
        na_values=[""],
    )
    y = data[facts["target"][0]].to_numpy()
    data = data.drop(columns=facts["target"]).fillna(dict.fromkeys(categories, ""))
    encoder = make_column_transformer(
        (OneHotEncoder(sparse_output=False, dtype=np.float32), categories),
        (
            make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
            make_column_selector(dtype_include="number"),
        ),
    )
    return np.ascontiguousarray(encoder.fit_transform(data), np.float32), y


def _tell_tables(result: Result) -> str:
    return "\n\n".join(f"{name}, {_tell_one(each)}" for name, each in result.items())


def _table_figures(result: Result) -> Figures:
    return {name: _figure(each) for name, each in result.items()}


SMALL = Section(
    "small_fits",
    "Small fits, one thread",
    "The time of a whole `fit` on iris with all defaults, but for the stopping rules, "
    "which are switched off. The mini-batch is the whole data set.",
    measure=_measure_small,
    tell=_tell_one,
    protocol="{rounds} rounds",
    figures=lambda result: {"small_fit": _figure(result)},
)
TABLES = Section(
    "whole_fits",
    "Whole fits with early stopping, one thread",
    "The wall time of `fit` with `early_stopping=True`, all defaults but for the "
    "stopping rules: the same number of epochs for both. Numbers are standardised and "
    "categories one-hot, outside the clock.",
    measure=_measure_tables,
    tell=_tell_tables,
    protocol="{rounds} rounds",
    figures=_table_figures,
)
