"""Tables of Parquet and Arrow files, whose columns have types already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._csv import BLOCK_ROWS, Block
from ._failure import Failure
from ._reading import as_text
from ._source import Source, reading


@dataclass
class ArrowTable:
    """A table with types: numbers are float64, dates datetime64[us], the rest text."""

    source: Source
    names: list[str]
    notes: list[str] = field(default_factory=list)
    is_typed = True
    delimiter = ","

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def header(self) -> list[str]:
        return self.names

    def blocks(self, places: Sequence[int], size: int = BLOCK_ROWS) -> Iterator[Block]:
        first = 0
        with _reading(self.source):
            names = [self.names[place] for place in places]
            for batch in _batches(self.source, names, size):
                columns = [
                    _plain(column, name)
                    for column, name in zip(batch.columns, names, strict=True)
                ]
                yield Block(first, batch.num_rows, columns)
                first += batch.num_rows

    def written(self, size: int = BLOCK_ROWS) -> Iterator[list[list[str]]]:
        """All rows as text, in the same blocks."""
        for block in self.blocks(range(len(self.names)), size):
            columns = [
                as_text(cells) if isinstance(cells, np.ndarray) else cells
                for cells in block.columns
            ]
            yield [list(row) for row in zip(*columns, strict=True)]

    def places_of(self, rows: Sequence[int]) -> dict[int, str]:
        return {row: f"row {row + 1}" for row in rows}


@contextmanager
def _reading(source: Source) -> Iterator[None]:
    import pyarrow as pa

    with reading(source):
        try:
            yield
        except pa.ArrowException as error:
            raise Failure(f"cannot read {source.name!r}: {error}") from None


def open_arrow(source: Source) -> ArrowTable:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        hint = 'pip install "skbackprop[parquet]"'
        raise Failure(f"reading {source.name!r} needs pyarrow: {hint}") from None
    with _reading(source):
        names = [name.strip() for name in _schema(source).names]
    again = {name for name in names if names.count(name) > 1}
    if again:
        raise Failure(f"{source.name!r} has several columns named {min(again)!r}")
    return ArrowTable(source, names)


def _schema(source: Source) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if source.kind == "parquet":
        return pq.read_schema(source.path)
    opener = pa.ipc.open_file if source.kind == "arrow" else pa.ipc.open_stream
    with pa.memory_map(source.path) as file:
        return opener(file).schema


def _batches(source: Source, names: list[str], size: int) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    written = {name.strip(): name for name in _schema(source).names}
    wanted = [written[name] for name in names]
    if source.kind == "parquet":
        with pq.ParquetFile(source.path) as file:
            for batch in file.iter_batches(size, columns=wanted):
                yield batch.select(wanted)
        return
    with pa.memory_map(source.path) as file:
        if source.kind == "arrow":
            opened = pa.ipc.open_file(file)
            whole = map(opened.get_batch, range(opened.num_record_batches))
        else:
            whole = iter(pa.ipc.open_stream(file))
        for batch in whole:
            for start in range(0, batch.num_rows, size):
                yield batch.select(wanted).slice(start, size)


def _plain(column: Any, name: str) -> Any:
    """A column as float64, datetime64[us], or a list of text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_null(kind):
        return np.full(len(column), np.nan)
    if pa.types.is_integer(kind) and _is_large(column):
        # Identifiers, of which float64 would make others.
        return ["" if x is None else str(x) for x in column.to_pylist()]
    if pa.types.is_decimal(kind) or pa.types.is_integer(kind):
        column, kind = column.cast(pa.float64(), safe=False), pa.float64()
    if pa.types.is_floating(kind):
        return np.array(column.cast(pa.float64()).to_numpy(zero_copy_only=False))
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        column = pc.local_timestamp(column)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        dates = column.cast(pa.timestamp("us"), safe=False)
        return dates.to_numpy(zero_copy_only=False).astype("datetime64[us]")
    if pa.types.is_boolean(kind):
        return ["" if x is None else str(x) for x in column.to_pylist()]
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return [(x or "").strip() for x in column.to_pylist()]
    raise Failure(
        f"column {name!r} is of the type {kind}; numbers, text, booleans and dates are "
        "read: leave it out (train has --ignore)"
    )


def _is_large(column: Any) -> bool:
    """Whether integers are beyond those that float64 has all of."""
    import pyarrow.compute as pc

    ends = pc.min_max(column).as_py()
    return ends["min"] is not None and max(-ends["min"], ends["max"]) > 2**53
