"""The estimators of frames: a bag of networks, each trained by one worker."""

from __future__ import annotations

from typing import Any

from sklearn.utils import check_random_state

from .._snapshot import reads_at_once
from ..tabular import TabularMLPClassifier, TabularMLPRegressor
from ._bag import Messages, train_bag
from ._cluster import Cluster
from ._collections import Source
from ._estimators import OnDask
from ._options import with_parameters_of


class BagOnDask(OnDask):
    """What the two estimators of frames share."""

    def _check_options(self, validates: bool) -> None:
        if self.time_limit is not None:
            raise ValueError(
                f"{type(self).__name__} trains every network that was begun elsewhere "
                f"to its end. Got time_limit={self.time_limit!r}: take None, and fewer "
                "epochs (max_iter) or networks (n_folds)."
            )

    def _run(
        self, cluster: Cluster, sources: list[Source], validating: list[Source]
    ) -> Messages:
        stream = check_random_state(self.random_state)
        finished = train_bag(
            cluster,
            self._alone(),
            stream,
            sources,
            validating,
            self._observers(),
        )
        ours = self.get_params(deep=False)
        self.__dict__ = finished.estimator.__dict__ | ours
        return finished.messages


@with_parameters_of(TabularMLPClassifier)
class DaskTabularMLPClassifier(BagOnDask, TabularMLPClassifier):
    """An ensemble that classifies rows of frames, a network trained by each worker.

    Partitions are put together on a worker, and every other gets a copy: a worker's
    memory must hold the table a few times. Each network of the ensemble is a task. The
    model has the bits of the local twin with the same ``random_state``, for any number
    of workers, whichever of them die.

    Parameters
    ----------
    preset, ..., verbose
        Those of :class:`skbackprop.TabularMLPClassifier`. ``time_limit`` must be None.
    client : distributed.Client, default=None
        None is the current one.
    timeout : float, default=60
        Seconds without any worker after which ``fit`` gives up with a
        :class:`DaskFitError`.

    Attributes
    ----------
    client_ : distributed.Client
        The client in use. All others are those of the local twin.

    See Also
    --------
    skbackprop.TabularMLPClassifier : On one machine; what :meth:`to_local` gives.
    """

    _local = TabularMLPClassifier

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
    ) -> DaskTabularMLPClassifier:
        """Fit the ensemble.

        Parameters
        ----------
        X : Dask array or data frame, or list of delayed ones
            Of shape (n_samples, n_features): numbers, categories (known or not) and
            booleans, missing ones too; dates where ``dates`` says so.
        y : the same, of shape (n_samples,) or (n_samples, n_labels)
            In partitions of the same rows.
        sample_weight : the same, of shape (n_samples,), default=None
            A row of weight 0 trains and validates nothing.
        X_val, y_val : like X and y, default=None
            Rows that tell the best epoch; then no row of X is held out.

        Returns
        -------
        self : DaskTabularMLPClassifier

        Raises
        ------
        ValueError, TypeError
            Where a parameter or the data are not allowed, or training diverged.
        DaskFitError
            Where the cluster or the data are gone.
        """
        return self._fit_on(X, y, sample_weight, X_val, y_val)

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
        """Log-odds or log-probabilities; lazily of a collection."""
        return self._answer("decision_function", X)


@with_parameters_of(TabularMLPRegressor)
class DaskTabularMLPRegressor(BagOnDask, TabularMLPRegressor):
    """An ensemble that predicts numbers from frames, a network trained by each worker.

    It is trained as :class:`DaskTabularMLPClassifier` is.

    Parameters
    ----------
    preset, ..., verbose
        Those of :class:`skbackprop.TabularMLPRegressor`. ``time_limit`` must be None.
    client, timeout
        Those of :class:`DaskTabularMLPClassifier`.

    Attributes
    ----------
    client_ : distributed.Client
        The client in use. All others are those of the local twin.

    See Also
    --------
    skbackprop.TabularMLPRegressor : On one machine; what :meth:`to_local` gives.
    """

    _local = TabularMLPRegressor

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
    ) -> DaskTabularMLPRegressor:
        """Fit the ensemble.

        Parameters
        ----------
        X : Dask array or data frame, or list of delayed ones
            Of shape (n_samples, n_features): numbers, categories (known or not) and
            booleans, missing ones too; dates where ``dates`` says so.
        y : the same, of shape (n_samples,) or (n_samples, n_targets)
            In partitions of the same rows.
        sample_weight : the same, of shape (n_samples,), default=None
            A row of weight 0 trains and validates nothing.
        X_val, y_val : like X and y, default=None
            Rows that tell the best epoch; then no row of X is held out.

        Returns
        -------
        self : DaskTabularMLPRegressor

        Raises
        ------
        ValueError, TypeError
            Where a parameter or the data are not allowed, or training diverged.
        DaskFitError
            Where the cluster or the data are gone.
        """
        return self._fit_on(X, y, sample_weight, X_val, y_val)
