"""Lists and numbers as a sentence says them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def listed(names: Sequence[Any], most: int = 12) -> str:
    return joined_some([repr(name) for name in names], ", ", most)


def joined_some(texts: Sequence[str], separator: str, most: int) -> str:
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return separator.join(texts[:most]) + more


def printable(text: str) -> str:
    """What a terminal may be sent of a text that a file holds."""
    return "".join(c if c.isprintable() else "?" for c in text)


def counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def shown(cells: Sequence[tuple[int, str]], table: Any) -> str:
    """The first of these cells, by row, and where they are found."""
    places = table.places_of([row for row, _ in cells[:3]])
    texts = [f"{cell[:40]!r} ({places.get(row)})" for row, cell in cells[:3]]
    return ", ".join(texts) + (f" and {len(cells) - 3} more" if len(cells) > 3 else "")
