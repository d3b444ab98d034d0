"""A table from a CSV file, and what is said of how it was read."""

from __future__ import annotations

import argparse
import csv
import difflib
import gzip
import io
import math
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ._words import counted, joined_some, listed

# numpy, scikit-learn and pandas are imported where they are needed, so that
# --help and mistakes in the arguments are answered at once.

MIN_ROWS = 10
MAX_CLASSES_AUTO = 20  # an integer target with more values is a quantity
# What pandas takes for a missing cell, beside an empty one. A target may use any of
# these words for a class.
MISSING = frozenset(
    "#N/A,#N/A N/A,#NA,-1.#IND,-1.#QNAN,-NaN,-nan,1.#IND,1.#QNAN,<NA>,N/A,NA,NULL,NaN,"
    "None,n/a,nan,null".split(",")
)
NUMERIC_SHARE = 0.9  # of its cells must be numbers, or a column of text is categories
THOUSANDS = r"[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?"
MOST_NOTES = 6  # on columns of one kind; the others are counted


class Failure(Exception):
    """A mistake in the input: one line on standard error, exit status 2."""


@dataclass
class Table:
    name: str
    X: Any
    y: Any
    numeric: list[Any]
    categorical: list[Any]
    task: str
    why: str = ""
    notes: list[str] = field(default_factory=list)


@dataclass
class _Csv:
    """A file and the table in it: cells as pandas reads them, but those of the target
    as they were written, and none missing but empty ones."""

    content: bytes
    header: list[str] = field(default_factory=list)
    frame: Any = None

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """The line that a record begins in and its cells; blank lines are none."""
        # No cell is too long for pandas. A C long has 32 bits on some systems.
        csv.field_size_limit(min(len(self.content) + 1, 2**31 - 1))
        text = io.TextIOWrapper(io.BytesIO(self.content), "utf-8-sig", newline="")
        reader, line = csv.reader(text), 1
        for cells in reader:
            if len(cells) > 1 or (cells and not cells[0].isspace()):
                yield line, cells
            line = reader.line_num + 1

    def lines(self, rows: Sequence[int]) -> dict[int, int]:
        """The lines of the file, as an editor counts them, that rows begin in."""
        wanted, found = set(rows), {}
        # The header is a record too, the one before row 0.
        for row, (line, _) in enumerate(self.records() if wanted else (), -1):
            if row in wanted:
                found[row] = line
                if len(found) == len(wanted):
                    break
        return found


def _read_csv(name: str, target: str | None, notes: list[str]) -> _Csv:
    try:
        import pandas as pd
    except ImportError:
        hint = 'pip install "skbackprop[cli]"'
        raise Failure(f"reading a CSV file needs pandas: {hint}") from None
    unreadable = f"cannot read {name!r}: "
    try:
        with open(name, "rb") as file:
            table = _Csv(file.read())
        if name.lower().endswith(".gz"):
            table.content = gzip.decompress(table.content)
        table.header = next(table.records(), (1, []))[1]
        names = _unique_names(table.header, notes)
        target = _check_target(target, table.header, names)
        with warnings.catch_warnings():
            # pandas only warns when it drops surplus cells of the first rows.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            # By pandas' own name for the column, which may be another than ours.
            head = pd.read_csv(io.BytesIO(table.content), index_col=False, nrows=0)
            place = min(names.index(target), len(head.columns) - 1)
            table.frame = pd.read_csv(
                io.BytesIO(table.content),
                index_col=False,
                low_memory=False,
                keep_default_na=False,
                na_values=[""],
                dtype={head.columns[place]: str},
            )
    except UnicodeDecodeError as error:
        byte = f"0x{error.object[error.start]:02x}"
        raise Failure(
            f"{unreadable}byte {byte} is not UTF-8; only tables in UTF-8 text are read,"
            " .csv or .csv.gz"
        ) from None
    except OSError as error:
        raise Failure(unreadable + (error.strerror or str(error))) from None
    except pd.errors.ParserWarning:
        raise Failure(unreadable + "more cells in a row than in the header") from None
    except (ValueError, EOFError, zlib.error, csv.Error) as error:
        raise Failure(unreadable + str(error)) from None
    if table.frame.empty:
        raise Failure(f"{name!r} has a header but no rows")
    if len(names) != table.frame.shape[1]:
        raise Failure(unreadable + "it is not clear which names its header holds")
    table.frame.columns = names
    return table


