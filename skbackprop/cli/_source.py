"""A file of a table: its kind by its first bytes, unpacked where it is packed."""

from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import io
import lzma
import os
import shutil
import stat
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from ._failure import Failure

READS = "CSV, TSV (.gz, .bz2, .xz and .zip too), Parquet and Arrow files are read"
#: What a damaged file raises while it is read.
DAMAGE = (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)

_PACKED = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
)
_OTHERS = (
    (b"PAR1", "parquet"),
    (b"ARROW1", "arrow"),
    (b"\xff\xff\xff\xff", "arrow stream"),
)
_REFUSED = (
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook; save the sheet as CSV"),
    (b"SQLite format 3\x00", "an SQLite database; export the table as CSV"),
    (b"%PDF", "a PDF document"),
    (b"\x80\x04\x95", "a pickle"),
    (b"\x80\x05\x95", "a pickle"),
    (b"\x89HDF\r\n", "an HDF5 file; write the table as Parquet or CSV"),
    (b"\x28\xb5\x2f\xfd", "packed by Zstandard; unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it first"),
)
_BOMS = (  # the longer ones first: that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HEAD = 1 << 18  # bytes that tell what a file is


@dataclass
class Source:
    """A file that can be opened as often as it must be read."""

    name: str
    path: str
    #: "text", "parquet", "arrow" or "arrow stream".
    kind: str = "text"
    head: bytes = b""

    def open(self) -> IO[bytes]:
        """The bytes of the table, unpacked."""
        with open(self.path, "rb") as file:
            start = file.read(6)
        for magic, opener in _PACKED:
            if start.startswith(magic):
                return opener(self.path, "rb")  # type: ignore[operator]
        if start.startswith(b"PK\x03\x04"):
            return self._open_zipped()
        return open(self.path, "rb")

    def _open_zipped(self) -> IO[bytes]:
        archive = zipfile.ZipFile(self.path)
        members = [
            each
            for each in archive.infolist()
            if not each.is_dir() and not each.filename.startswith("__MACOSX/")
        ]
        names = {each.filename for each in members}
        if "[Content_Types].xml" in names or "mimetype" in names:
            raise Failure(f"{self.name!r} is a workbook; save the sheet as CSV")
        if len(members) != 1:
            raise Failure(f"{self.name!r} must hold one file, and holds {len(members)}")
        try:
            return archive.open(members[0])
        except (NotImplementedError, RuntimeError) as error:  # of a password, for one
            raise Failure(f"cannot read {self.name!r}: {error}") from None

    def encoding(self, given: str | None) -> tuple[str, str]:
        """The encoding of its text, and what there is to say of how it was found."""
        for bom, name in _BOMS:
            if self.head.startswith(bom):
                return name, "" if name == "utf-8-sig" else f"read as {name.upper()}"
        if given is not None:
            return given, ""
        zeros = [self.head[place::2].count(0) for place in (0, 1)]
        if max(zeros) > 0.2 * len(self.head):
            name = "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
            return name, f"read as {name.upper()}"
        if self._is_utf8():
            return "utf-8", ""
        text = self.head.translate(None, bytes(range(128)))
        name = "latin-1" if set(text) & set(b"\x81\x8d\x8f\x90\x9d") else "cp1252"
        return name, f"not UTF-8: read as {name}; --encoding says it better"

    def _is_utf8(self) -> bool:
        decoder = codecs.getincrementaldecoder("utf-8")()
        with self.open() as file:
            try:
                while piece := file.read(1 << 20):
                    decoder.decode(piece)
                decoder.decode(b"", final=True)
            except UnicodeDecodeError:
                return False
        return True


@contextlib.contextmanager
def opened_source(name: str) -> Iterator[Source]:
    """The file of a name, or a copy of standard input, which is gone afterwards."""
    copy = None
    try:
        if name == "-" or _flows(name):
            handle, copy = tempfile.mkstemp(prefix="skbackprop-")
            with os.fdopen(handle, "wb") as file:
                _copy(name, file)
        source = Source("standard input" if name == "-" else name, copy or name)
        with reading(source):
            with source.open() as file:
                source.head = file.read(_HEAD)
            source.kind = _kind(source)
        yield source
    finally:
        if copy is not None:
            with contextlib.suppress(OSError):
                os.unlink(copy)


def _flows(path: str) -> bool:
    """Whether a path is a pipe or a device, which can be read once only."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISSOCK(mode)


def _copy(name: str, file: IO[bytes]) -> None:
    if name != "-":
        with reading(Source(name, name)), open(name, "rb") as stream:
            shutil.copyfileobj(stream, file)
        return
    if sys.stdin is None:
        raise Failure("standard input is closed")
    shutil.copyfileobj(sys.stdin.buffer, file)


def _kind(source: Source) -> str:
    for magic, kind in _OTHERS:
        if source.head.startswith(magic):
            return kind
    for magic, what in _REFUSED:
        if source.head.startswith(magic):
            raise Failure(f"{source.name!r} is {what}; {READS}")
    start = source.head.lstrip()[:200].lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise Failure(f"{source.name!r} is a page or XML; {READS}")
    if start.startswith((b'{"', b"[{", b"[[")) and b"\n" not in start[:2]:
        raise Failure(f"{source.name!r} is JSON; {READS}")
    return "text"


@contextlib.contextmanager
def reading(source: Any) -> Iterator[None]:
    """Turn what goes wrong while a file is read into one line."""
    try:
        yield
    except UnicodeError as error:
        raise Failure(f"cannot read {source.name!r}: {error}; try --encoding") from None
    except (OSError, *DAMAGE) as error:
        what = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise Failure(f"cannot read {source.name!r}: {what}") from None


def text_of(source: Source, encoding: str) -> io.TextIOWrapper:
    """Its text; ends of lines are as they are written."""
    try:
        "".encode(encoding)  # LookupError also of what is an encoding of no text
    except (LookupError, ValueError):
        raise Failure(f"--encoding {encoding!r} is none that Python knows") from None
    return io.TextIOWrapper(source.open(), encoding, newline="")
