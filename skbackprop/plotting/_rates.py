"""The learning rate of every epoch, from what a fitted estimator keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._hyperparameters import settings_of
from .._layers import Array
from .._settings import Settings, make_plan, make_schedule
from .._state import History
from ..tabular._member import settings_of as settings_of_member
from ..tabular._recipe import Recipe
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


class LearningRateDisplay:
    """The learning rate over the epochs of the last ``fit``.

    Use :meth:`from_estimator`. Where a schedule changes the rate from step to step, it
    is that of the middle of each epoch.

    Parameters
    ----------
    rates : array-like of shape (n_epochs,)
    best_epochs : sequence of int, default=()
        The epochs that were kept, from 1; they are marked.
    estimator_name : str, default=None
        For the title.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
    line_ : matplotlib Line2D
    best_ : matplotlib Line2D or None
        The marks.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_iris
    >>> from skbackprop import BackpropMLPClassifier
    >>> from skbackprop.plotting import LearningRateDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> model = BackpropMLPClassifier(
    ...     solver="sgd", learning_rate="adaptive", random_state=0, tol=1e-2
    ... ).fit(X, y)
    >>> display = LearningRateDisplay.from_estimator(model)
    >>> len(display.rates) == model.n_iter_
    True
    """

    def __init__(
        self,
        rates: Any,
        *,
        best_epochs: Sequence[int] = (),
        estimator_name: str | None = None,
    ) -> None:
        self.rates = np.asarray(rates, dtype=float)
        self.best_epochs, self.estimator_name = best_epochs, estimator_name

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, ax: Any = None, yscale: str = "auto", **kwargs: Any
    ) -> LearningRateDisplay:
        """The rates that a fitted estimator was trained with.

        Parameters
        ----------
        estimator : estimator
            One of the four estimators, a pipeline that ends with one, or a search.
        ax : matplotlib Axes, default=None
            New ones where it is None.
        yscale : {'auto', 'linear', 'log'}, default='auto'
            'auto' is 'log' where the rates span two decades.
        **kwargs : dict
            For the line.

        Returns
        -------
        display : LearningRateDisplay

        Raises
        ------
        TypeError, ValueError
            For another estimator, or one without a learning rate: that of
            ``solver='lbfgs'``.
        """
        model = fitted_of(estimator, FAMILIES, "Learning rates")
        rates = learning_rates(model)
        if hasattr(model, "best_epochs_"):
            best = model.best_epochs_.tolist()
        else:
            scores = model.validation_scores_ or []
            best = [best_epoch(scores[-len(rates) :])] if scores else []
        name = type(model).__name__
        display = cls(rates, best_epochs=best, estimator_name=name)
        return display.plot(ax, yscale=yscale, **kwargs)

    def plot(
        self, ax: Any = None, *, yscale: str = "auto", **kwargs: Any
    ) -> LearningRateDisplay:
        """Draw the rates.

        Parameters
        ----------
        ax, yscale, **kwargs
            As in :meth:`from_estimator`.

        Returns
        -------
        display : LearningRateDisplay
        """
        check_scale(yscale)
        self.ax_ = ax = axes_of(ax, self)
        self.figure_, self.best_ = ax.figure, None
        x, rates = points_of(self.rates)
        (self.line_,) = ax.plot(x, rates, **{"label": "learning rate", **kwargs})
        if len(rates) == 1:
            self.line_.set_marker("o")
        best = np.array([epoch for epoch in self.best_epochs if epoch > 0], dtype=int)
        if len(best):
            several = len(best) > 1
            (self.best_,) = ax.plot(
                best,
                rates[best - 1],
                linestyle="none",
                marker="o",
                markersize=4 if several else 7,
                markerfacecolor="none",
                color="C3",
                label="epochs kept" if several else f"epoch kept: {best[0]}",
            )
            ax.legend(loc="best")
        set_scale(ax, yscale, [rates])
        if ax.get_yscale() == "linear":
            ax.set_ylim(bottom=0)
        count_epochs(ax, len(rates))
        ax.set_ylabel("Learning rate")
        if self.estimator_name is not None:
            ax.set_title(self.estimator_name)
        return self


def learning_rates(model: Any) -> Array:
    """Of the epochs of the last fit, in the middle of each."""
    if hasattr(model, "recipe_"):
        topology, _ = model._bag
        recipe = Recipe(**model.recipe_)
        settings = settings_of_member(topology, recipe, recipe.batch_size)
        rates = np.full(model.n_iter_, recipe.learning_rate_init)
    elif model.solver == "lbfgs":
        raise ValueError("solver='lbfgs' has no learning rate.")
    else:
        settings = settings_of(model, 1, False)
        rates = _after_plateaus(model, settings)
    plan = make_plan(settings)
    if plan.constant:
        return rates
    factors = [plan.of_epoch(epoch, 1)[0, 0] for epoch in range(len(rates))]
    return rates * factors


def _after_plateaus(model: Any, settings: Settings) -> Array:
    """By scikit-learn's schedules, from the losses or scores that tell of plateaus."""
    schedule, history, rates = make_schedule(settings), History(), []
    scores = model.validation_scores_ or [None] * len(model.loss_curve_)
    n_epochs = len(model.loss_curve_)
    began = n_epochs - model.n_iter_
    rate = schedule.initial
    for epoch, (loss, score) in enumerate(zip(model.loss_curve_, scores, strict=False)):
        if epoch == began and not model._incremental:  # a fit begins anew
            history.reductions, rate = 0, schedule.initial
        if epoch >= began:
            rates.append(rate)
        history.improved(loss, score, settings.tol)
        if history.no_improvement > settings.n_iter_no_change:
            history.no_improvement = 0
            history.reductions += schedule.can_reduce(history.reductions)
        rows_seen = round(model.t_ * (epoch + 1) / n_epochs)
        rate = schedule.rate(rows_seen, history.reductions)
    return np.array(rates)
