"""What all displays do: find matplotlib, axes and the fitted estimator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._classifier import BackpropMLPClassifier
from .._layers import Array
from .._regressor import BackpropMLPRegressor
from ..tabular import TabularMLPClassifier, TabularMLPRegressor

#: Estimators by their names.
FAMILIES = {
    each.__name__: each
    for each in (
        BackpropMLPClassifier,
        BackpropMLPRegressor,
        TabularMLPClassifier,
        TabularMLPRegressor,
    )
}

#: What ``yscale`` may be.
SCALES = ("auto", "linear", "log")


def axes_of(ax: Any, display: Any) -> Any:
    """The axes that were given, or new ones."""
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError(
            f"{type(display).__name__} needs matplotlib: pip install "
            "'skbackprop[plot]'."
        ) from None
    if ax is None:
        _, ax = pyplot.subplots()
    return ax


def fitted_of(estimator: Any, allowed: Mapping[str, Any], what: str) -> Any:
    """The fitted network or ensemble, also of a pipeline or of a search."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    if hasattr(estimator, "steps"):
        estimator = estimator.steps[-1][1]
    if not isinstance(estimator, tuple(allowed.values())):
        raise TypeError(
            f"{what} are those of {', '.join(allowed)}, also at the end of a "
            f"pipeline. Got {type(estimator).__name__}."
        )
    check_is_fitted(estimator)
    return estimator


def check_scale(yscale: Any) -> None:
    if yscale not in SCALES:
        raise ValueError(f"yscale must be one of {', '.join(SCALES)}. Got {yscale!r}.")


def set_scale(ax: Any, yscale: str, values: Iterable[Any]) -> None:
    """A logarithmic axis where it is asked for, or where values have two decades."""
    if yscale == "auto":
        every = np.concatenate([np.ravel(each) for each in values] or [np.ones(1)])
        every = every[np.isfinite(every)]
        wide = len(every) and every.min() > 0 and every.max() > 100 * every.min()
        yscale = "log" if wide else "linear"
    ax.set_yscale(yscale)


def count_epochs(ax: Any, n_epochs: int) -> None:
    """Whole numbers below the axes."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    ax.set_xlabel("Epoch")
    if n_epochs == 1:  # a point, in the middle
        ax.set_xlim(0, 2)


def shortened(name: Any, most: int = 30) -> str:
    """A name that has room beside axes."""
    text = str(name)
    half = (most - 1) // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"


def best_epoch(scores: Sequence[float]) -> int:
    """The epoch, from 1, of the first best score; 0 where none is a number."""
    finite = np.isfinite(scores)
    return 1 + int(np.argmax(np.where(finite, scores, -np.inf))) if finite.any() else 0


def points_of(curve: Any) -> tuple[Array, Array]:
    values = np.asarray(curve, dtype=float)
    return 1 + np.arange(len(values)), values
