"""What all partitions together are: rows, columns, classes, weights.

Each partition is looked at where it is; what it says is small, and is put together in
the order of the partitions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .._call import Call, Data
from .._inputs import Targets
from .._layers import Array
from .._snapshot import working_copy
from .._state import Continuation
from .._targets import Classes, TargetKind, is_text


class Survey(NamedTuple):
    """A partition, in short."""

    n_rows: int
    n_columns: int
    #: Where all of them are strings.
    names: Array | None
    #: Of the arithmetic.
    dtype: np.dtype[Any]
    kind: TargetKind
    #: Rows of each class; of numbers the sum of y in each column.
    counts: Array
    #: Bytes of X in that type.
    n_bytes: int


class Facts(NamedTuple):
    """All partitions, in short."""

    n_rows: int
    n_columns: int
    names: Array | None
    dtype: np.dtype[Any]
    kind: TargetKind
    counts: Array
    n_bytes: int
    targets: Targets


def named(partition: str, function: Any, *args: Any) -> Any:
    """A function of a partition, whose errors say which one it was."""
    try:
        return function(*args)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"In partition {partition}: {error}") from None


def same_length(X: Any, y: Any, w: Any, suffix: str = "") -> None:
    """Raise ValueError where a partition of y or weights has not the rows of X."""
    n = X.shape[0] if hasattr(X, "shape") else len(X)
    for name, value in ((f"y{suffix}", y), (f"sample_weight{suffix}", w)):
        if value is not None and len(value) != n:
            raise ValueError(
                f"X{suffix} has {n} rows and {name} has {len(value)}. Both must be "
                "divided alike, row for row."
            )


def as_vector(y: Any) -> Any:
    """A frame of one column as that column."""
    frame = hasattr(y, "iloc") and y.ndim == 2 and y.shape[1] == 1
    return y.iloc[:, 0] if frame else y


def rows_that_weigh(X: Any, y: Any, w: Any, suffix: str = "") -> tuple[Any, Any, Any]:
    """The rows of a partition whose weight is not 0, after lengths are compared."""
    same_length(X, y, w, suffix)
    y = as_vector(y)
    if w is None:
        return X, y, w
    w = np.asarray(w, dtype=np.float64)
    w = w.ravel() if w.ndim == 2 and w.shape[1] == 1 else w
    if w.ndim == 1 and not w.all():  # what is no number is not 0, and is refused later
        rows = np.flatnonzero(w)
        X = X.iloc[rows] if hasattr(X, "iloc") else X[rows]
        y = y.iloc[rows] if hasattr(y, "iloc") else np.asarray(y)[rows]
        w = w[rows]
    return X, y, w


def in_order(X: Any, names: Sequence[Any] | Array | None) -> Any:
    """A frame with its columns in the order of another that has the same."""
    if names is None or not hasattr(X, "columns"):
        return X
    own, wanted = list(X.columns), list(names)
    if own == wanted or set(own) != set(wanted) or len(own) != len(wanted):
        return X
    return X[wanted]


def survey(
    estimator: Any, names: Array | None, X: Any, y: Any, w: Any
) -> Survey | None:
    """A partition in short; None where it has no rows that weigh anything."""
    X, y, w = rows_that_weigh(X, y, w)
    if len(y) == 0:
        return None
    probe = working_copy(estimator)
    if hasattr(probe, "class_weight"):
        probe.class_weight = None  # of classes that may be in other partitions
    data = read(probe, in_order(X, names), y, w, None)
    table, kind = data.table, data.kind
    if isinstance(kind, Classes):
        counts = kind._counts(table, np.arange(table.n_rows))
    else:
        counts = table.Y.sum(axis=0, dtype=np.float64)
    return Survey(
        table.n_rows,
        table.n_columns,
        getattr(probe, "feature_names_in_", None),
        np.dtype(data.given.X.dtype),
        kind,
        counts,
        data.given.X.size * data.given.X.dtype.itemsize,
    )


def read(estimator: Any, X: Any, y: Any, w: Any, classes: Array | None) -> Data:
    """A partition as ``fit`` would read it, with classes that are known already."""
    call = Call(True, classes is not None, Continuation())
    data: Data = estimator._read(X, y, w, classes, call)
    return data


def facts_of(surveys: Sequence[Survey | None]) -> Facts:
    """All partitions together; raises ValueError where they do not fit together."""
    said = [(k, each) for k, each in enumerate(surveys) if each is not None]
    if not said:
        raise ValueError("No partition has a row with a weight above 0.")
    first_number, first = said[0]
    for number, each in said[1:]:
        _compare(first_number, first, number, each)
    kinds = [each.kind for _, each in said]
    dtype = np.result_type(*[each.dtype for _, each in said])
    if isinstance(first.kind, Classes):
        kind, counts = _classes(said)
        example = kind.labels if not kind.multilabel else _indicator(kind)
    else:
        kind, counts = kinds[0], np.sum([each.counts for _, each in said], axis=0)
        n_targets = len(counts) // (len(kind.levels) if kind.loss == "quantile" else 1)
        example = np.zeros((1, n_targets))
    return Facts(
        sum(each.n_rows for _, each in said),
        first.n_columns,
        first.names,
        dtype,
        kind,
        counts,
        sum(each.n_bytes for _, each in said),
        kind.encode(example, dtype),
    )


def balanced(facts: Facts) -> dict[Any, float]:
    """class_weight='balanced' of all partitions together, by class."""
    kind, counts = facts.kind, facts.counts
    assert isinstance(kind, Classes)
    if kind.multilabel:
        raise ValueError(
            "class_weight='balanced' is not for several labels in partitions. Give a "
            "list of dicts, one for each label."
        )
    weights = counts.sum() / (len(counts) * counts)
    return dict(zip(kind.labels.tolist(), weights.tolist(), strict=True))


def _compare(first_number: int, first: Survey, number: int, each: Survey) -> None:
    """Refuse partitions that are no parts of one table."""
    here, there = f"partition {number}", f"partition {first_number}"
    if each.n_columns != first.n_columns:
        raise ValueError(
            f"X has {each.n_columns} columns in {here} and {first.n_columns} in "
            f"{there}."
        )
    if (each.names is None) != (first.names is None) or (
        each.names is not None and each.names.tolist() != first.names.tolist()
    ):
        lists = [None if s.names is None else s.names.tolist() for s in (each, first)]
        raise ValueError(
            f"The columns of X are {lists[0]} in {here} and {lists[1]} in {there}."
        )
    if isinstance(first.kind, Classes):
        if each.kind.multilabel != first.kind.multilabel:
            raise ValueError(
                f"y is {each.kind.kind} in {here} and {first.kind.kind} in {there}."
            )
        if is_text(each.kind.labels) != is_text(first.kind.labels):
            word = {True: "text", False: "numbers"}
            raise ValueError(
                f"y has {word[is_text(each.kind.labels)]} in {here} and "
                f"{word[is_text(first.kind.labels)]} in {there}: make one of all."
            )
    if len(each.counts) != len(first.counts) and not (
        isinstance(first.kind, Classes) and not first.kind.multilabel
    ):
        raise ValueError(f"y has not as many columns in {here} as in {there}.")


def _classes(said: Sequence[tuple[int, Survey]]) -> tuple[Classes, Array]:
    """The classes of all partitions, and their rows."""
    kinds = [each.kind for _, each in said]
    sparse = any(kind.sparse for kind in kinds)
    if kinds[0].multilabel:
        counts = np.sum([each.counts for _, each in said], axis=0)
        return Classes(kinds[0].labels, kinds[0].kind, sparse), counts
    labels = np.unique(np.concatenate([kind.labels for kind in kinds]))
    counts = np.zeros(len(labels), dtype=np.intp)
    for _, each in said:
        places = np.searchsorted(labels, each.kind.labels)
        counts[places] += each.counts[: len(places)]
    kind = "multiclass" if len(labels) > 2 else "binary"
    return Classes(labels, kind, sparse), counts


def _indicator(classes: Classes) -> Array:
    """Rows in which every label is there and is not."""
    n = len(classes.labels)
    return np.stack([np.zeros(n, int), np.ones(n, int)])
