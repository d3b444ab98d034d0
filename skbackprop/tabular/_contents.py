"""What an encoder learns of a column from: its categories, or its numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._layers import Array
from ._categories import count_categories
from ._columns import CATEGORY, DATE, NUMBER, Column
from ._days import date_parts
from ._sketches import Sketch


@dataclass(frozen=True)
class Contents:
    """A column that has been read, or a summary of it."""

    #: "Column 'age'", for messages.
    label: str
    #: What it is read as.
    kind: str
    #: Whether somebody has given it a type of categories.
    declared: bool
    n_missing: int
    #: Of categories: how often each is there.
    totals: dict[Any, int] = field(default_factory=dict)
    #: Of numbers one, of dates one for each of their parts: what is not missing.
    parts: list[Array | Sketch] = field(default_factory=list)

    @property
    def says_something(self) -> bool:
        """Whether anything is not missing."""
        return bool(self.totals) or any(len(part) for part in self.parts)


def contents_of(column: Column | Contents, chosen: bool | None, dates: str) -> Contents:
    """A column, read as what the parameters of an encoder say.

    Parameters
    ----------
    column : Column or Contents
        The latter has been read already.
    chosen : bool or None
        Whether it is to hold categories; None: its type says it.
    dates : {'error', 'numbers'}
        What becomes of dates.
    """
    if isinstance(column, Contents):
        return column
    if column.kind == DATE and dates == "numbers":
        parts, kind = date_parts(column.dates()), DATE
    elif column.kind == CATEGORY if chosen is None else chosen:
        totals, n_missing = count_categories(column)
        return Contents(column.label, CATEGORY, column.declared, n_missing, totals)
    else:
        parts, kind = column.numbers()[None], NUMBER
    # All parts of a date are missing together.
    missing = np.isnan(parts[0])
    present = [part[~missing] for part in parts]
    n_missing = int(np.count_nonzero(missing))
    return Contents(column.label, kind, column.declared, n_missing, parts=present)
