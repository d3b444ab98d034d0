"""The classifier: a frame in, calibrated probabilities out."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_expit, log_softmax
from sklearn.base import ClassifierMixin

from .. import _constraints as allow
from .._checkpoint import Checkpoint
from .._inputs import Targets
from .._layers import Array
from .._metrics import ClassifierScore
from .._snapshot import fit_at_once, reads_at_once
from .._targets import Classes
from ._base import BaseTabularMLP
from ._ensemble import Validated
from ._recipe import Recipe


class TabularMLPClassifier(ClassifierScore, ClassifierMixin, BaseTabularMLP):
    """An ensemble of multilayer perceptrons that classifies rows of a raw data frame.

    ``fit`` takes what people have: numbers of any scale, categories, missing values,
    booleans, in a frame of pandas or polars, an array or lists. Each network is trained
    on all folds of the rows but one, which tells its best epoch; the probabilities of
    all are averaged.

    Parameters
    ----------
    preset : {'fast', 'balanced'}, default='balanced'
        What the parameters stand for that are None; docs/tabular.md has the table, and
        ``recipe_`` what was used.
    categorical_features : 'from_dtype', None or array-like, default='from_dtype'
        Which columns hold categories, as for :class:`TabularEncoder` and
        scikit-learn's HistGradientBoosting: 'from_dtype' for those of strings,
        booleans and categories; a mask, indices or names; or None.
    max_one_hot : int, np.inf or None, default=0
        The most categories of a column that becomes one-hot columns. One with more
        gets an embedding, a row of trained numbers for each category.
    min_frequency : int, default=1
        A category in fewer training rows counts as unknown.
    dates : {'error', 'numbers'}, default='error'
        Whether a column of dates is refused or becomes numbers: the days since 1970,
        the year, the month, the day of the week and the hour.
    hidden_layer_sizes : int or sequence of int, default=None
        Units of each hidden layer.
    activation : str, default=None
        Activation of the hidden layers, one of those of
        :class:`BackpropMLPClassifier`.
    n_folds, n_repeats : int, default=None
        Folds that the rows are dealt into, and how often: ``n_folds * n_repeats``
        networks. With ``X_val`` all of them are trained on all rows. None depends on
        the number of rows; with ``n_folds`` given, ``n_repeats`` is then 1.
    max_iter : int, default=None
        Epochs of each network. None depends on the number of rows.
    batch_size : int, default=None
        Rows of a mini-batch. None depends on the number of rows.
    learning_rate_init : float, default=None
        Learning rate of AdamW before the cosine schedule and the groups' factors.
    weight_decay : float, default=None
        Decoupled weight decay (O5), scheduled to 0.
    dropout : float, default=None
        Probability that a hidden unit is dropped (D1), scheduled to 0.
    n_bins : int, default=None
        Quantile bins of a number's curves (E1).
    embedding_size : int, default=None
        Inputs that a number becomes; a category with an embedding becomes half as
        many.
    label_smoothing : float, default=None
        Share of the labels that is spread over all classes in training (L9). None is
        the share of one row up to 1000 rows, and nothing beyond.
    class_weight : dict, 'balanced' or None, default=None
        Weights of the classes, as in scikit-learn. They weigh the validation too;
        'balanced' by the counts of its own rows in ``y_val``.
    calibrate : bool, default=False
        Divide the logits of every network by one temperature, by which the rows held
        out have the smallest log-loss (Guo et al., 2017).
    scoring : str or callable, default='loss'
        What the best epoch is the best by: 'loss', the negated log-loss, any scorer of
        scikit-learn, or a callable ``scorer(estimator, X, y)``. Where it cannot do
        without a class, ``n_folds=None`` is no more than the rows of the rarest.
    time_limit : float, default=None
        Seconds after which no network is begun that would take longer, and none goes
        on. The one option by which the same seed may give another model.
    n_jobs : int, default=None
        Networks that are trained at a time, each by a thread, up to the CPUs of the
        process. None takes all cores that may be used. The model is the same for any
        number.
    random_state : int, RandomState instance or None, default=None
        Draws the folds, first parameters, order of the rows, and dropout.
    verbose : bool or int, default=False
        Whether to print a line for every network.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Number of columns seen in ``fit``.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where all of them are strings.
    encoder_ : TabularEncoder
        What makes numbers of the columns.
    n_networks_ : int
        Networks in the ensemble.
    n_iter_ : int
        Epochs of the network that was trained for most.
    best_epochs_ : ndarray of shape (n_networks_,)
        The epoch that each network was taken from, counted from 1. With
        ``scoring='loss'`` it is 0 where none was as good as the best constant, which is
        what the network then predicts.
    validation_scores_ : list of lists of float
        The score of each network after every epoch.
    loss_curves_ : list of lists of float
        The mean of what each network minimised in every epoch.
    validation_score_ : float
        Mean of the best scores.
    temperature_ : float
        What logits are divided by; 1 without ``calibrate``, and where no row is held
        out.
    recipe_ : dict
        The numbers that the networks were trained by.

    See Also
    --------
    BackpropMLPClassifier : One network, on numbers that are scaled already.
    TabularEncoder : The encoding alone.

    Examples
    --------
    >>> import pandas as pd
    >>> from skbackprop import TabularMLPClassifier
    >>> X = pd.DataFrame({"age": [21, 64, None, 33] * 10, "city": list("abca") * 10})
    >>> y = ["no", "yes", "no", "no"] * 10
    >>> model = TabularMLPClassifier(preset="fast", random_state=0).fit(X, y)
    >>> model.predict(pd.DataFrame({"age": [60, 20], "city": ["b", "new"]}))
    array(['yes', 'no'], dtype='<U3')
    """

    _target_class = Classes
    _rules = BaseTabularMLP._rules | {
        "label_smoothing": (allow.NONE, allow.interval(Real, 0, 1, "left")),
        "class_weight": (
            allow.NONE,
            allow.one_of("balanced"),
            allow.MAPPING,
            allow.MAPPINGS,
        ),
        "calibrate": (allow.BOOLEAN,),
    }

    def __init__(
        self,
        *,
        preset: str = "balanced",
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
        label_smoothing: float | None = None,
        class_weight: Any = None,
        calibrate: bool = False,
        scoring: Any = "loss",
        time_limit: float | None = None,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool | int = False,
    ) -> None:
        self.preset = preset
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
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.calibrate = calibrate
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
    ) -> TabularMLPClassifier:
        """Fit the ensemble.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            Numbers, categories and booleans, missing ones too; dates where ``dates``
            says so.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels, or an indicator matrix of several labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, not negative. A row of weight 0 trains and validates nothing.
        X_val, y_val, sample_weight_val : like X, y and sample_weight, default=None
            Rows that tell the best epoch; then no row of X is held out.
        checkpoint : Checkpoint, default=None
            Where the training is kept as it goes, to go on after a crash.

        Returns
        -------
        self : TabularMLPClassifier

        Raises
        ------
        ValueError, TypeError
            Where a parameter or the data are not allowed, or training diverged.
        """
        validation = (X_val, y_val, sample_weight_val)
        return fit_at_once(
            self, lambda copy: copy._fit(X, y, sample_weight, validation, checkpoint)
        )

    def _learn(self, y: Any, weights: Array | None, exponent: int = 0) -> Classes:
        return Classes.of(y)

    def _keep(self, learnt: Classes) -> Classes:
        self.classes_, self._y_type = learnt.labels, learnt.kind
        self._sparse_y = learnt.sparse
        return learnt

    def _loss_parameters(self, recipe: Recipe) -> tuple[float, ...]:
        return (recipe.label_smoothing,) if recipe.label_smoothing > 0 else ()

    def _strata(self, targets: Targets, rows: Array) -> Array | None:
        if targets.labels is not None:
            return targets.labels[rows]
        return targets.Y[rows, 0] if targets.n_outputs == 1 else None

    def _after_training(self, validated: Callable[[], Validated] | None) -> None:
        self.temperature_ = 1.0
        if self.calibrate and len(self.classes_) > 1 and validated is not None:
            self.temperature_ = _best_temperature(*validated())

    def _log_probabilities(self, z: Array) -> Array:
        """Of every class, or of each label and of its absence, for a block of Z_J."""
        z = z.astype(np.float64) / self.__dict__.get("temperature_", 1.0)
        if self._y_type not in ("binary", "multilabel-indicator"):
            return log_softmax(z, axis=1)
        return np.stack([log_expit(-z), log_expit(z)], axis=-1)

    def _logs(self, X: Any) -> Array:
        """Logarithms of the averaged probabilities.

        Of shape (n, n_classes), or (n, n_outputs, 2) for two classes and for labels.
        """
        total, n = self._averaged(X, self._log_probabilities, np.logaddexp)
        total -= np.log(n)
        return total

    @reads_at_once
    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of the probabilities; finite also where these underflow.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
        """
        logs = self._logs(X)
        if logs.ndim == 2:
            return logs
        if self._y_type == "multilabel-indicator":
            return np.ascontiguousarray(logs[:, :, 1])
        if len(self.classes_) == 1:
            return np.zeros((len(logs), 1))
        return logs[:, 0]

    @reads_at_once
    def predict_proba(self, X: Any) -> Array:
        """Probabilities, in the order of ``classes_``.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
        """
        p = np.exp(self.predict_log_proba(X))
        # They sum to one but for rounding: an average of sums of one.
        return p if self._y_type == "multilabel-indicator" else p / p.sum(1)[:, None]

    @reads_at_once
    def decision_function(self, X: Any) -> Array:
        """Log-odds of the second class and of labels; else log-probabilities.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)

        Returns
        -------
        z : ndarray of shape (n_samples,), (n_samples, n_classes) or \
                (n_samples, n_labels)
        """
        logs = self._logs(X)
        if logs.ndim == 2:
            return logs
        odds = logs[:, :, 1] - logs[:, :, 0]
        return odds if self._y_type == "multilabel-indicator" else odds[:, 0]

    @reads_at_once
    def predict(self, X: Any) -> Any:
        """The class of every row.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            Labels of the most probable class, or the 0/1 indicators of the labels
            whose probability is above one half (sparse where ``fit`` was given a
            sparse y).
        """
        scores = self.decision_function(X)
        classes = Classes(self.classes_, self._y_type, self._sparse_y)
        labels = classes.chosen(scores, 0.0)
        return classes.as_y(labels)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


def _best_temperature(z: Array, targets: Targets, weights: Array | None) -> float:
    """The temperature of the smallest log-loss, from 1/20 to 20."""
    z = z.astype(np.float64)

    def loss(log_temperature: float) -> float:
        scaled = z / np.exp(log_temperature)
        if targets.labels is not None:
            logs = log_softmax(scaled, axis=1)
            own = np.take_along_axis(logs, targets.labels[:, None].astype(int), axis=1)
        else:
            own = np.where(targets.Y > 0.5, log_expit(scaled), log_expit(-scaled))
        return -float(np.average(own.mean(axis=1), weights=weights))

    limit = np.log(20.0)
    found = minimize_scalar(loss, bounds=(-limit, limit), method="bounded")
    return float(np.exp(found.x))
