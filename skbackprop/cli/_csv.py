"""Tables of text: where cells end, which line names them, and the cells in blocks."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from ._failure import Failure
from ._source import Source, reading, text_of
from ._words import counted, listed

BLOCK_ROWS = 20_000
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_SAMPLE_CHARACTERS = 1 << 17
_SAMPLE_RECORDS = 200
_STEADY = 0.9  # share of the records that must have the usual number of cells
_COMMENT = "#"
#: A line after the last one, in which the delimiter must not be.
_ENDS = ("\x1eend\x1e", "\x1f000\x1f")


@dataclass
class Block:
    """Consecutive rows: of each column wanted its cells, in the order asked for."""

    first_row: int
    n_rows: int
    columns: list[Any]


@dataclass
class CsvTable:
    """A table of text; every cell is a str without blanks around it, "" if missing."""

    source: Source
    encoding: str
    delimiter: str
    #: The line that the header begins in.
    header_line: int
    header: list[str]
    names: list[str]
    #: What there is to say of how it is read.
    notes: list[str] = field(default_factory=list)
    is_typed = False

    @property
    def name(self) -> str:
        return self.source.name

    def records(self) -> Iterator[tuple[int, list[str]]]:
        """The line that each row begins in, and its cells, as many as names."""
        n = len(self.names)
        for line, cells in _records(self.source, self.encoding, self.delimiter):
            if line <= self.header_line or (len(cells) < n and _is_comment(cells)):
                continue
            if len(cells) < n:
                cells += [""] * (n - len(cells))
            elif len(cells) > n:
                if any(cell and not cell.isspace() for cell in cells[n:]):
                    raise Failure(
                        f"cannot read {self.name!r}: line {line} has "
                        f"{counted(len(cells), 'cell')}, the header has {n}"
                    )
                del cells[n:]
            yield line, cells

    def blocks(self, places: Sequence[int], size: int = BLOCK_ROWS) -> Iterator[Block]:
        """The rows in blocks, of these columns only."""
        first = 0
        for rows in self.written(size):
            columns = list(zip(*rows, strict=True))
            cells = [list(map(str.strip, columns[place])) for place in places]
            yield Block(first, len(rows), cells)
            first += len(rows)

    def written(self, size: int = BLOCK_ROWS) -> Iterator[list[list[str]]]:
        """All rows as they are written, in the same blocks."""
        rows: list[list[str]] = []
        with reading(self.source):
            for _, cells in self.records():
                rows.append(cells)
                if len(rows) == size:
                    yield rows
                    rows = []
        if rows:
            yield rows

    def places_of(self, rows: Sequence[int]) -> dict[int, str]:
        """Where an editor finds rows: "line 7"."""
        wanted, found = set(rows), {}
        for row, (line, _) in enumerate(self.records() if wanted else ()):
            if row in wanted:
                found[row] = f"line {line}"
                if len(found) == len(wanted):
                    break
        return found


def _is_comment(cells: list[str]) -> bool:
    return cells[0].lstrip().startswith(_COMMENT)


def _records(
    source: Source, encoding: str, delimiter: str, most: int | None = None
) -> Iterator[tuple[int, list[str]]]:
    """The line that each record begins in and its cells; blank lines are none."""
    csv.field_size_limit(2**31 - 1)  # a C long has 32 bits on some systems
    with text_of(source, encoding) as text:
        lines: Iterable[str] = text
        if most is not None:
            sample = list(io.StringIO(text.read(most), newline=""))
            lines = sample[:-1] if len(sample) > 1 else sample  # it may be cut off
        end = next(each for each in _ENDS if delimiter not in each)
        lines = chain(lines, [end])
        reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
        line = 1
        try:
            for cells in reader:
                if cells == [end]:
                    return
                # A blank line, or one that swallows the end: a cell does not end.
                if cells and end in cells[-1]:
                    break
                if len(cells) > 1 or (cells and not cells[0].isspace()):
                    yield line, cells
                line = reader.line_num + 1
        except csv.Error as error:
            raise Failure(
                f"cannot read {source.name!r}: in the record that begins in line "
                f"{line}: {error}"
            ) from None
    if most is None:  # else the sample ends within a cell
        raise Failure(
            f"cannot read {source.name!r}: a quotation mark of line {line} is never "
            "closed"
        )


# Where cells end -------------------------------------------------------------


@dataclass
class _Guess:
    delimiter: str
    rows: list[tuple[int, list[str]]]
    #: The usual number of cells, its share of the rows, and the header's place.
    width: int
    steady: float
    header: int


def _guess(
    source: Source,
    encoding: str,
    delimiter: str,
    n_skipped: int,
    wanted: Sequence[str],
) -> _Guess | None:
    rows = list(_records(source, encoding, delimiter, _SAMPLE_CHARACTERS))
    rows = rows[n_skipped : n_skipped + _SAMPLE_RECORDS]
    if not rows:
        return None
    counts = Counter(len(cells) for _, cells in rows if not _is_comment(cells))
    counts = counts or Counter(len(cells) for _, cells in rows)
    width = max(counts, key=lambda n: (counts[n], n))
    # A short table may have more lines above it than rows: then the last one tells.
    wide = [
        i for i, (_, cells) in enumerate(rows) if len(cells) >= width and any(cells)
    ]
    header = wide[0] if wide else 0
    if _is_comment(rows[header][1]):  # unless it is what names the columns: "#id,x,y"
        plain = [i for i in wide if not _is_comment(rows[i][1])]
        if plain and _n_found(rows[plain[0]][1], wanted) > _n_found(
            rows[header][1], wanted
        ):
            header = plain[0]
    below = [len(cells) for _, cells in rows[header:] if not _is_comment(cells)]
    return _Guess(
        delimiter,
        rows,
        width,
        sum(n == width for n in below) / max(1, len(below)),
        header,
    )


def _n_found(cells: Sequence[str], wanted: Sequence[str]) -> int:
    """How many of the wanted names are among the cells of a header."""
    names = {cell.strip().lstrip(_COMMENT).strip() for cell in cells}
    return sum(name.strip() in names for name in wanted)


def _best(guesses: list[_Guess], wanted: Sequence[str]) -> _Guess:
    """Where the wanted names are found, the widest table with few odd lines."""

    def worth(guess: _Guess) -> tuple[Any, ...]:
        return (
            _n_found(guess.rows[guess.header][1], wanted),
            guess.width > 1 and guess.steady >= _STEADY,
            guess.width > 1,
            -guess.header,
            guess.width,
        )

    return max(guesses, key=worth)


def open_csv(
    source: Source,
    wanted: Sequence[str],
    encoding: str | None = None,
    delimiter: str | None = None,
) -> CsvTable:
    """A table of text, whose columns should have the wanted names among theirs.

    What is not given, the encoding and the delimiter, is found out.
    """
    with reading(source):
        encoding, said = source.encoding(encoding)
        notes = [said] if said else []
        n_skipped = 0
        with text_of(source, encoding) as text:
            first = text.readline(100).strip("\r\n")
        if first.lower().startswith("sep=") and len(first) == 5:
            n_skipped = 1  # by which spreadsheets tell each other the delimiter
            delimiter = delimiter or first[4]
        tried = [delimiter] if delimiter else list(_DELIMITERS)
        guesses = [
            guess
            for each in tried
            if (guess := _guess(source, encoding, each, n_skipped, wanted)) is not None
        ]
    if not guesses:
        raise Failure(f"{source.name!r}: the file is empty")
    best = _best(guesses, wanted)
    line, header = best.rows[best.header]
    for skipped, cells in best.rows[: best.header]:
        text = best.delimiter.join(cells)
        notes.append(f"line {skipped} is above the table and left out: {text[:40]!r}")
    if best.delimiter != ",":
        word = _DELIMITERS.get(best.delimiter, repr(best.delimiter))
        notes.append(f"cells are separated by {word}")
    header = [cell.strip() for cell in header]
    if header[0].startswith(_COMMENT):
        header[0] = header[0].lstrip(_COMMENT).strip()
    names = unique_names(header, notes)
    return CsvTable(source, encoding, best.delimiter, line, header, names, notes)


def unique_names(header: Sequence[str], notes: list[str]) -> list[str]:
    """The names of the columns; where one is empty or comes again, with its place."""
    taken, seen, names, again = set(header), set(), [], []
    for place, name in enumerate(header, 1):
        if name and name not in seen:
            seen.add(name)
            names.append(name)
            continue
        unique = f"{name} (column {place})" if name else f"column {place}"
        while unique in taken:
            unique += "'"
        taken.add(unique)
        names.append(unique)
        if name:
            again.append(unique)
    if again:
        notes.append(f"columns whose name came before go by: {listed(again)}")
    return names
