"""The estimators of frames: ensembles whose networks are trained side by side."""

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
    """An ensemble that classifies rows of frames, trained on partitions of a table.

    With ``method='bag'`` partitions are put together on a worker, and every other gets
    a copy: a worker's memory must hold the table four times. Each network of the
    ensemble is a task, and the model has the bits of the local twin with the same
    ``random_state``. With ``method='cyclic'`` the networks walk through the partitions,
    wherever these are, in cycles (Y3). Each way has the same bits for any number of
    workers, whichever of them die.

    Parameters
    ----------
    preset, ..., verbose
        Those of :class:`skbackprop.TabularMLPClassifier`. ``time_limit`` must be None;
        for cycles ``scoring`` must be 'loss' and ``calibrate`` False.
    client : distributed.Client, default=None
        None is the current one.
    method : {'auto', 'bag', 'cyclic'}, default='auto'
        'auto' is 'bag' where four times the size of X is no more than the memory of the
        smallest worker, else 'cyclic'.
    local_epochs : float, default=0.25
        Of cycles: passes over the rows of a partition in a visit. There are
        ``max_iter / local_epochs`` cycles, of which ``n_iter_``, ``best_epochs_``,
        ``validation_scores_`` and ``loss_curves_`` are.
    persist : 'auto' or bool, default='auto'
        Of cycles: whether workers keep partitions as they are trained on. 'auto': where
        these take no more than half of the workers' memory; else each is read again for
        every visit.
    timeout : float, default=60
        Seconds without any worker after which ``fit`` gives up with a
        :class:`DaskFitError`, which has the model of the last complete cycle.

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
    """An ensemble that predicts numbers from frames, trained on partitions of a table.

    It is trained as :class:`DaskTabularMLPClassifier` is.

    Parameters
    ----------
    preset, ..., verbose
        Those of :class:`skbackprop.TabularMLPRegressor`. ``time_limit`` must be None.
    client, method, local_epochs, persist, timeout
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
