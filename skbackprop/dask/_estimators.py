"""The estimators: their local twins, whose rows are in partitions on a cluster."""

from __future__ import annotations

from typing import Any

from .. import _constraints as allow
from .._callbacks import has_callbacks
from .._classifier import BackpropMLPClassifier
from .._regressor import BackpropMLPRegressor
from .._snapshot import fit_at_once, reads_at_once
from .._targets import Classes
from ._cluster import Cluster, client_of
from ._collections import is_collection, sources_of
from ._network import Fit
from ._options import ROUNDS_RULES, RULES, Options, with_parameters_of
from ._predictions import lazily, score
from ._survey import Facts


class OnDask:
    """What estimators on Dask share, before a local twin in the order of classes."""

    _local: type

    #: The parameters that are not the local twin's, and what they may be.
    _own: tuple[str, ...] = ("client", "timeout")
    _own_rules = RULES

    def __init__(
        self, *args: Any, client: Any = None, timeout: float = 60.0, **parameters: Any
    ) -> None:
        super().__init__(*args, **parameters)
        self.client = client
        self.timeout = timeout

    def to_local(self) -> Any:
        """The plain estimator, fitted where this one is.

        Returns
        -------
        estimator : the estimator of the same name without Dask
        """
        twin = self._local.__new__(self._local)
        state = self.__getstate__()
        for name in self._own:
            state.pop(name, None)
        twin.__setstate__(state)
        return twin

    @property
    def client_(self) -> Any:
        """The client in use: the one given, or the current one."""
        return client_of(self.client)

    def __getstate__(self) -> dict[str, Any]:
        # A connection does not leave its process.
        return super().__getstate__() | {"client": None}

    def __sklearn_clone__(self) -> Any:
        """An unfitted copy with the same client, which cannot be copied."""
        from sklearn.base import clone

        given = self.get_params(deep=False)
        client = given.pop("client")
        return type(self)(
            **{name: clone(value, safe=False) for name, value in given.items()},
            client=client,
        )

    def _alone(self) -> Any:
        """An unfitted local twin that says nothing and works on one thread."""
        given = self.get_params(deep=False)
        for name in self._own:
            given.pop(name)
        return self._local(**(given | {"n_jobs": 1, "verbose": False}))

    @property
    def partial_fit(self) -> Any:
        raise AttributeError(
            f"{type(self).__name__} has no partial_fit: it would not know what is "
            "new. Call that of to_local()."
        )

    def _answer(self, method: str, X: Any) -> Any:
        if is_collection(X):
            return lazily(self.to_local(), method, X)
        return getattr(super(), method)(X)

    @reads_at_once
    def predict(self, X: Any) -> Any:
        """What the model predicts for every row.

        Parameters
        ----------
        X : Dask array or data frame, list of delayed frames, or what
            the local twin takes; of shape (n_samples, n_features).

        Returns
        -------
        y : Dask array, or ndarray
            Of a collection it is computed when it is asked for, by partitions.
        """
        return self._answer("predict", X)

    @reads_at_once
    def transform(self, X: Any) -> Any:
        """The last hidden layers' activations; lazily of a collection."""
        return self._answer("transform", X)

    @reads_at_once
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy, R^2 or D^2 of the pinball loss, as of the local twin.

        Parameters
        ----------
        X, y, sample_weight : Dask arrays or data frames, lists of delayed ones, or \
                what the local twin takes

        Returns
        -------
        score : float
            Computed at once, by partitions.
        """
        if is_collection(X):
            client = client_of(self.client)
            return score(self.to_local(), X, y, sample_weight, client)
        return super().score(X, y, sample_weight)

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Any:
        """Fit to partitions.

        Parameters
        ----------
        X : Dask array or data frame, or list of delayed ones
            Of shape (n_samples, n_features), of what the local twin takes. A partition
            without rows is nothing.
        y : the same
            As the local twin takes it, in partitions of the same rows.
        sample_weight : the same, of shape (n_samples,), default=None
            A row of weight 0 trains and validates nothing.
        X_val, y_val : like X and y, default=None
            Rows that validate, where rows of X would be held out for it.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError, TypeError
            Where a parameter or the data are not allowed, or training diverged.
        DaskFitError
            Where the cluster or the data are gone.
        """
        name, values = type(self).__name__, self.get_params(deep=False)
        allow.check_parameters(name, values, self._rules | self._own_rules)
        if has_callbacks(self):
            raise ValueError(
                f"{name} tells no callbacks. Take verbose=True, which prints progress."
            )
        self._check_options(X_val is not None or y_val is not None)
        cluster = Cluster(client_of(self.client), float(self.timeout))
        sources = sources_of(X, y, sample_weight)
        validating = []
        if X_val is not None or y_val is not None:
            if X_val is None or y_val is None:
                raise ValueError("X_val and y_val must be given together.")
            validating = sources_of(X_val, y_val, suffix="_val")
        return fit_at_once(self, lambda copy: copy._run(cluster, sources, validating))


class ClassifierOnDask:
    """What classifiers on Dask answer besides, before ``OnDask``."""

    @reads_at_once
    def predict_proba(self, X: Any) -> Any:
        """Probabilities, in the order of ``classes_``; lazily of a collection."""
        return self._answer("predict_proba", X)

    @reads_at_once
    def predict_log_proba(self, X: Any) -> Any:
        """Logarithms of the probabilities; lazily of a collection."""
        return self._answer("predict_log_proba", X)

    @reads_at_once
    def decision_function(self, X: Any) -> Any:
        """What the local twin's gives; lazily of a collection."""
        return self._answer("decision_function", X)


