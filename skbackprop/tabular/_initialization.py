"""First parameters of a network of an ensemble, fitted to rows of the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .._evaluation import activate, affine
from .._layers import Array
from ..core.losses import Loss
from ..core.topology import Topology
from ._bins import from_positions
from ._sketches import Sketch

if TYPE_CHECKING:
    from ..core.engine import Table


def initialize(
    topology: Topology,
    X: Array,
    output_bias: Array,
    output_scale: float,
    random_state: np.random.RandomState,
) -> Array:
    """First parameters that fit rows of the table.

    All pre-activations of a layer together have a root mean square of 1, those of the
    outputs of ``output_scale`` beside the bias. (Mishkin and Matas (2016) divide by a
    standard deviation; that of one unit is nearly zero where its inputs have few
    directions, as those of a single column.) Curves begin as straight lines, and biases
    at zero, but those of the outputs at what is best without any column.
    """
    embeddings = topology.embeddings
    theta = np.zeros(topology.n_parameters, dtype=np.float32)
    _, b, u, m, tables = embeddings.views(theta)
    b[...] = random_state.uniform(-1, 1, b.shape)
    for each in (u, m, *tables):
        each[...] = random_state.normal(size=each.shape)
    A = _embedded(topology, theta, X)
    weights, biases = topology.views(theta)
    for W, kind in zip(weights, topology.activations, strict=True):
        W[...] = random_state.normal(size=W.shape)
        Z = affine(A, W)
        size = np.float32(np.sqrt(np.mean(np.square(Z, dtype=np.float64))))
        size = size or np.float32(np.sqrt(len(W)))  # no row has anything here
        W /= size
        if W is not weights[-1]:
            A = activate(kind, Z / size)
    weights[-1][...] *= np.float32(output_scale)
    biases[-1][...] = output_bias
    return theta


def constant_parameters(topology: Topology, output_bias: Array) -> Array:
    """Parameters of a network whose outputs are the same for all rows."""
    theta = np.zeros(topology.n_parameters, dtype=np.float32)
    topology.views(theta)[1][-1][...] = output_bias
    return theta


class TargetTotals(NamedTuple):
    """What targets add up to: all that the best constant is made of."""

    n_rows: int
    weight: float
    #: Weights of the rows of each class, or of each output's ones, shape (q,).
    ones: Array
    #: Of each output, where the loss is of quantiles; merged ones are sketches.
    columns: list[Array] | list[Sketch]

    @classmethod
    def of(cls, topology: Topology, table: Table, rows: Array) -> TargetTotals:
        """Of some rows of a table."""
        w = table.sample_weight[rows] if len(table.sample_weight) else None
        w = np.ones(len(rows)) if w is None else w.astype(np.float64)
        q, columns = topology.sizes[-1], []
        ones = np.zeros(q)
        if topology.loss == Loss.CATEGORICAL_CROSS_ENTROPY:
            ones = np.bincount(table.labels[rows], w, minlength=q)
        elif topology.loss == Loss.BINARY_CROSS_ENTROPY:
            ones = (w[:, None] * table.Y[rows]).sum(axis=0)
        elif topology.loss == Loss.QUANTILE:
            columns = [*table.Y[rows].T]
        return cls(len(rows), float(w.sum()), ones, columns)

    @classmethod
    def merged(cls, totals: Sequence[TargetTotals]) -> TargetTotals:
        """Of the rows of all of them, whose columns are sketches."""
        n_rows, weights, ones, columns = zip(*totals, strict=True)
        merged = [Sketch.merged(each) for each in zip(*columns, strict=True)]
        return cls(sum(n_rows), sum(weights), sum(ones), merged)


def best_constant(topology: Topology, totals: TargetTotals) -> Array:
    """Z_J of the smallest loss if it were the same for all rows, or nearly so.

    Log-odds and logarithms of shares, with half a row more for each class; quantiles,
    of which the weights have no say: it is a start.
    Of standardised targets the mean is 0, and so is about any other middle.
    """
    n = totals.n_rows
    if topology.loss == Loss.QUANTILE:
        levels = topology.loss_parameters or (0.5,)
        return np.array(
            [
                _quantile(column, levels[k % len(levels)])
                for k, column in enumerate(totals.columns)
            ]
        )
    ones = totals.ones * (n / totals.weight)
    if topology.loss == Loss.CATEGORICAL_CROSS_ENTROPY:
        return np.log((ones + 0.5) / (ones + 0.5).sum())
    if topology.loss == Loss.BINARY_CROSS_ENTROPY:
        return np.log((ones + 0.5) / (n - ones + 0.5))
    return np.zeros(topology.sizes[-1])


def _quantile(column: Array | Sketch, level: float) -> float:
    if isinstance(column, Sketch):
        return float(column.quantiles(np.array([level]))[0])
    return float(np.quantile(column, level))


def _embedded(topology: Topology, theta: Array, X: Array) -> Array:
    """A_0 of rows of the table while curves are still lines.  (E1) (E2)"""
    embeddings = topology.embeddings
    _, b, u, m, tables = embeddings.views(theta)
    n, n_plain = embeddings.n_numbers, embeddings.n_plain
    x = from_positions(X[:, :n], embeddings.edges)[:, :, None]
    numbers = np.where(np.isnan(x), m, b + np.nan_to_num(x) * u)
    parts = [numbers.reshape(len(X), -1), X[:, n : n + n_plain]]
    parts += [
        table[X[:, n + n_plain + c].astype(np.intp)] for c, table in enumerate(tables)
    ]
    return np.hstack(parts).astype(np.float32)
