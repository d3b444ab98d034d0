"""What the cells of a column look like, and so how a person would read them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._notation import COMMA, MISSING, ORDERS, POINT, date_of, number_of
from ._reading import CATEGORY, DATE, NUMBER, Reading, as_text, simple_numbers
from ._words import counted

SHARE = 0.9  # of its cells must be numbers or dates, or a column is categories
MOST_DIFFERENT = 200_000  # values that are counted; a column of more is no category
FEWEST_FOR_IDENTIFIERS = 20  # rows: in fewer most values of any column may differ
_ID = re.compile(r"(?:.*[\W_])?(?:id|uuid|guid|key|index|nr|no)\.?", re.IGNORECASE)
_INDEX = re.compile(r"__index_level_\d+__")  # as pandas calls it in Parquet
_CODE = re.compile(r"^0\d+$", re.MULTILINE)
_DIGITS = re.compile(r"[\d\n]*")
_DAY = r"(?:(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))?"
_COMPACT = re.compile(rf"{_DAY}(?:\n{_DAY})*")
_FOUR_DIGITS = re.compile(r"\d{4}")
_POINT_CELL = re.compile(r"^[-+]?[1-9]\d{0,2}(?:\.\d{3})+$", re.MULTILINE)


@dataclass
class Profile:
    """Counts of one column's cells, block by block."""

    name: str
    #: Whether all values are counted, those of numbers too: of a target.
    counts_all: bool = False
    #: Rows, cells that are not missing, and words that stand for missing.
    n_rows: int = 0
    n_cells: int = 0
    #: Cells that are numbers in both ways of writing, or in one only.
    n_both: int = 0
    n_only: Counter[str] = field(default_factory=Counter)
    #: A number, in either way, whose mark may be that of decimals or of thousands.
    doubtful: str = ""
    #: Cells that are dates in each order, and those that are the same in two of them.
    n_dates: Counter[str] = field(default_factory=Counter)
    ambiguous_date: str = ""
    #: One whose year has two digits.
    short_date: str = ""
    #: Whether all cells are digits, and if so a cell that begins with 0, and whether
    #: all are dates such as 20240131.
    all_digits: bool = True
    code: str = ""
    all_compact: bool = True
    counts_rows: bool = True
    #: How often each value occurs; None where there are too many.
    values: Counter[str] | None = field(default_factory=Counter)
    #: Of numbers whose cells are not counted.
    least: float = np.inf
    most: float = -np.inf
    all_increase: bool = True
    _offset: float | None = None
    _last: float = -np.inf
    #: The type that the file gives the column, if any.
    typed: str = ""

    def update(self, cells: Any) -> None:
        """Look at the next block."""
        first, self.n_rows = self.n_rows, self.n_rows + len(cells)
        if isinstance(cells, np.ndarray):
            self._update_typed(first, cells)
            return
        joined = "\n".join(cells)
        numbers = simple_numbers(cells, joined)
        if numbers is None:  # perhaps for a word that stands for missing
            joined = "\n".join(["" if cell in MISSING else cell for cell in cells])
            numbers = simple_numbers(joined.split("\n"), joined)
            if numbers is not None and len(numbers) != len(cells):
                numbers = None  # a cell has several lines
        if numbers is None:
            self._update_text(cells)
            self.counts_rows = self.all_digits = self.all_increase = False
            return
        self._update_numbers(first, numbers)
        n = int(np.count_nonzero(~np.isnan(numbers)))
        grouped = _POINT_CELL.findall(joined) if "." in joined else []
        n_dotted = joined.count(".")  # a number has one at most
        self.n_only[POINT] += n_dotted - len(grouped)
        self.n_both += n - n_dotted + len(grouped)
        self.doubtful = self.doubtful or (grouped[0] if grouped else "")
        self.all_digits = self.all_digits and _DIGITS.fullmatch(joined) is not None
        if self.all_digits:
            found = _CODE.search(joined)
            self.code = self.code or (found[0] if found else "")
            self.all_compact = self.all_compact and bool(_COMPACT.fullmatch(joined))
        if self.values is not None and (
            self.counts_all or self.code or len(self.values)
        ):
            self._count(cells)

    def _update_typed(self, first: int, cells: Any) -> None:
        self.typed = {"f": NUMBER, "M": DATE}[cells.dtype.kind]
        if self.typed == NUMBER:
            self._update_numbers(first, cells)
            self.all_digits = False
            self.n_both += int(np.count_nonzero(~np.isnan(cells)))
            if self.counts_all:
                self._count(as_text(cells))
        else:
            present = cells[~np.isnat(cells)]
            self.n_cells += len(present)
            if len(present):
                days = present.astype("datetime64[us]").astype(np.int64)
                self.least = min(self.least, float(days.min()))
                self.most = max(self.most, float(days.max()))

    def _update_numbers(self, first: int, numbers: Any) -> None:
        present = numbers[~np.isnan(numbers)]
        self.n_cells += len(present)
        if not len(present):
            self.counts_rows = self.counts_rows and not len(numbers)
            return
        self.least = min(self.least, float(present.min()))
        self.most = max(self.most, float(present.max()))
        if self._offset is None:
            self._offset = float(numbers[0]) - first
        expected = first + np.arange(len(numbers)) + self._offset
        self.counts_rows = self.counts_rows and np.array_equal(numbers, expected)
        steps = np.diff(present, prepend=self._last)
        self._last = float(present[-1])
        self.all_increase = bool(
            self.all_increase
            and (steps > 0).all()
            and (present % 1 == 0).all()
            and len(present) == len(numbers)
        )

    def _update_text(self, cells: Sequence[str]) -> None:
        counts = Counter(cells)
        counts.pop("", None)
        for cell, n in counts.items():
            if cell in MISSING:
                continue
            self.n_cells += n
            ways = {mark: number_of(cell, mark) for mark in (POINT, COMMA)}
            readable = [mark for mark, number in ways.items() if number is not None]
            if len(readable) == 2:
                self.n_both += n
                if ways[POINT] != ways[COMMA]:
                    self.doubtful = self.doubtful or cell
            elif readable:
                self.n_only[readable[0]] += n
            if not readable:
                self._look_for_date(cell, n)
        self._count(counts)

    def _look_for_date(self, cell: str, n: int) -> None:
        if len(cell) > 40 or not any(map(str.isdigit, cell)):
            return
        dates = {order: date_of(cell, order) for order in ORDERS}
        self.n_dates.update({o: n for o, date in dates.items() if date is not None})
        if any(dates.values()) and not _FOUR_DIGITS.search(cell):
            self.short_date = self.short_date or cell
        if dates["dmy"] and dates["mdy"] and dates["dmy"] != dates["mdy"]:
            self.ambiguous_date = self.ambiguous_date or cell

    def _count(self, cells: Any) -> None:
        if self.values is not None:
            self.values.update(cells)
            if len(self.values) > MOST_DIFFERENT:
                self.values = None

    # What it is ------------------------------------------------------------------

    @property
    def n_different(self) -> int:
        """Different values, MOST_DIFFERENT where there are more; of text only."""
        if self.values is None:
            return MOST_DIFFERENT
        return sum(value != "" and value not in MISSING for value in self.values)

    def n_numbers(self, mark: str) -> int:
        return self.n_both + self.n_only[mark]

    def better_mark(self) -> str | None:
        """The decimal mark that more of its numbers are written with, if it is one."""
        if self.n_only[POINT] == self.n_only[COMMA]:
            return None
        return max((POINT, COMMA), key=self.n_numbers)

    def better_order(self) -> str | None:
        """The order by which more of its cells are dates, if it is one."""
        (best, n), *others = self.n_dates.most_common() or [("", 0)]
        if n < SHARE * max(self.n_cells, 1) or (others and others[0][1] == n):
            return None
        return best

    def reading(self, mark: str, order: str) -> Reading:
        """How it is read; mark and order are those of the file, where it is silent."""
        if self.typed:
            return Reading(self.typed, {NUMBER: POINT, DATE: "ymd"}.get(self.typed, ""))
        enough = SHARE * self.n_cells
        own = self.better_mark() or mark
        if self.n_numbers(own) >= enough:
            if self.code and self.all_digits:
                return Reading(CATEGORY)
            if (
                self.all_digits
                and self.all_compact
                and self.n_cells
                and self._is_wide()
            ):
                return Reading(DATE, "ymd")
            return Reading(NUMBER, own)
        own = self.better_order() or order
        if self.n_cells and self.n_dates[own] >= enough:
            return Reading(DATE, own)
        return Reading(CATEGORY)

    def _is_wide(self) -> bool:
        """Whether whole numbers have the eight digits of a date."""
        return 19_000_101 <= self.least < self.most <= 20_991_231

    def useless(self, reading: Reading) -> str:
        """Why nothing can be learnt from it; "" where something can."""
        if not self.n_cells:
            return "all cells are missing"
        if _INDEX.fullmatch(self.name):
            return "it is the index of a data frame"
        if self._is_constant():
            return "all cells are alike"
        if reading.kind == NUMBER:
            if self.counts_rows and self._offset in (0, 1):
                return "it numbers the rows"
            if self.all_increase and _ID.fullmatch(self.name):
                return "its name and its values are those of an identifier"
        if reading.kind == CATEGORY and self.n_rows >= FEWEST_FOR_IDENTIFIERS:
            n = self.n_different
            if n > self.n_cells / 2 or n >= MOST_DIFFERENT:
                of = counted(self.n_cells, "cell")
                return (
                    f"{n} of its {of} differ, such as {self.example()!r}: names, "
                    "identifiers and free text say nothing of new rows"
                )
        return ""

    def example(self) -> str:
        for value in self.values or ():
            if value and value not in MISSING:
                return value[:40]
        return ""

    def _is_constant(self) -> bool:
        if self.n_cells < self.n_rows:
            return False
        if self.least < np.inf:
            return self.least == self.most and not self.values
        return self.n_different == 1
