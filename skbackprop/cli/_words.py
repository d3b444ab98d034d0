"""Lists and numbers as a sentence says them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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


@dataclass
class Oddities:
    """Cells of a column that cannot be read: how many, and the first three."""

    n: int = 0
    #: Row and text.
    first: list[tuple[int, str]] = field(default_factory=list)

    def add(self, row: int, cell: str) -> None:
        self.n += 1
        if len(self.first) < 3:
            self.first.append((row, cell))

    def shown(self, places: Mapping[int, str]) -> str:
        """The first of them, and where an editor finds these rows."""
        texts = [f"{cell[:40]!r} ({places.get(row)})" for row, cell in self.first]
        more = f" and {self.n - 3} more" if self.n > 3 else ""
        return ", ".join(texts) + more


def places_of(oddities: Iterable[Oddities], table: Any) -> dict[int, str]:
    """Where the first cells are found in a table, which is read once for all."""
    rows = [row for each in oddities for row, _ in each.first]
    found: dict[int, str] = table.places_of(rows)
    return found
