"""A fit before its training, for members that are trained somewhere else.

The steps are those of ``BaseTabularMLP._fit``, and the bits are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from .. import _constraints as allow
from .._observers import Observer
from .._snapshot import working_copy
from .._threads import blas_threads
from ._ensemble import Ensemble, Read, Trained
from ._member import Member

Messages = list[tuple[str, type[Warning]]]


@dataclass(frozen=True)
class Prepared:
    """All that members need, and what makes an estimator of them.

    A pickle of protocol 5 leaves its arrays where they are (``buffer_callback``), and
    names no engine: it may be read at another level of instructions, where sums round
    otherwise. With a scorer it holds the rows as the user gave them too.
    """

    #: It has learnt all that comes before the training.
    estimator: Any
    read: Read
    ensemble: Ensemble

    @property
    def n_members(self) -> int:
        return len(self.ensemble.parts)

    def train(self, number: int) -> Member:
        """Train a member: the same bits wherever it is, whatever was trained before."""
        with blas_threads(1, 0.0):
            return self.ensemble.train_member(number, Observer())

    def finish(self, members: Sequence[Member | None]) -> tuple[Any, Messages]:
        """The fitted estimator and what there is to warn of.

        Parameters
        ----------
        members : sequence of Member or None, shape (n_members,)
            By their numbers; None for those that nobody has trained.
        """
        if len(members) != self.n_members or not any(members):
            raise ValueError(
                f"members must be {self.n_members} members or None, and one of them "
                f"at least a member. Got {len(members)}."
            )
        estimator = working_copy(self.estimator)
        trained = Trained([*members])
        messages = estimator._keep_trained(self.read, self.ensemble, trained)
        return estimator, messages


def prepare(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any = None,
    validation: tuple[Any, Any, Any] = (None, None, None),
    random_state: np.random.RandomState | None = None,
) -> Prepared:
    """Read the data and draw the folds and seeds of a fit; the estimator is unchanged.

    Parameters
    ----------
    estimator : TabularMLPClassifier or TabularMLPRegressor
    X, y, sample_weight : as for its ``fit``
    validation : tuple of X_val, y_val, sample_weight_val
    random_state : RandomState, default=None
        None is the estimator's.
    """
    owner = type(estimator).__name__
    allow.check_parameters(owner, estimator.get_params(), estimator._rules)
    estimator = working_copy(estimator)
    read = estimator._read(X, y, sample_weight, validation)
    if random_state is None:
        random_state = check_random_state(estimator.random_state)
    return Prepared(estimator, read, estimator._ensemble(read, random_state))
