"""The regressor: one or several numbers per row."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.metaestimators import available_if

from . import _constraints as allow
from ._base import BaseBackpropMLP
from ._checkpoint import Checkpoint
from ._hyperparameters import is_stochastic
from ._inputs import Targets
from ._layers import Array
from ._metrics import RegressorScore
from ._snapshot import fit_at_once, reads_at_once
from ._targets import (
    Numbers,
    levels_of,
    number_loss_parameters,
    rearranged,
    shaped,
)


class BackpropMLPRegressor(RegressorScore, RegressorMixin, BaseBackpropMLP):
    """Multilayer perceptron regressor, trained by a compiled engine.

    A drop-in for :class:`sklearn.neural_network.MLPRegressor`: the same parameters,
    defaults, fitted attributes and random draws. It minimises half the squared error
    (L1), or another loss of docs/derivations.md, plus an L2 penalty (R1).

    Parameters
    ----------
    hidden_layer_sizes, activation
        As for :class:`BackpropMLPClassifier`, like all that is not named here.
    loss : {'squared_error', 'poisson', 'absolute_error', 'huber', 'quantile'}, \
            default='squared_error'
        'squared_error' is half the squared error, summed over the outputs, with an
        identity output; 'poisson' half the deviance with an exponential output, for
        targets that are not negative (L4); 'absolute_error' the distance, whose fit is
        a median (L6); 'huber' the squared error within ``huber_delta``, and linear
        beyond (L7); 'quantile' the pinball loss of the levels in ``quantile`` (L8).
        Keyword only.
    solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, max_iter, \
    shuffle, random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, \
    early_stopping, validation_fraction, beta_1, beta_2, epsilon, n_iter_no_change, \
    max_fun, weight_decay, weight_decay_schedule, dropout, dropout_schedule, \
    max_grad_norm, dtype, n_jobs
        As for :class:`BackpropMLPClassifier`.
    scoring : str, callable or None, default=None
        Validation score: None for R^2, or for the negated mean pinball loss where
        ``loss='quantile'``; 'loss' for the negated loss, any scorer of scikit-learn,
        or a callable ``scorer(estimator, X, y)``.
    quantile : float or sequence of float, default=0.5
        The level of ``loss='quantile'``, in (0, 1), or several that increase: one
        network then has an output for each of them, and they never cross.
    huber_delta : float, default=1.0
        The residual, in units of y, from which on ``loss='huber'`` is linear.

    Attributes
    ----------
    coefs_, intercepts_, loss_, best_loss_, loss_curve_, validation_scores_, \
    best_validation_score_, t_, n_iter_, n_layers_, n_outputs_, n_features_in_, \
    feature_names_in_
        As of :class:`BackpropMLPClassifier`. With several outputs ``loss_`` sums over
        them: n_outputs times scikit-learn's, whose gradient is that of the sum. Several
        quantiles of a target are several outputs.
    out_activation_ : {'identity', 'exp'}
        Output activation.
    quantiles_ : ndarray of float or None
        The levels that are predicted; None for other losses than 'quantile'.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skbackprop import BackpropMLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> mlp = BackpropMLPRegressor((8,), solver="lbfgs", max_iter=500, random_state=0)
    >>> model = make_pipeline(StandardScaler(), mlp).fit(X, y)
    >>> float(model.score(X, y)) > 0.5
    True
    """

    _target_class = Numbers
    _rules = BaseBackpropMLP._rules | {
        "loss": (
            allow.one_of(
                "squared_error", "poisson", "absolute_error", "huber", "quantile"
            ),
        ),
        "quantile": (allow.interval(Real, 0, 1, "neither"), allow.LEVELS),
        "huber_delta": (allow.interval(Real, 0, None, "neither"),),
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        loss: str = "squared_error",
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        weight_decay: float = 0.01,
        weight_decay_schedule: str = "constant",
        dropout: float = 0.0,
        dropout_schedule: str = "constant",
        max_grad_norm: float | None = None,
        scoring: Any = None,
        dtype: Any = None,
        n_jobs: int | None = None,
        quantile: Any = 0.5,
        huber_delta: float = 1.0,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.weight_decay = weight_decay
        self.weight_decay_schedule = weight_decay_schedule
        self.dropout = dropout
        self.dropout_schedule = dropout_schedule
        self.max_grad_norm = max_grad_norm
        self.scoring = scoring
        self.dtype = dtype
        self.n_jobs = n_jobs
        self.loss = loss
        self.quantile = quantile
        self.huber_delta = huber_delta

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
    ) -> BackpropMLPRegressor:
        """Fit the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            float32 is trained in float32, everything else in float64, unless ``dtype``
            says otherwise. CSR is used as it is. Text of digits is read as numbers;
            other text, dates and missing values are refused, with advice.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets. Scale them: nothing is scaled here.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, not negative: a row of weight 2 counts as two rows.
        X_val, y_val, sample_weight_val : like X, y and sample_weight, default=None
            Validation data for ``early_stopping=True``; then no row is set aside.
        checkpoint : Checkpoint, default=None
            Where the training is kept as it goes, to go on after a crash.

        Returns
        -------
        self : BackpropMLPRegressor

        Raises
        ------
        ValueError, TypeError
            Where a parameter or the data are not allowed, or training diverged.
        """
        validation = (X_val, y_val, sample_weight_val)
        return fit_at_once(
            self,
            lambda copy: copy._fit(
                X, y, sample_weight, validation=validation, checkpoint=checkpoint
            ),
        )

    @available_if(is_stochastic)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None
    ) -> BackpropMLPRegressor:
        """One epoch over the given rows, with moments and random stream kept.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : BackpropMLPRegressor

        Raises
        ------
        ValueError
            As :meth:`fit`.
        """
        return fit_at_once(
            self, lambda copy: copy._fit(X, y, sample_weight, incremental=True)
        )

    def _learn(
        self, y: Any, *, first: bool, incremental: bool, classes: Any
    ) -> Numbers:
        numbers = Numbers(self.loss, levels_of(self.quantile))
        numbers.check(y)
        return numbers

    def _loss_parameters(self) -> tuple[float, ...]:
        return number_loss_parameters(self.loss, self.huber_delta, self.quantile)

    def _loss_name(self) -> str:
        # Of a fitted network: no more than its output is asked for.
        return "poisson" if self.out_activation_ == "exp" else "squared_error"

    def _describe(self, topology: Any, targets: Targets) -> None:
        super()._describe(topology, targets)
        quantile = targets.loss == "quantile"
        self.quantiles_ = np.array(topology.loss_parameters) if quantile else None

    @reads_at_once
    def predict(self, X: Any) -> Array:
        """Predicted values.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets)
            With several quantiles (n_samples, n_quantiles), or (n_samples, n_targets,
            n_quantiles): they increase along the last axis, since the outputs are
            sorted, which never makes the pinball loss of any row larger (L8).
        """
        levels = getattr(self, "quantiles_", None)
        count = 1 if levels is None else len(levels)
        return shaped(
            self._outputs(X, transform=lambda block: rearranged(block, count)), count
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
