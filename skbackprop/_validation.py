"""Rows that validate, and the score of parameters on them; for every estimator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.utils import check_array, check_consistent_length

from ._evaluation import as_arrays, make_table, predict, value_and_gradient
from ._features import as_numpy
from ._inputs import Targets, as_column, as_given, checked_weights, table_of
from ._layers import Array, without_smoothing
from ._scoring import check_score, score_on, scorer_of
from ._targets import TargetKind
from .core.topology import Topology

if TYPE_CHECKING:
    from .core.engine import Table


class Given(NamedTuple):
    """Rows as the user gave them, and as the engine reads them."""

    X: Any
    y: Any
    table: Table
    #: Of the power of two that the weights are over.
    exponent: int

    def __reduce__(self) -> Any:
        return _given, (self.X, self.y, as_arrays(self.table), self.exponent)


def _given(X: Any, y: Any, arrays: dict[str, Any], exponent: int) -> Given:
    """What was pickled."""
    return Given(X, y, make_table(**arrays), exponent)


def read_validation(
    estimator: Any,
    targets: TargetKind,
    validation: tuple[Any, Any, Any],
    inputs: Callable[[Any], tuple[Any, Any]],
    encode: Callable[[Any, str], Targets],
    scale: Callable[[Array | None, int, str], tuple[Array | None, int]],
) -> Given:
    """X_val, y_val and sample_weight_val, checked like the training data.

    ``inputs`` makes of X what scorers get and what the engine reads, ``encode`` the
    targets, and ``scale`` weights over a power of two.
    """
    X, y, weights = validation
    if X is None or y is None:
        raise ValueError("X_val and y_val must be given together.")
    X, y = as_numpy(X, "X_val"), as_numpy(y, "y_val")
    weights = as_numpy(weights, "sample_weight_val")
    X, matrix = inputs(X)
    y = checked_y(targets.plain(y, "y_val"), matrix, "y_val")
    targets.check(y, "y_val")
    y = targets.cast(y)
    weights, exponent = checked_weights("sample_weight_val", weights, matrix)
    encoded = encode(y, "y_val")
    weights = targets.weights(y, weights, getattr(estimator, "class_weight", None))
    weights, exponent = scale(weights, exponent, "sample_weight_val")
    table = table_of(matrix, encoded, weights)
    if not table.weight_sum(np.arange(table.n_rows)) > 0:
        raise ValueError("The weights of the validation rows sum to zero.")
    return Given(X, y, table, exponent)


class Scoring:
    """The score of parameters on rows held out, by the parameter ``scoring``.

    Parameters
    ----------
    estimator : estimator
        Whose parameters ``scoring`` and ``n_jobs`` are heeded.
    targets : Classes or Numbers
    topology : Topology
    given : Given
        The rows of ``fit``.
    validation : Given or None
        Where rows that validate are not among them.
    fitted : callable
        From parameters theta to an estimator, for scikit-learn's scorers.
    """

    def __init__(
        self,
        estimator: Any,
        targets: TargetKind,
        topology: Topology,
        given: Given,
        validation: Given | None,
        fitted: Callable[[Array], Any],
    ) -> None:
        self.estimator, self.targets, self.fitted = estimator, targets, fitted
        # Smoothed labels are for training; what validates is what was observed.
        self.topology = without_smoothing(topology)
        self.given, self.source = given, validation or given
        by_scorer = estimator.scoring not in (None, "loss")
        self.scorer = scorer_of(estimator, estimator.scoring) if by_scorer else None
        self._tried = False

    def __getstate__(self) -> dict[str, Any]:
        """Rows as the user gave them travel with a scorer alone, and those it asks."""
        source = self.source
        if self.scorer is None:
            source = source._replace(X=None, y=None)
        same = self.source is self.given
        given = source if same else self.given._replace(X=None, y=None)
        return self.__dict__ | {"given": given, "source": source}

    def of(self, rows: Array) -> Callable[[Array], float]:
        """The function from parameters to their score on some rows."""
        if self.estimator.scoring == "loss":
            return self.loss(rows)
        return self._default(rows) if self.scorer is None else self._by_scorer(rows)

    def loss(self, rows: Array) -> Callable[[Array], float]:
        """Minus the loss of some rows, as a function of the parameters."""
        table = self.source.table
        total = table.weight_sum(rows)
        return lambda theta: (
            -value_and_gradient(
                self.topology, theta, table, denominator=total, rows=rows
            )
        )

    def _default(self, rows: Array) -> Callable[[Array], float]:
        """Accuracy, R^2 or minus the pinball loss."""
        table, n_jobs = self.source.table, self.estimator.n_jobs
        truth = (table.labels if len(table.labels) else table.Y)[rows]
        weights = table.sample_weight[rows] if len(table.sample_weight) else None

        def score(theta: Array) -> float:
            outputs = predict(self.topology, theta, table, rows=rows, n_jobs=n_jobs)
            if not np.isfinite(outputs).all():
                return np.nan
            return self.targets.score(outputs, truth, weights)

        return score

    def _by_scorer(self, rows: Array) -> Callable[[Array], float]:
        X, y, table, exponent = self.source
        weights = None
        if len(table.sample_weight):  # a row of weight 0 validates nothing
            rows = rows[table.sample_weight[rows] > 0]
            weights = as_given(table.sample_weight[rows], exponent)
        on_rows = score_on(self.scorer, rows_of(X, rows), y[rows], weights)
        return lambda theta: on_rows(self.fitted(theta))

    def check(self, rows: Array, held: Array, theta: Array) -> None:
        """Raise where rows held out have no score, before anything is trained.

        The first rows are those of all classes; the score is tried of theta.
        """
        if self.scorer is None:
            return
        given, source = self.given.table, self.source.table
        lacking, count = self.targets.lacking(given, rows, source, held)
        if not lacking and self._tried:
            return
        remedy = "pass X_val and y_val that have it, or take scoring='loss'"
        if source is not given:
            remedy = "give X_val and y_val such rows"
        elif count > 1:
            remedy = f"{self.estimator._more_validation(count)}, {remedy}"
        check_score(self.estimator, lambda: self.of(held)(theta), lacking, remedy)
        self._tried = self._tried or not lacking


def checked_y(y: Any, matrix: Any, name: str = "y") -> Any:
    """A plain y, or y_val, as an array of as many rows as the matrix."""
    y = check_array(
        y,
        accept_sparse="csr",
        ensure_2d=False,
        allow_nd=False,
        dtype=None,
        input_name=name,
        ensure_min_samples=0,
    )
    check_consistent_length(matrix, y)
    return as_column(y)


def rows_of(X: Any, rows: Array) -> Any:
    """Some rows of a frame, a table of Arrow's, an array or lists."""
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    if hasattr(X, "take") and hasattr(X, "schema") and not hasattr(X, "to_series"):
        return X.take(rows)
    return X[rows] if hasattr(X, "shape") else [X[i] for i in rows]
