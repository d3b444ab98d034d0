"""Quantile bins of columns of numbers, and positions among their edges."""

from __future__ import annotations

import numpy as np

from .._layers import Array
from ._sketches import Sketch


def quantile_edges(column: Array | Sketch, n_bins: int) -> Array:
    """Edges of at most so many bins, strictly increasing.

    A value that more than one in n_bins rows have is an edge of its own: without it
    most quantiles would be that one value, and few bins would be left for the others.
    Quantiles of the other values are the remaining edges. Values that are not a number
    are left out. A column of one value gets one bin around it.
    """
    sketch = column if isinstance(column, Sketch) else Sketch.of(column)
    frequent = sketch.counts * n_bins > len(sketch)
    common = sketch.values[frequent]
    others = Sketch(sketch.values[~frequent], sketch.counts[~frequent])
    edges = common.astype(np.float64)
    if len(others):
        shares = np.linspace(0, 1, max(1, n_bins - len(common)) + 1)
        edges = np.concatenate([edges, others.quantiles(shares)])
    # Edges that float32 does not tell from each other would make a bin of no width.
    edges = np.unique(edges.astype(np.float32)).astype(np.float64)
    if len(edges) > 1:
        return edges
    return (edges[0] if len(edges) else 0.0) + np.array([-0.5, 0.5])


def to_positions(matrix: Array, edges: list[Array]) -> None:
    """Put p = k + r in the place of every number x = (1 - r) t_k + r t_{k+1}.  (E1)

    The first columns of the matrix are the numbers. Beyond the edges p is that of the
    nearest one, so that a curve stays where the training rows have drawn it; what is
    not a number stays so.
    """
    for f, t in enumerate(edges):
        matrix[:, f] = np.interp(matrix[:, f], t, np.arange(len(t)))


def from_positions(positions: Array, edges: list[Array]) -> Array:
    """x of positions of numbers, not a number where they are missing."""
    columns = [
        np.interp(positions[:, f], np.arange(len(t)), t) for f, t in enumerate(edges)
    ]
    return np.column_stack([np.empty((len(positions), 0)), *columns])
