"""Names, texts and numbers as C writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np

from .._layers import Array

#: What C89 promises that a compiler tells apart, less the longest ending we append.
_LONGEST_NAME = 31
#: What C99 promises that a string may hold is 4095 bytes.
_LONGEST_TEXT = 1000
_PER_LINE = 8
_WIDTH = 88


def checked_name(name: Any) -> str:
    """A name that C and C++ allow at the beginning of others, or ValueError."""
    if (
        not isinstance(name, str)
        or not re.fullmatch(r"[A-Za-z](_?[A-Za-z0-9])*", name, re.ASCII)
        or len(name) > _LONGEST_NAME
    ):
        raise ValueError(
            "name must begin with a letter and hold letters of English, digits and "
            f"single underscores between them, {_LONGEST_NAME} characters at most. "
            f"Got {name!r}."
        )
    return name


def string(text: str) -> str:
    """A text as a C string, which may stand in a comment too.

    Bytes of UTF-8 that are no printable ASCII are octal, which ends after three digits;
    so is what would end a comment or begin one, and a question mark of a trigraph.
    """
    raw = text.encode("utf-8", "surrogatepass")
    if len(raw) > _LONGEST_TEXT:
        raw = raw[:_LONGEST_TEXT] + b"..."
    plain = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03o}"
        for byte in raw
    )
    plain = plain.replace("\\042", '\\"').replace("\\134", "\\\\")
    plain = re.sub(r"(?<=\?)\?", r"\\077", plain)
    plain = re.sub(r"(?<=\*)/", r"\\057", plain)
    return '"' + re.sub(r"(?<=/)\*", r"\\052", plain) + '"'


def comment(*paragraphs: str) -> str:
    """A comment of paragraphs, wrapped; one of several lines is left as it is."""
    lines = []
    for paragraph in paragraphs:
        text = paragraph if "\n" in paragraph else fill(paragraph, _WIDTH - 3)
        lines += [*text.splitlines(), ""]
    body = "".join(f" * {line}".rstrip() + "\n" for line in lines[:-1])
    return f"/*{body[2:].rstrip()}\n */" if len(lines) > 2 else f"/*{body[2:-1]} */"


def narrowest(values: Array) -> np.dtype[Any]:
    """The type that has all of the values: float32 where that is enough."""
    with np.errstate(over="ignore", under="ignore"):
        exact = (values.astype(np.float32).astype(np.float64) == values).all()
    return np.dtype(np.float32 if exact else np.float64)


def type_name(dtype: np.dtype[Any]) -> str:
    return {4: "float", 8: "double"}[dtype.itemsize]


def numbers(values: Array) -> Iterator[str]:
    """Lines of an array's numbers, which are read back exactly."""
    end = "f," if values.dtype == np.float32 else ","
    texts = values.astype(str).tolist()
    for start in range(0, len(texts), _PER_LINE):
        yield " ".join(text + end for text in texts[start : start + _PER_LINE])


def number(value: float) -> str:
    """A double."""
    return repr(float(value))


class Part(NamedTuple):
    """Constants that lie behind others in an array."""

    #: Of a comment; empty for none.
    title: str
    values: Array


def flash(name: str, dtype: np.dtype[Any], parts: Iterable[Part]) -> str:
    """An array of constants in flash."""
    lines = []
    for title, values in parts:
        lines += [comment(title)] if title else []
        lines += numbers(values.astype(dtype).reshape(-1))
    body = "\n".join(lines)
    return f"static const {type_name(dtype)} {name}[] @FLASH = {{\n{body}\n}};"