def _hint(header: Sequence[str]) -> str:
    """What may be the matter with a table whose columns are not as they should be."""
    if header[0].lstrip().startswith("#"):
        return "; is the first line a comment? It must name the columns"
    if len(header) == 1:
        for mark, word in ((";", "';'"), ("\t", "tabs"), ("|", "'|'")):
            if mark in header[0]:
                return f"; is the file separated by {word}? Only commas are read"
    numbers = sum(name.strip().lstrip("+-")[:1].isdigit() for name in header)
    if numbers >= len(header) / 2:
        return "; is the first line a row of the table? It must name the columns"
    return ""


def _unique_names(header: Sequence[str], notes: list[str]) -> list[str]:
    """The names of the columns; where one is empty or comes again, with its place."""
    taken, seen, names, again = set(header), set(), [], []
    for place, name in enumerate(header, 1):
        if name.strip() and name not in seen:
            seen.add(name)
            names.append(name)
            continue
        unique = f"{name} (column {place})" if name.strip() else f"column {place}"
        while unique in taken:
            unique += "'"
        taken.add(unique)
        names.append(unique)
        if name.strip():
            again.append(unique)
    if again:
        notes.append(f"columns whose name came before go by: {listed(again)}")
    return names


def _check_target(target: str | None, header: list[str], names: list[str]) -> str:
    if not header:
        raise Failure("the file is empty")
    if target is None:
        known = f"the columns are {listed(names)}{_hint(header)}"
        raise Failure(f"--target is missing; {known}")
    if header.count(target) > 1:
        places = [str(place) for place, name in enumerate(header, 1) if name == target]
        raise Failure(
            f"--target {target!r} is the name of the columns {' and '.join(places)};"
            " give each a name of its own in the file"
        )
    if target in names:
        return target
    folded = {name.strip().casefold(): name for name in names}
    close = difflib.get_close_matches(target.strip().casefold(), folded)
    if close:
        likely = " or ".join(repr(folded[name]) for name in close)
        raise Failure(f"no column {target!r}; did you mean {likely}?")
    known = f"the columns are {listed(names)}{_hint(header)}"
    raise Failure(f"no column {target!r}; {known}")


def _is_number(column: Any) -> bool:
    return column.dtype.kind in "iuf"  # "b", bool, is a category


def _is_whole(column: Any) -> bool:
    return _is_number(column) and bool((column % 1 == 0).all())


def _as_numbers(column: Any) -> Any:
    """A column of text as numbers, NaN where a cell is none; None if too many are."""
    import numpy as np
    import pandas as pd

    codes, cells = pd.factorize(column)  # -1 where a cell is missing
    texts = pd.Series([str(cell) for cell in cells], dtype=object)
    if len(texts):
        commas = texts.str.fullmatch(r"[-+]?[\d.]*,[\d.,]*")
        grouped = texts.str.fullmatch(THOUSANDS)
        if (commas == grouped).all():  # else a comma is the decimal point
            texts = texts.mask(grouped, texts.str.replace(",", ""))
    numbers = pd.to_numeric(texts, errors="coerce").to_numpy(dtype="float64")
    values = np.append(numbers, np.nan)[codes]
    if np.sum(~np.isnan(values)) < NUMERIC_SHARE * np.sum(codes >= 0):
        return None
    values[np.isinf(values)] = np.nan
    return pd.Series(values, index=column.index, name=column.name)


def _thousands(cells: Any, numbers: Any) -> list[str]:
    """A note where commas were read as separators of thousands."""
    if not _is_number(numbers):
        return []
    grouped = cells[numbers.dropna().index].astype(str)
    grouped = grouped[grouped.str.contains(",", regex=False)]
    if grouped.empty:
        return []
    cell = grouped.iloc[0]
    return [f"{cells.name!r}: {cell!r} is read as {cell.replace(',', '')}"]


def _choose_task(target: Any) -> tuple[str, str]:
    distinct = target.nunique()
    if not _is_number(target):
        task, other, why = "classification", "regression", "not a number"
    elif _is_whole(target) and distinct <= MAX_CLASSES_AUTO:
        task, other, why = "classification", "regression", f"{distinct} whole numbers"
    else:
        task, other, why = "regression", "classification", "a number"
    return task, f"the target is {why}; --task {other} overrides"


