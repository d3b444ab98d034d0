"""The regressor: a frame in, numbers or quantiles out."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin

from .. import _constraints as allow
from .._checkpoint import Checkpoint
from .._inputs import Targets
from .._layers import Array
from .._metrics import RegressorScore
from .._snapshot import fit_at_once, reads_at_once
from .._targets import (
    Numbers,
    levels_of,
    number_loss_parameters,
    rearranged,
    shaped,
)
from ._base import BaseTabularMLP
from ._recipe import Recipe
from ._scaling import ScaledNumbers, Spread


class TabularMLPRegressor(RegressorScore, RegressorMixin, BaseTabularMLP):
    """An ensemble of multilayer perceptrons that predicts numbers from a raw frame.

    ``fit`` takes what people have: numbers of any scale, categories, missing values,
    booleans, in a frame of pandas or polars, an array or lists; and targets of any
    scale. Each network is trained on all folds of the rows but one, which tells its
    best epoch; the predictions of all are averaged, and kept within the range of the
    training targets.

    Parameters
    ----------
    preset, categorical_features, max_one_hot, min_frequency, dates, \
    hidden_layer_sizes, activation, n_folds, n_repeats, max_iter, batch_size, \
    learning_rate_init, weight_decay, dropout, n_bins, embedding_size, time_limit, \
    n_jobs, random_state, verbose
        As for :class:`TabularMLPClassifier`.
    loss : {'squared_error', 'absolute_error', 'huber', 'quantile'}, \
            default='squared_error'
        What is minimised (L1), (L6) to (L8).
    quantile : float or sequence of float, default=0.5
        Level of ``loss='quantile'``, or several that increase: then ``predict`` gives
        one column for each, and they never cross.
    huber_delta : float, default=1.0
        Where ``loss='huber'`` becomes linear, in standard deviations of y.
    scoring : str or callable, default='loss'
        What the best epoch is the best by: 'loss', the negated loss, any scorer of
        scikit-learn, or a callable ``scorer(estimator, X, y)``.

    Attributes
    ----------
    n_features_in_, feature_names_in_, encoder_, n_networks_, n_iter_, best_epochs_, \
    validation_scores_, loss_curves_, validation_score_, recipe_
        As of :class:`TabularMLPClassifier`. Scores by 'loss' are those of standardised
        targets.
    target_mean_, target_scale_ : ndarray of shape (n_targets,)
        Mean and standard deviation of the training targets.
    quantiles_ : ndarray of float or None
        The levels of ``loss='quantile'``.

    See Also
    --------
    BackpropMLPRegressor : One network, on numbers that are scaled already.
    TabularEncoder : The encoding alone.

    Examples
    --------
    >>> import pandas as pd
    >>> from skbackprop import TabularMLPRegressor
    >>> X = pd.DataFrame({"rooms": [1, 2, 3, 4, 5] * 20, "city": list("abcab") * 20})
    >>> y = 1e5 * X["rooms"] + 3e4 * (X["city"] == "a")
    >>> model = TabularMLPRegressor(preset="fast", random_state=0).fit(X, y)
    >>> float(model.score(X, y)) > 0.9
    True
    """

    #: A classifier's, in the recipe that both share.
    label_smoothing = 0.0

    _target_class = Numbers
    _rules = BaseTabularMLP._rules | {
        "loss": (allow.one_of("squared_error", "absolute_error", "huber", "quantile"),),
        "quantile": (allow.interval(Real, 0, 1, "neither"), allow.LEVELS),
        "huber_delta": (allow.interval(Real, 0, None, "neither"),),
    }

    def __init__(
        self,
        *,
        preset: str = "balanced",
        loss: str = "squared_error",
        quantile: Any = 0.5,
        huber_delta: float = 1.0,
        categorical_features: Any = "from_dtype",
        max_one_hot: Any = 0,
        min_frequency: int = 1,
        dates: str = "error",
        hidden_layer_sizes: Any = None,
        activation: str | None = None,
        n_folds: int | None = None,
        n_repeats: int | None = None,
        max_iter: int | None = None,
        batch_size: int | None = None,
        learning_rate_init: float | None = None,
        weight_decay: float | None = None,
        dropout: float | None = None,
        n_bins: int | None = None,
        embedding_size: int | None = None,
        scoring: Any = "loss",
        time_limit: float | None = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool | int = False,
    ) -> None:
        self.preset = preset
        self.loss = loss
        self.quantile = quantile
        self.huber_delta = huber_delta
        self.categorical_features = categorical_features
        self.max_one_hot = max_one_hot
        self.min_frequency = min_frequency
        self.dates = dates
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.n_folds = n_folds
        self.n_repeats = n_repeats
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.n_bins = n_bins
        self.embedding_size = embedding_size
        self.scoring = scoring
        self.time_limit = time_limit
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        checkpoint: Checkpoint | None = None,
    ) -> TabularMLPRegressor:
        """Fit the ensemble.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            Numbers, categories and booleans, missing ones too; dates where ``dates``
            says so.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Numbers of any scale.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, not negative. A row of weight 0 trains and validates nothing.
        X_val, y_val, sample_weight_val : like X, y and sample_weight, default=None
            Rows that tell the best epoch; then no row of X is held out.
        checkpoint : Checkpoint, default=None
            Where the training is kept as it goes, to go on after a crash.

        Returns
        -------
        self : TabularMLPRegressor

        Raises
        ------
        ValueError, TypeError
            Where a parameter or the data are not allowed, or training diverged.
        """
        validation = (X_val, y_val, sample_weight_val)
        return fit_at_once(
            self, lambda copy: copy._fit(X, y, sample_weight, validation, checkpoint)
        )

    def _learn(self, y: Any, weights: Array | None, exponent: int = 0) -> Spread:
        """How numbers are spread; a row of weight 0 says nothing of it."""
        numbers = Numbers(self.loss, levels_of(self.quantile))
        numbers.check(y)
        y = y.astype(np.float64)
        Y = y[:, None] if y.ndim == 1 else y
        if weights is not None:
            Y, weights = Y[weights > 0], weights[weights > 0]
        return Spread.of(Y, weights, exponent)

    def _keep(self, learnt: Spread) -> ScaledNumbers:
        levels = levels_of(self.quantile)
        self._clamp = learnt.low, learnt.high
        self.target_mean_, self.target_scale_ = learnt.mean, learnt.scale
        self.quantiles_ = np.array(levels) if self.loss == "quantile" else None
        return ScaledNumbers(self.loss, levels, self.target_mean_, self.target_scale_)

    def _loss_parameters(self, recipe: Recipe) -> tuple[float, ...]:
        return number_loss_parameters(self.loss, self.huber_delta, self.quantile)

    def _strata(self, targets: Targets, rows: Array) -> Array | None:
        """Groups of neighbouring targets, so that every fold has some of all sizes."""
        if targets.n_outputs > 1:
            return None
        y = targets.Y[rows, 0]
        ranks = np.empty(len(y), dtype=np.intp)
        ranks[np.argsort(y, kind="stable")] = np.arange(len(y))
        return ranks // 64

    @reads_at_once
    def predict(self, X: Any) -> Array:
        """Predicted values, within the range of the training targets.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets)
            With several quantiles (n_samples, n_quantiles), or (n_samples, n_targets,
            n_quantiles): they increase along the last axis (L8).
        """
        total, n = self._averaged(X, _doubles, np.add)
        total /= n
        levels = 1 if self.quantiles_ is None else len(self.quantiles_)
        mean, scale, low, high = (
            np.repeat(each, levels)
            for each in (self.target_mean_, self.target_scale_, *self._clamp)
        )
        with np.errstate(over="ignore"):  # infinity is clipped
            outputs = np.clip(total * scale + mean, low, high)
        return shaped(rearranged(outputs, levels), levels)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _doubles(z: Array) -> Array:
    return z.astype(np.float64)
