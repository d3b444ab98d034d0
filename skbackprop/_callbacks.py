"""The bridge from what trains to callbacks: to scikit-learn's, and to our own.

The one module that knows scikit-learn's callbacks, which are experimental there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple, Protocol

import numpy as np

from ._inputs import as_given
from ._layers import Array
from ._observers import Epoch, Observer
from ._state import Ending
from ._validation import Given, Scoring, rows_of

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # before 1.9
    from ._callback_tasks import CallbackSupportMixin, with_callbacks

#: Where scikit-learn keeps what ``set_callbacks`` was given. The name is private there,
#: and asked for only so that a fit which nobody watches costs nothing.
_PLACE = "_skl_callbacks"
#: Where our callbacks say that they are there.
_LISTENERS = "_epoch_listeners"
#: What a copy that is shown to callbacks need not carry; some of it for a fit only.
_OF_A_FIT = (
    _PLACE,
    _LISTENERS,
    "_parent_callback_ctx",
    "_callback_fit_ctx",
    "_skl_callbacks_to_teardown",
)

__all__ = ["Alone", "CallbackSupport", "EpochCallback", "EpochReport", "with_callbacks"]


@cache
def _place_is_known() -> bool:
    """Whether this scikit-learn keeps callbacks where we look for them."""
    probe = CallbackSupportMixin()
    probe.set_callbacks(EpochCallback())
    return _PLACE in probe.__dict__


def has_callbacks(estimator: Any) -> bool:
    """Whether callbacks have been set on an estimator."""
    return _PLACE in estimator.__dict__


class CallbackSupport(CallbackSupportMixin):
    """An estimator that callbacks can be set on."""

    def _reporter(
        self, X: Any, y: Any, sample_weight: Any, X_val: Any = None
    ) -> Reporter | None:
        """Who tells the callbacks of a fit; None where there are none."""
        if _PLACE not in self.__dict__ and _place_is_known():
            return None
        return Reporter(self, X, y, sample_weight, X_val)


class Part(Protocol):
    """Which rows train a network, and which validate it."""

    def training(self) -> Array: ...

    def validating(self) -> Array: ...


class Alone(NamedTuple):
    """The part of a network that is alone."""

    rows: Array
    held: Array

    def training(self) -> Array:
        return self.rows

    def validating(self) -> Array:
        return self.held


class Rows(NamedTuple):
    """Rows as scorers take them."""

    X: Any
    y: Any
    sample_weight: Array | None


class EpochReport:
    """An epoch that has ended: numbers, and more of it on request.

    What a function of :func:`skbackprop.callbacks.on_epoch_end` is given. Its methods
    are for the time of that call: the next epoch changes the parameters.

    Attributes
    ----------
    network : int
        Of an ensemble, counted from 0.
    n_networks : int
    number : int
        Of the epoch, counted from 1; of the iteration for ``solver="lbfgs"``.
    loss : float
        What was minimised, with the penalty, as in ``loss_curve_``.
    validation_score : float or None
        By the estimator's ``scoring``; None where no rows validate.
    """

    def __init__(self, reporter: Reporter, epoch: Epoch) -> None:
        self._reporter, self._epoch = reporter, epoch
        self.network, self.n_networks = epoch.member, reporter.n_members
        self.number, self.loss = epoch.number, float(epoch.loss)
        score = epoch.score
        self.validation_score = None if score is None else float(score)

    def __repr__(self) -> str:
        return (
            f"EpochReport(network={self.network}, number={self.number}, "
            f"loss={self.loss:.6g}, validation_score={self.validation_score})"
        )

    def fitted_estimator(self) -> Any:
        """An estimator that predicts as if the fit had ended with this epoch.

        Of an ensemble it is this network alone. It has parameters of its own, which
        later epochs do not change.
        """
        return _without_callbacks(self._epoch.fitted())

    def validation_loss(self) -> float | None:
        """The loss, without the penalty, of the rows that validate."""
        return self._reporter.validation_loss(self._epoch)

    def training_data(self) -> Rows:
        """X, y and sample_weight of the rows that train this network."""
        return self._reporter.training(self.network)

    def validation_data(self) -> Rows | None:
        """X, y and weights (class weights too) of the rows that validate it."""
        return self._reporter.validation(self.network)


Listener = Callable[[EpochReport], Any]


class EpochCallback:
    """A callback of ours; the base of the public ones.

    It follows scikit-learn's protocol, so that any ``set_callbacks`` takes it, but is
    told of epochs by the reporter, which has more to tell.
    """

    def setup(self, estimator: Any, context: Any) -> None:
        """Let the estimator know, before a fit."""
        listeners = getattr(estimator, _LISTENERS, None)
        if listeners is None:
            raise TypeError(
                f"{type(self).__name__} watches the epochs of an estimator of "
                f"skbackprop: set it on that one, not on a {type(estimator).__name__}."
            )
        listeners.append(self)

    def teardown(self, estimator: Any, context: Any) -> None:
        pass

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        pass

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        pass

    def _listener(self, estimator: Any, validates: bool) -> Listener:
        """What is called with every epoch of a fit that begins."""
        raise NotImplementedError


class Reporter(Observer):
    """Tells the callbacks of one fit, of its networks and of their epochs.

    The tasks are ``fit``, below it ``network`` in an ensemble, and below that ``epoch``
    (``iteration`` of L-BFGS). The fit of one network has its epochs directly.
    """

    def __init__(
        self, estimator: Any, X: Any, y: Any, sample_weight: Any, X_val: Any
    ) -> None:
        self.estimator, self.X, self.y, self.X_val = estimator, X, y, X_val
        self.sample_weight = sample_weight
        self.n_members = 1
        self._rows: dict[tuple[str, int], Any] = {}
        self._epochs: dict[int, Any] = {}
        self._reads: dict[str, Any] = {}

    def reads(
        self,
        given: Given,
        scoring: Scoring | None,
        parts: Sequence[Part],
        max_iter: int,
        fitted: Callable[[Array], Any] | None = None,
    ) -> None:
        """Told what is trained, before that begins.

        ``fitted`` makes an estimator of parameters of an ensemble's member.
        """
        self.given, self.scoring, self.parts = given, scoring, parts
        self._fitted, self.max_iter = fitted, max_iter

    # Rows ----------------------------------------------------------------------

    def _seen(self, original: Any, checked: Any) -> Any:
        """X with the names of its columns, if it had any."""
        return original if "feature_names_in_" in self.estimator.__dict__ else checked

    def _kept(self, kind: str, member: int, make: Callable[[], Any]) -> Any:
        """Rows that are made once for a member, if at all."""
        key = (kind, member)
        if key not in self._rows:
            self._rows[key] = make()
        return self._rows[key]

    def training(self, member: int) -> Rows:
        def make() -> Rows:
            rows = np.sort(self.parts[member].training())
            X, weights = self._seen(self.X, self.given.X), self.sample_weight
            if weights is not None:
                shape = (self.given.table.n_rows,)
                weights = np.broadcast_to(np.asarray(weights), shape)[rows]
            return Rows(rows_of(X, rows), self.given.y[rows], weights)

        return self._kept("training", member, make)

    def validation(self, member: int) -> Rows | None:
        def make() -> Rows | None:
            if self.scoring is None:
                return None
            source, rows = self.scoring.source, self.parts[member].validating()
            original = self.X if source is self.given else self.X_val
            weights = source.table.sample_weight
            if len(weights):  # a row of weight 0 validates nothing
                rows = rows[weights[rows] > 0]
                weights = as_given(weights[rows], source.exponent)
            return Rows(
                rows_of(self._seen(original, source.X), rows),
                source.y[rows],
                weights if len(weights) else None,
            )

        return self._kept("validation", member, make)

    def validation_loss(self, epoch: Epoch) -> float | None:
        def make() -> Callable[[Array], float] | None:
            if self.scoring is None:
                return None
            return self.scoring.loss(self.parts[epoch.member].validating())

        loss = self._kept("loss", epoch.member, make)
        return None if loss is None else -loss(epoch.theta)

    # Telling -------------------------------------------------------------------

    def fit_begins(self, n_members: int) -> None:
        self.n_members, estimator = n_members, self.estimator
        bag = self._fitted is not None
        listeners: list[EpochCallback] = []
        setattr(estimator, _LISTENERS, listeners)
        try:
            self._root = estimator._init_callback_context(
                max_subtasks=n_members if bag else self.max_iter,
                sequential_subtasks=not bag,
            )
        finally:
            delattr(estimator, _LISTENERS)
        self._listeners = [
            each._listener(estimator, self.scoring is not None) for each in listeners
        ]
        self._has_tasks = len(getattr(estimator, _PLACE, ())) != len(listeners)
        self._root.call_on_fit_task_begin(
            estimator=estimator, X=self.X, y=self.y, metadata=self._metadata()
        )
        self._parents = {0: self._root}
        if bag:  # here, since members begin in threads
            for member in range(n_members):
                self._parents[member] = self._root.subcontext(
                    task_name="network", task_id=member, max_subtasks=self.max_iter
                )

    def member_begins(self, member: int) -> None:
        if self._fitted is not None:
            self._parents[member].call_on_fit_task_begin(**self._told(member))

    def epoch_begins(self, member: int, number: int) -> None:
        if self._has_tasks:
            self._epochs[member] = self._begun(member, "epoch")

    def _begun(self, member: int, name: str) -> Any:
        """The task of an epoch, of which callbacks have been told."""
        task = self._parents[member].subcontext(task_name=name)
        return task.call_on_fit_task_begin(**self._told(member))

    def epoch_ends(self, epoch: Epoch) -> bool:
        stops = False
        if self._listeners:
            report = EpochReport(self, epoch)
            stops = any([bool(listener(report)) for listener in self._listeners])
        if self._has_tasks:
            task = self._epochs.pop(epoch.member, None)
            if task is None:  # L-BFGS tells of what has ended
                task = self._begun(epoch.member, "iteration")
            attributes = _attributes_of(epoch.fitted)
            stops |= task.call_on_fit_task_end(
                **self._told(epoch.member), reconstruction_attributes=attributes
            )
        return stops

    def member_ends(self, member: int, ending: Ending, result: Any) -> bool:
        """A true answer lets no other member begin."""
        fitted, stops = self._fitted, False
        if fitted is not None:
            attributes = _attributes_of(lambda: fitted(result.theta))
            stops = self._parents[member].call_on_fit_task_end(
                **self._told(member), reconstruction_attributes=attributes
            )
        for kind in ("training", "validation", "loss"):
            self._rows.pop((kind, member), None)
        return stops

    def ends(self) -> None:
        """Told when the estimator has all its attributes."""
        self._root.call_on_fit_task_end(
            estimator=self.estimator,
            X=self.X,
            y=self.y,
            metadata=self._metadata(),
            reconstruction_attributes=dict,
        )

    def _metadata(self) -> dict[str, Any]:
        weights = self.sample_weight
        return {} if weights is None else {"sample_weight": weights}

    def _told(self, member: int) -> dict[str, Any]:
        """Of a task below the fit: the rows that train there, made if asked for."""

        def metadata() -> dict[str, Any]:
            if self.sample_weight is None:
                return {}
            return {"sample_weight": self.training(member).sample_weight}

        return {
            "estimator": self.estimator,
            "X": lambda: self.training(member).X,
            "y": lambda: self.training(member).y,
            "metadata": metadata,
        }


def _without_callbacks(fitted: Any) -> Any:
    for name in _OF_A_FIT:
        fitted.__dict__.pop(name, None)
    return fitted


def _attributes_of(fitted: Callable[[], Any]) -> Callable[[], dict[str, Any]]:
    """What makes a copy of an estimator the fitted one."""
    return lambda: _without_callbacks(fitted()).__dict__
