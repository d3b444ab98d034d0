"""Quantiles that a regressor predicts, as a fan."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._layers import Array
from .._regressor import BackpropMLPRegressor
from .._validation import rows_of
from ..tabular import TabularMLPRegressor
from ._axes import axes_of, fitted_of, shortened

_ESTIMATORS = {
    each.__name__: each for each in (BackpropMLPRegressor, TabularMLPRegressor)
}
#: Against a feature rows are averaged in groups of neighbours: of so many rows, but at
#: least and at most so many groups.
_ROWS, _FEWEST, _MOST = 15, 8, 30


class QuantileDisplay:
    """Predicted quantiles as a fan, with the share of the targets inside.

    Use :meth:`from_estimator` or :meth:`from_predictions`. Rows are sorted by the
    median that is predicted for them, or stand at the values of a feature; there the
    fan is the average over 8 to 30 groups of neighbours, since other features differ
    from row to row. What an interval covers is counted row by row.

    Parameters
    ----------
    quantiles : array-like of shape (n_quantiles,)
        Levels, which increase.
    y_pred : array-like of shape (n_samples, n_quantiles)
    y_true : array-like of shape (n_samples,), default=None
    x : array-like of shape (n_samples,), default=None
        Numbers, or categories. None sorts the rows by their median.
    x_name : str, default=None
    estimator_name : str, default=None
        For the title.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
    bands_ : list of matplotlib PolyCollection or BarContainer
        From the widest interval to the narrowest; bars for categories and few values.
    median_ : matplotlib Line2D
        Of the middle level.
    points_ : matplotlib Line2D or None
        The targets.
    coverage_ : list of float
        The share of the targets in each interval; empty without targets.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> from skbackprop import TabularMLPRegressor
    >>> from skbackprop.plotting import QuantileDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(size=(300, 1))
    >>> y = X[:, 0] * (1 + rng.normal(size=300))
    >>> model = TabularMLPRegressor(
    ...     loss="quantile", quantile=[0.1, 0.5, 0.9], preset="fast", random_state=0
    ... ).fit(X, y)
    >>> display = QuantileDisplay.from_estimator(model, X, y, feature=0)
    >>> 0.6 < display.coverage_[0] < 1
    True
    """

    def __init__(
        self,
        quantiles: Any,
        y_pred: Any,
        y_true: Any = None,
        *,
        x: Any = None,
        x_name: str | None = None,
        estimator_name: str | None = None,
    ) -> None:
        self.quantiles, self.y_pred, self.y_true = quantiles, y_pred, y_true
        self.x, self.x_name, self.estimator_name = x, x_name, estimator_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        feature: str | int | None = None,
        target: int = 0,
        ax: Any = None,
        **kwargs: Any,
    ) -> QuantileDisplay:
        """The quantiles of rows.

        Parameters
        ----------
        estimator : estimator
            A regressor that was fitted with ``loss='quantile'``; also at the end of a
            pipeline, or found by a search.
        X : frame or array-like of shape (n_samples, n_features)
            Rows, best of those that have not been trained on.
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
            What was observed.
        feature : str or int, default=None
            The column of X that is the horizontal axis, by its name or its number.
            None sorts the rows by their median.
        target : int, default=0
            Of several targets, the one that is drawn.
        ax : matplotlib Axes, default=None
            New ones where it is None.
        **kwargs : dict
            For the line of the median.

        Returns
        -------
        display : QuantileDisplay

        Raises
        ------
        TypeError, ValueError
            For an estimator that predicts no quantiles, and for a feature or a target
            that is not there.
        """
        model = fitted_of(estimator, _ESTIMATORS, "Quantiles")
        if model.quantiles_ is None:
            raise ValueError(
                "The estimator predicts no quantiles: fit it with loss='quantile' and "
                "levels such as quantile=[0.05, 0.5, 0.95]."
            )
        outputs = np.asarray(estimator.predict(X))
        levels = len(model.quantiles_)
        outputs = outputs.reshape(len(outputs), -1, levels)
        if not 0 <= target < outputs.shape[1]:
            raise ValueError(
                f"target must be one of {outputs.shape[1]} targets. Got {target!r}."
            )
        if y is not None:
            y = np.asarray(y).reshape(len(outputs), -1)[:, target]
        x, x_name = (None, None) if feature is None else _column(X, feature)
        return cls.from_predictions(
            model.quantiles_,
            outputs[:, target],
            y,
            x=x,
            x_name=x_name,
            estimator_name=type(model).__name__,
            ax=ax,
            **kwargs,
        )

    @classmethod
    def from_predictions(
        cls,
        quantiles: Any,
        y_pred: Any,
        y_true: Any = None,
        *,
        x: Any = None,
        x_name: str | None = None,
        estimator_name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> QuantileDisplay:
        """Quantiles that have been predicted, by whatever model.

        Parameters
        ----------
        quantiles, y_pred, y_true, x, x_name, estimator_name
            As for the class.
        ax : matplotlib Axes, default=None
            New ones where it is None.
        **kwargs : dict
            For the line of the median.

        Returns
        -------
        display : QuantileDisplay

        Raises
        ------
        ValueError
            Where shapes do not belong together, or levels do not increase.
        """
        levels = np.atleast_1d(np.asarray(quantiles, dtype=float))
        outputs = np.asarray(y_pred, dtype=float)
        if outputs.ndim == 1:  # of one level
            outputs = outputs[:, None]
        if not len(outputs) or outputs.shape[1:] != (len(levels),):
            raise ValueError(
                f"y_pred must have a row at least, and a column for each of "
                f"{len(levels)} quantiles. Got the shape {np.shape(y_pred)}."
            )
        if not (np.diff([0.0, *levels, 1.0]) > 0).all():
            raise ValueError(
                f"quantiles must increase between 0 and 1. Got {levels.tolist()}."
            )
        for name, given in (("y_true", y_true), ("x", x)):
            if given is not None and np.shape(given) != (len(outputs),):
                raise ValueError(
                    f"{name} must have {len(outputs)} values, one for each row of "
                    f"y_pred. Got the shape {np.shape(given)}."
                )
        truth = None if y_true is None else np.asarray(y_true, dtype=float)
        display = cls(
            levels, outputs, truth, x=x, x_name=x_name, estimator_name=estimator_name
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> QuantileDisplay:
        """Draw the fan.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            New ones where it is None.
        **kwargs : dict
            For the line of the median.

        Returns
        -------
        display : QuantileDisplay
        """
        self.ax_ = ax = axes_of(ax, self)
        self.figure_, self.bands_, self.coverage_ = ax.figure, [], []
        levels, truth = self.quantiles, self.y_true
        middle = int(np.argmin(np.abs(np.asarray(levels) - 0.5)))
        x, fan, at, bars = self._placed(ax, middle)
        pairs = [(i, len(levels) - 1 - i) for i in range(len(levels) // 2)]
        for place, (low, high) in enumerate(pairs):
            label = f"{100 * (levels[high] - levels[low]):.3g} % interval"
            if truth is not None:
                inside = (self.y_pred[:, low] <= truth) & (
                    truth <= self.y_pred[:, high]
                )
                self.coverage_.append(float(inside.mean()))
                label += f" (covers {100 * self.coverage_[-1]:.0f} %)"
            depth = place / max(1, len(pairs) - 1)
            bounds = fan[:, low], fan[:, high]
            self.bands_.append(_band(ax, x, *bounds, label, depth, bars))
        style = {"linestyle": "none", "marker": "D"} if bars else {"linestyle": "-"}
        name = "median" if levels[middle] == 0.5 else f"quantile {levels[middle]:.3g}"
        if truth is not None and not pairs:
            below = float(np.mean(truth <= self.y_pred[:, middle]))
            name += f" ({100 * below:.0f} % below)"
        (self.median_,) = ax.plot(
            x, fan[:, middle], **{"label": name, "color": "C0", **style, **kwargs}
        )
        self.points_ = None
        if truth is not None:
            (self.points_,) = ax.plot(
                at,
                truth if self.x is not None else truth[self._order],
                linestyle="none",
                marker=".",
                markersize=max(1.5, 5 - np.log10(len(truth))),
                alpha=0.6,
                color="C1",
                label="observed",
                zorder=1.5,
            )
        ax.set_ylabel("Prediction" if truth is None else "Target")
        if self.estimator_name is not None:
            ax.set_title(self.estimator_name)
        self._legend(bars)
        return self

    def _legend(self, bars: bool) -> None:
        """Beside the fan, or above the bars, which leave no room."""
        handles = [*self.bands_, self.median_]
        handles += [] if self.points_ is None else [self.points_]
        if not bars:
            self.ax_.legend(handles=handles, loc="best")
            return
        low, high = self.ax_.get_ylim()
        self.ax_.set_ylim(low, high + 0.3 * (high - low))
        self.ax_.legend(handles=handles, loc="upper center", ncols=2)

    def _placed(self, ax: Any, middle: int) -> tuple[Array, Array, Array, bool]:
        """Where the fan stands, its quantiles there, and where the targets stand.

        And whether it is made of bars.
        """
        outputs = self.y_pred
        if self.x is None:
            self._order = np.argsort(outputs[:, middle], kind="stable")
            at = 1 + np.arange(len(outputs))
            ax.set_xlabel("Rows, sorted by their prediction")
            return at, outputs[self._order], at, len(at) == 1
        ax.set_xlabel("x" if self.x_name is None else shortened(self.x_name, 60))
        values = np.asarray(self.x)
        named = values.dtype.kind not in "iuf"
        if named:
            names, group = _categories(self.x)
            ax.set_xlim(-0.5, len(names) - 0.5)
            ax.set_xticks(range(len(names)), [shortened(name, 20) for name in names])
            turned = sum(len(shortened(name, 20)) for name in names) > 50
            if turned:
                ax.tick_params("x", rotation=90)
            at = group.astype(float)
        else:
            at = values.astype(float)
            group = _neighbours(at)
        known = group >= 0
        count = np.bincount(group[known])
        means = [
            np.bincount(group[known], each[known]) / count for each in (at, *outputs.T)
        ]
        return means[0], np.transpose(means[1:]), at, named or len(count) < _FEWEST


def _band(
    ax: Any, x: Array, low: Array, high: Array, label: str, depth: float, bars: bool
) -> Any:
    """An interval, darker the narrower it is, from 0 for the widest to 1."""
    alpha = 0.15 + 0.25 * depth
    if bars:
        room = np.diff(np.sort(x)).min() if len(x) > 1 else 1.0
        width = room * (0.5 - 0.25 * depth)
        return ax.bar(
            x, high - low, width, bottom=low, color="C0", alpha=alpha, label=label
        )
    return ax.fill_between(x, low, high, color="C0", alpha=alpha, lw=0, label=label)


def _column(X: Any, feature: str | int) -> tuple[Any, str]:
    """A column of a frame or an array, and its name."""
    names = getattr(X, "columns", None)
    if names is None and hasattr(X, "column_names"):  # Arrow
        names = X.column_names
    n = np.shape(X)[1]
    if names is not None and feature in list(names):
        column = X[feature]
        if hasattr(getattr(column, "cat", None), "categories"):  # they have an order
            return column, str(feature)
        return np.asarray(column, dtype=_plain_type(column)), str(feature)
    if isinstance(feature, str) or not 0 <= feature < n:
        known = "" if names is None else f", or a name of {[*map(str, names)]!r:.300}"
        raise ValueError(
            f"feature must be a number from 0 to {n - 1}{known}. Got {feature!r}."
        )
    if names is not None:
        return _column(X, list(names)[feature])
    if hasattr(X, "tocsc"):
        return X.tocsc()[:, [feature]].toarray()[:, 0], f"column {feature}"
    rows = rows_of(X, np.arange(len(X)))
    return np.asarray(rows)[:, feature], f"column {feature}"


def _plain_type(column: Any) -> Any:
    """float for numbers, missing ones too; objects for the rest."""
    try:
        np.asarray(column, dtype=float)
    except (TypeError, ValueError):
        return object
    text = getattr(column, "dtype", None) is not None and np.asarray(column).dtype.kind
    return object if text in ("U", "S", "T", "b") else float


def _categories(values: Any) -> tuple[list[str], Array]:
    """Names in their order, or that of their text, and the number of each row's."""
    order = getattr(getattr(values, "cat", None), "categories", ())
    seen = {str(value) for value in values}
    known = [str(name) for name in order if str(name) in seen]
    known += sorted(seen - {*known})
    numbers = {name: number for number, name in enumerate(known)}
    return known, np.array([numbers[str(value)] for value in values])


def _neighbours(x: Array) -> Array:
    """The group of each row: of equal values, or of about as many rows; -1 for NaN."""
    group = np.full(len(x), -1)
    known = np.isfinite(x)
    distinct, number = np.unique(x[known], return_inverse=True)
    n_groups = min(_MOST, max(_FEWEST, known.sum() // _ROWS))
    if len(distinct) > n_groups:
        edges = np.unique(np.quantile(x[known], np.linspace(0, 1, n_groups + 1)[1:-1]))
        number = np.searchsorted(edges, x[known], side="right")
        number = np.unique(number, return_inverse=True)[1]
    group[known] = number
    return group
