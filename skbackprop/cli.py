"""The ``skbackprop`` command: train a network on a CSV file and score it."""

from __future__ import annotations

import argparse
import csv
import difflib
import gzip
import io
import math
import os
import shutil
import sys
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NoReturn

from skbackprop import __version__

# numpy, scikit-learn and pandas are imported where they are needed, so that
# --help and mistakes in the arguments are answered at once.

# Chosen on eight small scikit-learn data sets: as good as (100,) or better on the
# curved ones; a little more weight decay than the default helps noisy targets.
HIDDEN_LAYER_SIZES = (128, 64)
ALPHA = 0.1
EARLY_STOPPING_ROWS = 1000  # a validation set of a smaller table is mostly noise
MIN_ROWS = 10
MAX_CLASSES_AUTO = 20  # an integer target with more values is a quantity
MAX_CATEGORIES = 100
MAX_DENSE_CELLS = 25_000_000  # 100 MB of float32; wider one-hot tables stay sparse
FLOAT32_CLIP = 1e6  # standardised cells beyond this would overflow in float32

# What pandas takes for a missing cell, beside an empty one. A target may use any of
# these words for a class.
MISSING = frozenset(
    "#N/A,#N/A N/A,#NA,-1.#IND,-1.#QNAN,-NaN,-nan,1.#IND,1.#QNAN,<NA>,N/A,NA,NULL,NaN,"
    "None,n/a,nan,null".split(",")
)
NUMERIC_SHARE = 0.9  # of its cells must be numbers, or a column of text is categories
THOUSANDS = r"[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?"
MOST_NOTES = 6  # on columns of one kind; the others are counted


class _Failure(Exception):
    """A mistake in the input: one line on standard error, exit status 2."""


class _Parser(argparse.ArgumentParser):
    """Reports mistakes without printing the usage in front of them."""

    def error(self, message: str) -> NoReturn:
        raise _Failure(f"{message} (see {self.prog} --help)")


@dataclass
class _Table:
    name: str
    X: Any
    y: Any
    numeric: list[Any]
    categorical: list[Any]
    task: str
    why: str = ""
    notes: list[str] = field(default_factory=list)


