"""How a column is read: as numbers, dates or categories, each cell by itself.

A model file keeps it, so that the cells of new rows mean what they meant in training.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._failure import Failure
from ._notation import COMMA, MISSING, ORDERS, POINT, date_of, number_of

NUMBER, DATE, CATEGORY = "number", "date", "category"
_MARKS = {NUMBER: (POINT, COMMA), DATE: ORDERS, CATEGORY: ("",)}
_SIMPLE = re.compile(r"[0-9.eE+\-\n]*")
_NAT = np.datetime64("NaT", "us")


@dataclass(frozen=True)
class Reading:
    """A kind of column, and its way of writing: decimal mark or order of dates."""

    kind: str
    mark: str = ""

    def as_plain(self) -> dict[str, str]:
        return {"kind": self.kind, "mark": self.mark}

    @classmethod
    def from_plain(cls, plain: Any) -> Reading:
        """Of a model file, which may say anything."""
        if (
            isinstance(plain, dict)
            and set(plain) == {"kind", "mark"}
            and isinstance(plain["kind"], str)
            and plain["kind"] in _MARKS
            and plain["mark"] in _MARKS[plain["kind"]]
        ):
            return cls(plain["kind"], plain["mark"])
        raise Failure("the model's file says of a column what this version cannot read")

    def read(self, cells: Any) -> Values:
        """The cells of a block, a list of str or an array that has a type already."""
        if isinstance(cells, np.ndarray):
            if self.kind == NUMBER and cells.dtype.kind == "f":
                return _finite(cells)
            if self.kind == DATE and cells.dtype.kind == "M":
                return Values(cells)
            cells = as_text(cells)
        if self.kind == NUMBER:
            return _numbers(cells, self.mark)
        if self.kind == DATE:
            return _dates(cells, self.mark)
        values, found = _without_missing(cells)
        return Values(np.array(values, dtype=object), words=found)


@dataclass
class Values:
    """What the cells of a block say, and those that say nothing that can be read.

    ``array`` holds float64, datetime64[us], or objects that are str or None.
    """

    array: Any
    #: Words that were taken for missing, and how often.
    words: Counter[str] = field(default_factory=Counter)
    #: Places and text of cells that could not be read, and are missing.
    odd: list[tuple[int, str]] = field(default_factory=list)


def as_text(array: Any) -> list[str]:
    """Values that have a type as the text that a CSV file would hold."""
    if array.dtype.kind == "M":
        return ["" if np.isnat(d) else str(d).removesuffix(".000000") for d in array]
    if array.dtype.kind == "f":
        return ["" if x != x else _shortest(x) for x in array.tolist()]
    return ["" if x is None else str(x) for x in array.tolist()]


def _shortest(x: float) -> str:
    return str(int(x)) if x.is_integer() and abs(x) < 2**53 else repr(x)


def _finite(numbers: Any) -> Values:
    infinite = np.flatnonzero(np.isinf(numbers))
    if not len(infinite):
        return Values(numbers)
    numbers = numbers.copy()
    odd = [(int(row), str(numbers[row])) for row in infinite]
    numbers[infinite] = np.nan
    return Values(numbers, odd=odd)


def simple_numbers(cells: Sequence[str], joined: str) -> Any:
    """Cells as float64, NaN where empty, or None where not all are plain numbers."""
    if not _SIMPLE.fullmatch(joined):
        return None
    try:
        numbers = np.array(list(map(float, cells)))
    except ValueError:  # of an empty cell, sooner than to look at each
        try:
            numbers = np.array([float(cell) if cell else np.nan for cell in cells])
        except ValueError:
            return None
    return None if np.isinf(numbers).any() else numbers


def _numbers(cells: Sequence[str], mark: str) -> Values:
    joined = "\n".join(cells)
    plain, usual = cells, joined
    if mark == COMMA and "," in joined and "." not in joined:
        usual = joined.replace(",", ".")
        plain = [cell.replace(",", ".") for cell in cells]  # which may have lines
    if mark == POINT or usual is not joined or "." not in joined:
        numbers = simple_numbers(plain, usual)
        if numbers is not None:
            return Values(numbers)
    values = Values(np.full(len(cells), np.nan))
    known: dict[str, float | None] = {}
    for row, cell in enumerate(cells):
        if not cell:
            continue
        if cell not in known:
            known[cell] = None if cell in MISSING else number_of(cell, mark)
        number = known[cell]
        if number is not None and abs(number) != np.inf:
            values.array[row] = number
        else:
            _tell(values, row, cell)
    return values


def _dates(cells: Sequence[str], order: str) -> Values:
    values = Values(np.full(len(cells), _NAT))
    for row, cell in enumerate(cells):
        if not cell:
            continue
        date = None if cell in MISSING else date_of(cell, order)
        if date is not None:
            values.array[row] = date
        else:
            _tell(values, row, cell)
    return values


def _tell(values: Values, row: int, cell: str) -> None:
    if cell in MISSING:
        values.words[cell] += 1
    else:
        values.odd.append((row, cell))


def _without_missing(cells: Sequence[str]) -> tuple[list[str | None], Counter[str]]:
    found: Counter[str] = Counter()
    values: list[str | None] = []
    for cell in cells:
        if cell in MISSING:
            found[cell] += 1
        values.append(None if not cell or cell in MISSING else cell)
    return values, found
