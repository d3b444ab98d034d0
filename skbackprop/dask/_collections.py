"""Dask's collections as partitions: delayed rows of X, y and weights, side by side."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import dask.array as da
from dask.delayed import Delayed
from distributed import Future


class Source(NamedTuple):
    """Where a partition comes from: values that are delayed, or futures."""

    X: Any
    y: Any
    sample_weight: Any


def is_collection(value: Any) -> bool:
    """Whether a value is one of Dask's arrays or frames, or a list of delayed ones."""
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(v, Delayed | Future) for v in value)
    return isinstance(value, da.Array) or _is_frame(value)


def _is_frame(value: Any) -> bool:
    frames = sys.modules.get("dask.dataframe")
    return frames is not None and isinstance(value, frames.DataFrame | frames.Series)


def sources_of(
    X: Any, y: Any = None, sample_weight: Any = None, suffix: str = ""
) -> list[Source]:
    """The partitions of X, with those of y and of weights beside them.

    Parameters
    ----------
    X : Dask array or data frame, or list of delayed arrays or frames
    y, sample_weight : the same, or None
    suffix : str
        What follows the names in errors: "_val".
    """
    named = {f"X{suffix}": X, f"y{suffix}": y, f"sample_weight{suffix}": sample_weight}
    for name, value in named.items():
        if value is not None and not is_collection(value):
            raise TypeError(
                f"{name} must be a Dask array or data frame, or a list of delayed "
                f"ones. Got {type(value).__name__}: for rows that are here already "
                "take the estimator without Dask, or make a collection of them, for "
                "example with dask.array.from_array."
            )
    if isinstance(X, da.Array):
        if X.ndim != 2:
            raise ValueError(f"X{suffix} must have 2 dimensions. Got {X.ndim}.")
        X = X.rechunk({1: -1})
    rows = _blocks(X)
    columns = [
        None if value is None else _beside(name, value, X, f"X{suffix}", len(rows))
        for name, value in list(named.items())[1:]
    ]
    none = [None] * len(rows)
    return [
        Source(*each) for each in zip(rows, *(c or none for c in columns), strict=True)
    ]


def _blocks(collection: Any) -> list[Any]:
    """The delayed partitions of a collection."""
    if isinstance(collection, list | tuple):
        return list(collection)
    if isinstance(collection, da.Array):
        return list(collection.to_delayed().ravel())
    # Optimised, some columns of Parquet files would be in fewer partitions than others.
    return list(collection.to_delayed(optimize_graph=False))


def _beside(name: str, value: Any, X: Any, beside: str, n: int) -> list[Any]:
    """Partitions of y or weights, as those of X."""
    if isinstance(value, da.Array):
        if value.ndim == 2:
            value = value.rechunk({1: -1})
        value = _rechunked(name, value, X, beside)
    elif _is_frame(value) and _is_frame(X) and value.known_divisions:
        if X.known_divisions and value.divisions != X.divisions:
            value = value.repartition(divisions=X.divisions, force=True)
    blocks = _blocks(value)
    if len(blocks) != n:
        raise ValueError(
            f"{beside} has {n} partitions and {name} has {len(blocks)}. Both must be "
            "divided alike, row for row."
        )
    return blocks


def _rechunked(name: str, value: Any, X: Any, beside: str) -> Any:
    """An array in the chunks of X, where these are known."""
    if not isinstance(X, da.Array) or value.chunks[0] == X.chunks[0]:
        return value
    sizes = [*value.chunks[0], *X.chunks[0]]
    if any(size != size for size in sizes):  # not known until they are computed
        return value
    if value.shape[0] != X.shape[0]:
        raise ValueError(
            f"{beside} has {X.shape[0]} rows and {name} has {value.shape[0]}."
        )
    return value.rechunk({0: X.chunks[0]})
