"""The classifier: labels, class weights, probabilities."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from scipy.special import expit, log_expit, log_softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if

from . import _constraints as allow
from ._base import BaseBackpropMLP
from ._checkpoint import Checkpoint
from ._hyperparameters import is_stochastic
from ._layers import Array
from ._metrics import ClassifierScore
from ._snapshot import fit_at_once, reads_at_once
from ._targets import Classes, classes_of_part


class BackpropMLPClassifier(ClassifierScore, ClassifierMixin, BaseBackpropMLP):
    """Multilayer perceptron classifier, trained by a compiled engine.

    A drop-in for :class:`sklearn.neural_network.MLPClassifier`: the same parameters,
    defaults, fitted attributes and random draws. It minimises the cross-entropy
    (L2), (L3) of docs/derivations.md plus an L2 penalty (R1).

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(100,)
        Units of each hidden layer; ``()`` for none.
    activation : {'identity', 'logistic', 'sigmoid', 'tanh', 'relu', 'selu', 'silu', \
            'gelu', 'mish', 'leaky_relu'} or sequence, default='relu'
        Activation of the hidden layers (A1) to (A4), (A7) to (A11): one name, or one
        per layer. 'sigmoid' is another name of 'logistic'.
    solver : {'lbfgs', 'sgd', 'adam', 'adamw'}, default='adam'
        'sgd' (O1) to (O3), 'adam' (O4), 'adamw' (O5), or SciPy's L-BFGS-B on all rows.
    alpha : float, default=0.0001
        L2 penalty on the weights, not on the biases, divided by the number of rows
        of the batch (R1).
    batch_size : int or 'auto', default='auto'
        Rows per mini-batch; 'auto' is ``min(200, n_samples)``.
    learning_rate : {'constant', 'invscaling', 'adaptive', 'cosine', 'flat_cosine', \
            'one_cycle', 'warm_up', 'coslog4'}, default='constant'
        Schedule. scikit-learn's apply to 'sgd': 'invscaling' divides by ``(t + 1) **
        power_t`` with ``t`` rows seen, 'adaptive' by 5 where training would have
        stopped. The others apply to every solver with mini-batches; they are functions
        of the progress through ``max_iter`` epochs (S0): a warm start begins them
        anew, and ``partial_fit``, which knows of no end, refuses them.
    learning_rate_init : float, default=0.001
        Initial learning rate.
    power_t : float, default=0.5
        Exponent of 'invscaling'.
    max_iter : int, default=200
        Most epochs ('lbfgs': iterations).
    shuffle : bool, default=True
        Whether rows are shuffled before every epoch.
    random_state : int, RandomState instance or None, default=None
        Draws initial parameters, validation split and shuffles, in this order.
    tol : float, default=1e-4
        An epoch that improves by less than this counts as none.
    verbose : bool or int, default=False
        Whether to print the loss, and the validation score, of every epoch.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the fitted parameters, the optimiser's moments
        and the random stream.
    momentum : float, default=0.9
        Momentum of 'sgd', from 0 to 1.
    nesterovs_momentum : bool, default=True
        Whether momentum is Nesterov's (O3).
    early_stopping : bool, default=False
        Whether the end is decided on validation rows, and the best epoch restored.
    validation_fraction : float, default=0.1
        Share of the rows that is set aside for validation; stratified for two
        classes, and for more where there is a ``scoring``.
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of Adam's moments, in [0, 1).
    epsilon : float, default=1e-8
        Added to the root of Adam's second moment.
    n_iter_no_change : int or inf, default=10
        Epochs without improvement after which training stops.
    max_fun : int, default=15000
        Most evaluations by 'lbfgs'.
    class_weight : dict, 'balanced', list of dict or None, default=None
        Weights of the classes, multiplied into ``sample_weight``; a list of one dict
        per label for multi-label targets.
    weight_decay : float, default=0.01
        Decoupled weight decay of 'adamw', on weights only (O5).
    weight_decay_schedule : str, default='constant'
        What ``weight_decay`` is multiplied by, one of the functions of progress of
        ``learning_rate``.
    dropout : float, default=0.0
        Probability that a hidden unit is dropped from a step (D1), from 0 to below 1;
        predictions drop none. Not for 'lbfgs'.
    dropout_schedule : str, default='constant'
        What ``dropout`` is multiplied by, as for ``weight_decay_schedule``.
    max_grad_norm : float or None, default=None
        The norm that the gradient of a mini-batch is cut to (C1). Not for 'lbfgs'.
    scoring : str, callable or None, default=None
        Validation score: None for accuracy, 'loss' for the negated loss, any scorer
        of scikit-learn, or a callable ``scorer(estimator, X, y)``.
    dtype : {None, 'float32', 'float64'}, default=None
        Type of parameters and arithmetic. None follows X.
    n_jobs : int or None, default=None
        Threads that share a training step, or the rows of a prediction that need no
        cast; -1 is one for every CPU of the process, and there are never more. None
        takes as many as the work of a step pays for, and one inside a worker of joblib,
        another process or another thread. The number of threads does not change a
        result, except where ``SKBACKPROP_SIMD=portable`` leaves them to BLAS.
    label_smoothing : float, default=0.0
        Share of a label that training gives to all classes alike, in [0, 1) (L9). The
        ``loss_`` of an epoch is that of the smoothed labels; validation, with
        ``scoring='loss'`` too, takes labels as they are.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; for multi-label targets the numbers of the labels.
    coefs_ : list of ndarray of shape (fan_in, fan_out)
        Weights; may be assigned.
    intercepts_ : list of ndarray of shape (fan_out,)
        Biases; may be assigned.
    loss_ : float
        Objective of the last epoch.
    best_loss_ : float or None
        Lowest ``loss_``; None with early stopping.
    loss_curve_ : list of float
        ``loss_`` of every epoch.
    validation_scores_ : list of float or None
        Validation score of every epoch, with early stopping.
    best_validation_score_ : float or None
        Highest of them.
    t_ : int
        Rows seen in training.
    n_iter_ : int
        Epochs of the last call.
    n_layers_ : int
        Layers, input and output included.
    n_outputs_ : int
        Columns of the output.
    out_activation_ : {'logistic', 'softmax'}
        Output activation.
    n_features_in_ : int
        Features seen in ``fit``.
    feature_names_in_ : ndarray of str
        Their names, where X had names that are all strings.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skbackprop import BackpropMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = BackpropMLPClassifier(solver="lbfgs", max_iter=1000, random_state=0)
    >>> model = make_pipeline(StandardScaler(), mlp).fit(X, y)
    >>> float(model.score(X, y)) > 0.97
    True
    """

    _target_class = Classes
    _rules = BaseBackpropMLP._rules | {
        "class_weight": (
            allow.NONE,
            allow.one_of("balanced"),
            allow.MAPPING,
            allow.MAPPINGS,
        ),
        "label_smoothing": (allow.interval(Real, 0, 1, "left"),),
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
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
        class_weight: Any = None,
        weight_decay: float = 0.01,
        weight_decay_schedule: str = "constant",
        dropout: float = 0.0,
        dropout_schedule: str = "constant",
        max_grad_norm: float | None = None,
        scoring: Any = None,
        dtype: Any = None,
        n_jobs: int | None = None,
        label_smoothing: float = 0.0,
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
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing

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
    ) -> BackpropMLPClassifier:
        """Fit the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            float32 is trained in float32, everything else in float64, unless ``dtype``
            says otherwise. CSR is used as it is. Text of digits is read as numbers;
            other text, dates and missing values are refused, with advice.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels, or a 0/1 indicator matrix for multi-label targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, not negative: a row of weight 2 counts as two rows.
        X_val, y_val, sample_weight_val : like X, y and sample_weight, default=None
            Validation data for ``early_stopping=True``; then no row is set aside.
        checkpoint : Checkpoint, default=None
            Where the training is kept as it goes, to go on after a crash.

        Returns
        -------
        self : BackpropMLPClassifier

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
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> BackpropMLPClassifier:
        """One epoch over the given rows, with moments and random stream kept.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
        sample_weight : array-like of shape (n_samples,), default=None
        classes : array-like of shape (n_classes,), default=None
            All classes of all calls; needed in the first call.

        Returns
        -------
        self : BackpropMLPClassifier

        Raises
        ------
        ValueError
            As :meth:`fit`, and where ``classes`` is missing or has changed, or
            ``class_weight='balanced'``.
        """
        if isinstance(self.class_weight, str) and self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' is not supported by partial_fit, which sees "
                "the rows in chunks. Compute the weights once with sklearn.utils."
                "class_weight.compute_class_weight('balanced', classes=classes, y=y) "
                "and pass them as a dict."
            )
        return fit_at_once(
            self,
            lambda copy: copy._fit(
                X, y, sample_weight, incremental=True, classes=classes
            ),
        )

    @property
    def _classes(self) -> Classes:
        return Classes(self.classes_, self._y_type, self._sparse_y)

    def _keep(self, classes: Classes) -> None:
        self.classes_, self._y_type = classes.labels, classes.kind
        self._sparse_y = classes.sparse

    def _learn(
        self, y: Any, *, first: bool, incremental: bool, classes: Any
    ) -> Classes:
        known = None if "classes_" not in self.__dict__ else self._classes
        if first and not incremental:
            found = Classes.of(y)
        elif incremental:
            found = classes_of_part(y, classes, known)
            found.check(y)
        else:
            assert known is not None  # it has been fitted
            found = known
            found.check_same(y)
            found.check(y)
        self._keep(found)
        return found

    def _loss_parameters(self) -> tuple[float, ...]:
        share = float(self.label_smoothing)
        return (share,) if share > 0 else ()

    def _loss_name(self) -> str:
        softmax = self.out_activation_ == "softmax"
        return "categorical_cross_entropy" if softmax else "binary_cross_entropy"

    @reads_at_once
    def predict(self, X: Any) -> Any:
        """The class of every row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            Labels of the most probable class, or the 0/1 indicators of the labels
            whose probability is above one half (sparse where ``fit`` was given a
            sparse y).
        """
        self._check_fitted()
        classes = self._classes
        labels = self._outputs(X, transform=lambda A: classes.chosen(A, 0.5))
        return classes.as_y(labels)

    @reads_at_once
    def predict_proba(self, X: Any) -> Array:
        """Probabilities, in the order of ``classes_``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
        """
        self._check_fitted()
        if self._y_type != "binary":
            return self._outputs(X)

        def both(z: Array) -> Array:
            # sigma(-z) is 1 - sigma(z) without its cancellation.
            return self._binary_columns(expit(-z), expit(z), certain=1.0)

        return self._outputs(X, raw=True, transform=both)

    @reads_at_once
    def predict_log_proba(self, X: Any) -> Array:
        """Logarithms of the probabilities: finite also where these underflow.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
        """
        return self._outputs(X, raw=True, transform=self._logarithms)

    def _logarithms(self, z: Array) -> Array:
        """Log-probabilities of a block of logits."""
        if self._y_type == "binary":
            return self._binary_columns(log_expit(-z), log_expit(z), certain=0.0)
        softmax = self.out_activation_ == "softmax"
        return log_softmax(z, axis=1) if softmax else log_expit(z)

    def _binary_columns(self, first: Array, second: Array, *, certain: float) -> Array:
        """A column for each class, also where there is but one."""
        if len(self.classes_) == 1:
            return np.full_like(first, certain)
        return np.hstack([first, second])

    @reads_at_once
    def decision_function(self, X: Any) -> Array:
        """Logits: the pre-activation Z_J of the output layer.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        z : ndarray of shape (n_samples,), (n_samples, n_classes) or \
                (n_samples, n_labels)
            One number per row for two classes: above 0 means ``classes_[1]``.
        """
        z = self._outputs(X, raw=True)
        return z[:, 0] if self._y_type == "binary" else z

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
