"""What the columns are worth to a fitted estimator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._axes import axes_of, shortened


class ImportanceDisplay:
    """What a score loses when a column is shuffled, column by column.

    Use :meth:`from_estimator`, which calls
    :func:`sklearn.inspection.permutation_importance`, or :meth:`from_importances`.
    Columns stand in the order of their means, each with the spread of its repetitions.

    Parameters
    ----------
    importances : array-like of shape (n_features, n_repeats)
    feature_names : sequence of str, default=None
        None numbers the columns.
    score_name : str, default='score'
    estimator_name : str, default=None
        For the title.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
    boxes_ : list of matplotlib artists
        From the bottom up.
    order_ : ndarray
        The columns that are drawn, from the top down.

    Notes
    -----
    Shuffling a column that another one repeats loses nothing: what both say is worth
    is then shown by neither.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_iris
    >>> from skbackprop import TabularMLPClassifier
    >>> from skbackprop.plotting import ImportanceDisplay
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> model = TabularMLPClassifier(preset="fast", random_state=0).fit(X, y)
    >>> display = ImportanceDisplay.from_estimator(model, X, y, random_state=0)
    >>> display.ax_.get_xlabel()
    'Loss of accuracy when the column is shuffled'
    """

    def __init__(
        self,
        importances: Any,
        *,
        feature_names: Sequence[str] | None = None,
        score_name: str = "score",
        estimator_name: str | None = None,
    ) -> None:
        self.importances, self.feature_names = importances, feature_names
        self.score_name, self.estimator_name = score_name, estimator_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        scoring: Any = None,
        n_repeats: int = 5,
        sample_weight: Any = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        max_features: int = 20,
        ax: Any = None,
        **kwargs: Any,
    ) -> ImportanceDisplay:
        """Shuffle each column some times, and score.

        Parameters
        ----------
        estimator : estimator
            Fitted: any, since nothing but its score is asked for.
        X : frame of pandas or array-like of shape (n_samples, n_features)
            Rows, best of those that have not been trained on.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        scoring : str or callable, default=None
            None is the estimator's ``score``.
        n_repeats : int, default=5
        sample_weight : array-like of shape (n_samples,), default=None
        n_jobs : int, default=None
        random_state : int, RandomState or None, default=None
        max_features : int, default=20
            The best columns that are drawn.
        ax : matplotlib Axes, default=None
            New ones where it is None.
        **kwargs : dict
            For :meth:`matplotlib.axes.Axes.boxplot`.

        Returns
        -------
        display : ImportanceDisplay
        """
        from sklearn.inspection import permutation_importance  # long to load

        found = permutation_importance(
            estimator,
            X,
            y,
            scoring=scoring,
            n_repeats=n_repeats,
            sample_weight=sample_weight,
            n_jobs=n_jobs,
            random_state=random_state,
        )
        name = scoring if isinstance(scoring, str) else "score"
        if scoring is None:
            name = _own_score(estimator)
        names = getattr(X, "columns", None)
        last = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
        return cls.from_importances(
            found,
            feature_names=None if names is None else list(names),
            score_name=name,
            estimator_name=type(last).__name__,
            max_features=max_features,
            ax=ax,
            **kwargs,
        )

    @classmethod
    def from_importances(
        cls,
        importances: Any,
        *,
        feature_names: Sequence[str] | None = None,
        score_name: str = "score",
        estimator_name: str | None = None,
        max_features: int = 20,
        ax: Any = None,
        **kwargs: Any,
    ) -> ImportanceDisplay:
        """Importances that have been computed.

        Parameters
        ----------
        importances : Bunch or array-like of shape (n_features, n_repeats)
            What ``permutation_importance`` returns, or its ``importances``.
        feature_names, score_name, estimator_name
            As for the class.
        max_features, ax, **kwargs
            As in :meth:`from_estimator`.

        Returns
        -------
        display : ImportanceDisplay

        Raises
        ------
        ValueError
            Where the shapes do not belong together.
        """
        table = np.asarray(getattr(importances, "importances", importances), float)
        if table.ndim != 2 or not table.size:
            raise ValueError(
                "importances must have the shape (n_features, n_repeats). Got "
                f"{table.shape}."
            )
        if feature_names is not None and len(feature_names) != len(table):
            raise ValueError(
                f"feature_names must have {len(table)} names. Got {len(feature_names)}."
            )
        display = cls(
            table,
            feature_names=feature_names,
            score_name=score_name,
            estimator_name=estimator_name,
        )
        return display.plot(ax, max_features=max_features, **kwargs)

    def plot(
        self, ax: Any = None, *, max_features: int = 20, **kwargs: Any
    ) -> ImportanceDisplay:
        """Draw a box for each column.

        Parameters
        ----------
        ax, max_features, **kwargs
            As in :meth:`from_estimator`.

        Returns
        -------
        display : ImportanceDisplay

        Raises
        ------
        ValueError
            If ``max_features`` is not at least 1.
        """
        if max_features < 1:
            raise ValueError(f"max_features must be at least 1. Got {max_features!r}.")
        new = ax is None
        self.ax_ = ax = axes_of(ax, self)
        self.figure_ = ax.figure
        table = np.asarray(self.importances, dtype=float)
        order = np.argsort(-table.mean(axis=1), kind="stable")
        self.order_ = order[:max_features]
        names = self.feature_names
        labels = [
            f"column {i}" if names is None else shortened(names[i]) for i in self.order_
        ]
        upwards = self.order_[::-1]
        if new:  # room for the names
            height = max(1.6 + 0.25 * len(upwards), 2.4)
            self.figure_.set_size_inches(self.figure_.get_figwidth(), height)
            self.figure_.set_layout_engine("constrained")
        places = 1 + np.arange(len(upwards))
        style = {"widths": 0.6, "flierprops": {"markersize": 3}, **kwargs}
        foreground = ax.xaxis.label.get_color()  # boxplot's own may be unseen
        for part in ("boxprops", "whiskerprops", "capprops"):
            style.setdefault(part, {"color": foreground})
        style.setdefault("medianprops", {"color": "C1"})
        drawn = ax.boxplot(
            table[upwards].T, positions=places, orientation="horizontal", **style
        )
        self.boxes_ = drawn["boxes"]
        ax.set_yticks(places, labels[::-1])
        ax.axvline(0, color=foreground, linewidth=0.8, linestyle=":", zorder=0)
        ax.set_xlabel(f"Loss of {self.score_name} when the column is shuffled")
        title = self.estimator_name or ""
        if len(upwards) < len(table):
            title += f"\n{len(upwards)} of {len(table)} columns"
        ax.set_title(title.strip())
        return self


def _own_score(estimator: Any) -> str:
    """What the ``score`` of an estimator is called."""
    from sklearn.base import is_classifier, is_regressor

    if is_classifier(estimator):
        return "accuracy"
    last = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
    if not is_regressor(estimator):
        return "score"
    return "R²" if getattr(last, "quantiles_", None) is None else "D²"
