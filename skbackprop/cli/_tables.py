"""A table of any file that is read, and how the names in a command are found in it."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ._arrow import ArrowTable, open_arrow
from ._csv import CsvTable, open_csv
from ._failure import Failure
from ._source import opened_source
from ._words import listed

Table = ArrowTable | CsvTable


@contextmanager
def opened_table(
    name: str, options: argparse.Namespace, wanted: Sequence[str]
) -> Iterator[Table]:
    """The table of a file, in which columns of these names are looked for."""
    with opened_source(name) as source:
        if source.kind == "text":
            yield open_csv(source, wanted, options.encoding, options.delimiter)
        else:
            yield open_arrow(source)


def find(table: Table, name: str, option: str) -> str:
    """The column that an option names; raises Failure where there is none."""
    written = name
    name = name.strip()
    if table.header.count(name) > 1:
        places = [str(i) for i, each in enumerate(table.header, 1) if each == name]
        raise Failure(
            f"{option} {name!r} is the name of the columns {' and '.join(places)}; give"
            " each a name of its own in the file"
        )
    for exact in (written, name):
        if exact in table.names:
            return exact
    close = alike(name, table.names)
    if close:
        likely = " or ".join(map(repr, close))
        raise Failure(f"no column {name!r}; did you mean {likely}?")
    raise Failure(f"no column {name!r}; {known(table)}")


def alike(name: str, names: Sequence[str]) -> list[str]:
    """Names that differ little from one."""
    folded = {each.casefold(): each for each in names}
    return [folded[each] for each in difflib.get_close_matches(name.casefold(), folded)]


def known(table: Table) -> str:
    """The columns there are, and what may be the matter with them."""
    hint = ""
    numbers = sum(name.lstrip("+-")[:1].isdigit() for name in table.header)
    if numbers >= len(table.header) / 2:
        hint = "; is the first line a row of the table? It must name the columns"
    elif len(table.header) == 1:
        hint = "; is it separated by another character? --delimiter says it"
    return f"the columns are {listed(table.names)}{hint}"
