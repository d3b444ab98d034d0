"""What the command writes: JSON and tables, whole or not at all."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from .._files import write_atomically
from ._failure import Failure


def written_json(said: Any, path: str) -> None:
    """Write plain values to a file, or to standard output where it is "-"."""
    text = json.dumps(_finite(said), indent=2, ensure_ascii=False, allow_nan=False)
    # Of the name of a file, perhaps, which need not be UTF-8.
    content = f"{text}\n".encode(errors="backslashreplace")
    if path == "-":
        _to_stdout([content])
    else:
        write_atomically(path, [content])


def _finite(said: Any) -> Any:
    """Plain values in which numbers that JSON has no name for are None."""
    if isinstance(said, dict):
        return {name: _finite(each) for name, each in said.items()}
    if isinstance(said, list | tuple):
        return [_finite(each) for each in said]
    return None if isinstance(said, float) and not math.isfinite(said) else said


def _to_stdout(pieces: Iterable[bytes]) -> None:
    """UTF-8, whatever the terminal's encoding: a file or a program reads it."""
    if sys.stdout is None:
        raise Failure("standard output is closed")
    sys.stdout.flush()
    for piece in pieces:
        sys.stdout.buffer.write(piece)


def csv_pieces(header: list[str], blocks: Iterable[list[list[Any]]]) -> Iterator[bytes]:
    """The bytes of a CSV file of blocks, each a list of columns."""
    import csv
    import io

    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for columns in blocks:
        writer.writerows(zip(*columns, strict=True))
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()


class _Sink:
    """A file whose bytes are taken away as they come."""

    closed = False

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self._n = 0

    def write(self, data: Any) -> int:
        self.pieces.append(bytes(data))
        self._n += len(data)
        return len(data)

    def tell(self) -> int:
        return self._n

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        self.closed = True

    def taken(self) -> list[bytes]:
        pieces, self.pieces = self.pieces, []
        return pieces


def parquet_pieces(
    header: list[str], blocks: Iterable[list[list[Any]]]
) -> Iterator[bytes]:
    """The bytes of a Parquet file of blocks, each a list of columns."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        hint = 'pip install "skbackprop[parquet]"'
        raise Failure(f"writing Parquet needs pyarrow: {hint}") from None
    sink, writer = _Sink(), None
    for columns in blocks:
        table = pa.table(dict(zip(header, map(pa.array, columns), strict=True)))
        if writer is None:
            writer = pq.ParquetWriter(pa.PythonFile(sink, mode="w"), table.schema)
        writer.write_table(table.cast(writer.schema))
        yield from sink.taken()
    if writer is not None:
        writer.close()
    yield from sink.taken()


def write_table(
    path: str | None, header: list[str], blocks: Iterable[list[list[Any]]]
) -> None:
    """A table into a file, by the end of its name, or to standard output."""
    if path is not None and path.lower().endswith((".parquet", ".pq")):
        write_atomically(path, parquet_pieces(header, blocks))
        return
    pieces = csv_pieces(header, blocks)
    if path is not None:
        write_atomically(path, pieces)
    else:
        _to_stdout(pieces)
