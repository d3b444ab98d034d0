"""The estimators of frames: a bag of networks, each trained by one worker."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from .._observers import Observer
from ..tabular import TabularMLPClassifier, TabularMLPRegressor
from ._bag import Messages, train_bag
from ._cluster import Cluster
from ._collections import Source
from ._ensemble import CyclePrinter, EnsembleFit
from ._estimators import Apart, ClassifierOnDask
from ._frames import size_of
from ._options import COPIES, ENSEMBLE_RULES, Options, with_parameters_of


class EnsembleOnDask(Apart):
    """What the two estimators of frames share."""

    _own = ("client", "method", "local_epochs", "persist", "timeout")
    _own_rules = ENSEMBLE_RULES

    def __init__(self, *args: Any, method: str = "auto", **parameters: Any) -> None:
        super().__init__(*args, **parameters)
        self.method = method

    def _check_options(self, validates: bool) -> None:
        if self.time_limit is not None:
            raise ValueError(
                f"{type(self).__name__} trains every network that was begun elsewhere "
                f"to its end. Got time_limit={self.time_limit!r}: take None, and fewer "
                "epochs (max_iter) or networks (n_folds)."
            )
        if self.method == "cyclic":
            self._check_apart("")

    def _check_apart(self, because: str) -> None:
        """Refuse what asks for all rows at once."""
        name = type(self).__name__
        if self.scoring != "loss":
            raise ValueError(
                f"{name} scores rows where they are{because}, which scoring='loss' "
                f"allows. Got {self.scoring!r:.80}: take that, or method='bag'."
            )
        if getattr(self, "calibrate", False):
            raise ValueError(
                f"{name} has no rows together to calibrate by{because}. Got "
                "calibrate=True: take False, or method='bag'."
            )

    def _observers(self) -> list[Observer]:
        return [CyclePrinter()] if self.verbose else []

    def _run(
        self, cluster: Cluster, sources: list[Source], validating: list[Source]
    ) -> Messages:
        random_state = check_random_state(self.random_state)
        if self._is_bag(cluster, sources):
            finished = train_bag(
                cluster,
                self._alone(),
                random_state,
                sources,
                validating,
                self._observers(),
            )
            fitted, messages = finished.estimator, finished.messages
        else:
            fitted, options = self._alone(), Options.of(self, bool(validating))
            fit = EnsembleFit(fitted, options, cluster, self._observers())
            messages = fit.run(sources, validating, random_state)
        self.__dict__ = fitted.__dict__ | self.get_params(deep=False)
        return messages

    def _is_bag(self, cluster: Cluster, sources: list[Source]) -> bool:
        """Whether the smallest worker is to hold all rows."""
        if self.method != "auto":
            return bool(self.method == "bag")
        memory = cluster.memory()[0]
        if memory == np.inf:
            return True
        sizes = [cluster.of_sources(size_of, source.X) for source in sources]
        needed = COPIES * sum(cluster.results(sizes))
        if needed > memory:
            self._check_apart(
                f", since a worker has {memory / 1e9:.2g} GB of the "
                f"{needed / 1e9:.2g} that it would take to hold them all"
            )
        return needed <= memory


@with_parameters_of(TabularMLPClassifier)
class DaskTabularMLPClassifier(ClassifierOnDask, EnsembleOnDask, TabularMLPClassifier):
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
class DaskTabularMLPRegressor(EnsembleOnDask, TabularMLPRegressor):
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
