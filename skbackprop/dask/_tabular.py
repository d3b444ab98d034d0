"""The estimators of frames: a bag of networks, each trained by one worker."""

from __future__ import annotations

from sklearn.utils import check_random_state

from ..tabular import TabularMLPClassifier, TabularMLPRegressor
from ._bag import Messages, train_bag
from ._cluster import Cluster
from ._collections import Source
from ._estimators import ClassifierOnDask, OnDask
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
class DaskTabularMLPClassifier(ClassifierOnDask, BagOnDask, TabularMLPClassifier):
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
