"""The table of rows as the engine reads it, and the engine's calls in blocks of rows.

In blocks, memory stays constant and Ctrl-C is answered between two of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from ._layers import Array
from ._threads import PREDICTION_FLOP, each, share, threads_for
from .core import engine
from .core.topology import Topology

_BLOCK_BYTES = 1 << 21
_INT_MAX = 2**31 - 1


class Table(NamedTuple):
    """All rows as the engine reads them: an unused array is empty."""

    X: Array  # (n, p), or (0, p) where X is sparse
    data: Array
    indices: Array
    indptr: Array
    Y: Array  # (n, q), or (0, q) with labels
    labels: Array
    sample_weight: Array

    @property
    def n_rows(self) -> int:
        return len(self.indptr) - 1 if self.sparse else len(self.X)

    @property
    def sparse(self) -> bool:
        return len(self.indptr) > 0

    def weight_sum(self, rows: Array) -> float:
        """The sum of the weights of some rows, each of 1 without weights."""
        w = self.sample_weight
        if not len(w):
            return float(len(rows))
        with np.errstate(over="ignore"):  # an infinity is refused with words
            return float((w if len(rows) == len(w) else w[rows]).sum(dtype=np.float64))

    @property
    def inputs(self) -> tuple[Array, Array, Array, Array]:
        return self[:4]


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
    none, unused = np.empty(0, dtype=dtype), np.empty(0, dtype=np.intc)
    if sp.issparse(X):
        X = X.tocsr()
        if X.shape[1] > _INT_MAX:
            raise ValueError(f"X has {X.shape[1]} columns, over the limit {_INT_MAX}")
        # The engine trusts indptr, so that it gets a copy to which nobody else writes.
        # It looks at every index again when it reads it: they are too many to copy.
        # The check may trim the arrays, so that it is made on a matrix of our own.
        X = type(X)((X.data, X.indices, X.indptr.copy()), shape=X.shape, copy=False)
        X.check_format(full_check=True)
        inputs = (
            np.empty((0, X.shape[1]), dtype=dtype),
            readable("X", X.data, dtype),
            readable("X.indices", X.indices, np.intc),
            readable("X.indptr", X.indptr, np.longlong),
        )
    else:
        inputs = (
            readable("X", X, dtype),
            none,
            unused,
            np.empty(0, dtype=np.longlong),
        )
    return Table(
        *inputs,
        none.reshape(0, 1) if Y is None else readable("Y", Y, dtype),
        unused if labels is None else readable("labels", labels, np.intc),
        none if sample_weight is None else readable("weights", sample_weight, dtype),
    )


def kind_of(dtype: npt.DTypeLike) -> str:
    """The name of the engine's functions of a dtype: ``engine.predict[name]``."""
    return "float" if np.dtype(dtype) == np.float32 else "double"


class Scratch(NamedTuple):
    """Where the engine works, and where it keeps what in there."""

    work: Array
    label_work: Array
    sums: Array
    places: Array


def make_scratch(
    topology: Topology,
    rows: int,
    dtype: npt.DTypeLike,
    *,
    sparse: bool,
    backward: bool = True,
    input_gradient: bool = False,
    dropping: bool = False,
) -> Scratch:
    """Room for calls of so many rows, or fewer."""
    places = np.empty(engine.places_shape(topology), dtype=np.intp)
    like = np.empty(0, dtype=dtype)
    reals, labels, sums = engine.scratch_sizes(
        topology, rows, like, places, sparse, backward, input_gradient, dropping
    )
    return Scratch(
        np.empty(reals, dtype=dtype),
        np.empty(labels, dtype=np.intc),
        np.empty(sums, dtype=np.float64),
        places,
    )