def _labels(target: Any) -> Any:
    name, distinct = target.name, target.nunique()
    if _is_whole(target):
        target = target.astype("int64")
    if distinct < 2:
        raise Failure(f"{name!r} holds one class only: {str(target.iloc[0])!r}")
    if distinct > len(target) / 2:
        raise Failure(
            f"{name!r} has {distinct} different values in {len(target)} rows, such as"
            f" {str(target.iloc[0])[:40]!r}, too many to be classes; choose another"
            " --target or --task"
        )
    if target.dtype.kind == "i":
        return target.to_numpy()
    return target.map(str).to_numpy(dtype=object)


def _quantities(target: Any) -> Any:
    import pandas as pd

    numbers, name = pd.to_numeric(target, errors="coerce"), target.name
    if numbers.isna().any():
        cell = target[numbers.isna()].iloc[0]
        raise Failure(
            f"regression needs a numeric target; {name!r} holds {str(cell)!r}"
        )
    if numbers.nunique() < 2:
        raise Failure(f"{name!r} has the same value in every row")
    return numbers.to_numpy(dtype="float64")


def _read_target(
    table: _Csv, target: str, task: str, notes: list[str]
) -> tuple[Any, str, str]:
    """The target, of rows that have one, and the task with its reason."""
    cells = table.frame[target]
    missing = cells.index[cells.isna()]
    if len(missing):  # only an empty cell: 'None' may be a class
        line = table.lines(missing[:1]).get(missing[0])
        notes.append(
            f"dropped {counted(len(missing), 'row')} without a value in {target!r} (the"
            f" first: line {line})"
        )
        cells = cells.drop(missing)
    numbers = _as_numbers(cells.mask(cells.isin(MISSING)))
    coded = cells.str.fullmatch(r"[-+]?0\d+").any()  # '01' and '1' are two classes
    if numbers is None or (coded and task != "regression"):
        numbers = cells
    elif numbers.isna().any() or numbers.abs().max() >= 2**53:
        # Classes may be words beside numbers, or long identifiers; quantities may not.
        quantity = task == "regression" or (
            task == "auto" and _choose_task(numbers.dropna())[0] == "regression"
        )
        numbers = numbers.dropna() if quantity else cells
    notes += _thousands(cells, numbers)
    odd = cells.drop(numbers.index)
    if len(odd):
        notes.append(
            f"{target!r} is read as numbers; dropped {counted(len(odd), 'row')} without"
            f" one: {_shown(odd, table.lines(odd.index[:3]))}"
        )
    if len(numbers) < MIN_ROWS:
        known = f"{counted(len(numbers), 'row')} with a target"
        raise Failure(f"too few rows: {known}, need {MIN_ROWS}")
    if task == "auto":
        return numbers, *_choose_task(numbers)
    return numbers, task, "as asked for"


def _shown(odd: Any, lines: dict[int, int]) -> str:
    """The cells of a column that are no numbers, with their lines."""
    texts = [
        f"{str(cell)[:40]!r} (line {lines.get(row)})" for row, cell in odd[:3].items()
    ]
    return ", ".join(texts) + (f" and {len(odd) - 3} more" if len(odd) > 3 else "")


def _class_notes(target: Any) -> list[str]:
    """What is odd about the names of classes, which are all kept as they are."""
    names = [str(name) for name in target.unique()]
    notes = [
        f"{name!r} is a class of its own; only an empty cell is a missing target"
        for name in names
        if name in MISSING
    ]
    alike = Counter(name.strip().casefold() for name in names)
    twins = [name for name in names if alike[name.strip().casefold()] > 1]
    if twins:
        notes.append(f"classes that differ in blanks or capitals: {listed(twins)}")
    return notes


def _read_features(table: _Csv, frame: Any, notes: list[str]) -> Any:
    """Columns of numbers where nine tenths of the cells are, with notes that say so."""
    import pandas as pd

    columns, words, odd = {}, [], {}
    for name in frame:
        column = frame[name]
        infinite = [math.inf, -math.inf]
        missing = column[column.isin(infinite if _is_number(column) else MISSING)]
        if len(missing):
            column = column.drop(missing.index).reindex(frame.index)
            counts = Counter(str(cell) for cell in missing)
            found = [f"{word!r} ({counted(n, 'cell')})" for word, n in counts.items()]
            words.append(f"{joined_some(found, ', ', 3)} of {name!r}")
        numbers = None if _is_number(column) else _as_numbers(column)
        if numbers is not None:
            notes += _thousands(column, numbers)
            bad = column[numbers.isna() & column.notna()]
            if len(bad):
                of = f"{len(bad)} of its {column.count()} cells"
                odd[name] = f"{name!r} is read as numbers, {of} as missing: ", bad
            column = numbers
        columns[name] = column
    if words:
        notes.append(f"taken for missing: {joined_some(words, '; ', MOST_NOTES)}")
    told = list(odd.values())[:MOST_NOTES]
    lines = table.lines([row for _, bad in told for row in bad.index[:3]])
    notes += [text + _shown(bad, lines) for text, bad in told]
    if len(odd) > len(told):
        notes.append(f"the same in {listed(list(odd)[MOST_NOTES:])}")
    notes += _zero_notes(table, columns)
    return pd.DataFrame(columns)


