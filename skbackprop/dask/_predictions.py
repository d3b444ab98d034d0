"""Predictions and scores of Dask's collections, a partition at a time."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
from dask import delayed
from sklearn.base import is_classifier

from .._layers import Array
from .._snapshot import working_copy
from .._targets import Numbers, shaped
from ._cluster import Sealed
from ._collections import sources_of
from ._scores import r2, squares
from ._survey import rows_that_weigh


def lazily(model: Any, method: str, X: Any) -> Any:
    """The Dask array of what a plain estimator's method makes of every partition.

    Its chunks are those of X; of frames, and of lists, nobody knows how long they are.
    """
    shared, example = delayed(Sealed(model)), nothing(model, method)
    pieces = [
        da.from_delayed(
            delayed(answers)(shared, method, source.X),
            shape=(n, *example.shape[1:]),
            dtype=example.dtype,
        )
        for n, source in zip(_lengths(X), sources_of(X), strict=True)
    ]
    return da.concatenate(pieces, allow_unknown_chunksizes=True)


def _lengths(X: Any) -> list[Any]:
    if isinstance(X, da.Array):
        return list(X.chunks[0])
    return [np.nan] * (len(X) if isinstance(X, list | tuple) else X.npartitions)


def answers(sealed: Sealed, method: str, X: Any) -> Array:
    """What a model says of rows, also where there are none."""
    model = sealed.value
    if n_rows_of(X) == 0:
        return nothing(model, method)
    found: Array = getattr(model, method)(X)
    return found


def n_rows_of(X: Any) -> int:
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


def nothing(model: Any, method: str) -> Array:
    """An answer for no rows: of the type and width of all others."""
    single = hasattr(model, "coefs_")
    dtype = model.coefs_[0].dtype if single else np.dtype(np.float64)
    if method == "transform":
        return np.zeros((0, model._n_features_out), dtype if single else np.float32)
    if method == "input_gradient":
        what = "decision_function" if is_classifier(model) else "predict"
        return np.zeros((*nothing(model, what).shape, model.n_features_in_), dtype)
    if not is_classifier(model):
        levels = 1 if model.quantiles_ is None else len(model.quantiles_)
        n_outputs = getattr(model, "n_outputs_", None)
        if n_outputs is None:
            n_outputs = len(model.target_mean_) * levels
        return shaped(np.zeros((0, n_outputs), dtype), levels)
    labels = model.classes_
    several = model._y_type == "multilabel-indicator"
    if method == "predict":
        return np.zeros((0, len(labels)), int) if several else labels[:0]
    if method == "decision_function" and model._y_type == "binary":
        return np.zeros(0, dtype)
    return np.zeros((0, len(labels)), dtype)


def score(model: Any, X: Any, y: Any, sample_weight: Any, client: Any) -> float:
    """Accuracy, R^2 or D^2 of collections: as of one table, rows apart."""
    shared, sources = delayed(Sealed(model)), sources_of(X, y, sample_weight)
    if is_classifier(model):
        parts = [delayed(_accuracy)(shared, *source) for source in sources]
    elif model.quantiles_ is not None:
        parts = [delayed(_beside)(shared, *source) for source in sources]
    else:
        means = [delayed(_mean)(source.y) for source in sources]
        center = delayed(_first)(means)
        parts = [delayed(_squares)(shared, *source, center) for source in sources]
    found = [each for each in client.gather(client.compute(parts)) if each is not None]
    if not found:
        raise ValueError("No partition has a row with a weight above 0.")
    if is_classifier(model):
        right, total = np.sum(found, axis=0)
        return float(right / total)
    if model.quantiles_ is None:
        return r2(np.sum(found, axis=0))
    # Of quantiles the best constant is asked for, which is no sum.
    outputs, y, w = (np.concatenate(each) for each in zip(*found, strict=True))
    answered = working_copy(model)
    answered.predict = lambda X: outputs
    return float(answered.score(None, y, w))


def _accuracy(sealed: Sealed, X: Any, y: Any, w: Any) -> Array | None:
    X, y, w = rows_that_weigh(X, y, w)
    if n_rows_of(X) == 0:
        return None
    total = float(n_rows_of(X) if w is None else w.sum())
    return np.array([sealed.value.score(X, y, w) * total, total])


def _beside(sealed: Sealed, X: Any, y: Any, w: Any) -> tuple[Array, ...] | None:
    """Predictions of a partition, with y and weights beside them."""
    X, y, w = rows_that_weigh(X, y, w)
    if n_rows_of(X) == 0:
        return None
    y = Numbers.plain(y)
    return sealed.value.predict(X), y, np.ones(len(y)) if w is None else w


def _mean(y: Any) -> Array | None:
    return Numbers.plain(y).mean(axis=0, dtype=np.float64) if len(y) else None


def _first(means: list[Any]) -> Array:
    """What squares are taken from: so that they are not all about a large mean."""
    return next((each for each in means if each is not None), np.zeros(()))


def _squares(sealed: Sealed, X: Any, y: Any, w: Any, center: Array) -> Array | None:
    found = _beside(sealed, X, y, w)
    if found is None:
        return None
    outputs, y, w = found
    outputs, y = (each.reshape(len(each), -1) for each in (outputs, y))
    return squares(outputs, y, w, np.ravel(center))
