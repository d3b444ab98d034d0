"""Curves over epochs: losses, scores, and the learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._layers import Array
from ..callbacks import ValidationMonitor
from ..tabular import TabularMLPClassifier, TabularMLPRegressor
from ._axes import (
    FAMILIES,
    axes_of,
    best_epoch,
    check_scale,
    count_epochs,
    fitted_of,
    points_of,
    set_scale,
)


class LossCurveDisplay:
    """Losses over the epochs, of the rows that train and of those that validate.

    Use :meth:`from_estimator` or :meth:`from_monitor`. The epoch that was kept is
    marked. Of an ensemble the lines are the medians of its networks, while at least
    half of them train, the bands reach from the least to the largest, and thin lines
    are the networks.

    Parameters
    ----------
    losses : sequence of array-like
        The training loss after every epoch, of each network.
    validation : sequence of array-like, default=()
        Losses or scores of the rows that validate, of each network.
    best_epochs : sequence of int, default=()
        The epoch that was kept of each network, from 1; 0 for none.
    validation_name : str, default='loss'
        What the second are. With another name than 'loss' they have an axis of their
        own, on the right.
    estimator_name : str, default=None
        For the title.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
    ax_validation_ : matplotlib Axes
        Of the rows that validate; it is ``ax_`` for losses.
    training_line_, validation_line_ : matplotlib Line2D or None
    training_band_, validation_band_ : matplotlib PolyCollection or None
        Of several networks.
    best_ : matplotlib Line2D or None
        The marks.

    See Also
    --------
    LearningRateDisplay : What the steps were multiplied by meanwhile.
    skbackprop.callbacks.ValidationMonitor : Keeps both losses.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_iris
    >>> from skbackprop import BackpropMLPClassifier
    >>> from skbackprop.plotting import LossCurveDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> model = BackpropMLPClassifier(
    ...     early_stopping=True, scoring="loss", random_state=0, tol=1e-2
    ... ).fit(X, y)
    >>> display = LossCurveDisplay.from_estimator(model)
    >>> display.ax_.get_xlabel()
    'Epoch'
    """

    def __init__(
        self,
        losses: Sequence[Any],
        validation: Sequence[Any] = (),
        *,
        best_epochs: Sequence[int] = (),
        validation_name: str = "loss",
        estimator_name: str | None = None,
    ) -> None:
        self.losses, self.validation = losses, validation
        self.best_epochs, self.validation_name = best_epochs, validation_name
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, ax: Any = None, yscale: str = "auto", **kwargs: Any
    ) -> LossCurveDisplay:
        """What a fitted estimator keeps of its training.

        Parameters
        ----------
        estimator : estimator
            One of the four estimators, a pipeline that ends with one, or a search.
        ax : matplotlib Axes, default=None
            New ones where it is None.
        yscale : {'auto', 'linear', 'log'}, default='auto'
            Of the losses; 'auto' is 'log' where they span two decades.
        **kwargs : dict
            For the lines, such as ``linewidth=1``.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        TypeError, ValueError
            For another estimator, or one that keeps no losses: that of
            ``solver='lbfgs'``.
        """
        model = fitted_of(estimator, FAMILIES, "Loss curves")
        bag = isinstance(model, TabularMLPClassifier | TabularMLPRegressor)
        losses = getattr(model, "loss_curves_" if bag else "loss_curve_", None)
        if losses is None and not bag:
            raise ValueError(
                "solver='lbfgs' keeps no loss curve: on_epoch_end of "
                "skbackprop.callbacks is told every loss."
            )
        scores = model.validation_scores_ or []
        if not bag:
            losses, scores = [losses], [scores] if scores else []
        sign, name = 1, "score"
        if model.scoring == "loss":
            sign, name = -1, "loss"
        elif isinstance(model.scoring, str):
            name = model.scoring
        best = [best_epoch(each) for each in scores]
        display = cls(
            losses or [],  # of a model file of an earlier version
            [sign * np.asarray(each) for each in scores],
            best_epochs=model.best_epochs_.tolist() if bag else best,
            validation_name=name,
            estimator_name=type(model).__name__,
        )
        return display.plot(ax, yscale=yscale, **kwargs)

    @classmethod
    def from_monitor(
        cls,
        monitor: ValidationMonitor,
        *,
        run: int = -1,
        ax: Any = None,
        yscale: str = "auto",
        **kwargs: Any,
    ) -> LossCurveDisplay:
        """Both losses of a fit that a monitor has watched, whatever chose the epoch.

        Parameters
        ----------
        monitor : ValidationMonitor
        run : int, default=-1
            The fit; from the last where it is negative.
        ax, yscale, **kwargs
            As in :meth:`from_estimator`.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        ValueError
            If there is no such fit.
        """
        log = monitor.get_log("all")
        n_runs = 1 + max((row["run"] for row in log), default=-1)
        if not -n_runs <= run < n_runs:
            raise ValueError(f"run must be one of {n_runs} fits. Got {run!r}.")
        log = [row for row in log if row["run"] == run % n_runs]
        networks: dict[int, list[Any]] = {}
        for row in log:
            networks.setdefault(row["network"], []).append(row)
        columns = {
            name: [[row[name] for row in rows] for rows in networks.values()]
            for name in ("loss", "validation_loss", "validation_score")
        }
        display = cls(
            columns["loss"],
            columns["validation_loss"],
            best_epochs=[best_epoch(each) for each in columns["validation_score"]],
        )
        return display.plot(ax, yscale=yscale, **kwargs)

    def plot(
        self, ax: Any = None, *, yscale: str = "auto", **kwargs: Any
    ) -> LossCurveDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax, yscale, **kwargs
            As in :meth:`from_estimator`.

        Returns
        -------
        display : LossCurveDisplay
        """
        check_scale(yscale)
        self.ax_ = self.ax_validation_ = ax = axes_of(ax, self)
        self.figure_ = ax.figure
        both = len(self.losses) and len(self.validation)
        same = self.validation_name == "loss" or not both
        if not same:
            self.ax_validation_ = ax.twinx()
        self.training_line_, self.training_band_ = self._curve(
            ax, self.losses, "training loss", {"color": "C0", **kwargs}
        )
        self.validation_line_, self.validation_band_ = self._curve(
            self.ax_validation_,
            self.validation,
            f"validation {self.validation_name}",
            {"color": "C1", **kwargs},
            marker="D",
        )
        self._mark(kwargs)
        shown = [*self.losses, *(self.validation if same else ())]
        set_scale(ax, yscale, shown)
        count_epochs(ax, max((len(each) for each in self._all()), default=0))
        self._tell(same)
        return self

    def _all(self) -> list[Any]:
        return [*self.losses, *self.validation]

    def _curve(
        self,
        ax: Any,
        curves: Sequence[Any],
        label: str,
        style: dict[str, Any],
        marker: str = "o",
    ) -> tuple[Any, Any]:
        """The line of one network, or the median and the range of several."""
        if not len(curves):
            return None, None
        if len(curves) == 1:
            (line,) = ax.plot(*points_of(curves[0]), label=label, **style)
            if len(curves[0]) == 1:
                line.set_marker(marker)
            return line, None
        for curve in curves:  # to see which network a mark is of
            ax.plot(*points_of(curve), color=style["color"], alpha=0.3, linewidth=0.5)
        table = _padded(curves)
        running = np.isfinite(table).sum(axis=0)
        table = table[:, running >= max(1, len(curves) / 2)]
        if not table.shape[1]:
            return None, None
        x = 1 + np.arange(table.shape[1])
        (line,) = ax.plot(x, np.nanmedian(table, axis=0), label=label, **style)
        low, high = np.nanmin(table, axis=0), np.nanmax(table, axis=0)
        if len(x) == 1:
            line.set_marker(marker)
            band = ax.vlines(x, low, high, color=style["color"], alpha=0.4)
        else:
            band = ax.fill_between(
                x, low, high, color=style["color"], alpha=0.2, linewidth=0
            )
        return line, band

    def _mark(self, kwargs: dict[str, Any]) -> None:
        """A mark on each validation curve where its network was taken from."""
        self.best_ = None
        marks = [
            (epoch, curve[epoch - 1])
            for epoch, curve in zip(self.best_epochs, self.validation, strict=False)
            if epoch > 0
        ]
        if not marks:
            return
        several = len(self.validation) > 1
        label = "epochs kept" if several else f"epoch kept: {marks[0][0]}"
        (self.best_,) = self.ax_validation_.plot(
            *np.transpose(marks),
            linestyle="none",
            marker="o",
            markersize=4 if several else 7,
            markerfacecolor="none",
            color=kwargs.get("color", "C3"),
            label=label,
            zorder=3,
        )

    def _tell(self, same: bool) -> None:
        """Labels, title and legend."""
        ax, other = self.ax_, self.ax_validation_
        if same:
            name = "Loss" if len(self.losses) else f"Validation {self.validation_name}"
            ax.set_ylabel(name)
        else:
            ax.set_ylabel("Training loss")
            other.set_ylabel(f"Validation {self.validation_name}")
        n = max(len(self.losses), len(self.validation))
        of = f" ({n} networks)" if n > 1 else ""
        if self.estimator_name is not None:
            ax.set_title(f"{self.estimator_name}{of}")
        handles = [
            each
            for each in (self.training_line_, self.validation_line_, self.best_)
            if each is not None
        ]
        if handles:
            # "best" would look at one of two axes alone; losses fall and scores rise.
            other.legend(handles=handles, loc="best" if same else "center right")


def _padded(curves: Sequence[Any]) -> Array:
    """Curves of any lengths as rows; NaN where one has ended, or is not finite."""
    table = np.full((len(curves), max(map(len, curves))), np.nan)
    for row, curve in zip(table, curves, strict=True):
        row[: len(curve)] = curve
    return np.where(np.isfinite(table), table, np.nan)