def _zero_notes(table: _Csv, columns: dict[str, Any]) -> list[str]:
    """Codes, such as '01234', that are read as numbers; looked for in some rows."""
    numeric = {name for name, column in columns.items() if _is_number(column)}
    found: dict[str, str] = {}
    for _, cells in islice(table.records(), 1, 500):
        for name, cell in zip(table.frame, cells, strict=False):
            if cell[:1] == "0" and cell.isdigit() and cell != "0" and name in numeric:
                found.setdefault(name, cell)
    said = [f"{cell!r} of {name!r}" for name, cell in found.items()]
    return [f"read as numbers: {joined_some(said, ', ', MOST_NOTES)}"] if said else []


def _counts_rows(column: Any) -> bool:
    """Whether it numbers the rows of the file, from 0 or from 1."""
    if not _is_number(column):
        return False
    offset = column - column.index
    return bool((offset == 0).all() or (offset == 1).all())


def _features(
    frame: Any, nameless: set[str], notes: list[str]
) -> tuple[Any, list[str], list[str]]:
    """Leave out columns that say nothing; tell numeric from categorical ones."""
    constant = [c for c in frame if frame[c].nunique(dropna=False) < 2]
    if constant:
        notes.append(f"left out, all cells alike or missing: {listed(constant)}")
    frame = frame.drop(columns=constant)
    counting = [c for c in frame if _counts_rows(frame[c])]
    for c in counting:
        if c in nameless:
            # The index that DataFrame.to_csv writes; in a sorted file it gives the
            # target away, and the score would be worth nothing.
            notes.append(f"left out, row numbers without a name: {c!r}")
        else:
            notes.append(f"{c!r} only numbers the rows; should it be left out?")
    frame = frame.drop(columns=[c for c in counting if c in nameless])
    unnamed = [c for c in frame if c in nameless]
    if unnamed:
        notes.append(f"a column without a name goes by its place: {listed(unnamed)}")
    if frame.shape[1] == 0:
        raise Failure("no feature columns are left; is the file comma-separated?")
    numeric = [c for c in frame if _is_number(frame[c])]
    categorical = [c for c in frame if c not in set(numeric)]
    for c in categorical:  # one type of cell, whatever is mixed: str, NaN if missing
        cells = frame[c].astype(object).map(str, na_action="ignore")
        frame[c] = cells.astype(object)
    _describe_categories(frame[categorical], notes)
    return frame, numeric, categorical


def _describe_categories(frame: Any, notes: list[str]) -> None:
    levels = dict(sorted(frame.nunique().items(), key=lambda item: -item[1]))
    if levels:
        said = [f"{name!r} ({number} different)" for name, number in levels.items()]
        notes.append(f"read as categories: {joined_some(said, ', ', 12)}")
    many = [name for name, number in levels.items() if number > len(frame) / 2]
    if many:
        cell = frame[many[0]].dropna().iloc[0]
        notes.append(
            f"most cells differ in {listed(many)}, such as {cell[:40]!r}: names, dates"
            " or another notation of numbers say little as categories"
        )


def read_table(options: argparse.Namespace) -> Table:
    target = options.target
    notes: list[str] = []
    table = _read_csv(options.data, target, notes)
    cells, task, why = _read_target(table, target, options.task, notes)
    y = _labels(cells) if task == "classification" else _quantities(cells)
    if task == "classification":
        notes += _class_notes(cells)
    names = zip(table.frame, table.header, strict=True)
    nameless = {name for name, written in names if not written.strip()}
    frame = table.frame.drop(columns=target).loc[cells.index]
    frame = _read_features(table, frame, notes)
    X, numeric, categorical = _features(frame, nameless, notes)
    return Table(options.data, X, y, numeric, categorical, task, why, notes)
