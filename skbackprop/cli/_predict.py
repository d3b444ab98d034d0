"""``skbackprop predict``: a model and new rows in, their predictions out."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from ._failure import Failure
from ._model import Model, Rows, opened_model, predictions
from ._output import write_table
from ._reading import as_text
from ._tables import Table, find, opened_table


def predict(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    model = opened_model(options.model, options)
    with opened_table(options.data, options, list(model.readings or ())) as table:
        kept = _kept(model, table, options)
        unread = {model.target, options.id}
        rows = Rows.of(model, table, kept, unread)
        header: list[str] = list(kept)
        blocks = _blocks(rows, header)
        first = next(blocks, None)
        if first is None:
            raise Failure(f"{table.name!r} has a header but no rows")
        write_table(options.output, header, _chained(first, blocks))
        for note in (*table.notes, *rows.notes()):
            print(f"note: {note}", file=sys.stderr)
        if options.output is not None:
            print(f"{rows.n_rows} rows predicted: {options.output}", file=sys.stderr)
    return 0


def _kept(model: Model, table: Table, options: argparse.Namespace) -> list[str]:
    """The columns of the table that go before the predictions."""
    if options.keep:
        return list(table.names)
    if options.id is not None:
        return [find(table, options.id, "--id")]
    if model.identifier is not None and model.identifier in table.names:
        return [model.identifier]
    return []


def _blocks(rows: Rows, header: list[str]) -> Iterator[list[list[Any]]]:
    """Columns of the output; the header is complete with the first of them."""
    n_kept = len(header)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is odd is told by the rows' notes
        for X, cells in rows.blocks():
            try:
                columns = predictions(rows.model, X)
            except (TypeError, ValueError) as error:
                raise Failure(f"cannot predict: {error}") from None
            if len(header) == n_kept:
                for name in columns:
                    while name in header:
                        name += "_"
                    header.append(name)
            kept = [as_text(c) if isinstance(c, np.ndarray) else c for c in cells]
            yield [*kept, *(column.tolist() for column in columns.values())]


def _chained(first: Any, others: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from others