class Apart(OnDask):
    """What estimators have that train, or may, on partitions where they are."""

    def __init__(
        self,
        *args: Any,
        client: Any = None,
        local_epochs: float = 0.25,
        persist: Any = "auto",
        timeout: float = 60.0,
        **parameters: Any,
    ) -> None:
        super().__init__(*args, client=client, timeout=timeout, **parameters)
        self.local_epochs = local_epochs
        self.persist = persist


class NetworkOnDask(Apart):
    """What the two estimators of one network share."""

    @reads_at_once
    def input_gradient(self, X: Any) -> Any:
        """How answers change with each input; lazily of a collection."""
        return self._answer("input_gradient", X)

    _own = (
        "client",
        "rounds",
        "local_epochs",
        "outer_learning_rate",
        "outer_momentum",
        "persist",
        "timeout",
    )
    _own_rules = ROUNDS_RULES

    def __init__(
        self,
        *args: Any,
        rounds: int | None = None,
        outer_learning_rate: float = 1.0,
        outer_momentum: float = 0.8,
        **parameters: Any,
    ) -> None:
        super().__init__(*args, **parameters)
        self.rounds = rounds
        self.outer_learning_rate = outer_learning_rate
        self.outer_momentum = outer_momentum

    def _check_options(self, validates: bool) -> None:
        """Refuse what rounds have no place for."""
        name = type(self).__name__
        if self.solver == "lbfgs":
            raise ValueError(
                f"{name} trains by mini-batches. Got solver='lbfgs': take 'adam', "
                "'adamw' or 'sgd'."
            )
        if self.warm_start:
            raise ValueError(
                f"{name} begins every fit anew. Got warm_start=True: go on with "
                "to_local(), or give more rounds."
            )
        if self.early_stopping and self.scoring not in (None, "loss"):
            raise ValueError(
                f"{name} scores rows where they are, which scoring=None and "
                f"scoring='loss' allow. Got {self.scoring!r:.80}."
            )
        if validates and not self.early_stopping:
            raise ValueError("X_val and y_val are for early_stopping=True.")

    def _run(self, cluster: Any, sources: Any, validating: Any) -> Any:
        for fitted in [name for name in self.__dict__ if name.endswith("_")]:
            del self.__dict__[fitted]
        options = Options.of(self, bool(validating))
        return Fit(self, options, cluster).run(sources, validating)

    def _learn_facts(self, facts: Facts) -> None:
        """What the local twin learns of X and y."""
        self.n_features_in_ = facts.n_columns
        if facts.names is not None:
            self.feature_names_in_ = facts.names
        if isinstance(facts.kind, Classes):
            self._keep(facts.kind)


@with_parameters_of(BackpropMLPClassifier)
class DaskBackpropMLPClassifier(ClassifierOnDask, NetworkOnDask, BackpropMLPClassifier):
    """A classifier of one network, trained on the partitions of a Dask collection.

    In every round each partition trains from the common parameters for some passes
    over its rows; then the mean of what they have changed, weighted by their rows,
    moves the common parameters (Y1), (Y2). The model has the same bits for any number
    of workers, whichever of them die, and depends on the partitions alone.

    Parameters
    ----------
    hidden_layer_sizes, ..., label_smoothing
        Those of :class:`skbackprop.BackpropMLPClassifier`. ``max_iter`` and
        ``n_iter_no_change`` are passes over the rows; ``n_iter_`` and ``loss_curve_``
        are of rounds. ``batch_size`` is divided among the partitions, down to 8 rows,
        and the learning rate of Adam grows with the cube root of the divisor.
    client : distributed.Client, default=None
        None is the current one.
    rounds : int, default=None
        None is ``max_iter / local_epochs``.
    local_epochs : float, default=0.25
        Passes over the rows of a partition in a round: fewer cost more messages, more
        let partitions drift apart.
    outer_learning_rate, outer_momentum : float, default=1.0 and 0.8
        Of the step by the mean change (Y2). 1 and 0 are the plain mean.
    persist : 'auto' or bool, default='auto'
        Whether workers keep partitions as they are trained on. 'auto': where these take
        no more than half of the workers' memory; else each is read again in every
        round.
    timeout : float, default=60
        Seconds without any worker after which ``fit`` gives up with a
        :class:`DaskFitError`, which has the model of the last complete round.

    Attributes
    ----------
    client_ : distributed.Client
        The client in use. All others are those of the local twin.

    See Also
    --------
    skbackprop.BackpropMLPClassifier : On one machine; what :meth:`to_local` gives.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from skbackprop.dask import DaskBackpropMLPClassifier
    >>> client = Client(n_workers=1, threads_per_worker=1, dashboard_address=None)
    >>> X = da.random.default_rng(0).normal(size=(4000, 5), chunks=(1000, 5))
    >>> y = (X[:, 0] > X[:, 1]).astype(int)
    >>> model = DaskBackpropMLPClassifier(max_iter=20, tol=0, random_state=0)
    >>> model = model.fit(X, y)  # doctest: +SKIP
    """

    _local = BackpropMLPClassifier


@with_parameters_of(BackpropMLPRegressor)
class DaskBackpropMLPRegressor(NetworkOnDask, BackpropMLPRegressor):
    """A regressor of one network, trained on the partitions of a Dask collection.

    It is trained as :class:`DaskBackpropMLPClassifier` is.

    Parameters
    ----------
    hidden_layer_sizes, ..., huber_delta
        Those of :class:`skbackprop.BackpropMLPRegressor`.
    client, rounds, local_epochs, outer_learning_rate, outer_momentum, persist, timeout
        Those of :class:`DaskBackpropMLPClassifier`.

    Attributes
    ----------
    client_ : distributed.Client
        The client in use. All others are those of the local twin.

    See Also
    --------
    skbackprop.BackpropMLPRegressor : On one machine; what :meth:`to_local` gives.
    """

    _local = BackpropMLPRegressor
