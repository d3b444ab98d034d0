"""Scores of rows that are held out in partitions: sums, which add up to a score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .._evaluation import predict, value_and_gradient
from .._layers import Array, without_smoothing
from .._targets import Numbers, TargetKind
from ..core.topology import Topology

if TYPE_CHECKING:
    from ..core.engine import Table


@dataclass(frozen=True)
class Measure:
    """Minus the loss, accuracy, R^2 or minus the pinball loss, by sums over rows."""

    kind: TargetKind
    #: None, for the default score, or "loss".
    scoring: str | None
    #: What targets are centred at before their squares are summed, shape (q,).
    center: Array

    @property
    def is_r2(self) -> bool:
        numbers = isinstance(self.kind, Numbers) and self.kind.loss != "quantile"
        return numbers and self.scoring != "loss"

    def nothing(self) -> Array:
        """The sums of no rows."""
        return np.zeros((4, len(self.center)) if self.is_r2 else 2)

    def sums(
        self, topology: Topology, theta: Array, table: Table, rows: Array
    ) -> Array:
        """Sums over some rows of a table, in float64."""
        total = table.weight_sum(rows) if len(rows) else 0.0
        if not total > 0:
            return self.nothing()
        if self.scoring == "loss":
            # Smoothed labels are for training; what validates is what was observed.
            topology = without_smoothing(topology)
            loss = value_and_gradient(
                topology, theta, table, denominator=total, rows=rows
            )
            return np.array([-loss * total, total])
        outputs = predict(topology, theta, table, rows=rows)
        truth = (table.labels if len(table.labels) else table.Y)[rows]
        weights = table.sample_weight[rows] if len(table.sample_weight) else None
        if not np.isfinite(outputs).all():
            return np.full(self.nothing().shape, np.nan)
        if not self.is_r2:
            return np.array([self.kind.score(outputs, truth, weights) * total, total])
        w = np.ones(len(rows)) if weights is None else weights
        return squares(outputs, truth, w, self.center)

    def score(self, sums: Array) -> float:
        """The score that sums of all partitions stand for; NaN of no rows."""
        if self.is_r2:
            return r2(sums)
        with np.errstate(invalid="ignore"):
            return float(sums[0] / sums[1])


def squares(outputs: Array, y: Array, w: Array, center: Array) -> Array:
    """Sums that R^2 is made of, shape (4, q): of w, w y, w y^2 and w (y - f)^2.

    By NumPy's sums, whose order is its own: that of a dot product is BLAS's.
    """
    y, outputs = y.astype(np.float64), outputs.astype(np.float64)
    apart = y - center
    terms = [np.ones_like(y), apart, apart**2, (y - outputs) ** 2]
    return np.stack([(w.astype(np.float64)[:, None] * e).sum(axis=0) for e in terms])


def r2(sums: Array) -> float:
    """R^2, averaged over the outputs; NaN of no rows."""
    w, y, square, error = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = square - y**2 / w
        # As scikit-learn's: of a constant that is met 1, else 0.
        scores = np.where(spread > 0, 1 - error / spread, np.where(error > 0, 0.0, 1.0))
        return float(np.where(w > 0, scores, np.nan).mean())
