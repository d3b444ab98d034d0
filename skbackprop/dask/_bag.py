"""A bag over workers: each network of an ensemble is a task, on the whole table.

The bits are those of the local fit: it is the same functions, in the same order of
draws, and a member is the same whoever trains it.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from .._observers import Observer, together
from .._state import stream_at
from ..tabular._member import Member
from ..tabular._prepared import prepare
from ._cluster import Cluster
from ._collections import Source
from ._survey import as_vector, in_order, named, same_length

Messages = list[tuple[str, type[Warning]]]


class Bag:
    """An ensemble before its training, which travels as what it is made of.

    Parameters
    ----------
    estimator : TabularMLPClassifier or TabularMLPRegressor
        Unfitted.
    stream : RandomState
    data : tuple of X, y, sample_weight, X_val, y_val
    """

    def __init__(
        self, estimator: Any, stream: np.random.RandomState, data: tuple[Any, ...]
    ) -> None:
        self.made_of = estimator, stream, data
        self.stream = stream_at(stream.get_state(legacy=False))
        X, y, w, X_val, y_val = data
        validation = X_val, y_val, None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.prepared = prepare(estimator, X, y, w, validation, self.stream)
        self.messages: Messages = [
            (str(each.message), each.category) for each in caught
        ]

    def __reduce__(self) -> Any:
        return Bag, self.made_of

    def __sizeof__(self) -> int:
        return 2 * int(self.prepared.ensemble.table.X.nbytes)  # and what it was made of


def bag_of(
    made_of: tuple[Any, Any],
    Xs: list[Any],
    ys: list[Any],
    ws: list[Any],
    *val: list[Any],
) -> Bag:
    """A bag of partitions, which are put together first."""
    estimator, stream = made_of
    X, y, w = whole(Xs, ys, ws)
    X_val, y_val = (None, None)
    if val[0]:
        X_val, y_val, _ = whole(*val, [None] * len(val[0]), " of X_val")
    return Bag(estimator, stream, (X, y, w, X_val, y_val))


def whole(
    Xs: list[Any], ys: list[Any], ws: list[Any], of: str = ""
) -> tuple[Any, Any, Any]:
    """The table that partitions are parts of."""
    names, kept = None, []
    for number, rows in enumerate(zip(Xs, ys, ws, strict=True)):
        X, y, w = rows
        named(f"{number}{of}", same_length, X, y, w, "")
        if not len(y):
            continue
        if hasattr(X, "columns"):
            names = np.array(list(X.columns), object) if names is None else names
            X = in_order(X, names)
            if list(X.columns) != list(names):
                raise ValueError(
                    f"The columns of X are {list(X.columns)} in partition {number}{of} "
                    f"and {list(names)} before it."
                )
        kept.append((X, as_vector(y), w))
    if not kept:
        raise ValueError("X has no rows: all partitions are empty.")
    X, y, w = zip(*kept, strict=True)
    return joined(X), joined(y), None if w[0] is None else joined(w)


def joined(parts: tuple[Any, ...]) -> Any:
    """Frames, columns or arrays, one below the other."""
    if len(parts) == 1:
        return parts[0]
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    if pandas is not None and isinstance(parts[0], pandas.DataFrame):
        columns = {
            name: _column(pandas, [part.iloc[:, place] for part in parts])
            for place, name in enumerate(parts[0].columns)
        }
        return pandas.DataFrame(columns)
    if pandas is not None and isinstance(parts[0], pandas.Series):
        return _column(pandas, parts)
    if polars is not None and isinstance(parts[0], polars.DataFrame | polars.Series):
        return polars.concat(parts, how="vertical_relaxed")
    if sp.issparse(parts[0]):
        return sp.vstack(parts, format="csr")
    return np.concatenate(parts)


def _column(pandas: Any, parts: Any) -> Any:
    """A column whose partitions need not know the same categories."""
    if all(isinstance(part.dtype, pandas.CategoricalDtype) for part in parts):
        union = pandas.api.types.union_categoricals(list(parts), ignore_order=True)
        return pandas.Series(union, name=parts[0].name)
    return pandas.concat(parts, ignore_index=True)


# Tasks on a bag --------------------------------------------------------------


def n_members(bag: Bag) -> int:
    return bag.prepared.n_members


def train_member(bag: Bag, number: int) -> Member:
    return bag.prepared.train(number)


class Finished(NamedTuple):
    """The local twin, fitted, what there is to say, and the random stream after it."""

    estimator: Any
    messages: Messages
    stream: dict[str, Any]


def finish(bag: Bag, members: list[Member]) -> Finished:
    estimator, messages = bag.prepared.finish(members)
    stream = bag.stream.get_state(legacy=False)
    return Finished(estimator, [*bag.messages, *messages], stream)


def train_bag(
    cluster: Cluster,
    estimator: Any,
    stream: np.random.RandomState,
    sources: list[Source],
    validating: list[Source],
    observers: list[Observer],
) -> Finished:
    """Train every member; the stream goes on as it would here."""
    columns = [list(each) for each in zip(*sources, strict=True)]
    val = [list(each) for each in zip(*validating, strict=True)][:2] or [[], []]
    made_of = cluster.constant((estimator, stream))
    bag = cluster.of_sources(bag_of, made_of, *columns, *val)
    count = cluster.result(cluster.submit(n_members, bag))
    members = [cluster.submit(train_member, bag, number) for number in range(count)]
    finished = cluster.submit(finish, bag, members)
    observer = together(observers)
    if observer is not None:
        observer.fit_begins(count)
        try:
            for number, future in enumerate(members):
                observer.member_begins(number)
                member = cluster.result(future)
                observer.member_ends(number, member.ending, member)
        finally:
            observer.fit_ends()
    found: Finished = cluster.result(finished)
    stream.set_state(found.stream)
    return found
