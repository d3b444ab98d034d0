"""Partitions of a frame in short: an encoder learns from them what it would from all.

``summarize`` is for each partition, wherever that is; ``merged`` makes one summary of
all of theirs, which ``TabularEncoder._learn`` takes in the place of the columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._snapshot import working_copy
from ._columns import CATEGORY, DATE, NUMBER, read_columns
from ._contents import Contents, contents_of
from ._numbers import scaled
from ._sketches import Sketch

_WORDS = {NUMBER: "numbers", CATEGORY: "categories", DATE: "dates"}


@dataclass(frozen=True)
class Summary:
    """The columns of a partition, or of several; it can be pickled.

    All categories are in it, with how often each is there, and numbers as sketches.
    """

    #: The first one, as errors call it.
    partition: Any
    #: What scikit-learn checks names and the number of columns on: no rows.
    source: Any
    #: As those of ``Columns``.
    names: list[Any] | None
    columns: list[Contents]
    #: The partition that says what each column is: the first where it is not missing.
    origins: list[Any]
    #: Whether all names are strings.
    named: bool
    #: Whether ``categorical_features`` counts the columns.
    by_place: bool

    def __getitem__(self, index: int) -> Contents:
        return self.columns[index]


def summarize(X: Any, encoder: Any, partition: Any) -> Summary | None:
    """A partition in short; None where it has no rows.

    Parameters
    ----------
    X : data frame or array of shape (n, p)
    encoder : TabularEncoder
        Whose ``categorical_features`` and ``dates`` say how columns are read.
    partition : int or str
        What errors call it.
    """
    if (X.shape[0] if hasattr(X, "shape") else len(X)) == 0:
        return None
    try:
        return _summary(X, working_copy(encoder), partition)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"In partition {partition}: {error}") from None


def _summary(X: Any, encoder: Any, partition: Any) -> Summary:
    columns = read_columns(X, encoder)
    chosen = encoder._chosen(columns)
    found = []
    for j in range(encoder.n_features_in_):
        wanted = None if chosen is None else bool(chosen[j])
        contents = contents_of(columns[j], wanted, encoder.dates)
        parts = [Sketch.of(part).compressed() for part in contents.parts]
        found.append(replace(contents, parts=parts))
    by_place = chosen is not None and encoder.categorical_features is not None
    if by_place:
        by_place = np.asarray(encoder.categorical_features).dtype.kind in "biu"
    return Summary(
        partition,
        _without_rows(columns.source),
        columns.names,
        found,
        [partition] * len(found),
        hasattr(encoder, "feature_names_in_"),
        by_place,
    )


def encoded_sketches(summary: Summary, encoder: Any) -> list[Sketch]:
    """Of every number that an encoder makes, which has learnt of the summary.

    It scales numbers and keeps their order: what they become is known of a few.
    """
    found = []
    for j, part, center, scale in encoder._numbers():
        if scale > 0:
            sketch = summary[j].parts[part or 0]
            values = scaled(sketch.values, center, scale, encoder.clip)
            found.append(Sketch.merged([replace(sketch, values=values)]))
    return found


def _without_rows(source: Any) -> Any:
    """The names of a frame, or an array's columns, without what they hold."""
    head = source[:0]
    return head.astype(object) if hasattr(head, "astype") else head.clear()


def merged(summaries: Sequence[Summary | None]) -> Summary:
    """One summary of all partitions, in the order in which they are given.

    Columns come in the order of the first partition. Raises ValueError where partitions
    are no parts of one frame.
    """
    said = [each for each in summaries if each is not None]
    if not said:
        raise ValueError("X has no rows: all partitions are empty.")
    first = said[0]
    places = [_places(first, each) for each in said]
    columns, origins = [], []
    for j in range(len(first.columns)):
        same = [
            (each.columns[place[j]], each.origins[place[j]])
            for each, place in zip(said, places, strict=True)
        ]
        contents, origin = _merged_column(same)
        columns.append(contents)
        origins.append(origin)
    return replace(first, columns=columns, origins=origins)


def _places(first: Summary, other: Summary) -> list[int]:
    """Where a partition has each column of the first one."""
    here, there = f"partition {other.partition}", f"partition {first.partition}"
    if first.named != other.named:
        lists = [each.names if each.named else None for each in (other, first)]
        raise ValueError(
            f"The columns of X are called {lists[0]} in {here}, {lists[1]} in {there}."
        )
    if not first.named:
        numbers = len(other.columns), len(first.columns)
        if numbers[0] != numbers[1]:
            raise ValueError(
                f"X has {numbers[0]} columns in {here} and {numbers[1]} in {there}."
            )
        return list(range(numbers[0]))
    assert first.names is not None and other.names is not None
    own = {name: place for place, name in enumerate(other.names)}
    for name in first.names:
        if name not in own:
            raise ValueError(f"X has no column {name!r} in {here}, but in {there}.")
    for name in other.names:
        if name not in first.names:
            raise ValueError(f"X has a column {name!r} in {here}, but not in {there}.")
    if other.by_place and other.names != first.names:
        raise ValueError(
            f"The columns of X are {other.names} in {here}, {first.names} in {there}, "
            "and categorical_features counts them: give it their names."
        )
    return [own[name] for name in first.names]


def _merged_column(same: Sequence[tuple[Contents, Any]]) -> tuple[Contents, Any]:
    """A column of all partitions, and the partition that says what it is.

    One in which it is missing throughout has a type by chance, and may have any.
    """
    said = [each for each in same if each[0].says_something] or [same[0]]
    first, origin = said[0]
    for contents, partition in said[1:]:
        if contents.kind != first.kind:
            raise ValueError(_conflict(first, origin, contents, partition))
    found = [contents for contents, _ in said]
    totals: dict[Any, int] = {}
    for contents in found:
        for value, total in contents.totals.items():
            totals[value] = totals.get(value, 0) + total
    contents = Contents(
        first.label,
        first.kind,
        all(each.declared for each in found),
        sum(each.n_missing for each, _ in same),
        totals,
        [Sketch.merged(p) for p in zip(*(each.parts for each in found), strict=True)],
    )
    return contents, origin


def _conflict(first: Contents, origin: Any, other: Contents, partition: Any) -> str:
    """Why two partitions are no parts of one column."""
    remedy = "Give it one type in all partitions"
    if DATE not in (first.kind, other.kind):
        remedy += ", or name it in categorical_features if it holds categories"
    return (
        f"{first.label} holds {_WORDS[first.kind]} in partition {origin} and "
        f"{_WORDS[other.kind]} in partition {partition}. {remedy}."
    )
