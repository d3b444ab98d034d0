"""A network in C: one array of constants, and the function that goes along it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .._layers import Array
from ..core.activations import Activation
from ..core.embeddings import Embeddings
from ..core.topology import Topology
from ._formulas import ACTIVATIONS
from ._literals import Part


def check_topology(topology: Topology) -> None:
    """Refuse what there is no C for."""
    if any(topology.kinds):
        raise NotImplementedError("There is no C yet for layers that are not dense.")
    for kind in topology.activations:
        if kind not in ACTIVATIONS:
            name = Activation(kind).name.lower()
            raise NotImplementedError(f"There is no C yet for the activation {name!r}.")


def constants_of(topology: Topology, theta: Array) -> Iterator[Part]:
    """All constants in the order in which ``network`` reads them, part by part."""
    if topology.embeddings is not None:
        yield from _embeddings(topology.embeddings, theta)
    coefs, intercepts = topology.views(theta)
    for j, (W, b) in enumerate(zip(coefs, intercepts, strict=True), 1):
        assert b is not None  # an estimator's layers have one
        title = (
            f"layer {j}: for each of {W.shape[1]} units a bias, {W.shape[0]} weights"
        )
        yield Part(title, np.column_stack([b, W.T]))


def _embeddings(embeddings: Embeddings, theta: Array) -> Iterator[Part]:
    V, b, u, missing, tables = embeddings.views(theta)
    for f, edges in enumerate(embeddings.edges):
        curve = _curve(V[f], b[f], u[f], edges)
        title = f"number {f}: a curve at {len(edges)} edges, and missing"
        yield Part(title, np.vstack([curve, missing[f]]))
    for c, table in enumerate(tables):
        yield Part(f"code {c}: {len(table)} rows", table)


def _curve(V: Array, b: Array, u: Array, edges: Array) -> Array:
    """b + t_k u + sum_{i<k} V_i at every edge, summed as the engine does.  (E1)"""
    curve = [b + np.float32(edges[0]) * u]
    for V_k, step in zip(V, np.diff(edges).astype(np.float32), strict=True):
        curve.append(curve[-1] + V_k + step * u)
    return np.array(curve)


def inputs_of(topology: Topology) -> list[tuple[str, str, int]]:
    """Type, name and length of what ``network`` reads beside its constants."""
    embeddings = topology.embeddings
    if embeddings is None:
        return [("real", "x", topology.sizes[0])]
    arrays = [
        ("float", "position", embeddings.n_numbers),
        ("real", "plain", embeddings.n_plain),
        ("int", "row", embeddings.n_codes),
    ]
    return [array for array in arrays if array[2]]


def network(topology: Topology) -> str:
    """The function ``@network(w, ..., z)``, which writes Z_J of one row to z."""
    given = "".join(f"const {kind} *{name}, " for kind, name, _ in inputs_of(topology))
    steps, widths = [], [0, 0]
    embeddings, source, target = topology.embeddings, "x", 0
    if embeddings is not None:
        steps = _embedding_steps(embeddings)
        source, target, widths[0] = "a", 1, topology.sizes[0]
    sizes, last = topology.sizes, topology.n_layers - 1
    for j, kind in enumerate(topology.activations):
        call = f"@dense(w, {source}, {sizes[j]}, "
        if j == last:
            steps.append(f"{call}z, {sizes[-1]});")
            break
        source = "ab"[target]
        widths[target] = max(widths[target], sizes[j + 1])
        steps.append(f"w = {call}{source}, {sizes[j + 1]});")
        steps += activation(kind, source, sizes[j + 1])
        target = 1 - target
    buffers = [
        f"@STORAGE real {name}[{width}];"
        for name, width in zip("ab", widths, strict=True)
        if width
    ]
    body = "".join(f"    {line}\n" for line in [*buffers, *steps])
    head = f"static inline void @network(const W *w, {given}real *z)"
    return f"{head}\n{{\n{body}}}"


def activation(kind: int, values: str, n: int) -> list[str]:
    """What makes A of Z, of n numbers in place."""
    if kind == Activation.IDENTITY:
        return []
    return [f"@{Activation(kind).name.lower()}({values}, {n});"]


def _embedding_steps(embeddings: Embeddings) -> list[str]:
    """A_0 into the array a."""
    steps, at = [], 0
    size = embeddings.dimension
    for f, edges in enumerate(embeddings.edges):
        n_bins = len(edges) - 1
        steps.append(f"w = @curve(w, {n_bins}, {size}, position[{f}], a + {at});")
        at += size
    if embeddings.n_plain:
        steps += [
            f"for (int i = 0; i < {embeddings.n_plain}; i++)",
            f"    a[{at} + i] = plain[i];",
        ]
        at += embeddings.n_plain
    size = embeddings.code_dimension
    for c, rows in enumerate(embeddings.cardinalities):
        steps.append(f"w = @embedding(w, {rows}, {size}, row[{c}], a + {at});")
        at += size
    return steps
