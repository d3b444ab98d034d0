"""Predictions, losses and gradients of many rows: the engine's calls, block by block.

In blocks, memory stays constant and Ctrl-C is answered between two of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ._layers import Array
from ._threads import (
    LONG_FLOP,
    PREDICTION_FLOP,
    run_in_team,
    run_in_threads,
    threads_for,
)
from .core import engine_of
from .core.topology import Topology

if TYPE_CHECKING:
    from .core.engine import Table

_BLOCK_BYTES = 1 << 21
_INT_MAX = 2**31 - 1


def readable(name: str, array: Array, dtype: npt.DTypeLike) -> Array:
    """An array as the engine reads it: of its type, contiguous and aligned."""
    if array.dtype != dtype:
        # An overflow in the cast would turn finite input into wrong output.
        with np.errstate(over="raise", under="ignore"):
            try:
                array = array.astype(dtype, order="C")
            except FloatingPointError:
                raise ValueError(
                    f"{name} has a number that is too large for {np.dtype(dtype)}, in "
                    "which the network computes."
                ) from None
    array = np.ascontiguousarray(array)
    return array if array.flags.aligned else array.copy()


def scale_weights(
    weights: Array, exponent: int = 0, least: int | None = None
) -> tuple[Array, int]:
    """Weights over the power of two that brings the heaviest into [1, 2); its exponent.

    Nothing is rounded by that, and afterwards no sum overflows, and no type is too
    narrow for what weighs anything beside the heaviest. The weights given are over
    ``2**exponent`` already, and come back over ``2**least`` at least.
    """
    heaviest = float(weights.max(initial=0.0))
    wanted = exponent + math.frexp(heaviest)[1] - 1 if heaviest > 0 else exponent
    if least is not None:
        wanted = max(wanted, least)
    if wanted != exponent:
        with np.errstate(under="ignore"):
            weights = np.ldexp(weights, exponent - wanted)
    return weights, wanted


def make_table(
    X: Any,
    *,
    Y: Array | None = None,
    labels: Array | None = None,
    sample_weight: Array | None = None,
    dtype: npt.DTypeLike,
) -> Table:
    """Arrange checked arrays for the engine; nothing is copied that fits already."""
    if sp.issparse(X):
        X = X.tocsr()
        if X.shape[1] > _INT_MAX:
            raise ValueError(f"X has {X.shape[1]} columns, over the limit {_INT_MAX}")
        # The engine trusts indptr, so that it gets a copy to which nobody else writes.
        # It looks at every index again when it reads it: they are too many to copy.
        # The check may trim the arrays, so that it is made on a matrix of our own.
        X = type(X)((X.data, X.indices, X.indptr.copy()), shape=X.shape, copy=False)
        X.check_format(full_check=True)
        rows = (
            readable("X", X.data, dtype),
            readable("X.indices", X.indices, np.intc),
            readable("X.indptr", X.indptr, np.longlong),
            X.shape[1],
        )
    else:
        rows = readable("X", X, dtype)
    return engine_of(dtype).Table(
        rows,
        Y=None if Y is None else readable("Y", Y, dtype),
        labels=None if labels is None else readable("labels", labels, np.intc),
        sample_weight=(
            None if sample_weight is None else readable("weights", sample_weight, dtype)
        ),
    )


def as_arrays(table: Table) -> dict[str, Any]:
    """What ``make_table`` makes the same table of, in another process too.

    A table itself holds pointers, and is of one engine, which others may not have.
    """
    X: Any = table.X
    if table.sparse:
        shape = (table.n_rows, table.n_columns)
        X = sp.csr_matrix((table.data, table.indices, table.indptr), shape=shape)
    given = {"Y": table.Y, "labels": table.labels, "sample_weight": table.sample_weight}
    return {
        "X": X,
        "dtype": table.X.dtype,
        **{name: array if len(array) else None for name, array in given.items()},
    }


def block_rows(topology: Topology, dtype: npt.DTypeLike, sparse: bool) -> int:
    """Rows per block: the workspace stays near 2 MB, products stay efficient."""
    reals = engine_of(dtype).Workspace.reals
    few, more = (reals(topology, n, sparse=sparse) for n in (256, 512))
    per_row = (more - few) // 256 * np.dtype(dtype).itemsize
    return max(256, min(4096, _BLOCK_BYTES // max(1, per_row) // 16 * 16))


def _pieces(n: int, size: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + size, n)) for start in range(0, n, size))


_IN_ORDER = np.empty(0, dtype=np.intp)


class NotFinite(Exception):
    """Raised by a prediction that was to look for infinity and NaN, and found it."""


def unchanged(outputs: Array) -> Array:
    return outputs


def predict(
    topology: Topology,
    theta: Array,
    table: Table,
    *,
    rows: Array = _IN_ORDER,
    raw: bool = False,
    transform: Callable[[Array], Array] = unchanged,
    n_jobs: int | None = 1,
    check: bool = False,
) -> Array:
    """A_J of all rows of the table, or of the given ones; Z_J where raw.

    ``transform`` makes of a block of rows what is wanted of it. ``check`` looks whether
    X is finite, block by block, while it is in cache anyway.
    """
    n = len(rows) if len(rows) else table.n_rows
    q = topology.sizes[-1]
    theta = readable("theta", theta, theta.dtype)  # it may be mapped from a file
    engine = engine_of(theta.dtype)
    size = min(n, block_rows(topology, theta.dtype, table.sparse))
    flop = 2.0 * n * len(theta)
    n_threads = threads_for(n_jobs, flop, PREDICTION_FLOP) if size < n else 1
    long = 2.0 * size * len(theta) >= LONG_FLOP
    pieces = list(_pieces(n, max(size, 1)))
    outputs: list[Array] = []

    def work(some: list[tuple[int, int]]) -> None:
        workspace = engine.Workspace(
            topology, theta, size, sparse=table.sparse, backward=False
        )
        block = np.empty((size, q), dtype=theta.dtype)

        def compute(
            start: int, stop: int, out: Array, _: int = 0, team: Any = None
        ) -> None:
            engine.predict(workspace, table, rows, start, stop, out, raw, team)

        for start, stop in some:
            if check and not engine.is_finite(table.X[start:stop]):
                raise NotFinite
            out = block[: stop - start].reshape(-1)
            run_in_team(compute, start, stop, out, n_threads=1, long=long)
            piece = transform(block[: stop - start])
            if start == 0:
                # The first piece tells what the result is an array of.
                outputs.append(np.empty((n, *piece.shape[1:]), dtype=piece.dtype))
            outputs[0][start:stop] = piece

    if not pieces:
        return transform(np.empty((0, q), dtype=theta.dtype))
    if n_threads == 1:
        work(pieces)
    else:
        work(pieces[:1])
        n_threads = min(n_threads, len(pieces) - 1)
        parts = [pieces[1 + k :: n_threads] for k in range(n_threads)]
        run_in_threads(work, parts)
    return outputs[0]


def _put(out: Array | None, piece: Array, start: int, n: int) -> Array:
    """Rows of the result; the first piece tells what it is an array of."""
    if out is None:
        out = np.empty((n, *piece.shape[1:]), dtype=piece.dtype)
    out[start : start + len(piece)] = piece
    return out


#: Rows that are predicted without a table: no weight is packed for so few.
FEW_ROWS = 8


def predict_few(topology: Topology, theta: Array, X: Array, raw: bool) -> Array:
    """``predict`` of at most FEW_ROWS rows of an array that fits as it is."""
    out = np.empty((len(X), topology.n_outputs), dtype=theta.dtype)
    engine_of(theta.dtype).predict_few(topology, theta, X, out, raw)
    return out


def predict_rows(
    topology: Topology,
    theta: Array,
    X: Any,
    *,
    raw: bool = False,
    transform: Callable[[Array], Array] = unchanged,
    n_jobs: int | None = 1,
    check: bool = False,
) -> Array:
    """``predict`` of X as the user gave it; a block at a time where it must be cast."""
    if X.dtype == theta.dtype and (
        sp.issparse(X) or (X.flags.c_contiguous and X.flags.aligned)
    ):
        table = make_table(X, dtype=theta.dtype)
        return predict(
            topology,
            theta,
            table,
            raw=raw,
            transform=transform,
            n_jobs=n_jobs,
            check=check,
        )
    out, n = None, X.shape[0]
    size = block_rows(topology, theta.dtype, sp.issparse(X))
    for start, stop in _pieces(n, size):
        table = make_table(X[start:stop], dtype=theta.dtype)
        piece = predict(topology, theta, table, raw=raw, transform=transform)
        out = _put(out, piece, start, n)
    return out


def value_and_gradient(
    topology: Topology,
    theta: Array,
    table: Table,
    *,
    denominator: float,
    alpha: float = 0.0,
    rows: Array = _IN_ORDER,
    grad: Array | None = None,
    dX: Array | None = None,
    n_threads: int = 1,
) -> float:
    """[sum_i w_i l_i + alpha/2 sum_j ||W_j||^2] / denominator; grad is filled.  (L0)

    Without ``grad`` the value alone is computed, and ``alpha`` must be 0.
    """
    n = len(rows) if len(rows) else table.n_rows
    engine = engine_of(theta.dtype)
    size = min(n, block_rows(topology, theta.dtype, table.sparse))
    workspace = engine.Workspace(
        topology, theta, size, sparse=table.sparse, input_gradient=dX is not None
    )
    value = 0.0
    if grad is not None:
        value = engine.l2_and_grad(topology, theta, alpha, denominator, grad)
    flat = None if dX is None else dX.reshape(-1)
    p = topology.sizes[0]
    long = 6.0 * size * len(theta) >= LONG_FLOP
    for start, stop in _pieces(n, max(size, 1)):
        value += run_in_team(
            engine.loss_and_grad,
            workspace,
            table,
            rows,
            start,
            stop,
            denominator,
            grad,
            None if flat is None else flat[start * p : stop * p],
            n_threads=n_threads,
            long=long,
        )
    return value


def activate(kind: int, Z: Array) -> Array:
    """A_j = f_j(Z_j) of rows of a hidden layer.  (F2)"""
    A = np.empty_like(Z)
    engine_of(Z.dtype).activation(kind, Z.reshape(-1), A.reshape(-1), Z.shape[1])
    return A


def affine(A: Array, W: Array) -> Array:
    """A W of arrays of one type, by the engine.  (F1)

    NumPy's BLAS has other bits for another number of threads.
    """
    (n, p), q = A.shape, W.shape[1]
    Z = np.empty((n, q), dtype=A.dtype)
    none = np.empty(0, dtype=A.dtype)
    engine_of(A.dtype).affine_layer(
        A.reshape(-1), W.reshape(-1), none, p, q, Z.reshape(-1)
    )
    return Z