def block_rows(topology: Topology, dtype: npt.DTypeLike, sparse: bool) -> int:
    """Rows per block: the workspace stays near 2 MB, products stay efficient."""
    places = np.empty(engine.places_shape(topology), dtype=np.intp)
    like = np.empty(0, dtype=dtype)
    few, more = (
        engine.scratch_sizes(topology, n, like, places, sparse, True, False)[0]
        for n in (256, 512)
    )
    per_row = (more - few) // 256 * like.itemsize
    return max(256, min(4096, _BLOCK_BYTES // max(1, per_row) // 16 * 16))


def _pieces(n: int, size: int) -> Iterator[tuple[int, int]]:
    return ((start, min(start + size, n)) for start in range(0, n, size))


_IN_ORDER = np.empty(0, dtype=np.intp)


class NotFinite(Exception):
    """Raised by a prediction that was to look for infinity and NaN, and found it."""


def as_is(outputs: Array) -> Array:
    return outputs


def predict(
    topology: Topology,
    theta: Array,
    table: Table,
    *,
    rows: Array = _IN_ORDER,
    link: bool = True,
    finish: Callable[[Array], Array] = as_is,
    n_jobs: int | None = 1,
    check: bool = False,
) -> Array:
    """A_J of all rows of the table, or of the given ones; Z_J without the link.

    ``finish`` makes of a block of rows what is wanted of it. ``check`` looks whether
    X is finite, block by block, while it is in cache anyway.
    """
    n = len(rows) if len(rows) else table.n_rows
    q = topology.sizes[-1]
    theta = readable("theta", theta, theta.dtype)  # it may be mapped from a file
    size = min(n, block_rows(topology, theta.dtype, table.sparse))
    flop = 2.0 * n * len(theta)
    n_threads = threads_for(n_jobs, flop, PREDICTION_FLOP) if size < n else 1
    pieces = list(_pieces(n, max(size, 1)))
    outputs: list[Array] = []
    stopped: list[bool] = []

    def work(some: list[tuple[int, int]]) -> None:
        scratch = make_scratch(
            topology, size, theta.dtype, sparse=table.sparse, backward=False
        )
        block = np.empty((size, q), dtype=theta.dtype)
        for start, stop in some:
            if stopped:
                return
            if check and not engine.is_finite(table.X[start:stop]):
                raise NotFinite
            engine.predict(
                topology,
                theta,
                *table.inputs,
                rows,
                start,
                stop,
                block[: stop - start].reshape(-1),
                scratch.work,
                scratch.places,
                link,
            )
            piece = finish(block[: stop - start])
            if start == 0:
                # The first piece tells what the result is an array of.
                outputs.append(np.empty((n, *piece.shape[1:]), dtype=piece.dtype))
            outputs[0][start:stop] = piece

    if not pieces:
        return finish(np.empty((0, q), dtype=theta.dtype))
    if n_threads == 1:
        work(pieces)
    else:
        work(pieces[:1])
        n_threads = min(n_threads, len(pieces) - 1)
        parts = [pieces[1 + k :: n_threads] for k in range(n_threads)]
        each(work, parts, stopped)
    return outputs[0]


def _put(out: Array | None, piece: Array, start: int, n: int) -> Array:
    """Rows of the result; the first piece tells what it is an array of."""
    if out is None:
        out = np.empty((n, *piece.shape[1:]), dtype=piece.dtype)
    out[start : start + len(piece)] = piece
    return out


class Few(NamedTuple):
    """What a prediction of few rows needs besides them, made once for a network."""

    predict: Callable[..., None]
    is_finite: Callable[[Array], bool]
    unused: tuple[Array, ...]
    reals: int
    places: tuple[int, int]
    shape: tuple[int, int]


#: Rows that are predicted without a table: no weight is packed for so few.
FEW_ROWS = 8


def make_few(topology: Topology, dtype: np.dtype[Any]) -> Few:
    """For arrays of one dtype, so that no call has to find out which."""
    name = kind_of(dtype)
    table = make_table(np.empty((0, topology.n_columns)), dtype=dtype)
    scratch = make_scratch(topology, FEW_ROWS, dtype, sparse=False, backward=False)
    return Few(
        engine.predict[name],
        engine.is_finite[name],
        (*table.inputs[1:], _IN_ORDER),
        len(scratch.work),
        scratch.places.shape,
        (topology.n_columns, topology.sizes[-1]),
    )


def predict_few(
    topology: Topology, theta: Array, few: Few, X: Array, link: bool
) -> Array:
    """``predict`` of at most FEW_ROWS rows of an array that fits as it is."""
    n = len(X)
    out = np.empty(n * few.shape[1], dtype=theta.dtype)
    work = np.empty(few.reals, dtype=theta.dtype)
    places = np.empty(few.places, dtype=np.intp)
    few.predict(topology, theta, X, *few.unused, 0, n, out, work, places, link)
    return out.reshape(n, few.shape[1])


def predict_rows(
    topology: Topology,
    theta: Array,
    X: Any,
    *,
    link: bool = True,
    finish: Callable[[Array], Array] = as_is,
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
            link=link,
            finish=finish,
            n_jobs=n_jobs,
            check=check,
        )
    out, n = None, X.shape[0]
    size = block_rows(topology, theta.dtype, sp.issparse(X))
    for start, stop in _pieces(n, size):
        table = make_table(X[start:stop], dtype=theta.dtype)
        piece = predict(topology, theta, table, link=link, finish=finish)
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
    none = np.empty(0, dtype=theta.dtype)
    size = min(n, block_rows(topology, theta.dtype, table.sparse))
    scratch = make_scratch(
        topology,
        size,
        theta.dtype,
        sparse=table.sparse,
        input_gradient=dX is not None,
    )
    value = 0.0
    if grad is not None:
        value = engine.l2_and_grad(topology, theta, alpha, denominator, grad)
    flat = none if dX is None else dX.reshape(-1)
    p = topology.sizes[0]
    for start, stop in _pieces(n, max(size, 1)):
        value += share(
            engine.loss_and_grad,
            topology,
            theta,
            *table,
            rows,
            start,
            stop,
            denominator,
            none if grad is None else grad,
            none if dX is None else flat[start * p : stop * p],
            scratch.work,
            scratch.label_work,
            scratch.sums,
            places=scratch.places,
            n_threads=n_threads,
        )
    return value


def activate(kind: int, Z: Array) -> Array:
    """A_j = f_j(Z_j) of rows of a hidden layer.  (F2)"""
    A = np.empty_like(Z)
    engine.activation(kind, Z.reshape(-1), A.reshape(-1), Z.shape[1])
    return A


def affine(A: Array, W: Array) -> Array:
    """A W of arrays of one type, by the engine.  (F1)

    NumPy's BLAS has other bits for another number of threads.
    """
    (n, p), q = A.shape, W.shape[1]
    Z = np.empty((n, q), dtype=A.dtype)
    none = np.empty(0, dtype=A.dtype)
    engine.affine_layer(A.reshape(-1), W.reshape(-1), none, p, q, Z.reshape(-1))
    return Z