class _Progress:
    """Show the epochs: one line that moves on a terminal, else about 20 lines."""

    def __init__(self, max_iter: int) -> None:
        self.max_iter = max_iter
        self.terminal = sys.stdout is not None and sys.stdout.isatty()
        self.line = self.shown = ""
        self.shown_at = -math.inf

    def update(self, epoch: int, loss: float, score: float | None) -> None:
        self.line = f"epoch {epoch}/{self.max_iter}  loss {loss:.4f}"
        if score is not None:
            self.line += f"  validation score {score:.4f}"
        due = epoch == 1 or epoch % math.ceil(self.max_iter / 20) == 0
        if self.terminal:
            bar = "#" * (20 * epoch // self.max_iter)
            self.line = f"[{bar:-<20}] {self.line}"
            # Redrawing after every epoch of a small table takes longer than it.
            due = time.monotonic() - self.shown_at > 0.05
        if due:
            self._show()

    def _show(self) -> None:
        if self.terminal:
            line = self.line[: shutil.get_terminal_size().columns - 1]
            print("\r" + line.ljust(len(self.shown)), end="", flush=True)
            self.shown, self.shown_at = line, time.monotonic()
        elif self.line != self.shown:
            print(self.line, flush=True)
            self.shown = self.line

    def finish(self) -> None:
        if self.line:
            self._show()
            print(end="\n" if self.terminal else "")


def _parser() -> _Parser:
    parser = _Parser(prog="skbackprop", description="Train multilayer perceptrons.")
    parser.add_argument(
        "--version", action="version", version=f"skbackprop {__version__}"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    text = "train on a CSV file, or on a bundled data set, and score the result"
    add = commands.add_parser("train", help=text, description=text).add_argument
    add("data", nargs="?", metavar="data.csv", help=".csv or .csv.gz file")
    add("--target", metavar="COLUMN", help="the column to predict")
    tasks = ("auto", "classification", "regression")
    add("--task", choices=tasks, default="auto", help="default: auto")
    text = "share of the rows held out for the score (default: 0.2)"
    add("--test-size", type=float, default=0.2, metavar="F", help=text)
    text = "seed of the split and the training (default: 0)"
    add("--seed", type=int, default=0, metavar="N", help=text)
    text = "most epochs to train (default: 100)"
    add("--max-iter", type=int, default=100, metavar="N", help=text)
    return parser


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    options = _parser().parse_args(argv)
    if not 0 < options.test_size < 1:
        raise _Failure(f"--test-size must be between 0 and 1, not {options.test_size}")
    if not 0 <= options.seed < 2**32:
        raise _Failure(f"--seed must be from 0 to 2**32 - 1, not {options.seed}")
    if options.max_iter < 1:
        raise _Failure(f"--max-iter must be at least 1, not {options.max_iter}")
    if options.data is None and options.target is not None:
        raise _Failure("--target needs a CSV file")
    return options


def _bundled(task: str) -> _Table:
    from sklearn.datasets import load_breast_cancer, load_diabetes

    if task == "regression":
        name, data = "diabetes", load_diabetes()
        y = data.target
    else:
        name, data, task = "breast_cancer", load_breast_cancer(), "classification"
        y = data.target_names[data.target]
    columns = list(range(data.data.shape[1]))
    return _Table(f"{name} (comes with scikit-learn)", data.data, y, columns, [], task)


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
        raise _Failure(f"reading a CSV file needs pandas: {hint}") from None
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
        raise _Failure(
            f"{unreadable}byte {byte} is not UTF-8; only tables in UTF-8 text are read,"
            " .csv or .csv.gz"
        ) from None
    except OSError as error:
        raise _Failure(unreadable + (error.strerror or str(error))) from None
    except pd.errors.ParserWarning:
        raise _Failure(unreadable + "more cells in a row than in the header") from None
    except (ValueError, EOFError, zlib.error, csv.Error) as error:
        raise _Failure(unreadable + str(error)) from None
    if table.frame.empty:
        raise _Failure(f"{name!r} has a header but no rows")
    if len(names) != table.frame.shape[1]:
        raise _Failure(unreadable + "it is not clear which names its header holds")
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


def _listed(names: Sequence[Any], most: int = 12) -> str:
    return _some([repr(name) for name in names], ", ", most)


def _some(texts: Sequence[str], separator: str, most: int) -> str:
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return separator.join(texts[:most]) + more


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


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
        notes.append(f"columns whose name came before go by: {_listed(again)}")
    return names


def _check_target(target: str | None, header: list[str], names: list[str]) -> str:
    if not header:
        raise _Failure("the file is empty")
    if target is None:
        known = f"the columns are {_listed(names)}{_hint(header)}"
        raise _Failure(f"--target is missing; {known}")
    if header.count(target) > 1:
        places = [str(place) for place, name in enumerate(header, 1) if name == target]
        raise _Failure(
            f"--target {target!r} is the name of the columns {' and '.join(places)};"
            " give each a name of its own in the file"
        )
    if target in names:
        return target
    folded = {name.strip().casefold(): name for name in names}
    close = difflib.get_close_matches(target.strip().casefold(), folded)
    if close:
        likely = " or ".join(repr(folded[name]) for name in close)
        raise _Failure(f"no column {target!r}; did you mean {likely}?")
    known = f"the columns are {_listed(names)}{_hint(header)}"
    raise _Failure(f"no column {target!r}; {known}")


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
        raise _Failure(f"{name!r} holds one class only: {str(target.iloc[0])!r}")
    if distinct > len(target) / 2:
        raise _Failure(
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
        raise _Failure(
            f"regression needs a numeric target; {name!r} holds {str(cell)!r}"
        )
    if numbers.nunique() < 2:
        raise _Failure(f"{name!r} has the same value in every row")
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
            f"dropped {_count(len(missing), 'row')} without a value in {target!r} (the"
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
            f"{target!r} is read as numbers; dropped {_count(len(odd), 'row')} without"
            f" one: {_shown(odd, table.lines(odd.index[:3]))}"
        )
    if len(numbers) < MIN_ROWS:
        known = f"{_count(len(numbers), 'row')} with a target"
        raise _Failure(f"too few rows: {known}, need {MIN_ROWS}")
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
        notes.append(f"classes that differ in blanks or capitals: {_listed(twins)}")
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
            found = [f"{word!r} ({_count(n, 'cell')})" for word, n in counts.items()]
            words.append(f"{_some(found, ', ', 3)} of {name!r}")
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
        notes.append(f"taken for missing: {_some(words, '; ', MOST_NOTES)}")
    told = list(odd.values())[:MOST_NOTES]
    lines = table.lines([row for _, bad in told for row in bad.index[:3]])
    notes += [text + _shown(bad, lines) for text, bad in told]
    if len(odd) > len(told):
        notes.append(f"the same in {_listed(list(odd)[MOST_NOTES:])}")
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
    return [f"read as numbers: {_some(said, ', ', MOST_NOTES)}"] if said else []


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
        notes.append(f"left out, all cells alike or missing: {_listed(constant)}")
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
        notes.append(f"a column without a name goes by its place: {_listed(unnamed)}")
    if frame.shape[1] == 0:
        raise _Failure("no feature columns are left; is the file comma-separated?")
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
        notes.append(f"read as categories: {_some(said, ', ', 12)}")
    many = [name for name, number in levels.items() if number > len(frame) / 2]
    if many:
        cell = frame[many[0]].dropna().iloc[0]
        notes.append(
            f"most cells differ in {_listed(many)}, such as {cell[:40]!r}: names, dates"
            " or another notation of numbers say little as categories"
        )


def _read_table(options: argparse.Namespace) -> _Table:
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
    return _Table(options.data, X, y, numeric, categorical, task, why, notes)


def _split(table: _Table, options: argparse.Namespace) -> list[Any]:
    import numpy as np
    from sklearn.model_selection import train_test_split

    rows, share, seed = len(table.y), options.test_size, options.seed
    test_rows = math.ceil(rows * share)
    fewest, stratify = min(test_rows, rows - test_rows), None
    if fewest < 2:
        raise _Failure(f"too few rows: --test-size {share} of {rows} leaves under 2")
    if table.task == "classification":
        counts = np.unique(table.y, return_counts=True)[1]
        if counts.min() >= 2 and fewest >= len(counts):
            stratify = table.y
        else:
            table.notes.append("some classes are too rare for a stratified split")
    parts = train_test_split(
        table.X, table.y, test_size=test_rows, random_state=seed, stratify=stratify
    )
    if len(np.unique(parts[2])) < 2:
        raise _Failure("the training rows have one target value; try another --seed")
    return parts


def _to_float32(X: Any) -> Any:
    return X.clip(-FLOAT32_CLIP, FLOAT32_CLIP).astype("float32")


def _preprocessor(table: _Table) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

    levels = [min(table.X[c].nunique() + 1, MAX_CATEGORIES) for c in table.categorical]
    one_hot = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        max_categories=MAX_CATEGORIES,
        sparse_output=(len(table.numeric) + sum(levels)) * len(table.y)
        > MAX_DENSE_CELLS,
        dtype="float32",
    )
    median = SimpleImputer(strategy="median", keep_empty_features=True)
    constant = SimpleImputer(
        strategy="constant", fill_value="missing", keep_empty_features=True
    )
    # Scaled in float64: large offsets, such as years, lose digits in float32.
    scale = (StandardScaler(), FunctionTransformer(_to_float32))
    numeric = ("numeric", make_pipeline(median, *scale), table.numeric)
    categorical = ("categorical", make_pipeline(constant, one_hot), table.categorical)
    return ColumnTransformer([numeric, categorical])


def _model(table: _Table, train_y: Any, seed: int, progress: _Progress) -> Any:
    import numpy as np
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.preprocessing import StandardScaler

    from skbackprop import BackpropMLPClassifier, BackpropMLPRegressor

    classify = table.task == "classification"
    base: Any = BackpropMLPClassifier if classify else BackpropMLPRegressor

    class Reporting(base):
        # The hook finds `progress` in the closure: an attribute of the instance
        # would not outlive the clone() inside TransformedTargetRegressor.
        def _after_epoch(self, epoch: int, loss: float, score: float | None) -> None:
            progress.update(epoch, loss, score)

    early_stopping = len(train_y) >= EARLY_STOPPING_ROWS
    if classify and early_stopping:
        # With two classes the validation split is stratified, which fails for a
        # class of one member.
        counts = np.unique(train_y, return_counts=True)[1]
        early_stopping = len(counts) > 2 or counts.min() > 1
    network = Reporting(
        hidden_layer_sizes=HIDDEN_LAYER_SIZES,
        alpha=ALPHA,
        early_stopping=early_stopping,
        max_iter=progress.max_iter,
        random_state=seed,
    )
    if classify:
        return network
    return TransformedTargetRegressor(network, transformer=StandardScaler())


def _describe(table: _Table, train_rows: int, test_rows: int) -> None:
    numeric, categorical = len(table.numeric), len(table.categorical)
    kinds = f"{numeric} numeric, {categorical} categorical"
    print(f"data      {table.name}")
    print(f"rows      {train_rows + test_rows} ({train_rows} train, {test_rows} test)")
    print(f"features  {numeric + categorical} ({kinds})")
    print(f"task      {table.task}" + (f" ({table.why})" if table.why else ""))
    if table.task == "classification":
        classes = sorted(set(table.y.tolist()))
        print(f"classes   {len(classes)} ({_listed(classes)})")
    for note in table.notes:
        print(f"note      {note}")


def _scores(task: str, pipeline: Any, parts: list[Any]) -> list[str]:
    from sklearn import metrics
    from sklearn.dummy import DummyClassifier, DummyRegressor

    train_X, test_X, train_y, test_y = parts
    if task == "classification":
        dummy, trivial = (
            DummyClassifier(strategy="most_frequent"),
            "most frequent class",
        )
        measures = {"accuracy": metrics.accuracy_score}
    else:
        dummy, trivial = DummyRegressor(), "mean"
        measures = {"R2": metrics.r2_score, "RMSE": metrics.root_mean_squared_error}
    baseline = dummy.fit(train_X, train_y).predict(test_X)
    predicted = pipeline.predict(test_X)
    return [
        f"test {name} {measure(test_y, predicted):.4g}"
        f" (always the {trivial}: {measure(test_y, baseline):.4g})"
        for name, measure in measures.items()
    ]


def _train(options: argparse.Namespace) -> int:
    from sklearn.pipeline import Pipeline

    bundled, most = options.data is None, options.max_iter
    table = _bundled(options.task) if bundled else _read_table(options)
    parts = train_X, _, train_y, test_y = _split(table, options)
    progress = _Progress(most)
    model = _model(table, train_y, options.seed, progress)
    pipeline = Pipeline([("prepare", _preprocessor(table)), ("model", model)])
    _describe(table, len(train_y), len(test_y))
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            started = time.perf_counter()
            try:
                pipeline.fit(train_X, train_y)
            finally:
                progress.finish()
            seconds = time.perf_counter() - started
            scores = _scores(table.task, pipeline, parts)
    except (ValueError, ArithmeticError, MemoryError) as error:
        raise _Failure(f"training failed: {error or type(error).__name__}") from None
    model = pipeline[-1]
    epochs = getattr(model, "regressor_", model).n_iter_
    said = " ".join(str(w.message) for w in caught)
    interrupted = "interrupted by user" in said
    if interrupted:
        print(
            f"interrupted after {epochs} epochs; the scores are of the network so far"
        )
    elif "diverged" in said:
        print("the training diverged; the scores are of the best epoch before that")
    elif "hasn't converged" in said:
        print(f"stopped at --max-iter {most}, before the training had converged")
    print(*scores, sep="\n")
    speed = f"{len(train_y) * epochs / seconds:,.0f} rows per second"
    print(f"{epochs} epochs in {seconds:.2f} s, {speed}")
    if bundled:
        print("next: skbackprop train your.csv --target COLUMN")
    return 130 if interrupted else 0


def _complain(message: str) -> None:
    line = "".join(c for c in " ".join(message.split()) if c.isprintable())
    print(f"skbackprop: error: {line}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the ``skbackprop`` command.

    Parameters
    ----------
    argv : sequence of str, default=None
        The arguments after the command's name; None takes those of the process.

    Returns
    -------
    int
        The exit status: 0 on success, 1 when the output cannot be written, 2 for
        a mistake in the arguments or the data, 130 when interrupted.
    """
    with suppress(AttributeError, ValueError):
        # Column names may hold characters that the terminal's encoding lacks.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            status = _train(_parse(argv))
        except SystemExit as stop:  # --help and --version
            status = int(stop.code or 0)
        print(end="", flush=True)  # a closed pipe shows here, not at exit
        return status
    except _Failure as failure:
        _complain(str(failure))
        return 2
    except KeyboardInterrupt:
        print("skbackprop: interrupted", file=sys.stderr)
        return 130
    except OSError as error:
        # Standard output is gone (`| head`) or full: point it away, or the
        # interpreter complains once more when it flushes it at exit.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            _complain(f"cannot write the output: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
