"""Networks as nodes: layers, and the embeddings before the first of an ensemble's.

The networks of an ensemble are one: their weights lie behind each other along a first
axis, so that a layer of all of them is one product.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._layers import Array
from ..core.embeddings import Embeddings
from ..core.topology import Topology
from ._activations import activate
from ._columns import Encoded
from ._graph import Graph


def network(graph: Graph, topology: Topology, theta: Array, x: str) -> str:
    """Z_J of rows, of theta's type."""
    weights, biases = topology.views(theta)
    return _layers(graph, topology, weights, biases, x, theta.dtype.type)


def ensemble(
    graph: Graph, topology: Topology, thetas: Sequence[Array], columns: Encoded
) -> str:
    """Z_J of every network, of shape (networks, rows, outputs), in float32."""
    views = [topology.views(theta) for theta in thetas]
    weights = [np.stack(each) for each in zip(*(v[0] for v in views), strict=True)]
    # A row of biases for each network, to be added to all of its rows.
    biases = [
        None if each[0] is None else np.stack(each)[:, None, :]
        for each in zip(*(v[1] for v in views), strict=True)
    ]
    x = _embedded(graph, topology.embeddings, thetas, columns)
    return _layers(graph, topology, weights, biases, x, np.float32)


def _layers(
    graph: Graph,
    topology: Topology,
    weights: Sequence[Array],
    biases: Sequence[Array | None],
    a: str,
    real: type[np.floating],
) -> str:
    """Z_J of A_0.  (F1) (F2)"""
    if any(topology.kinds):
        raise ValueError("ONNX can be written of dense layers only.")
    z = a
    for j, (W, b) in enumerate(zip(weights, biases, strict=True)):
        if j > 0:
            a = activate(graph, topology.activations[j - 1], z, real)
        z = graph("MatMul", a, W)
        if b is not None:
            z = graph("Add", z, b)
    return z


def _embedded(
    graph: Graph, embeddings: Embeddings, thetas: Sequence[Array], columns: Encoded
) -> str:
    """A_0 of every network: numbers, plain columns, codes.  (E1) (E2)"""
    views = [embeddings.views(theta) for theta in thetas]
    parts = []
    if columns.numbers is not None:
        parts.append(_curves(graph, embeddings, views, columns))
    if columns.plain is not None:
        shape = np.array([len(thetas), 1, 1])
        parts.append(graph("Expand", columns.plain, shape))
    if columns.codes is not None:
        tables = [np.concatenate(view[4]) for view in views]
        starts = np.cumsum([0, *embeddings.cardinalities[:-1]])
        places = graph("Add", columns.codes, starts)
        found = graph("Gather", np.stack(tables, axis=1), places, axis=0)
        parts.append(_by_network(graph, found, len(starts) * tables[0].shape[1]))
    return graph.joined(parts, axis=2)


def _by_network(graph: Graph, found: str, width: int) -> str:
    """From (rows, columns, networks, inputs) to (networks, rows, width)."""
    turned = graph("Transpose", found, perm=[2, 0, 1, 3])
    return graph("Reshape", turned, np.array([0, 0, width]))


def _curves(
    graph: Graph,
    embeddings: Embeddings,
    views: Sequence[tuple[list[Array], Array, Array, Array, list[Array]]],
    columns: Encoded,
) -> str:
    """What numbers become: a point of a curve each, or what stands for missing."""
    edges = embeddings.edges
    tables = np.stack([_points(edges, *view[:4]) for view in views], axis=1)
    lengths = [len(t) + 1 for t in edges]  # a row for missing behind those of the edges
    starts = np.cumsum([0, *lengths[:-1]])
    absent = columns.absent
    p = graph("Where", absent, np.float32(0), _positions(graph, edges, columns.numbers))
    last_bins = np.array([len(t) - 2 for t in edges], np.float32)
    k = graph("Min", graph("Floor", p), last_bins)
    r = graph("Unsqueeze", graph("Sub", p, k), np.array([2, 3]))
    places = graph("Add", graph.cast(k, np.int64), starts)
    places = graph("Where", absent, starts + np.array(lengths) - 1, places)
    low = graph("Gather", tables, places, axis=0)
    # Where a number is missing r is 0, so that the row behind its own counts nothing.
    high = graph("Gather", tables, graph("Add", places, np.int64(1)), axis=0)
    points = graph("Add", low, graph("Mul", r, graph("Sub", high, low)))
    return _by_network(graph, points, len(edges) * embeddings.dimension)


def _positions(graph: Graph, edges: Sequence[Array], z: str) -> str:
    """p = k + r of numbers among the edges of their bins.  (E1)

    It is the sum over the bins of how much of each lies below the number. A column of
    fewer bins than another has some at infinity.
    """
    shape = (len(edges), max(len(t) - 1 for t in edges))
    low, width = np.full(shape, np.inf), np.ones(shape)
    for f, t in enumerate(edges):
        low[f, : len(t) - 1], width[f, : len(t) - 1] = t[:-1], np.diff(t)
    z = graph("Unsqueeze", graph.cast(z, np.float64), np.array([2]))
    share = graph("Div", graph("Sub", z, low), width)
    share = graph("Clip", share, np.float64(0), np.float64(1))
    p = graph("ReduceSum", share, np.array([2]), keepdims=0)
    return graph.cast(p, np.float32)


def _points(
    edges: Sequence[Array], V: list[Array], b: Array, u: Array, m: Array
) -> Array:
    """Values of all curves at their edges, and what stands for missing behind each.

    Behind the last one there is one row more, to be gathered and multiplied by 0.
    """
    rows = []
    for t, steps, start, slope, missing in zip(edges, V, b, u, m, strict=True):
        widths = np.diff(t).astype(np.float32)[:, None]
        first = start + np.float32(t[0]) * slope
        rows += [*np.cumsum([first, *(steps + widths * slope)], axis=0), missing]
    return np.stack([*rows, rows[-1]])
